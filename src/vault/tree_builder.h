/*
 * tree_builder: entries in key order become the path-ordered content-defined tree
 * (docs/FORMAT.md section 4); the same entries give the same bytes.  Memory is bounded by the
 * height of the tree, whatever the number of entries.
 */
#ifndef VAULT_TREE_BUILDER_H
#define VAULT_TREE_BUILDER_H

#include "vault/entry.h"
#include "vault/record_io.h"

struct tree_builder;

/* ${k_tree}: 16 bytes.  ${sink} is borrowed until free. */
int tree_builder_new(const uint8_t k_tree[16], const struct record_sink *sink,
	struct tree_builder **out, struct err *err);
void tree_builder_free(struct tree_builder *b);

/**
 * tree_builder_add(b, key, key_len, e, err):
 * Add the next entry; keys must ascend.  The data records of its extents must have been put to (or
 * used on) the sink before; the same holds for the nodes of an extent tree given in ${e}.
 * Return 0, -ERR_CORRUPT (order, key, an entry that contradicts itself), -ERR_LIMIT or what the
 * sink says.  After a refused entry (tree_builder_is_refused()) the builder takes the next one as
 * if nothing had happened; after any other error it can only be freed.
 */
int tree_builder_add(struct tree_builder *b, const uint8_t *key, size_t key_len,
	const struct entry *e, struct err *err);

/* Whether the last failure was an entry refused before anything was done with it. */
bool tree_builder_is_refused(const struct tree_builder *b);

struct tree_summary {
	uint64_t entries;
	uint64_t raw_bytes; /* sum of file sizes, holes included */
};

/* Close all nodes; an empty tree has one empty leaf.  Store the top node's ref and the summary. */
int tree_builder_finish(
	struct tree_builder *b, struct ref *top, struct tree_summary *summary, struct err *err);

#endif
