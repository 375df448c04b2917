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
	enum entry_kind kind;
	struct entry_time btime; /* 0.0 where the file system tells none */
	struct content *content; /* one user, or NULL */
	struct entry_time mtime;
	uint32_t notes;
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

static struct link_slot slot_for(const struct source_item *item)
{
	struct link_slot s = { .fs_id = item->fs_id, .ino = item->ino, .kind = item->entry.kind };
	if (item->entry.has_btime)
		s.btime = item->entry.btime;
	return s;
}

static bool is_same_file(const struct link_slot *a, const struct link_slot *b)
{
	return a->fs_id == b->fs_id && a->ino == b->ino && a->kind == b->kind &&
	       a->btime.s == b->btime.s && a->btime.ns == b->btime.ns;
}

/* Inodes come in runs: a multiplicative hash spreads them (Knuth, 6.4). */
static struct link_slot *slot_of(
	struct link_slot *slots, size_t cap, const struct link_slot *wanted)
{
	uint64_t fs_id = wanted->fs_id;
	uint64_t h = (wanted->ino ^ (fs_id << 32 | fs_id >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 20) & (cap - 1);
	while (slots[i].group != 0 && !is_same_file(&slots[i], wanted))
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

int link_map_find(const struct link_map *m, const struct source_item *item, struct link_found *out)
{
	const struct link_slot wanted = slot_for(item);
	const struct link_slot *s = slot_of(m->slots, m->cap, &wanted);
	if (s->group == 0)
		return 0;
	*out = (struct link_found){
		.group = s->group, .content = s->content, .mtime = s->mtime, .notes = s->notes
	};
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
			*slot_of(slots, cap, &m->slots[i]) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

int link_map_add(struct link_map *m, const struct source_item *item, struct content *content,
	uint64_t *group, struct err *err)
{
	if (m->count + 1 > m->cap / 2) {
		int rc = grow(m, err);
		if (rc != 0)
			return rc;
	}
	const struct link_slot wanted = slot_for(item);
	struct link_slot *s = slot_of(m->slots, m->cap, &wanted);
	*s = wanted;
	s->group = ++m->count;
	s->content = content == NULL ? NULL : content_share(content);
	s->mtime = item->entry.mtime;
	s->notes = item->entry.notes;
	*group = s->group;
	return 0;
}
