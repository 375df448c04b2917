/*
 * lock_keep: the locks of what live snapshots refer to are made anew before they end; what no
 * snapshot needs any more is left alone, and its lock runs out.  Looked at each time anew, nothing
 * is remembered: whoever changed a note cannot make this pass an object over.
 */
#ifndef VAULT_LOCK_KEEP_H
#define VAULT_LOCK_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;
struct vault;

struct lock_keep_opts {
	bool is_dry_run; /* look only */
	/* Ask for the locks of so many at most, evenly spread from a random first; 0 = all.  Only
	 * to look. */
	uint64_t most;
	/* OPTIONAL: told now and then how many were asked for, of how many. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct lock_keep_result {
	uint64_t objects, bytes; /* that are to be locked, each version of them that counts */
	uint64_t asked;          /* of these; each was one request */
	/* As they were found: locked for long enough, for too short or in a weaker mode, not at
	 * all. */
	uint64_t locked, ending, unlocked;
	uint64_t extended;   /* of the last two (dry run: would be) */
	uint64_t failed;     /* could not be */
	uint64_t hidden;     /* of all: removed or replaced by somebody, and kept behind that */
	int64_t earliest_ns; /* when the first lock of all ends, wall clock; 0 = one has none */
	bool is_all;         /* the vault could not say what it needs: all was meant */
	struct err why;      /* of the first that failed, or why all was meant */
};

/**
 * lock_keep_run(s, v, opts, out, err):
 * Of every object that snapshots of ${v} need, in ${s}, see to it that it is locked as
 * store_locks_by() says.  ${v} NULL, or a vault that cannot say what it needs: every object that is
 * ever locked counts as needed.  Where somebody removed or replaced an object, the oldest version
 * that hashes to its name is meant (all, when none does), of a text the oldest and the newest.
 * A list of versions tells nothing of locks: each is asked for by itself.  ${opts} NULL: zeros.
 * Repeated it does what is left.
 * Return 0 (look at out->failed), -ERR_UNSUPPORTED (the store locks nothing, or nobody said for how
 * long) or as the store.
 */
int lock_keep_run(struct store *s, struct vault *v, const struct lock_keep_opts *opts,
	struct lock_keep_result *out, struct err *err);

/**
 * lock_keep_packs(s, packs, count, err):
 * The same for some packs, as they are now.  A store that locks nothing: nothing.  Return 0, the
 * first that could not be locked, or as the store.
 */
int lock_keep_packs(struct store *s, const uint8_t (*packs)[32], size_t count, struct err *err);

#endif
