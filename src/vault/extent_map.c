#include "vault/extent_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"

/*
 * INVARIANTS
 * (1) The items of a kept node follow each other from start on and cover exactly length bytes.
 * (2) A kept node is named by level and start: in one file these have one node.
 * (3) The extents of a file without a tree are one node of level 0 that is never given up.
 */
#define KEPT_NODES 8

struct node {
	struct extent_map_spot *items; /* owned; NULL = free */
	size_t count;
	unsigned level;
	uint64_t start, length;
	uint64_t used_at;
};

struct extent_map {
	struct node_source source;
	uint64_t size;
	bool has_tree;
	struct ref top;
	unsigned height;
	struct buf raw; /* the node being read */
	uint64_t clock;
	struct node nodes[KEPT_NODES];
};

DEFINE_CLEANUP(struct extent_map *, extent_map_free)

/* The refs in it are secrets. */
static void give_up(struct node *n)
{
	if (n->items != NULL)
		explicit_bzero(n->items, n->count * sizeof(*n->items));
	free(n->items);
	*n = (struct node){ .items = NULL };
}

void extent_map_free(struct extent_map *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < KEPT_NODES; i++)
		give_up(&m->nodes[i]);
	buf_wipe(&m->raw);
	node_codec_source_done(&m->source);
	free(m);
}

static int keep_inline(struct extent_map *m, const struct entry *e, struct err *err)
{
	struct node *n = &m->nodes[0];
	if (e->extent_count == 0)
		return e->size == 0 ? 0 : err_set(err, ERR_CORRUPT, "a file has no extents");
	n->items = calloc(e->extent_count, sizeof(*n->items));
	if (n->items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; n->count < e->extent_count; n->count++) {
		const struct extent *x = &e->extents[n->count];
		if (x->length == 0 || x->length > e->size - n->length)
			return err_set(err, ERR_CORRUPT, "extents are longer than their file");
		n->items[n->count] = (struct extent_map_spot){ .extent = *x, .start = n->length };
		n->length += x->length;
	}
	if (n->length != e->size)
		return err_set(err, ERR_CORRUPT, "extents are shorter than their file");
	return 0;
}

int extent_map_new(const struct record_source *source, const struct entry *e,
	struct extent_map **out, struct err *err)
{
	if (e->has_extent_tree &&
		(e->extent_height == 0 || e->extent_height > NODE_CODEC_MAX_HEIGHT))
		return err_set(err, ERR_CORRUPT, "an extent tree has %u levels", e->extent_height);
	CLEANUP(extent_map_free_p) struct extent_map *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->raw.max = NODE_CODEC_MAX_BYTES;
	m->size = e->size;
	m->has_tree = e->has_extent_tree;
	m->top = e->extent_tree;
	m->height = e->extent_height;
	int rc = 0;
	if (m->has_tree)
		rc = node_codec_source_init(&m->source, source, err);
	else
		rc = keep_inline(m, e, err);
	if (rc == 0)
		*out = TAKE(m);
	return rc;
}

uint64_t extent_map_size(const struct extent_map *m)
{
	return m->size;
}

/* Read the items of the node that was just fetched; ${n} has level, start and length. */
static int read_items(struct node *n, struct node_view *view, struct err *err)
{
	uint64_t at = 0;
	for (; view->taken < view->nitems; view->taken++) {
		struct extent_map_spot *item = &n->items[view->taken];
		int rc = n->level == 0
				 ? extent_tree_take_item(&view->items, view, &item->extent, err)
				 : extent_tree_take_child(
					   view, &item->extent.ref, &item->extent.length, err);
		if (rc != 0)
			return rc;
		if (item->extent.length == 0 || item->extent.length > n->length - at)
			return err_set(err, ERR_CORRUPT, "extents are longer than their file");
		item->start = n->start + at;
		at += item->extent.length;
	}
	if (at != n->length)
		return err_set(err, ERR_CORRUPT, "extents are shorter than their file");
	return node_codec_end(view, err);
}

/* Find or fetch the node of ${level} that covers ${spot}, which names it. */
static int open_node(struct extent_map *m, unsigned level, const struct extent_map_spot *spot,
	struct node **out, struct err *err)
{
	struct node *oldest = &m->nodes[0];
	for (size_t i = 0; i < KEPT_NODES; i++) {
		struct node *n = &m->nodes[i];
		if (n->items != NULL && n->level == level && n->start == spot->start) {
			n->used_at = ++m->clock;
			*out = n;
			return 0;
		}
		if (n->used_at < oldest->used_at)
			oldest = n;
	}
	struct node_view view = { .taken = 0 };
	struct node fresh = { .level = level, .start = spot->start, .length = spot->extent.length };
	bool is_top = level + 1 == m->height;
	int rc =
		extent_tree_load(&m->source, &spot->extent.ref, level, is_top, &m->raw, &view, err);
	if (rc != 0)
		return rc;
	fresh.count = view.nitems;
	fresh.items = calloc(view.nitems, sizeof(*fresh.items));
	if (fresh.items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = read_items(&fresh, &view, err);
	if (rc != 0) {
		give_up(&fresh);
		return rc;
	}
	give_up(oldest);
	*oldest = fresh;
	oldest->used_at = ++m->clock;
	*out = oldest;
	return 0;
}

/* The item that holds ${offset}, which lies in the node. */
static const struct extent_map_spot *find_item(const struct node *n, uint64_t offset)
{
	size_t low = 0, high = n->count - 1;
	while (low < high) {
		size_t middle = high - (high - low) / 2;
		if (n->items[middle].start <= offset)
			low = middle;
		else
			high = middle - 1;
	}
	return &n->items[low];
}

int extent_map_find(
	struct extent_map *m, uint64_t offset, struct extent_map_spot *out, struct err *err)
{
	assert(offset < m->size);
	if (!m->has_tree) {
		*out = *find_item(&m->nodes[0], offset);
		return 0;
	}
	struct extent_map_spot spot = { .extent = { .ref = m->top, .length = m->size } };
	for (unsigned level = m->height; level-- > 0;) {
		struct node *n = NULL;
		int rc = open_node(m, level, &spot, &n, err);
		if (rc != 0)
			return rc;
		spot = *find_item(n, offset);
	}
	*out = spot;
	return 0;
}
