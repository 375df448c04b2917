/*
 * store_fault: a driver around another one that breaks on request, for tests and drills of our own
 * code.
 * Knows: the driver contract, which it keeps even while it breaks: what an injected failure leaves
 * is what a real one may leave.  Hides: how a staged set is dropped in the driver inside.
 * Threading: as the store.
 */
#ifndef STORE_FAULT_STORE_FAULT_H
#define STORE_FAULT_STORE_FAULT_H

#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct store_fault;

enum store_fault_verb {
	STORE_FAULT_ANY, /* every operation counts */
	STORE_FAULT_PUT,
	STORE_FAULT_GET,
	STORE_FAULT_GET_RANGE,
	STORE_FAULT_LIST,
	STORE_FAULT_STAT,
	STORE_FAULT_REMOVE,
	STORE_FAULT_BARRIER,
	STORE_FAULT_VERSION, /* all that is done with versions and locks */
	STORE_FAULT_VERBS,   /* how many there are */
};

/* Wrap ${take_inner} (taken also on failure).  ${inner} must outlive it.  Return 0 or -ERR_NOMEM.
 */
int store_fault_new(const struct store_driver *inner, void *take_inner, struct store_fault **out,
	struct err *err);

/* The driver of ${f}, with the features of the one inside; lives as long as ${f}. */
const struct store_driver *store_fault_driver(const struct store_fault *f);

/* Operations since the start or the last reset, failed ones too. */
uint64_t store_fault_count(const struct store_fault *f, enum store_fault_verb verb);

/* From the ${nth} operation of ${verb} (1 = the first since the last reset) let ${times} of them
 * fail with ${code}.  Replaces the rule before, as the next two do. */
void store_fault_fail(struct store_fault *f, enum store_fault_verb verb, uint64_t nth,
	uint64_t times, enum err_code code);

/* The same once, halfway through: a put has written half, a get or get_range has delivered half of
 * the bytes, a list half of the names.  Other verbs just fail. */
void store_fault_tear(
	struct store_fault *f, enum store_fault_verb verb, uint64_t nth, enum err_code code);

/* The ${nth} operation of any kind and all after it fail with -ERR_IO, until the reset. */
void store_fault_crash(struct store_fault *f, uint64_t nth);

/* Deliver lists in an order that depends on ${seed}; 0 = as the driver inside. */
void store_fault_shuffle(struct store_fault *f, uint64_t seed);

/* Hide each new object from reads and lists for ${ops} operations after it became visible: a store
 * without read-after-write.  0 = off. */
void store_fault_delay(struct store_fault *f, uint64_t ops);

/* Forget the rule, the order, the delay and the counts.  After a crash the staged set is dropped,
 * as by a process that ended. */
void store_fault_reset(struct store_fault *f);

#endif
