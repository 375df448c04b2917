#include "vault/tree_builder.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/wire.h"
#include "vault/entry_codec.h"
#include "vault/entry_spill.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"
#include "vault/ref_table.h"

/*
 * INVARIANTS
 * (1) levels[i + 1] exists once levels[i] has put a node, and holds it or has put it on.
 * (2) Records are put before what names them: extent nodes and spilled attributes before the
 *     leaf, children before their parent.
 * (3) Where a node ends depends on its own entries and their keys alone.
 * (4) The encoded bytes of an entry depend on the entries before it in its node alone.
 *
 *   add --> level 0 --(full, or the key's number)--> put --> level 1 --> ... ; finish: put the rest
 */
#define NODE_MAX_BYTES (256u << 10) /* a writer makes none longer */
#define NODE_MIN_ITEMS 64
#define CUT_MASK 0x1ffu
/* room to encode one entry too many before it is taken back */
#define ITEMS_MAX_BYTES (NODE_MAX_BYTES + (64u << 10))

struct level {
	struct ref_table *refs; /* owned */
	struct buf items;
	struct buf first, last; /* keys */
	size_t count;
	uint64_t entries, raw_bytes; /* below */
	uint64_t nodes;              /* put so far */
};

/* What a level is given: an entry of the leaf level, or a child. */
struct item {
	const struct entry *e; /* or NULL */
	struct ref ref;
	uint64_t entries, raw_bytes;
};

struct tree_builder {
	const struct record_sink *sink; /* borrowed */
	uint8_t k_tree[16];
	struct level *levels[NODE_CODEC_MAX_HEIGHT];
	struct extent_tree *extents;
	struct entry_parts *parts;
	struct buf tlvs, node;
	bool has_last;
	struct buf last; /* key of the entry before */
	struct tree_summary summary;
	bool is_over; /* failed or finished */
	bool is_refused;
};

static int put_level(struct tree_builder *b, unsigned at, struct err *err);

static void level_free(struct level *l)
{
	if (l != NULL) {
		ref_table_free(l->refs);
		buf_wipe(&l->items);
		buf_done(&l->first);
		buf_done(&l->last);
	}
	free(l);
}
DEFINE_CLEANUP(struct level *, level_free)
DEFINE_CLEANUP(struct tree_builder *, tree_builder_free)

static int open_level(struct tree_builder *b, unsigned at, struct err *err)
{
	if (at >= NODE_CODEC_MAX_HEIGHT)
		return err_set(
			err, ERR_LIMIT, "a tree has more than %d levels", NODE_CODEC_MAX_HEIGHT);
	if (b->levels[at] != NULL)
		return 0;
	CLEANUP(level_free_p) struct level *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->items.max = ITEMS_MAX_BYTES;
	l->first.max = ENTRY_MAX_KEY_BYTES;
	l->last.max = ENTRY_MAX_KEY_BYTES;
	int rc = ref_table_new(&l->refs, err);
	if (rc != 0)
		return rc;
	b->levels[at] = TAKE(l);
	return 0;
}

int tree_builder_new(const uint8_t k_tree[16], const struct record_sink *sink,
	struct tree_builder **out, struct err *err)
{
	CLEANUP(tree_builder_free_p) struct tree_builder *b = calloc(1, sizeof(*b));
	if (b == NULL || (b->parts = calloc(1, sizeof(*b->parts))) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	b->sink = sink;
	memcpy(b->k_tree, k_tree, sizeof(b->k_tree));
	b->tlvs.max = ENTRY_CODEC_MAX_BYTES;
	b->node.max = NODE_MAX_BYTES;
	b->last.max = ENTRY_MAX_KEY_BYTES;
	int rc = extent_tree_new(sink, &b->extents, err);
	if (rc == 0)
		rc = open_level(b, 0, err);
	if (rc != 0)
		return rc;
	*out = TAKE(b);
	return 0;
}

void tree_builder_free(struct tree_builder *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT; i++)
		level_free(b->levels[i]);
	extent_tree_free(b->extents);
	free(b->parts);
	buf_wipe(&b->tlvs);
	buf_wipe(&b->node);
	buf_done(&b->last);
	explicit_bzero(b->k_tree, sizeof(b->k_tree));
	free(b);
}

static int encode_item(struct tree_builder *b, struct level *l, const uint8_t *key, size_t key_len,
	const struct item *item, struct err *err)
{
	size_t index = 0;

	int rc = node_codec_add_key(&l->items, &l->last, key, key_len, err);
	if (rc != 0)
		return rc;
	if (item->e != NULL) {
		buf_clear(&b->tlvs);
		rc = entry_codec_encode(item->e, b->parts, l->refs, &b->tlvs, err);
		if (rc == 0)
			rc = wire_add_varint(&l->items, b->tlvs.len, err);
		return rc != 0 ? rc : buf_add(&l->items, b->tlvs.data, b->tlvs.len, err);
	}
	rc = ref_table_add(l->refs, &item->ref, &index, err);
	if (rc == 0)
		rc = wire_add_varint(&l->items, index, err);
	if (rc == 0)
		rc = wire_add_varint(&l->items, item->entries, err);
	return rc != 0 ? rc : wire_add_varint(&l->items, item->raw_bytes, err);
}

/* Encode an item; if the node cannot hold it, put the node and begin the next one with it. */
static int fit_item(struct tree_builder *b, unsigned at, const uint8_t *key, size_t key_len,
	const struct item *item, struct err *err)
{
	struct level *l = b->levels[at];
	size_t items_len = l->items.len, refs = ref_table_count(l->refs);

	int rc = l->count == NODE_CODEC_MAX_ITEMS ? -ERR_LIMIT
						  : encode_item(b, l, key, key_len, item, err);
	bool is_full = rc == -ERR_LIMIT || (rc == 0 && node_codec_size(ref_table_count(l->refs),
							       l->items.len) > NODE_MAX_BYTES);
	if (!is_full || l->count == 0)
		return is_full ? err_set(err, ERR_LIMIT, "an entry does not fit into a node") : rc;
	l->items.len = items_len;
	ref_table_truncate(l->refs, refs);
	if (err != NULL)
		err_clear(err);
	rc = put_level(b, at, err);
	return rc != 0 ? rc : fit_item(b, at, key, key_len, item, err);
}

static int set_key(struct buf *b, const uint8_t *key, size_t key_len, struct err *err)
{
	buf_clear(b);
	return buf_add(b, key, key_len, err);
}

static int add_item(struct tree_builder *b, unsigned at, const uint8_t *key, size_t key_len,
	const struct item *item, struct err *err)
{
	int rc = open_level(b, at, err);
	if (rc == 0)
		rc = fit_item(b, at, key, key_len, item, err);
	if (rc != 0)
		return rc;
	struct level *l = b->levels[at];
	rc = set_key(&l->last, key, key_len, err);
	if (rc == 0 && l->count == 0)
		rc = set_key(&l->first, key, key_len, err);
	if (rc != 0)
		return rc;
	l->count++;
	l->entries += item->entries;
	l->raw_bytes += item->raw_bytes;
	if (l->count < NODE_MIN_ITEMS ||
		(entry_key_prf(b->k_tree, (uint8_t)at, key, key_len) & CUT_MASK) != 0)
		return 0;
	return put_level(b, at, err);
}

/* Put the node of level ${at} without telling a level above. */
static int put_node(struct tree_builder *b, unsigned at, struct ref *ref, struct err *err)
{
	struct level *l = b->levels[at];

	buf_clear(&b->node);
	int rc =
		node_codec_encode(NODE_CODEC_TREE, at, l->refs, l->count, &l->items, &b->node, err);
	if (rc == 0)
		rc = b->sink->put(b->sink->self, RECORD_NODE, RECORD_CLASS_META, b->node.data,
			b->node.len, ref, err);
	if (rc == 0)
		l->nodes++;
	return rc;
}

static int put_level(struct tree_builder *b, unsigned at, struct err *err)
{
	struct level *l = b->levels[at];
	struct item child = { .entries = l->entries, .raw_bytes = l->raw_bytes };

	int rc = put_node(b, at, &child.ref, err);
	if (rc != 0)
		return rc;
	ref_table_truncate(l->refs, 0);
	buf_clear(&l->items);
	buf_clear(&l->last);
	l->count = 0;
	l->entries = 0;
	l->raw_bytes = 0;
	return add_item(b, at + 1, l->first.data, l->first.len, &child, err);
}

/* Put what of the entry lies outside its node. */
static int put_parts(struct tree_builder *b, const struct entry *e, struct err *err)
{
	struct entry_parts *parts = b->parts;
	struct extent_tree_summary tree;
	int rc = 0;

	parts->has_tree = e->has_extent_tree;
	parts->tree = e->extent_tree;
	parts->tree_height = e->extent_height;
	if (e->extent_count > ENTRY_MAX_INLINE_EXTENTS) {
		for (size_t i = 0; rc == 0 && i < e->extent_count; i++)
			rc = extent_tree_add(b->extents, &e->extents[i], err);
		if (rc == 0)
			rc = extent_tree_finish(b->extents, &tree, err);
		if (rc != 0)
			return rc;
		parts->has_tree = true;
		parts->tree = tree.top;
		parts->tree_height = tree.height;
	}
	return entry_spill_put(b->sink, e, parts, err);
}

static int check_next(const struct tree_builder *b, const uint8_t *key, size_t key_len,
	const struct entry *e, struct err *err)
{
	int rc = entry_key_check(key, key_len, err);
	if (rc == 0 && b->has_last &&
		entry_key_compare(key, key_len, b->last.data, b->last.len) <= 0)
		rc = err_set(err, ERR_CORRUPT, "entries do not come in key order");
	if (rc == 0)
		rc = entry_codec_check(e, err);
	if (rc == 0 && e->size > UINT64_MAX - b->summary.raw_bytes)
		rc = err_set(err, ERR_LIMIT, "files are too long together");
	return rc;
}

int tree_builder_add(struct tree_builder *b, const uint8_t *key, size_t key_len,
	const struct entry *e, struct err *err)
{
	struct item item = { .e = e, .entries = 1, .raw_bytes = e->size };

	b->is_refused = false;
	if (b->is_over)
		return err_set(err, ERR_FAILED, "the tree has ended already");
	int rc = check_next(b, key, key_len, e, err);
	if (rc != 0) {
		b->is_refused = true;
		return rc;
	}
	b->is_over = true; /* unless everything works */
	rc = put_parts(b, e, err);
	if (rc == 0)
		rc = add_item(b, 0, key, key_len, &item, err);
	if (rc == 0)
		rc = set_key(&b->last, key, key_len, err);
	if (rc != 0)
		return rc;
	b->has_last = true;
	b->is_over = false;
	b->summary.entries++;
	b->summary.raw_bytes += e->size;
	return 0;
}

bool tree_builder_is_refused(const struct tree_builder *b)
{
	return b->is_refused;
}

int tree_builder_finish(
	struct tree_builder *b, struct ref *top, struct tree_summary *summary, struct err *err)
{
	unsigned at = 0;
	struct ref ref;
	int rc = 0;

	b->is_refused = false;
	if (b->is_over)
		return err_set(err, ERR_FAILED, "the tree has ended already");
	b->is_over = true;
	/* the top is the only node of its level, and no node above has a single child */
	for (; b->levels[at]->nodes > 0; at++) {
		if (b->levels[at]->count > 0)
			rc = put_level(b, at, err);
		if (rc != 0)
			return rc;
	}
	if (at > 0 && b->levels[at]->count == 1)
		ref = *ref_table_at(b->levels[at]->refs, 0);
	else
		rc = put_node(b, at, &ref, err);
	if (rc != 0)
		return rc;
	*top = ref;
	*summary = b->summary;
	return 0;
}
