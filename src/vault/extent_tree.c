#include "vault/extent_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/node_codec.h"
#include "vault/ref_table.h"

/*
 * INVARIANTS
 * (1) levels[i] exists once levels[i - 1] has put a node; items of level i are nodes of i - 1.
 * (2) A node is put before anything that names it: the records are in post-order.
 * (3) Where a node ends depends on the items since the last end alone, so trees of nearly the same
 *     lists share nearly all nodes.
 */
#define NODE_BYTES_MAX (256u << 10) /* 1024 items of at most 72 + 22 bytes fit */

struct level {
	struct ref_table *refs; /* owned */
	struct buf items;
	size_t count;
	uint64_t length;
	struct ref last; /* of the last item, unless it is a hole */
	bool is_hole;
	uint64_t nodes; /* put so far */
};

struct extent_tree {
	const struct record_sink *sink; /* borrowed */
	struct level *levels[NODE_CODEC_MAX_HEIGHT];
	uint64_t count, length;
};

/* One item of an interior node. */
struct child {
	struct ref ref;
	uint64_t length;
};

static int put_level(struct extent_tree *t, unsigned at, struct ref *ref, struct err *err);

static void level_free(struct level *l)
{
	if (l != NULL) {
		ref_table_free(l->refs);
		buf_wipe(&l->items);
	}
	free(l);
}
DEFINE_CLEANUP(struct level *, level_free)

int extent_tree_new(const struct record_sink *sink, struct extent_tree **out, struct err *err)
{
	struct extent_tree *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	t->sink = sink;
	*out = t;
	return 0;
}

void extent_tree_free(struct extent_tree *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT; i++)
		level_free(t->levels[i]);
	free(t);
}

int extent_tree_check(const struct extent *x, struct err *err)
{
	if (x->length == 0 || x->length > ENTRY_MAX_SIZE)
		return err_set(err, ERR_CORRUPT, "an extent of %llu bytes is not allowed",
			(unsigned long long)x->length);
	if (!x->is_hole && (x->offset > x->ref.raw_len || x->length > x->ref.raw_len - x->offset))
		return err_set(err, ERR_CORRUPT, "an extent is not inside its record");
	return 0;
}

int extent_tree_add_item(
	struct buf *out, struct ref_table *refs, const struct extent *x, struct err *err)
{
	size_t index = REF_TABLE_MAX - 1;
	int rc = 0;

	if (x->is_hole) {
		rc = wire_add_varint(out, 0, err);
		return rc != 0 ? rc : wire_add_varint(out, x->length, err);
	}
	if (refs != NULL)
		rc = ref_table_add(refs, &x->ref, &index, err);
	if (rc == 0)
		rc = wire_add_varint(out, (uint64_t)index + 1, err);
	if (rc == 0)
		rc = wire_add_varint(out, x->offset, err);
	return rc != 0 ? rc : wire_add_varint(out, x->length, err);
}

int extent_tree_take_item(
	struct wire *items, struct node_view *node, struct extent *out, struct err *err)
{
	struct extent x = { .is_hole = false };
	uint64_t index = 0;

	int rc = wire_take_varint(items, &index, err);
	x.is_hole = index == 0;
	if (rc == 0 && !x.is_hole)
		rc = node_codec_ref(node, index - 1, &x.ref, err);
	if (rc == 0 && !x.is_hole)
		rc = wire_take_varint(items, &x.offset, err);
	if (rc == 0)
		rc = wire_take_varint(items, &x.length, err);
	if (rc == 0)
		rc = extent_tree_check(&x, err);
	if (rc == 0)
		*out = x;
	return rc;
}

int extent_tree_take_child(
	struct node_view *node, struct ref *ref, uint64_t *length, struct err *err)
{
	uint64_t index = 0;

	int rc = wire_take_varint(&node->items, &index, err);
	if (rc == 0)
		rc = node_codec_ref(node, index, ref, err);
	return rc != 0 ? rc : wire_take_varint(&node->items, length, err);
}

int extent_tree_load(struct node_source *ns, const struct ref *ref, unsigned level, bool is_top,
	struct buf *raw, struct node_view *view, struct err *err)
{
	int rc = node_codec_load(ns, ref, NODE_CODEC_EXTENTS, raw, view, err);
	if (rc != 0)
		return rc;
	if (view->level != level || view->nitems > EXTENT_TREE_MAX_ITEMS ||
		view->nitems < (is_top && level > 0 ? 2 : 1))
		return err_set(err, ERR_CORRUPT, "an extent node has level %u and %u items",
			(unsigned)view->level, (unsigned)view->nitems);
	return 0;
}

static int open_level(struct extent_tree *t, unsigned at, struct err *err)
{
	if (at >= NODE_CODEC_MAX_HEIGHT)
		return err_set(err, ERR_LIMIT, "an extent tree has more than %d levels",
			NODE_CODEC_MAX_HEIGHT);
	if (t->levels[at] != NULL)
		return 0;
	CLEANUP(level_free_p) struct level *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->items.max = NODE_BYTES_MAX;
	int rc = ref_table_new(&l->refs, err);
	if (rc != 0)
		return rc;
	t->levels[at] = TAKE(l);
	return 0;
}

static void clear_level(struct level *l)
{
	ref_table_truncate(l->refs, 0);
	buf_clear(&l->items);
	l->count = 0;
	l->length = 0;
}

/* Count the item just encoded; end the node behind it if the rule says so. */
static int count_item(struct extent_tree *t, unsigned at, uint64_t length, struct err *err)
{
	struct level *l = t->levels[at];
	struct ref ref;

	l->count++;
	l->length += length;
	bool is_end = l->count >= EXTENT_TREE_MIN_ITEMS && !l->is_hole &&
		      l->last.id[REF_ID_BYTES - 1] == 0;
	if (!is_end && l->count < EXTENT_TREE_MAX_ITEMS)
		return 0;
	return put_level(t, at, &ref, err);
}

static int add_child(struct extent_tree *t, unsigned at, const struct child *c, struct err *err)
{
	size_t index = 0;

	int rc = open_level(t, at, err);
	if (rc != 0)
		return rc;
	struct level *l = t->levels[at];
	rc = ref_table_add(l->refs, &c->ref, &index, err);
	if (rc == 0)
		rc = wire_add_varint(&l->items, index, err);
	if (rc == 0)
		rc = wire_add_varint(&l->items, c->length, err);
	if (rc != 0)
		return rc;
	l->last = c->ref;
	l->is_hole = false;
	return count_item(t, at, c->length, err);
}

/* Put the node of level ${at} without telling a level above. */
static int put_node(struct extent_tree *t, unsigned at, struct ref *ref, struct err *err)
{
	CLEANUP(buf_wipe) struct buf node = BUF_INIT(NODE_BYTES_MAX);
	struct level *l = t->levels[at];

	int rc =
		node_codec_encode(NODE_CODEC_EXTENTS, at, l->refs, l->count, &l->items, &node, err);
	if (rc == 0)
		rc = t->sink->put(t->sink->self, RECORD_NODE, RECORD_CLASS_META, node.data,
			node.len, ref, err);
	if (rc == 0)
		l->nodes++;
	return rc;
}

static int put_level(struct extent_tree *t, unsigned at, struct ref *ref, struct err *err)
{
	int rc = put_node(t, at, ref, err);
	if (rc != 0)
		return rc;
	struct child c = { .ref = *ref, .length = t->levels[at]->length };
	clear_level(t->levels[at]);
	return add_child(t, at + 1, &c, err);
}

int extent_tree_add(struct extent_tree *t, const struct extent *x, struct err *err)
{
	int rc = extent_tree_check(x, err);
	if (rc == 0 && x->length > (uint64_t)ENTRY_MAX_SIZE - t->length)
		rc = err_set(err, ERR_CORRUPT, "the extents of a file are too long");
	if (rc == 0)
		rc = open_level(t, 0, err);
	if (rc != 0)
		return rc;
	struct level *l = t->levels[0];
	rc = extent_tree_add_item(&l->items, l->refs, x, err);
	if (rc != 0)
		return rc;
	if (!x->is_hole)
		l->last = x->ref;
	l->is_hole = x->is_hole;
	t->count++;
	t->length += x->length;
	return count_item(t, 0, x->length, err);
}

static void reset(struct extent_tree *t)
{
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT && t->levels[i] != NULL; i++) {
		clear_level(t->levels[i]);
		t->levels[i]->nodes = 0;
	}
	t->count = 0;
	t->length = 0;
}

int extent_tree_finish(struct extent_tree *t, struct extent_tree_summary *out, struct err *err)
{
	struct extent_tree_summary done = { .count = t->count, .length = t->length };
	unsigned at = 0;
	int rc = 0;

	if (t->count == 0)
		return err_set(err, ERR_CORRUPT, "an extent tree needs an extent");
	/* the top is the only node of its level, and no node above has a single child */
	for (; t->levels[at]->nodes > 0; at++) {
		if (t->levels[at]->count > 0)
			rc = put_level(t, at, &done.top, err);
		if (rc != 0)
			return rc;
	}
	if (at > 0 && t->levels[at]->count == 1) {
		done.top = *ref_table_at(t->levels[at]->refs, 0);
		done.height = (uint8_t)at;
	} else {
		rc = put_node(t, at, &done.top, err);
		done.height = (uint8_t)(at + 1);
	}
	if (rc != 0)
		return rc;
	reset(t);
	*out = done;
	return 0;
}

/* A walk: one node a level, so that memory is bounded by the height. */
struct step {
	struct buf raw;
	struct node_view view;
	uint64_t left; /* bytes that the node has still to give */
};

struct walk {
	struct node_source *ns; /* borrowed */
	unsigned height;
	uint64_t count;
	tree_extent_fn fn;
	void *arg;
	struct step steps[NODE_CODEC_MAX_HEIGHT]; /* by depth, the top first */
};

static void walk_free(struct walk *w)
{
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT; i++)
		buf_wipe(&w->steps[i].raw);
	free(w);
}
DEFINE_CLEANUP(struct walk *, walk_free)

static int enter(
	struct walk *w, unsigned depth, const struct ref *ref, uint64_t length, struct err *err)
{
	struct step *s = &w->steps[depth];

	s->raw.max = NODE_CODEC_MAX_BYTES;
	s->left = length;
	return extent_tree_load(
		w->ns, ref, w->height - 1 - depth, depth == 0, &s->raw, &s->view, err);
}

/* Give the next extent of a leaf, or go into the next child. */
static int next_item(struct walk *w, unsigned *depth, struct err *err)
{
	struct step *s = &w->steps[*depth];
	struct extent x = { .is_hole = false };
	int rc;

	if (s->view.level == 0)
		rc = extent_tree_take_item(&s->view.items, &s->view, &x, err);
	else
		rc = extent_tree_take_child(&s->view, &x.ref, &x.length, err);
	if (rc != 0)
		return rc;
	if (x.length == 0 || x.length > s->left)
		return err_set(err, ERR_CORRUPT, "extents are longer than their file");
	s->left -= x.length;
	s->view.taken++;
	if (s->view.level > 0)
		return enter(w, ++*depth, &x.ref, x.length, err);
	w->count++;
	return w->fn(w->arg, &x, err);
}

int extent_tree_walk(struct node_source *ns, const struct ref *top, unsigned height, uint64_t size,
	tree_extent_fn fn, void *arg, struct err *err)
{
	unsigned depth = 0;

	if (height == 0 || height > NODE_CODEC_MAX_HEIGHT)
		return err_set(err, ERR_CORRUPT, "an extent tree has %u levels", height);
	CLEANUP(walk_free_p) struct walk *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	w->ns = ns;
	w->height = height;
	w->fn = fn;
	w->arg = arg;
	int rc = enter(w, 0, top, size, err);
	while (rc == 0) {
		struct step *s = &w->steps[depth];
		if (s->view.taken < s->view.nitems) {
			rc = next_item(w, &depth, err);
			continue;
		}
		rc = node_codec_end(&s->view, err);
		if (rc == 0 && s->left != 0)
			rc = err_set(err, ERR_CORRUPT, "extents are shorter than their file");
		if (rc != 0 || depth == 0)
			break;
		depth--;
	}
	if (rc == 0 && w->count <= ENTRY_MAX_INLINE_EXTENTS)
		rc = err_set(err, ERR_CORRUPT, "an extent tree has %llu extents only",
			(unsigned long long)w->count);
	return rc;
}
