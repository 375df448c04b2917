/*
 * power_trace: what a program does to a directory, recorded operation by operation, and the
 * directories that a power cut may leave of it.
 * The model of a disk is the weakest that POSIX allows (after Pillai et al., "All File Systems Are
 * Not Created Equal", OSDI 2014): bytes written are durable when their file was synced, a name made
 * or removed when its directory was; of everything else any subset may be there, in any order, data
 * in pieces of 512 bytes or as zeros behind a size that is durable already.
 * Knows: files that are written once from the beginning.  One trace at a time.
 */
#ifndef TESTS_LIB_POWER_TRACE_H
#define TESTS_LIB_POWER_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

/* Record what goes through env into the empty directory ${dirfd} on top of ${below}, until
 * power_trace_end().  A trace that was there is dropped. */
void power_trace_begin(int dirfd, const struct env_ops *below);
void power_trace_end(const struct env_ops *below);
/* Operations so far. */
size_t power_trace_count(void);
/* Bytes and names that are not durable when the power goes after ${n} operations. */
size_t power_trace_pending(size_t n);

enum power_trace_choice {
	POWER_ALL_KEPT,
	POWER_ALL_LOST,
	POWER_ONE_KEPT, /* of the pending: number x */
	POWER_ONE_LOST,
	POWER_MASK,   /* those whose bit is set in x are kept */
	POWER_RANDOM, /* by x: each kept, lost, torn or zeros */
};

struct power_trace_state {
	size_t n; /* operations before the cut */
	enum power_trace_choice choice;
	uint64_t x;
	bool is_lying; /* the disk did nothing when it was told to sync */
};

/* What the state looks like: equal for states that are the same directory. */
void power_trace_digest(const struct power_trace_state *s, uint8_t out[32]);
/* Make it in the empty directory ${dirfd}.  Return 0 or -1 and errno. */
int power_trace_make(const struct power_trace_state *s, int dirfd);
void power_trace_done(void);

#endif
