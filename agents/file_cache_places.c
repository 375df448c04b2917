#include "agents/file_cache_places.h"

#include <stdlib.h>

#include "agents/file_cache_form.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) After sort the keys ascend strictly.
 */

struct place {
	struct file_cache_key key;
	uint64_t at;
};

struct file_cache_places {
	struct place *items; /* owned */
	size_t count, cap;
};

int file_cache_places_compare(const struct file_cache_key *a, const struct file_cache_key *b)
{
	if (a->fs_id != b->fs_id)
		return a->fs_id < b->fs_id ? -1 : 1;
	return a->ino == b->ino ? 0 : a->ino < b->ino ? -1 : 1;
}

int file_cache_places_new(struct file_cache_places **out, struct err *err)
{
	struct file_cache_places *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = p;
	return 0;
}

void file_cache_places_free(struct file_cache_places *p)
{
	if (p == NULL)
		return;
	free(p->items);
	free(p);
}

int file_cache_places_add(
	struct file_cache_places *p, uint64_t fs_id, uint64_t ino, uint64_t at, struct err *err)
{
	if (p->count == p->cap) {
		size_t cap = p->cap + p->cap / 2 + 256;
		struct place *grown = reallocarray(p->items, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		p->items = grown;
		p->cap = cap;
	}
	p->items[p->count++] = (struct place){ .key = { .fs_id = fs_id, .ino = ino }, .at = at };
	return 0;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int c = file_cache_places_compare(&x->key, &y->key);
	return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

uint64_t file_cache_places_sort(struct file_cache_places *p)
{
	if (p->count == 0)
		return 0;
	qsort(p->items, p->count, sizeof(*p->items), compare_places);
	size_t kept = 1;
	for (size_t i = 1; i < p->count; i++) {
		if (file_cache_places_compare(&p->items[i].key, &p->items[kept - 1].key) != 0)
			p->items[kept++] = p->items[i];
	}
	p->count = kept;
	return kept;
}

int file_cache_places_format(
	const struct file_cache_places *p, uint64_t i, struct buf *out, struct err *err)
{
	const struct place *place = &p->items[i];
	uint8_t bytes[FILE_CACHE_PLACE_BYTES];
	bytes_put64(bytes, place->key.fs_id);
	bytes_put64(bytes + 8, place->key.ino);
	bytes_put64(bytes + 16, place->at);
	return buf_add(out, bytes, sizeof(bytes), err);
}
