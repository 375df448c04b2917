/*
 * collect: space taken back from a vault without stopping backups: what no live snapshot needs is
 * condemned, waited for, looked at again, listed, taken out of the index and, after a grace,
 * deleted (docs/FORMAT.md section 10.2, whose steps (a) to (h) give the names here).
 * Hides: which step a run that broke off had reached.
 * Threading: one thread; other processes may back up, restore and even collect at the same time.
 */
#ifndef VAULT_COLLECT_H
#define VAULT_COLLECT_H

#include <stdbool.h>
#include <stdint.h>

#include "vault/collect_sights.h"
#include "vault/purge.h"

struct err;
struct id_set;
struct vault;

#define COLLECT_FENCE_NS (INT64_C(24) * 3600 * 1000000000)
#define COLLECT_GRACE_NS (INT64_C(7) * 86400 * 1000000000)
#define COLLECT_REPACK_BYTES (UINT64_C(4) << 30) /* copied by one run at most */

struct collect_opts {
	int64_t fence_ns; /* silence after which a session is fenced */
	int64_t grace_ns; /* between dead and deleted */
	uint64_t repack_bytes;
	bool is_dry_run;   /* look only */
	bool accepts_gaps; /* snapshots are missing that nobody pruned: they are given up */
	const struct id_set *bad_packs; /* known to be damaged; NULL = none */
	struct collect_sights *sights;  /* what this maintainer saw before; brought up to date */
	/* OPTIONAL: told of each snapshot object that is given up (dry run: would be) */
	void (*on_given_up)(void *arg, const char *object);
	void *arg;
};

struct collect_result {
	/* as the marks see the vault; after a run that only waited these are 0 */
	uint64_t packs, pack_bytes;            /* on the store, not dead */
	uint64_t live_bytes;                   /* of records that are needed, each once */
	uint64_t unknown_packs, unknown_bytes; /* collect_mark_unknown(): left alone */
	uint64_t missing_records;              /* needed, and in no pack that is known */
	uint64_t condemned, condemned_bytes;   /* objects by this run (dry run: would be) */
	uint64_t deferred;                     /* packs nobody needs, perhaps of open sessions */
	uint64_t repacked, repacked_bytes;     /* packs of those, and bytes copied */
	uint64_t rescued;                      /* condemned objects that stay */
	uint64_t dead, dead_bytes;             /* objects that wait for the end of their grace */
	uint64_t deleted, deleted_bytes;
	uint64_t waits;    /* sessions that a condemned list waits for */
	uint64_t fenced;   /* sessions by this run */
	uint64_t voided;   /* snapshots of fenced sessions taken away */
	uint64_t marks;    /* session marks removed */
	uint64_t given_up; /* snapshots that somebody deleted, with accepts_gaps (dry run: would be)
			    */
	uint64_t segments_replaced, segments_written; /* of the index */
	int64_t next_ns;           /* when the next grace ends, wall clock; 0 = none waits */
	struct purge_result purge; /* where the store keeps versions */
};

/**
 * collect_run(v, opts, out, err):
 * Carry on what is under way, then begin anew, as far as it goes without waiting: out->waits tells
 * whether to come again.  Broken off at any point, the next run carries on.
 * Return 0, -ERR_CORRUPT and the like (an object that must be read cannot be, or a snapshot is gone
 * that nobody pruned: nothing was condemned), -ERR_BUSY (another collection came between) or a
 * store's error.
 */
int collect_run(struct vault *v, const struct collect_opts *opts, struct collect_result *out,
	struct err *err);

#endif
