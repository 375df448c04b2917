/*
 * undelete: after somebody overwrote or deleted a vault's objects by name in a store that keeps
 * versions: what its snapshots need is made what is read again, out of what lies behind that.
 */
#ifndef VAULT_UNDELETE_H
#define VAULT_UNDELETE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store;
struct vault;

struct undelete_opts {
	bool is_dry_run;
	void *arg;
	/* OPTIONAL: of each object brought back (dry run: that would be), and of each that could
	 * not be: then ${why} says why. */
	void (*on_object)(void *arg, const char *name, bool was_replaced, uint64_t size,
		const struct err *why);
};

struct undelete_result {
	uint64_t names;             /* in the store, with any version */
	uint64_t removed, replaced; /* of what is needed */
	uint64_t back, back_bytes;
	uint64_t failed;    /* could not be brought back, or no version of it is right */
	uint64_t snapshots; /* live ones, as the oldest versions show them */
	uint64_t unread;    /* objects passed over on the way to them */
	uint64_t missing;   /* records that they need and no version holds */
};

/**
 * undelete_run(old, s, opts, out, err):
 * ${old} is the vault opened on the view of the oldest versions; ${s} is the same store as it is
 * now, to be written to.  What was pruned stays away, as does what collection keeps (it is made
 * anew), but for its verdicts.  Snapshot objects come last.  Repeated it does what is left.
 * Return 0 (look at out->failed and out->missing), -ERR_UNSUPPORTED or as the stores.
 */
int undelete_run(struct vault *old, struct store *s, const struct undelete_opts *opts,
	struct undelete_result *out, struct err *err);

#endif
