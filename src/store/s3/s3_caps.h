/*
 * s3_caps: what this server does with this bucket, found out by trying, and remembered in an object
 * of the driver's own (tmp/s3), so that it is tried once, at init.
 */
#ifndef STORE_S3_S3_CAPS_H
#define STORE_S3_S3_CAPS_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store_lock.h"

struct buf;
struct err;
struct s3_wire;

#define S3_CAPS_NAME "tmp/s3" /* under the vault's prefix */
#define S3_CAPS_MAX_BYTES ((size_t)4096)
#define S3_CAPS_LOCK_S 30 /* for so long a probe's object stays locked */

struct s3_caps {
	bool is_known;          /* it was tried */
	bool has_if_absent;     /* a conditional PUT never replaces */
	bool has_versions;      /* the bucket keeps old versions */
	bool has_lock;          /* the bucket says that it has Object Lock */
	bool is_lock_kept;      /* a locked version could not be deleted */
	struct store_lock lock; /* how a person wants objects to be locked */
};

/* As text, one "name=yes" a line, and "lock=compliance:2592000s" where there is one.  Return 0 or
 * as buf_add(). */
int s3_caps_format(const struct s3_caps *c, struct buf *out, struct err *err);
/* Return 0 or -ERR_CORRUPT.  Lines of names that are unknown are passed over. */
int s3_caps_parse(const char *text, size_t len, struct s3_caps *out, struct err *err);

/**
 * s3_caps_probe(w, prefix, out, err):
 * Write, overwrite, lock and delete objects of its own under ${prefix}tmp/.  What a server does not
 * know, or refuses to tell, it does not have.  Return 0 or what made trying impossible (no bucket,
 * wrong key, may not write).
 */
int s3_caps_probe(struct s3_wire *w, const char *prefix, struct s3_caps *out, struct err *err);

#endif
