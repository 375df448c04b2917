#include "vault/id_table.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) At most half of the slots are taken, so that every probe ends.
 * (2) A slot holds an ordinal + 1 of an ID that was in the array when it was added; the array may
 *     move, but entries below the highest ordinal do not change.
 */

#define FIRST_SLOTS 64

void id_table_done(struct id_table *s)
{
	spill_done(&s->block);
	*s = (struct id_table){ .slots = NULL };
}

void id_table_clear(struct id_table *s)
{
	if (s->slots != NULL)
		memset(s->slots, 0, s->size * sizeof(*s->slots));
	s->count = 0;
}

static const uint8_t *id_at(struct id_table_array array, size_t ordinal)
{
	return array.base + ordinal * array.stride;
}

/* Return the slot that holds ${id}, or the free one where it belongs. */
static size_t slot_of(const struct id_table *s, struct id_table_array array, const uint8_t *id)
{
	size_t at = (size_t)bytes_get64(id) & (s->size - 1);
	while (s->slots[at] != 0 && memcmp(id_at(array, s->slots[at] - 1), id, 32) != 0)
		at = (at + 1) & (s->size - 1);
	return at;
}

size_t id_table_find(const struct id_table *s, struct id_table_array array, const uint8_t id[32])
{
	if (s->count == 0)
		return ID_TABLE_NONE;
	uint32_t held = s->slots[slot_of(s, array, id)];
	return held == 0 ? ID_TABLE_NONE : held - 1;
}

static int grow(struct id_table *s, struct id_table_array array, struct err *err)
{
	struct id_table bigger = { .size = s->size == 0 ? FIRST_SLOTS : s->size * 2,
		.count = s->count };
	int rc = spill_reserve(&bigger.block, bigger.size * sizeof(*bigger.slots), err);
	if (rc != 0)
		return rc;
	bigger.slots = bigger.block.at;
	for (size_t i = 0; i < s->size; i++) {
		if (s->slots[i] != 0)
			bigger.slots[slot_of(&bigger, array, id_at(array, s->slots[i] - 1))] =
				s->slots[i];
	}
	spill_done(&s->block);
	*s = bigger;
	return 0;
}

int id_table_add(struct id_table *s, struct id_table_array array, size_t ordinal, struct err *err)
{
	if (ordinal >= UINT32_MAX)
		return err_set(err, ERR_LIMIT, "more than %u ids in one table", UINT32_MAX - 1);
	if (s->count >= s->size / 2) {
		int rc = grow(s, array, err);
		if (rc != 0)
			return rc;
	}
	s->slots[slot_of(s, array, id_at(array, ordinal))] = (uint32_t)ordinal + 1;
	s->count++;
	return 0;
}
