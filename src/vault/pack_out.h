/*
 * pack_out: records as they are, ciphertext, into new packs with index segments: of repack and
 * salvage; and packs that no segment lists, of the index made anew.
 */
#ifndef VAULT_PACK_OUT_H
#define VAULT_PACK_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "vault/pack.h"

struct err;
struct index;
struct vault;

struct pack_out {
	struct vault *v;       /* borrowed */
	struct pack *packs[2]; /* owned; by class */
	struct index *index;   /* owned; of the packs that no segment lists yet */
};

/* Return 0 or -ERR_NOMEM; ended by pack_out_done() also on failure. */
int pack_out_begin(struct vault *v, struct pack_out *out, struct err *err);
void pack_out_done(struct pack_out *o);

/**
 * pack_out_add(o, class, place, bytes, err):
 * Take over a record: ${bytes} are place->cr_len - RECORD_HEADER_BYTES as a pack holds them.
 * Return 0, -ERR_CORRUPT (they do not hash to place->id) or a store's error.
 */
int pack_out_add(struct pack_out *o, enum pack_class class, const struct pack_place *place,
	const uint8_t *bytes, struct err *err);
/* List a pack that is on the store. */
int pack_out_list(struct pack_out *o, const uint8_t hash[32], uint32_t len,
	const struct pack_place *places, size_t count, struct err *err);
/* Put the open pack and add it to ${index}, settled; it is empty then.  *${made} as pack_put(), its
 * count 0 when there was no record in it.  Return as pack_put() or index_add_pack(). */
int pack_out_put(struct pack *p, const struct sealed_key *key, struct index *index,
	struct pack_made *made, struct err *err);
/* Put what is open; all of it is durable when this returns 0. */
int pack_out_end(struct pack_out *o, struct err *err);

#endif
