/*
 * s3_versions: the oldest version of every key below a prefix, for reading a bucket as it was
 * before somebody overwrote or deleted its keys.  What is written once has one true version: the
 * first, but for one that a repair replaced.  Threading: none of its own.
 */
#ifndef STORE_S3_S3_VERSIONS_H
#define STORE_S3_S3_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/s3/s3_reply.h"

struct buf;
struct err;
struct s3_wire;

struct s3_version {
	char *key; /* owned, as id */
	char *id;
	uint64_t size;
	bool is_alone; /* there is no other that is no marker */
};

struct s3_versions {
	struct s3_version *at; /* ascending by key, none twice */
	size_t count, cap;
};

/* Call ${fn} with every version and marker of the keys that begin with ${prefix}, ascending by key
 * (another order is -ERR_CORRUPT), those of a key as the server has them, the newest first.  Return
 * as s3_versions_load(), or what
 * ${fn} returned; keep nothing of its calls unless 0 is returned. */
int s3_versions_each(
	struct s3_wire *w, const char *prefix, s3_reply_version_fn fn, void *arg, struct err *err);

/**
 * s3_versions_load(w, prefix, out, err):
 * Ask for all of them; ${out} begins as zeros and is ended by s3_versions_done(), also after a
 * failure.  Return 0, -ERR_CORRUPT, -ERR_NOMEM or as s3_wire_wait().
 */
int s3_versions_load(
	struct s3_wire *w, const char *prefix, struct s3_versions *out, struct err *err);
void s3_versions_done(struct s3_versions *v);

/* The one of ${key}, or NULL; borrowed. */
const struct s3_version *s3_versions_find(const struct s3_versions *v, const char *key);

/**
 * s3_versions_read(w, v, out, err):
 * Append the bytes of ${v}, or of the first version after it whose SHA-256 its key ends in: the
 * oldest may be damaged, and a repair has put the right one over it.  Of a key that ends in no
 * hash, and where none is right, those of ${v}.  Return 0, -ERR_LIMIT or as s3_wire_wait().
 */
int s3_versions_read(
	struct s3_wire *w, const struct s3_version *v, struct buf *out, struct err *err);

#endif
