/*
 * s3_prove: what is left of an object when somebody with our key does his worst to it.
 */
#ifndef STORE_S3_S3_PROVE_H
#define STORE_S3_S3_PROVE_H

#include <stdbool.h>

#include "store/store.h"

#define S3_PROVE_LOCK_NS (INT64_C(600) * 1000000000)

struct err;
struct s3_wire;

/**
 * s3_prove(w, prefix, lock, fn, arg, is_kept, err):
 * Write a canary under ${prefix}tmp/, locked by ${lock} as objects are but for S3_PROVE_LOCK_NS at
 * most, then overwrite it, delete it by name, shorten its lock and
 * delete its version; ${fn} is told of each how it ended.  *${is_kept}: its first version can still
 * be read, byte for byte.  What the bucket keeps of it stays there, some bytes.
 * Return 0, what ${fn} returned, or what made the trial impossible.
 */
int s3_prove(struct s3_wire *w, const char *prefix, const struct store_lock *lock, store_fact_fn fn,
	void *arg, bool *is_kept, struct err *err);

#endif
