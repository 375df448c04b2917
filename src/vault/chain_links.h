/*
 * chain_links: the numbers of every chain that are accounted for: snapshots that are there, and the
 * records that were kept of pruned ones (docs/FORMAT.md sections 5 and 10.1).
 */
#ifndef VAULT_CHAIN_LINKS_H
#define VAULT_CHAIN_LINKS_H

#include <stddef.h>
#include <stdint.h>

#include "vault/prune.h"

struct err;
struct snaprec;
struct snapshot;
struct snapshot_list;
struct vault;

struct chain_link {
	uint8_t source[32]; /* agent_id || source_id */
	uint64_t seq;
	uint8_t hash[32];
};

struct chain_links {
	struct chain_link *at; /* owned; sorted by source and number */
	size_t count, cap;
};

enum chain_link_state {
	CHAIN_LINK_MISSING,  /* there is none of that number */
	CHAIN_LINK_ANOTHER,  /* of that number, but it is not the one that is named */
	CHAIN_LINK_IS_THERE, /* also of number 1, which names none */
};

/**
 * chain_links_load(v, list, on_bad, arg, out, err):
 * ${list} is that of snapshot_list_all().  Objects with pruned records that cannot be read as in
 * prune_view_load().  On success ${out} is owned: chain_links_done().
 */
int chain_links_load(struct vault *v, const struct snapshot_list *list, prune_bad_fn on_bad,
	void *arg, struct chain_links *out, struct err *err);
void chain_links_done(struct chain_links *l);

/* Is the snapshot before this one accounted for? */
enum chain_link_state chain_links_before(const struct chain_links *l, const struct snaprec *record);

/* The first snapshot of the list whose predecessor is missing; NULL when all is there. */
const struct snapshot *chain_links_gap(
	const struct chain_links *l, const struct snapshot_list *list);

#endif
