#include "restore/id_map.h"

#include <stdlib.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) A slot is free exactly when b is 0.
 * (2) At least a quarter of the slots is free, so that every probe ends.
 */
struct id_map_slot {
	uint64_t a, b;
	void *value;
};

#define FIRST_CAP 64

/* Inode numbers are not chosen by an enemy in a way that pays: a slow map is all he would get. */
static size_t slot_of(const struct id_map *m, uint64_t a, uint64_t b)
{
	uint64_t h = (b ^ (a << 32 | a >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 20) & (m->cap - 1);
	while (m->slots[i].b != 0 && (m->slots[i].a != a || m->slots[i].b != b))
		i = (i + 1) & (m->cap - 1);
	return i;
}

void id_map_done(struct id_map *m)
{
	free(m->slots);
	*m = (struct id_map){ 0 };
}

static int grow(struct id_map *m, struct err *err)
{
	if (m->count >= ID_MAP_MAX_ENTRIES)
		return err_set(err, ERR_LIMIT, "more than %zu entries", ID_MAP_MAX_ENTRIES);
	struct id_map bigger = { .cap = m->cap == 0 ? FIRST_CAP : m->cap * 2, .count = m->count };
	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (bigger.slots == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < m->cap; i++) {
		const struct id_map_slot *s = &m->slots[i];
		if (s->b != 0)
			bigger.slots[slot_of(&bigger, s->a, s->b)] = *s;
	}
	free(m->slots);
	*m = bigger;
	return 0;
}

int id_map_put(struct id_map *m, uint64_t a, uint64_t b, void *value, struct err *err)
{
	if (m->count >= m->cap / 4 * 3) {
		int rc = grow(m, err);
		if (rc != 0)
			return rc;
	}
	struct id_map_slot *s = &m->slots[slot_of(m, a, b)];
	if (s->b == 0)
		m->count++;
	*s = (struct id_map_slot){ .a = a, .b = b, .value = value };
	return 0;
}

bool id_map_get(const struct id_map *m, uint64_t a, uint64_t b, void **value)
{
	if (m->cap == 0)
		return false;
	const struct id_map_slot *s = &m->slots[slot_of(m, a, b)];
	if (s->b == 0)
		return false;
	if (value != NULL)
		*value = s->value;
	return true;
}
