/*
 * s3_lock: object locks as the protocol writes them.  Pure functions.
 */
#ifndef STORE_S3_S3_LOCK_H
#define STORE_S3_S3_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "store/store_lock.h"

#define S3_LOCK_TIME_BYTES 32
#define S3_LOCK_BODY_BYTES 256

/* "2026-11-27T10:00:00Z", rounded up to a second; "" for a time that no calendar has.  Return
 * ${out}. */
const char *s3_lock_time(int64_t ns, char out[S3_LOCK_TIME_BYTES]);
/* The other way; 0 when it is no such time. */
int64_t s3_lock_ns(const char *text);
/* The body of a request that locks.  Return ${out}. */
const char *s3_lock_body(enum store_lock_mode mode, int64_t until_ns, char out[S3_LOCK_BODY_BYTES]);

#endif
