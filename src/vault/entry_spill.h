/*
 * entry_spill: attributes too long for a node (docs/FORMAT.md section 4): which TLVs leave the
 * entry, into which type-4 records, and back.  Internal to the room.
 */
#ifndef VAULT_ENTRY_SPILL_H
#define VAULT_ENTRY_SPILL_H

#include "vault/entry_decode.h"
#include "vault/record_io.h"

struct node_source;

#define ENTRY_SPILL_RECORD_BYTES 65536 /* a record with more holds one TLV only */

/**
 * entry_spill_put(sink, e, parts, err):
 * Choose what of the checked entry ${e} spills, put it, and fill the spill part of ${parts}; the
 * extents part must be there.  Return 0 or what the sink says.
 */
int entry_spill_put(const struct record_sink *sink, const struct entry *e,
	struct entry_parts *parts, struct err *err);

/**
 * entry_spill_load(ns, s, e, err):
 * Fetch the spilled attributes of a decoded entry.  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED or
 * what the source says.
 */
int entry_spill_load(
	const struct node_source *ns, struct entry_store *s, struct entry *e, struct err *err);

#endif
