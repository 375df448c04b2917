/*
 * repack: records that are still needed moved out of packs that are mostly waste, or joined out of
 * many small packs; ciphertext as it is, each ID compared (docs/FORMAT.md section 10.2, b).
 */
#ifndef VAULT_REPACK_H
#define VAULT_REPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct collect_mark;
struct err;
struct vault;

#define REPACK_SMALL_BYTES (4u << 20) /* packs below it are joined */
#define REPACK_SMALL_PACKS 64         /* when a class has more of them */

struct repack_plan {
	bool *is_going; /* owned; by the index's number of the pack */
	size_t packs;
	uint64_t bytes; /* to be copied */
};

/* Which packs to repack, at most ${max_bytes} of records.  Return 0 or -ERR_NOMEM. */
int repack_choose(
	const struct collect_mark *m, uint64_t max_bytes, struct repack_plan *out, struct err *err);
void repack_plan_done(struct repack_plan *p);

/**
 * repack_run(v, m, plan, err):
 * Copy what the plan's packs keep into new packs, with an index segment, durably.  A pack that
 * cannot be read whole is taken out of the plan.  The old packs are left as they are.
 */
int repack_run(
	struct vault *v, const struct collect_mark *m, struct repack_plan *plan, struct err *err);

#endif
