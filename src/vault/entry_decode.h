/*
 * entry_decode: read the TLVs of a leaf entry (docs/FORMAT.md section 4); entry_codec writes them.
 * Takes only what a writer would have written.  Internal to the room.
 */
#ifndef VAULT_ENTRY_DECODE_H
#define VAULT_ENTRY_DECODE_H

#include "base/buf.h"
#include "codec/wire.h"
#include "vault/entry_codec.h"

struct node_view;

/* Memory behind a decoded entry. */
struct entry_store {
	uint32_t tags; /* bit t: tag t < 32 was there */
	size_t inline_bytes;
	char user[ENTRY_MAX_OWNER_BYTES + 1];
	char group[ENTRY_MAX_OWNER_BYTES + 1];
	struct extent extents[ENTRY_MAX_INLINE_EXTENTS];
	struct entry_xattr *xattrs; /* owned */
	size_t xattr_cap;
	size_t xattr_from; /* where the list being read begins: names ascend within a list */
	struct ref spills[ENTRY_CODEC_MAX_SPILLS];
	size_t spill_count;
	struct buf spilled;
};

void entry_decode_store_init(struct entry_store *s);
void entry_decode_store_done(struct entry_store *s);

/**
 * entry_decode_tlvs(tlvs, node, s, e, err):
 * Read the TLVs in the node: everything but spilled attributes (entry_spill.h).  ${e} points into
 * the node and ${s}.  Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED.
 */
int entry_decode_tlvs(struct wire tlvs, struct node_view *node, struct entry_store *s,
	struct entry *e, struct err *err);

/* Take the value of an ENTRY_TAG_TARGET or ENTRY_TAG_XATTR TLV. */
int entry_decode_target(
	struct wire *value, struct entry_store *s, struct entry *e, struct err *err);
int entry_decode_xattr(struct wire *value, struct entry_store *s, struct entry *e, struct err *err);

/* Join the inline and the spilled attributes and check that the entry is whole.  Return 0 or
 * -ERR_CORRUPT. */
int entry_decode_complete(struct entry_store *s, struct entry *e, struct err *err);

#endif
