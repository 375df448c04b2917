/*
 * store_readback: a store whose barrier ends only when everything put before it was read back and
 * is what was written.
 * Threading: one thread, as the store.
 */
#ifndef STORE_STORE_READBACK_H
#define STORE_STORE_READBACK_H

#include <stdint.h>

struct err;
struct store;
struct store_readback;

/**
 * store_readback_add(s, out, err):
 * From now on store_barrier() also fails with -ERR_IO, and the object's name, when one that was put
 * since the barrier before is not there or has other bytes; what has others is removed.  *${out} is
 * ended with ${s}.  What was removed meanwhile is not looked for.  Return 0 or -ERR_NOMEM.
 */
int store_readback_add(struct store *s, struct store_readback **out, struct err *err);

/* What was read back and compared so far. */
uint64_t store_readback_objects(const struct store_readback *r);
uint64_t store_readback_bytes(const struct store_readback *r);

#endif
