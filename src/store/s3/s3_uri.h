/*
 * s3_uri: names and queries as a signature needs them: every byte has one spelling, and what is
 * signed is what is sent.  Pure functions.
 */
#ifndef STORE_S3_S3_URI_H
#define STORE_S3_S3_URI_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

#define S3_URI_MAX_PAIRS 8

struct s3_uri_pair {
	const char *name;
	const char *value; /* NULL = "" */
};

/* Append ${len} bytes: letters, digits and "-_.~" as they are ('/' too if ${keep_slash}), all else
 * as %XX in upper case.  Return as buf_add(). */
int s3_uri_encode(const char *data, size_t len, bool keep_slash, struct buf *out, struct err *err);

/* Append what ${text} stands for, where '+' is a blank (encoding-type=url of a list).  Return 0,
 * -ERR_CORRUPT (a broken %XX) or as buf_add(). */
int s3_uri_decode(const char *text, size_t len, struct buf *out, struct err *err);

/**
 * s3_uri_query(pairs, count, out, err):
 * Append "a=1&b=" sorted by encoded name, then by encoded value; at most S3_URI_MAX_PAIRS.
 * Return as buf_add().
 */
int s3_uri_query(const struct s3_uri_pair *pairs, size_t count, struct buf *out, struct err *err);

#endif
