/*
 * index_merge: index segments written anew without dead packs, and small ones joined
 * (docs/FORMAT.md section 10.2, g).  Segments can be rebuilt, so that this is housekeeping.
 */
#ifndef VAULT_INDEX_MERGE_H
#define VAULT_INDEX_MERGE_H

#include <stdint.h>

struct collect_view;
struct err;
struct vault;

#define INDEX_MERGE_SMALL_ENTRIES 100000 /* a segment with fewer is small */
#define INDEX_MERGE_SMALL_MAX 8          /* so many may stay */

struct index_merge_result {
	uint64_t segments; /* on the store before */
	uint64_t replaced, written;
};

/**
 * index_merge(v, view, out, err):
 * Replace the segments that list packs which are dead or gone, and small ones when there are many;
 * the others are left as they are, and so is one that cannot be read.  The new ones are durable
 * before an old one goes.
 */
int index_merge(struct vault *v, const struct collect_view *view, struct index_merge_result *out,
	struct err *err);

#endif
