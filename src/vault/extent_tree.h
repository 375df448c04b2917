/*
 * extent_tree: where the bytes of a file lie (docs/FORMAT.md section 4): the list of extents, in
 * an entry up to ENTRY_MAX_INLINE_EXTENTS, in nodes of its own above.  Interior nodes carry
 * lengths, so that an insertion rewrites one path.  Memory is bounded by the height.
 */
#ifndef VAULT_EXTENT_TREE_H
#define VAULT_EXTENT_TREE_H

#include "vault/entry.h"
#include "vault/record_io.h"
#include "vault/tree_reader.h"

struct node_source;
struct node_view;
struct ref_table;
struct wire;
struct extent_tree;

#define EXTENT_TREE_MIN_ITEMS 64
#define EXTENT_TREE_MAX_ITEMS 1024

struct extent_tree_summary {
	struct ref top;
	uint8_t height;  /* levels; 1 = the top node is a leaf */
	uint64_t count;  /* extents */
	uint64_t length; /* bytes */
};

/* ${sink} is borrowed until free. */
int extent_tree_new(const struct record_sink *sink, struct extent_tree **out, struct err *err);
void extent_tree_free(struct extent_tree *t);

/**
 * extent_tree_add(t, x, err):
 * Add the next extent; its record must have been put or used before.  Return 0, -ERR_CORRUPT (an
 * empty extent, or one outside its record) or what the sink says.
 */
int extent_tree_add(struct extent_tree *t, const struct extent *x, struct err *err);

/**
 * extent_tree_finish(t, out, err):
 * Close all nodes; ${t} is empty again.  A tree belongs into an entry only if it has more than
 * ENTRY_MAX_INLINE_EXTENTS extents.  Return 0, -ERR_CORRUPT (no extent) or what the sink says.
 */
int extent_tree_finish(struct extent_tree *t, struct extent_tree_summary *out, struct err *err);

/* Return 0, or -ERR_CORRUPT when ${x} is empty or not inside its record. */
int extent_tree_check(const struct extent *x, struct err *err);

/**
 * extent_tree_walk(ns, top, height, size, fn, arg, err):
 * Call ${fn} for every extent in order.  Return 0, -ERR_CORRUPT (also when the extents are not
 * ${size} bytes, or so few that they belong into the entry), what the source says, or the first
 * value other than 0 of ${fn} or the watch.
 */
int extent_tree_walk(struct node_source *ns, const struct ref *top, unsigned height, uint64_t size,
	tree_extent_fn fn, void *arg, struct err *err);

/* Append one extent as an item; ${refs} NULL: as with the highest index.  -ERR_LIMIT when full. */
int extent_tree_add_item(
	struct buf *out, struct ref_table *refs, const struct extent *x, struct err *err);
/* Take one item off ${items}, whose refs are those of ${node}. */
int extent_tree_take_item(
	struct wire *items, struct node_view *node, struct extent *out, struct err *err);
/* Take one item off an interior ${node}: the child and the bytes its extents cover. */
int extent_tree_take_child(
	struct node_view *node, struct ref *ref, uint64_t *length, struct err *err);

/**
 * extent_tree_load(ns, ref, level, is_top, raw, view, err):
 * Fetch a node that must be of ${level} into ${raw}, whose max is NODE_CODEC_MAX_BYTES.  Return 0,
 * -ERR_CORRUPT (another level, too many or too few items) or as node_codec_load().
 */
int extent_tree_load(struct node_source *ns, const struct ref *ref, unsigned level, bool is_top,
	struct buf *raw, struct node_view *view, struct err *err);

#endif
