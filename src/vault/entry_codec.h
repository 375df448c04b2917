/*
 * entry_codec: write the TLVs of a leaf entry (docs/FORMAT.md section 4); entry_decode reads them.
 * Same entry and refs => same bytes; a reader takes no other form.  Internal to the room.
 */
#ifndef VAULT_ENTRY_CODEC_H
#define VAULT_ENTRY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct buf;
struct err;
struct ref_table;

#define ENTRY_CODEC_MAX_INLINE_BYTES 8192 /* all TLVs of an entry but the spill TLV */
#define ENTRY_CODEC_MAX_BYTES (16u << 10) /* with it */
#define ENTRY_CODEC_MAX_SPILLS 1024       /* records */
#define ENTRY_CODEC_MAX_MODE 07777u

/* The first byte of the extents TLV. */
#define ENTRY_CODEC_EXTENTS_INLINE 0
#define ENTRY_CODEC_EXTENTS_TREE 1

/* The parts of an entry that lie outside its node; filled before it is encoded. */
struct entry_parts {
	bool has_tree; /* extents */
	struct ref tree;
	uint8_t tree_height;
	bool is_target_spilled;
	uint8_t is_xattr_spilled[ENTRY_MAX_XATTRS];
	struct ref spills[ENTRY_CODEC_MAX_SPILLS]; /* type-4 records */
	size_t spill_count;
};

/* Return 0, -ERR_CORRUPT (contradicts itself) or -ERR_LIMIT. */
int entry_codec_check(const struct entry *e, struct err *err);

/**
 * entry_codec_encode(e, parts, refs, out, err):
 * Append the TLVs of a checked entry.  ${refs} collects the refs of the node; NULL: encode as if
 * every ref had the highest index (the size that decides what spills).
 * Return 0, -ERR_LIMIT (${refs} is full) or -ERR_CORRUPT (two keys for one record).
 */
int entry_codec_encode(const struct entry *e, const struct entry_parts *parts,
	struct ref_table *refs, struct buf *out, struct err *err);

/* Append one attribute TLV. */
int entry_codec_add_target(const struct entry *e, struct buf *out, struct err *err);
int entry_codec_add_xattr(const struct entry_xattr *x, struct buf *out, struct err *err);
/* The bytes that these append. */
size_t entry_codec_target_size(const struct entry *e);
size_t entry_codec_xattr_size(const struct entry_xattr *x);

/* The parts of the check that a reader needs as well. */
int entry_codec_check_xattr(const struct entry_xattr *x, struct err *err);
int entry_codec_compare_xattrs(const void *a, const void *b); /* by name; for qsort() */

#endif
