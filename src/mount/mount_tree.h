/*
 * mount_tree: entries of opened snapshots by key, and directories in order, for many threads: a
 * few tree readers that are handed round.  A directory that only its entries tell of (no backup
 * makes one, a foreign writer may) is an entry like others.
 * Threading: a lease and a listing belong to one thread at a time; the rest is for any thread.
 */
#ifndef MOUNT_MOUNT_TREE_H
#define MOUNT_MOUNT_TREE_H

#include <stdint.h>

#include "vault/entry.h"

struct err;
struct mount_lease;
struct mount_listing;
struct mount_snap;
struct mount_tree;
struct record_source;

/* ${source} is for any thread, and borrowed until free. */
int mount_tree_new(const struct record_source *source, struct mount_tree **out, struct err *err);
/* No lease and no listing is out any more. */
void mount_tree_free(struct mount_tree *t);

/**
 * mount_tree_find(t, snap, key, key_len, out, e, err):
 * The entry of exactly ${key} in ${snap}, which is open.  Return 1 and a lease, until whose return
 * *${e} is valid; 0 when there is none; or -ERR_CORRUPT, -ERR_UNSUPPORTED or what the source says.
 */
int mount_tree_find(struct mount_tree *t, const struct mount_snap *snap, const uint8_t *key,
	size_t key_len, struct mount_lease **out, struct entry *e, struct err *err);
void mount_tree_return(struct mount_tree *t, struct mount_lease *lease);

/**
 * mount_tree_links(t, snap, group, out, err):
 * How many names of hard-link group ${group} the snapshot has.  The first call for a snapshot
 * reads its whole tree, and returns the reader's error; later ones know the names read before it.
 */
int mount_tree_links(struct mount_tree *t, const struct mount_snap *snap, uint64_t group,
	uint32_t *out, struct err *err);

/* List the directory ${key} (empty = the root) of ${snap}, which is open. */
int mount_tree_list(struct mount_tree *t, const struct mount_snap *snap, const uint8_t *key,
	size_t key_len, struct mount_listing **out, struct err *err);
void mount_tree_list_end(struct mount_listing *l);

/**
 * mount_tree_list_at(l, nth, key, key_len, e, err):
 * The ${nth} entry (from 0) in key order; ascending numbers are read in one go, a smaller one reads
 * from the beginning.  Key and entry are borrowed until the next call on ${l}.  Return 1, 0 behind
 * the end, or an error.
 */
int mount_tree_list_at(struct mount_listing *l, uint64_t nth, const uint8_t **key, size_t *key_len,
	struct entry *e, struct err *err);

#endif
