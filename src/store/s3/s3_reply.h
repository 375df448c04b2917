/*
 * s3_reply: what the bodies of answers say: refusals, pages of a list, results of a deletion, the
 * state of a bucket.  Everything comes from outside and is bounded.  Pure; thread-safe.
 */
#ifndef STORE_S3_S3_REPLY_H
#define STORE_S3_S3_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct err;

#define S3_REPLY_CODE_BYTES 64
#define S3_REPLY_TEXT_BYTES 256
#define S3_REPLY_MAX_KEY_BYTES 1024
#define S3_REPLY_MAX_TOKEN_BYTES 4096

struct s3_reply_refusal {
	char code[S3_REPLY_CODE_BYTES];   /* "SlowDown"; "" when the body tells none */
	char text[S3_REPLY_TEXT_BYTES];   /* the server's words, made safe to show */
	char region[S3_REPLY_CODE_BYTES]; /* where the bucket is, "" when it does not say */
};

/* Whatever is not there or broken stays "". */
void s3_reply_refusal(const void *data, size_t len, struct s3_reply_refusal *out);

/* One object of a list, its key decoded and NUL-terminated.  Return 0 or a negative error code. */
typedef int (*s3_reply_object_fn)(void *arg, const char *key, uint64_t size, struct err *err);

struct s3_reply_page {
	bool is_truncated;
	struct buf token; /* of the next page; the caller ends it */
};

/**
 * s3_reply_list(data, len, fn, arg, out, err):
 * One page of ListObjectsV2.  ${out->token} is overwritten.  Keep nothing of ${fn}'s calls unless 0
 * is returned.  Return 0, -ERR_CORRUPT (broken, cut, another document, truncated without a token)
 * or what ${fn} returned.
 */
int s3_reply_list(const void *data, size_t len, s3_reply_object_fn fn, void *arg,
	struct s3_reply_page *out, struct err *err);

/* One key that was not deleted, and why.  Return 0 or a negative error code. */
typedef int (*s3_reply_key_fn)(void *arg, const char *key, const char *code, struct err *err);

/* The answer to DeleteObjects (quiet).  Return as s3_reply_list(). */
int s3_reply_delete(const void *data, size_t len, s3_reply_key_fn fn, void *arg, struct err *err);

/* One version of a key, or a marker that it was deleted, as ListObjectVersions has them. */
struct s3_reply_version {
	char key[S3_REPLY_MAX_KEY_BYTES + 1];
	char id[S3_REPLY_TEXT_BYTES];
	char tag[S3_REPLY_CODE_BYTES]; /* opaque, "" = none that would fit */
	uint64_t size;
	int64_t at_ns; /* since when it is there, 0 = not told */
	bool is_marker, is_latest;
};
typedef int (*s3_reply_version_fn)(
	void *arg, const struct s3_reply_version *version, struct err *err);

struct s3_reply_versions {
	bool is_truncated;
	struct buf key_marker, id_marker; /* of the next page; the caller ends them */
};

/* One page of ListObjectVersions, newest of each key first.  Return as s3_reply_list(). */
int s3_reply_versions(const void *data, size_t len, s3_reply_version_fn fn, void *arg,
	struct s3_reply_versions *out, struct err *err);

/* GetBucketVersioning: is it "Enabled"?  Return 0 or -ERR_CORRUPT. */
int s3_reply_versioning(const void *data, size_t len, bool *is_enabled, struct err *err);

/* GetObjectLockConfiguration: is it "Enabled"?  Return 0 or -ERR_CORRUPT. */
int s3_reply_object_lock(const void *data, size_t len, bool *is_enabled, struct err *err);

#endif
