/*
 * s3_verdict: what an answer, or the lack of one, means: go on, try again, or give up, and with
 * which words.  Pure functions; no I/O.
 */
#ifndef STORE_S3_S3_VERDICT_H
#define STORE_S3_S3_VERDICT_H

#include <stdbool.h>

#include "store/s3/s3_reply.h"

struct err;

enum s3_verdict {
	S3_VERDICT_OK,
	S3_VERDICT_AGAIN,  /* later, the same */
	S3_VERDICT_SLOW,   /* later, and fewer at once */
	S3_VERDICT_FRESH,  /* once, with new credentials */
	S3_VERDICT_SKEW,   /* once, with the server's clock */
	S3_VERDICT_REGION, /* once, signed for the region that the server named */
	S3_VERDICT_OVER,   /* it stays so */
};

struct s3_outcome {
	int curl_code;      /* 0 = there was an answer */
	long verify;        /* of the certificate (X509_V_..), 0 = good or not asked */
	int os_errno;       /* of the connection, or 0 */
	const char *detail; /* libcurl's words, or "" */
	int status;         /* HTTP's, 0 = none came */
	struct s3_reply_refusal refusal;
};

enum s3_verdict s3_verdict_of(const struct s3_outcome *o);

/* For the words. */
struct s3_verdict_place {
	const char *host, *bucket, *region;
	bool is_https;
	bool is_region_given; /* by a person: then the server's other word is an error */
};

/**
 * s3_verdict_tell(o, place, err):
 * Fill ${err} for an outcome that is not OK: -ERR_NOT_FOUND is said of an object alone.  Return
 * -ERR_NOT_FOUND, -ERR_EXISTS (412), -ERR_CORRUPT (416), -ERR_NOSPACE (quota), -ERR_AUTH (secret,
 * key, certificate, rights), -ERR_CONFIG (bucket, region, scheme), -ERR_UNREACHABLE,
 * -ERR_UNSUPPORTED (501), -ERR_LIMIT or -ERR_IO.
 */
int s3_verdict_tell(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err);

#endif
