/*
 * index: where every record lies.  Immutable sorted segments on the store (docs/FORMAT.md
 * section 6), here a few sorted runs of 44-byte entries and a pack table.  The largest run is the
 * local cache file, mapped (index_cache); what else is large lies in files without names
 * (base/spill), so that no anonymous memory grows with the number of records.
 * Threading: as many readers as wanted, while nothing is added.
 */
#ifndef VAULT_INDEX_H
#define VAULT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/pack.h"

struct buf;
struct err;

#define INDEX_SEGMENT_MAX 400000
#define INDEX_NONE SIZE_MAX

struct index_place {
	const uint8_t *pack; /* 32-byte name, borrowed from the index until the next add */
	uint32_t pack_len;
	uint32_t offset, cr_len;
	uint8_t suite, type;
};

struct index;

int index_new(struct index **out, struct err *err);
void index_free(struct index *x);

/* Add a pack and its places (from a footer or a just written pack); places that are there already
 * are kept once.  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED (suite, type) or -ERR_NOMEM. */
int index_add_pack(struct index *x, const uint8_t name[32], uint32_t pack_len,
	const struct pack_place *places, size_t count, struct err *err);
/* Add the entries of a segment body, which is checked whole before.  Return 0, -ERR_CORRUPT or
 * -ERR_UNSUPPORTED (version, flags, suite, type). */
int index_add_segment(struct index *x, const uint8_t *body, size_t len, struct err *err);
/* Sort what was added; lookups see only what is settled.  Each place is there once then.  Return 0
 * or -ERR_NOMEM. */
int index_settle(struct index *x, struct err *err);
/* The same for many segments in turn, cheaper: a place that two of them tell is there twice until
 * index_compact(). */
int index_stack(struct index *x, struct err *err);
/* Make one run of everything, in memory of its own; ordinals change.  Return 0, -ERR_NOMEM or
 * -ERR_FAILED (not settled, or frozen). */
int index_compact(struct index *x, struct err *err);
/* From now on the settled places keep their ordinals, whatever is added: return how many there are.
 */
size_t index_freeze(struct index *x);

/* The n-th place (from 0) of an ID.  Return true and fill *${out}, or false. */
bool index_find(const struct index *x, const uint8_t id[32], size_t nth, struct index_place *out);
/* The ordinal of the first place of an ID, below index_entry_count(); INDEX_NONE when it has none.
 * The other places of the ID follow it only when the index is one run: index_compact(). */
size_t index_ordinal(const struct index *x, const uint8_t id[32]);
/* The place with this ordinal; *${id} is borrowed as the pack's name, *${pack} is its number. */
void index_at(const struct index *x, size_t ordinal, struct index_place *out, const uint8_t **id,
	size_t *pack);
bool index_has_pack(const struct index *x, const uint8_t name[32]);
/* The number of a pack, or INDEX_NONE. */
size_t index_pack_number(const struct index *x, const uint8_t name[32]);
size_t index_entry_count(const struct index *x);
size_t index_pack_count(const struct index *x);
/* Bytes that the index takes, and how many of them are mapped from files. */
size_t index_memory(const struct index *x);
size_t index_mapped(const struct index *x);
/* The i-th pack: name borrowed, its length. */
const uint8_t *index_pack_at(const struct index *x, size_t i, uint32_t *pack_len);

/* Append the body of a segment that holds exactly the packs from number ${first_pack} on.
 * Return 0, -ERR_LIMIT (more than INDEX_SEGMENT_MAX records) or -ERR_FAILED (not settled). */
int index_encode(const struct index *x, size_t first_pack, struct buf *out, struct err *err);

#endif
