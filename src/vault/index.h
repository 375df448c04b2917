/*
 * index: where every record lies.  Immutable sorted segments on the store (docs/FORMAT.md
 * section 6), merged in memory: one sorted array of 48-byte entries and a pack table.
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
/* Sort what was added; lookups see only what is settled.  Return 0 or -ERR_NOMEM. */
int index_settle(struct index *x, struct err *err);

/* The n-th place (from 0) of an ID.  Return true and fill *${out}, or false. */
bool index_find(const struct index *x, const uint8_t id[32], size_t nth, struct index_place *out);
/* The ordinal of the first place of an ID, below index_entry_count(); INDEX_NONE when it has none.
 */
size_t index_ordinal(const struct index *x, const uint8_t id[32]);
/* The place with this ordinal; *${id} is borrowed as the pack's name, *${pack} is its number. */
void index_at(const struct index *x, size_t ordinal, struct index_place *out, const uint8_t **id,
	size_t *pack);
bool index_has_pack(const struct index *x, const uint8_t name[32]);
size_t index_entry_count(const struct index *x);
size_t index_pack_count(const struct index *x);
/* Bytes of memory that the index takes. */
size_t index_memory(const struct index *x);
/* The i-th pack: name borrowed, its length. */
const uint8_t *index_pack_at(const struct index *x, size_t i, uint32_t *pack_len);

/* Append the body of a segment that holds exactly the packs from number ${first_pack} on.
 * Return 0, -ERR_LIMIT (more than INDEX_SEGMENT_MAX records) or -ERR_FAILED (not settled). */
int index_encode(const struct index *x, size_t first_pack, struct buf *out, struct err *err);

#endif
