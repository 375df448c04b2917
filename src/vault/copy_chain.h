/*
 * copy_chain: the chains of a vault's sources, as far as a copy lacks them: the records of what is
 * not copied are kept at the copy as pruned ones are (docs/FORMAT.md sections 8 and 10.1).
 */
#ifndef VAULT_COPY_CHAIN_H
#define VAULT_COPY_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copy_chain;
struct err;
struct snapshot;
struct snapshot_list;
struct vault;

/**
 * copy_chain_new(from, to, from_list, to_list, out, err):
 * Know both ends' links; everything is borrowed until free.  The lists are those of
 * snapshot_list_all().  Objects with pruned records that cannot be read are passed over.
 */
int copy_chain_new(struct vault *from, struct vault *to, const struct snapshot_list *from_list,
	const struct snapshot_list *to_list, struct copy_chain **out, struct err *err);
void copy_chain_free(struct copy_chain *c);

/* Was the snapshot pruned at the copy, by its own retention? */
bool copy_chain_is_pruned(const struct copy_chain *c, const uint8_t snap_hash[32]);

/* Has the copy another snapshot of this one's source and number? */
bool copy_chain_is_forked(const struct copy_chain *c, const struct snapshot *s);

/**
 * copy_chain_reach(c, s, err):
 * Keep at the copy, durably, every record before ${s} that the source end knows and the copy does
 * not: ${s} can be put then and every number before it is accounted for.
 */
int copy_chain_reach(struct copy_chain *c, const struct snapshot *s, struct err *err);

/* The snapshot is at the copy now. */
int copy_chain_add(struct copy_chain *c, const struct snapshot *s, struct err *err);

/* Records that were kept so far. */
uint64_t copy_chain_kept(const struct copy_chain *c);

#endif
