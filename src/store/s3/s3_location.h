/*
 * s3_location: where a vault lies in an object store, as one line of text:
 *   http[s]://HOST[:PORT]/BUCKET[/PREFIX][?region=R&style=path|virtual&ca=FILE&profile=P
 *                                         &credentials=FILE|imds&view=oldest&lock=MODE:DURATION]
 * No secret ever stands in it.  %XX in PREFIX and values is one byte.
 */
#ifndef STORE_S3_S3_LOCATION_H
#define STORE_S3_S3_LOCATION_H

#include <stdbool.h>

#include "store/store_lock.h"

struct err;

#define S3_LOCATION_MAX_PREFIX_BYTES 512

struct s3_location {
	bool is_https;
	bool is_virtual; /* the bucket stands in the host's name, not in the path */
	bool is_amazon;  /* an endpoint of amazonaws.com */
	bool is_oldest;  /* of each key the oldest version counts, whatever came over it */
	bool has_lock;   /* the place says how objects are locked, whatever is noted there */
	struct store_lock lock;
	char *host;        /* "s3.example.org:9000", as given; owned, as all that follow */
	char *bucket;      /* never NULL */
	char *prefix;      /* "" or "plant/a/": with its slash, decoded */
	char *region;      /* NULL = the server's word counts */
	char *ca_file;     /* NULL = what the system trusts */
	char *profile;     /* in the credentials file; NULL = "default" */
	char *credentials; /* a file, or "imds"; NULL = look around */
};

/* Parse ${text}, the part behind "s3:".  The caller ends *${out} with s3_location_done(), also
 * after a failure.  Return 0, -ERR_USAGE (says what is wrong and how it is written) or -ERR_NOMEM.
 */
int s3_location_parse(const char *text, struct s3_location *out, struct err *err);
void s3_location_done(struct s3_location *l);

#endif
