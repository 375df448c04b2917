/*
 * tree_reader: walk a tree in key order, from any key, through a record source.
 * Checks everything the format promises: order, counts, limits, references.
 */
#ifndef VAULT_TREE_READER_H
#define VAULT_TREE_READER_H

#include "vault/entry.h"
#include "vault/record_io.h"

struct tree_reader;

/* Read the tree under ${top}; ${source} is borrowed until free. */
int tree_reader_new(const struct record_source *source, const struct ref *top,
	struct tree_reader **out, struct err *err);
void tree_reader_free(struct tree_reader *r);

/* Go to the first entry whose key is >= ${key}; ${key_len} 0 = the first.  Return 0 or an error. */
int tree_reader_seek(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err);

/* Go to the first entry behind everything below ${key}.  Return 0 or an error. */
int tree_reader_skip(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err);

/**
 * tree_reader_next(r, key, key_len, e, err):
 * Give the next entry; everything it points to is valid until the next call on ${r}.
 * Return 1, 0 at the end, -ERR_CORRUPT, -ERR_UNSUPPORTED or what the source or the watch says.
 * After an error only tree_reader_seek() and tree_reader_free() are left.
 */
int tree_reader_next(struct tree_reader *r, const uint8_t **key, size_t *key_len, struct entry *e,
	struct err *err);

typedef int (*tree_extent_fn)(void *arg, const struct extent *x, struct err *err);

/* Call ${fn} for every extent of ${e} in order, inline or from its extent tree; a value other than
 * 0 stops and is returned. */
int tree_reader_extents(struct tree_reader *r, const struct entry *e, tree_extent_fn fn, void *arg,
	struct err *err);

/* Called for the ref of every node, extent node and spilled attribute record read (for "tree is a
 * subset of refs" and keyful verification). */
typedef int (*tree_ref_fn)(
	void *arg, const struct ref *ref, enum record_type type, struct err *err);
void tree_reader_watch(struct tree_reader *r, tree_ref_fn fn, void *arg);

#endif
