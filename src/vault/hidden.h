/*
 * hidden: snapshots whose objects somebody deleted by name in a store that keeps versions, although
 * no order took them away.
 */
#ifndef VAULT_HIDDEN_H
#define VAULT_HIDDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "vault/prune.h"

struct err;
struct id_set;
struct snapshot_list;
struct vault;
struct version_table;

/* Of every snapshot that an order pruned, here: the SHA-256 of its sn/ object and its snap_hash.
 * What cannot be read as in prune_view_load(); *${out} is owned. */
int hidden_pruned(
	struct vault *v, prune_bad_fn on_bad, void *arg, struct id_set **out, struct err *err);

/**
 * hidden_lost(v, t, list, pruned, out, err):
 * The first sn/ object of ${t} that is not to be seen, was of this vault, and was not pruned nor is
 * there under another name (${list}: what is there); its name in ${out}, "" = none.
 * Hidden ones that no order names are read; the SHA-256 of those that are other objects of a
 * snapshot that was pruned, or is there, is added to ${pruned}.  Return 0 or as the store.
 */
int hidden_lost(struct vault *v, const struct version_table *t, const struct snapshot_list *list,
	struct id_set *pruned, char out[STORE_MAX_NAME_BYTES + 1], struct err *err);

struct hidden_give_up_opts {
	bool is_dry_run;                                  /* only say which */
	void (*on_object)(void *arg, const char *object); /* OPTIONAL: told of each */
	void *arg;
};

/**
 * hidden_give_up(v, opts, count, err):
 * Somebody said that they are lost for good: keep their records as if an order had pruned them, so
 * that nobody misses them, and nothing of them is locked any more.  *${count}: how many, also on
 * failure.  A store that keeps no versions: none.  Return 0 or as the store.
 */
int hidden_give_up(
	struct vault *v, const struct hidden_give_up_opts *opts, uint64_t *count, struct err *err);

#endif
