#include "vault/id_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/spill.h"

/*
 * INVARIANTS
 * (1) cap is a power of two and count <= 3/4 cap, so every probe ends at a free slot.
 * (2) A slot is free exactly when its len is 0.
 */

#define ID_SET_FIRST 1024

struct id_slot {
	uint8_t id[32];
	uint32_t len;
};

struct id_set {
	struct id_slot *slots; /* in block */
	struct spill block;    /* owned */
	size_t cap, count;
};

int id_set_new(struct id_set **out, struct err *err)
{
	struct id_set *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = spill_reserve(&s->block, ID_SET_FIRST * sizeof(*s->slots), err);
	if (rc != 0) {
		free(s);
		return rc;
	}
	s->slots = s->block.at;
	s->cap = ID_SET_FIRST;
	*out = s;
	return 0;
}

void id_set_free(struct id_set *s)
{
	if (s == NULL)
		return;
	spill_done(&s->block);
	free(s);
}

/* The slot that holds ${id}, or the free one where it belongs. */
static struct id_slot *slot_of(struct id_slot *slots, size_t cap, const uint8_t id[32])
{
	size_t i = (size_t)bytes_get64(id + 8) & (cap - 1);
	while (slots[i].len != 0 && memcmp(slots[i].id, id, 32) != 0)
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static int grow(struct id_set *s, struct err *err)
{
	size_t cap = s->cap * 2;
	struct spill block = { .at = NULL };
	int rc = spill_reserve(&block, cap * sizeof(*s->slots), err);
	if (rc != 0)
		return rc;
	struct id_slot *slots = block.at;
	for (size_t i = 0; i < s->cap; i++) {
		if (s->slots[i].len != 0)
			*slot_of(slots, cap, s->slots[i].id) = s->slots[i];
	}
	spill_done(&s->block);
	s->block = block;
	s->slots = slots;
	s->cap = cap;
	return 0;
}

int id_set_add(struct id_set *s, const uint8_t id[32], uint32_t len, bool *is_new, struct err *err)
{
	struct id_slot *slot = slot_of(s->slots, s->cap, id);
	bool fresh = slot->len == 0;
	if (fresh && s->count + 1 > s->cap / 4 * 3) {
		int rc = grow(s, err);
		if (rc != 0)
			return rc;
		slot = slot_of(s->slots, s->cap, id);
	}
	if (fresh) {
		memcpy(slot->id, id, 32);
		slot->len = len;
		s->count++;
	}
	if (is_new != NULL)
		*is_new = fresh;
	return 0;
}

uint32_t id_set_find(const struct id_set *s, const uint8_t id[32])
{
	return slot_of(s->slots, s->cap, id)->len;
}

size_t id_set_count(const struct id_set *s)
{
	return s->count;
}
