/*
 * copy: snapshots brought from one vault to another store of the same vault (a replica) without
 * any data key: records as they are, everything around them the replica's own (docs/FORMAT.md
 * section 8, "Copy to another store").
 * Hides: what is missing there, the order of writing.  One thread.
 */
#ifndef VAULT_COPY_H
#define VAULT_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hold;
struct id_set;
struct snapshot;
struct vault;

enum copy_event {
	COPY_BROUGHT,    /* the snapshot is there now */
	COPY_THERE,      /* it was there already */
	COPY_PRUNED,     /* pruned at the replica: left alone, unless asked for by name */
	COPY_FAILED,     /* could not be brought, or is there and lost what it names: ${why} tells;
			  * the others go on */
	COPY_UNREADABLE, /* a snapshot object of either end, or lost packs of the replica; ${snap}
			  * is NULL */
};

struct copy_opts {
	void *arg;
	/* Is this snapshot to be brought?  0 no, 1 yes, 2 yes by name: also when it was pruned at
	 * the replica. */
	int (*is_wanted)(void *arg, const struct snapshot *s);
	void (*on_event)(void *arg, enum copy_event what, const struct snapshot *snap,
		const struct err *why);
	/* OPTIONAL: references looked at of all, bytes sent. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total, uint64_t bytes);
	bool (*is_stopped)(void *arg);  /* OPTIONAL */
	struct hold *hold;              /* at the source end; NULL = none; borrowed */
	const struct id_set *bad_packs; /* of the replica; NULL = none; borrowed */
};

struct copy_result {
	uint64_t snapshots;      /* brought */
	uint64_t there, pruned;  /* left alone */
	uint64_t failed;         /* not brought */
	uint64_t records, bytes; /* sent */
	uint64_t references;     /* of the snapshots brought */
	uint64_t kept;           /* records kept for the chains, of what is not brought */
};

/**
 * copy_run(from, to, opts, out, err):
 * Bring what is wanted, oldest first, one session a snapshot.  Broken off at any point, the next
 * run goes on: what is stored is not sent again.  ${out} is filled also when it fails.
 * Return 0 (look at out->failed), -ERR_INTERRUPTED, -ERR_ROLLBACK (the replica's config is older
 * than the source end's: copy_keys_carry() comes first) or what the replica failed with.
 */
int copy_run(struct vault *from, struct vault *to, const struct copy_opts *opts,
	struct copy_result *out, struct err *err);

#endif
