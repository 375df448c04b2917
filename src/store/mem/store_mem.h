/*
 * store_mem: a store in memory, for tests and for what is thrown away.
 * Knows: the same staging as a disk, so that code which forgets a barrier fails here too, and what
 * a crash would leave.  Hides: how objects are kept.
 * Threading: one thread at a time, a store and its crash copies together (they share contents).
 */
#ifndef STORE_MEM_STORE_MEM_H
#define STORE_MEM_STORE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;
struct store_mem;

/* The driver; its self is a struct store_mem. */
extern const struct store_driver store_mem_driver;

/* Make an empty store; give it to store_new() or end it with store_mem_driver.free().  Return 0 or
 * -ERR_NOMEM. */
int store_mem_new(struct store_mem **out, struct err *err);

/* The number of objects that wait for a barrier. */
size_t store_mem_staged(const struct store_mem *m);

/**
 * store_mem_crash(m, kept, out, err):
 * Make a new store as a power cut would leave this one: everything visible, and of the staged
 * objects (numbered from 0 in the order of their put) those whose bit is set in ${kept}, because a
 * crash inside a barrier may leave any of them.  0 = a crash outside a barrier.  ${m} is unchanged.
 * Return 0 or -ERR_NOMEM.
 */
int store_mem_crash(
	const struct store_mem *m, uint64_t kept, struct store_mem **out, struct err *err);

/* Flip bit ${bit} (0 = lowest of the first byte) of a visible object.  Return 0, -ERR_NOT_FOUND,
 * -ERR_LIMIT (the object is shorter) or -ERR_NOMEM. */
int store_mem_flip(struct store_mem *m, const char *name, uint64_t bit, struct err *err);

/* Cut a visible object to ${len} bytes.  Return as store_mem_flip(). */
int store_mem_truncate(struct store_mem *m, const char *name, size_t len, struct err *err);

#endif
