/*
 * id_table: which of the IDs in a caller's array is this one?  A hash table of ordinals over
 * 32-byte names that are SHA-256 values and so spread by themselves. Hides: the table.  Holds no ID
 * itself: the caller's array does, and is passed to each call. Threading: as the owner's.
 */
#ifndef VAULT_ID_TABLE_H
#define VAULT_ID_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/spill.h"

struct err;

#define ID_TABLE_NONE SIZE_MAX

struct id_table {
	uint32_t *slots;    /* in block; ordinal + 1, 0 = free */
	struct spill block; /* owned */
	size_t size;        /* slots; 0 or a power of two */
	size_t count;
};

/* The array the ordinals point into: ID i lies at base + i * stride. */
struct id_table_array {
	const uint8_t *base;
	size_t stride;
};

void id_table_done(struct id_table *s);

/* Forget the members, keep the memory. */
void id_table_clear(struct id_table *s);

/* Return the ordinal of ${id}, or ID_TABLE_NONE. */
size_t id_table_find(const struct id_table *s, struct id_table_array array, const uint8_t id[32]);

/**
 * id_table_add(s, array, ordinal, err):
 * Note that ID ${ordinal} is in the array (the caller has asked id_table_find() before).
 * Return 0, -ERR_NOMEM or -ERR_LIMIT (an ordinal of 2^32 - 1 or more).
 */
int id_table_add(struct id_table *s, struct id_table_array array, size_t ordinal, struct err *err);

#endif
