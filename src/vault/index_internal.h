/*
 * index_internal: the form of a place in memory and in the cache file (docs/FORMAT.md section 11),
 * shared by index and index_cache.  Never leaves src/vault.
 */
#ifndef VAULT_INDEX_INTERNAL_H
#define VAULT_INDEX_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "vault/index.h"

/* 44 bytes without holes, big-endian; where = offset (26 bits, a pack has 64 MiB at most), type
 * (3), suite (3). */
struct index_entry {
	uint8_t id[32];
	uint8_t pack[4];
	uint8_t where[4];
	uint8_t cr_len[4];
};

struct index_pack {
	uint8_t name[32];
	uint8_t len[4];
};

#define INDEX_ENTRY_OFFSET_SHIFT 6
#define INDEX_ENTRY_TYPE_SHIFT 3
#define INDEX_ENTRY_MASK 7u /* of type and of suite */

static inline uint32_t index_entry_offset(const struct index_entry *e)
{
	return bytes_get32(e->where) >> INDEX_ENTRY_OFFSET_SHIFT;
}

/* Everything but the pack's name and length. */
static inline void index_entry_get(const struct index_entry *e, struct index_place *out)
{
	uint32_t where = bytes_get32(e->where);
	*out = (struct index_place){ .offset = where >> INDEX_ENTRY_OFFSET_SHIFT,
		.cr_len = bytes_get32(e->cr_len),
		.suite = where & INDEX_ENTRY_MASK,
		.type = where >> INDEX_ENTRY_TYPE_SHIFT & INDEX_ENTRY_MASK };
}

static inline void index_entry_put(
	struct index_entry *e, const uint8_t id[32], uint32_t pack, const struct index_place *p)
{
	memcpy(e->id, id, sizeof(e->id));
	bytes_put32(e->pack, pack);
	bytes_put32(e->where, p->offset << INDEX_ENTRY_OFFSET_SHIFT |
				      (uint32_t)p->type << INDEX_ENTRY_TYPE_SHIFT | p->suite);
	bytes_put32(e->cr_len, p->cr_len);
}

/* By (id, pack, offset): the first two lie in that order. */
static inline int index_entry_compare(const struct index_entry *a, const struct index_entry *b)
{
	int order = memcmp(a, b, sizeof(a->id) + sizeof(a->pack));
	uint32_t left = index_entry_offset(a);
	uint32_t right = index_entry_offset(b);
	return order != 0 ? order : (left > right) - (left < right);
}

/* The parts of an index that is one run. */
struct index_parts {
	const struct index_entry *entries;
	size_t count;
	const struct index_pack *packs;
	size_t pack_count;
};

/* What lies in our own memory; after index_compact() that is all. */
void index_raw(const struct index *x, struct index_parts *out);

/* Make ${parts}, which lie in ${map}, the base of an empty index.  On success it owns the mapping.
 * Return 0 or -ERR_NOMEM. */
int index_adopt(struct index *x, void *map, size_t map_bytes, const struct index_parts *parts,
	struct err *err);

#endif
