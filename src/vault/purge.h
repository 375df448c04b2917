/*
 * purge: what a store keeps of objects that are gone: versions under markers, markers, and what a
 * repair replaced, deleted for good when the vault says that they are dead and their locks have
 * ended.  Part of a collection (docs/FORMAT.md section 10.2, h).
 */
#ifndef VAULT_PURGE_H
#define VAULT_PURGE_H

#include <stdint.h>

#include "base/err.h"

struct collect_mark;
struct id_set;
struct vault;

struct purge_opts {
	/* What was removed longer ago goes, wall clock; and at once what these name (SHA-256 at the
	 * end of the name). */
	int64_t grace_ns;
	const struct id_set *at_once;
};

struct purge_result {
	uint64_t purged, purged_bytes; /* versions and markers */
	uint64_t locked, locked_bytes; /* dead, and kept by their locks */
	int64_t locked_until_ns;       /* of the last of them */
	uint64_t refused;              /* this key may not delete versions */
	struct err why; /* collection's: it was passed over for that; code 0 = it was not */
	uint64_t odd;   /* names over which something lies that was never there by right */
};

/**
 * purge_run(v, m, opts, out, err):
 * ${m} are marks of the vault as it is, its chains and hidden snapshots accounted for.  A store
 * that keeps no versions: nothing.  Every step can be repeated.  ${out} is filled in on failure,
 * too: what is gone is gone.  Return 0 or as the store.
 */
int purge_run(struct vault *v, const struct collect_mark *m, const struct purge_opts *opts,
	struct purge_result *out, struct err *err);

#endif
