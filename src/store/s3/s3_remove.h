/*
 * s3_remove: many keys deleted with few requests: gathered, then deleted by the thousand, one by
 * one where the server cannot, or would not for some of them.
 */
#ifndef STORE_S3_S3_REMOVE_H
#define STORE_S3_S3_REMOVE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct s3_wire;

#define S3_REMOVE_MAX_KEYS 1000 /* of one request, says the protocol */

struct s3_remove {
	struct s3_wire *wire; /* borrowed */
	char **keys;          /* owned */
	size_t count;
	bool is_one_by_one; /* the server knows no other way */
};

void s3_remove_init(struct s3_remove *r, struct s3_wire *wire);
/* Forget what was gathered. */
void s3_remove_done(struct s3_remove *r);

/* Gather one key; at S3_REMOVE_MAX_KEYS all are deleted.  Return 0, -ERR_NOMEM or as flush. */
int s3_remove_add(struct s3_remove *r, const char *key, struct err *err);

/* Delete what was gathered.  A key that is not there is no error.  All are tried; return 0 or the
 * first error.  Nothing is left gathered. */
int s3_remove_flush(struct s3_remove *r, struct err *err);

#endif
