#include "agents/link_map.h"

#include <stdlib.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) cap is a power of two, count <= cap / 2; a slot is free exactly when its group is 0.
 */

#define LINK_MAP_FIRST 256

struct link_slot {
	uint64_t fs_id, ino, group;
	struct content *content; /* one user, or NULL */
};

struct link_map {
	struct link_slot *slots;
	size_t cap, count;
};

int link_map_new(struct link_map **out, struct err *err)
{
	struct link_map *m = calloc(1, sizeof(*m));
	if (m != NULL)
		m->slots = calloc(LINK_MAP_FIRST, sizeof(*m->slots));
	if (m == NULL || m->slots == NULL) {
		free(m);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	m->cap = LINK_MAP_FIRST;
	*out = m;
	return 0;
}

void link_map_free(struct link_map *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->cap; i++)
		content_free(m->slots[i].content);
	free(m->slots);
	free(m);
}

/* Inodes come in runs: a multiplicative hash spreads them (Knuth, 6.4). */
static struct link_slot *slot_of(struct link_slot *slots, size_t cap, uint64_t fs_id, uint64_t ino)
{
	uint64_t h = (ino ^ (fs_id << 32 | fs_id >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 20) & (cap - 1);
	while (slots[i].group != 0 && (slots[i].fs_id != fs_id || slots[i].ino != ino))
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

int link_map_find(const struct link_map *m, uint64_t fs_id, uint64_t ino, struct link_found *out)
{
	const struct link_slot *s = slot_of(m->slots, m->cap, fs_id, ino);
	if (s->group == 0)
		return 0;
	out->group = s->group;
	out->content = s->content;
	return 1;
}

static int grow(struct link_map *m, struct err *err)
{
	size_t cap = m->cap * 2;
	struct link_slot *slots = calloc(cap, sizeof(*slots));
	if (slots == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].group != 0)
			*slot_of(slots, cap, m->slots[i].fs_id, m->slots[i].ino) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

int link_map_add(struct link_map *m, uint64_t fs_id, uint64_t ino, struct content *content,
	uint64_t *group, struct err *err)
{
	if (m->count + 1 > m->cap / 2) {
		int rc = grow(m, err);
		if (rc != 0)
			return rc;
	}
	struct link_slot *s = slot_of(m->slots, m->cap, fs_id, ino);
	s->fs_id = fs_id;
	s->ino = ino;
	s->group = ++m->count;
	s->content = content == NULL ? NULL : content_share(content);
	*group = s->group;
	return 0;
}
