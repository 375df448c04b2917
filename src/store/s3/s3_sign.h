/*
 * s3_sign: AWS Signature Version 4 in the Authorization header.  Our own, because the one of
 * libcurl before 8.14 signs many ordinary requests wrong.  Pure functions; thread-safe.
 */
#ifndef STORE_S3_S3_SIGN_H
#define STORE_S3_S3_SIGN_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define S3_SIGN_DATE_BYTES 17  /* "20130524T000000Z" and NUL */
#define S3_SIGN_MAX_HEADERS 16 /* of one request */

/* The SHA-256 of nothing, as requests without a body say it. */
#define S3_SIGN_NO_BODY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct s3_sign_header {
	const char *name; /* in lower case */
	const char *value;
};

/* Who signs, and for where. */
struct s3_sign_key {
	const char *access_key;
	const char *secret_key;
	const char *region;  /* "us-east-1" */
	const char *service; /* "s3" */
};

struct s3_sign_request {
	const char *method; /* "GET" */
	const char *path;   /* encoded, as it is sent: "/bucket/a%20b" */
	const char *query;  /* as s3_uri_query() makes it; "" = none */
	/* All of them are signed: host, x-amz-date, x-amz-content-sha256 and so on, in any order.
	 */
	const struct s3_sign_header *headers;
	size_t header_count;
	const char *payload; /* SHA-256 of the body in hex */
	const char *date;    /* the value of x-amz-date */
};

/* The time as x-amz-date says it, in UTC. */
void s3_sign_date(int64_t now_ns, char out[S3_SIGN_DATE_BYTES]);

/**
 * s3_sign_request(key, request, out, err):
 * Append the value of the Authorization header.  Return 0 or as buf_add().
 */
int s3_sign_request(const struct s3_sign_key *key, const struct s3_sign_request *request,
	struct buf *out, struct err *err);

#endif
