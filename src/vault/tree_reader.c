#include "vault/tree_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/wire.h"
#include "vault/entry_decode.h"
#include "vault/entry_spill.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"

/*
 * INVARIANTS
 * (1) steps[0..depth) are the open nodes from the top down; steps[i].key is the key of the item
 *     taken last, and steps[i + 1] is that item's child.
 * (2) Every node is read from its first item on, also by a seek: so its counts can be checked when
 *     its last item was taken.
 * (3) All leaves have one depth, height - 1.  A leaf's key stays there when the leaf is left, to
 *     be compared with the key of what follows.
 */
struct step {
	struct buf raw;
	struct node_view view;
	struct buf key;
	uint64_t entries, raw_bytes;             /* below the items taken */
	uint64_t want_entries, want_raw_bytes;   /* what the parent says; not for the top */
	struct ref child;                        /* of the item taken last */
	uint64_t child_entries, child_raw_bytes; /* likewise */
	struct wire first;                       /* items from the first one on */
};

struct tree_reader {
	struct node_source source;
	struct ref top;
	unsigned height; /* known once the top was read */
	unsigned depth;
	bool is_started;
	bool is_failed;
	bool is_held;       /* the leaf's current entry was found by a seek, not yet given */
	bool is_leaf_left;  /* the leaf was read to its end: what follows must be greater */
	struct entry entry; /* of the leaf's current item */
	struct entry_store store;
	struct step steps[NODE_CODEC_MAX_HEIGHT];
};

DEFINE_CLEANUP(struct tree_reader *, tree_reader_free)

int tree_reader_new(const struct record_source *source, const struct ref *top,
	struct tree_reader **out, struct err *err)
{
	CLEANUP(tree_reader_free_p) struct tree_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = node_codec_source_init(&r->source, source, err);
	if (rc != 0)
		return rc;
	entry_decode_store_init(&r->store);
	r->top = *top;
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT; i++) {
		r->steps[i].raw.max = NODE_CODEC_MAX_BYTES;
		r->steps[i].key.max = ENTRY_MAX_KEY_BYTES;
	}
	*out = TAKE(r);
	return 0;
}

void tree_reader_free(struct tree_reader *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < NODE_CODEC_MAX_HEIGHT; i++) {
		buf_wipe(&r->steps[i].raw);
		buf_done(&r->steps[i].key);
	}
	entry_decode_store_done(&r->store);
	node_codec_source_done(&r->source);
	free(r);
}

void tree_reader_watch(struct tree_reader *r, tree_ref_fn fn, void *arg)
{
	r->source.watch = fn;
	r->source.watch_arg = arg;
}

static int check_shape(struct tree_reader *r, const struct step *s, struct err *err)
{
	bool is_top = r->depth == 0;
	unsigned level = s->view.level;

	if (!is_top && level != r->height - 1 - r->depth)
		return err_set(
			err, ERR_CORRUPT, "a node has level %u at depth %u", level, r->depth);
	/* only an empty tree has an empty node, and a top has more than one child */
	if (s->view.nitems < (is_top ? (level == 0 ? 0 : 2) : 1))
		return err_set(err, ERR_CORRUPT, "a node of level %u has %u entries", level,
			(unsigned)s->view.nitems);
	return 0;
}

/* Open the child of the item taken last, or the top. */
static int enter(struct tree_reader *r, struct err *err)
{
	if (r->depth >= NODE_CODEC_MAX_HEIGHT)
		return err_set(err, ERR_CORRUPT, "a tree is too high");
	struct step *s = &r->steps[r->depth];
	const struct ref *ref = r->depth == 0 ? &r->top : &s[-1].child;
	int rc = node_codec_load(&r->source, ref, NODE_CODEC_TREE, &s->raw, &s->view, err);
	if (rc == 0)
		rc = check_shape(r, s, err);
	if (rc != 0)
		return rc;
	s->first = s->view.items;
	s->entries = 0;
	s->raw_bytes = 0;
	if (r->depth == 0) {
		r->height = s->view.level + 1u;
	} else {
		s->want_entries = s[-1].child_entries;
		s->want_raw_bytes = s[-1].child_raw_bytes;
	}
	r->depth++;
	return 0;
}

static int count_item(struct step *s, uint64_t entries, uint64_t raw_bytes, struct err *err)
{
	if (entries > UINT64_MAX - s->entries || raw_bytes > UINT64_MAX - s->raw_bytes)
		return err_set(err, ERR_CORRUPT, "the counts of a node overflow");
	s->entries += entries;
	s->raw_bytes += raw_bytes;
	s->view.taken++;
	return 0;
}

/* Take the next item's key; see that it follows what was read before. */
static int take_key(struct tree_reader *r, unsigned depth, struct err *err)
{
	struct step *s = &r->steps[depth];
	bool is_first = s->view.taken == 0;

	int rc = node_codec_key(&s->view, is_first, &s->key, err);
	if (rc != 0)
		return rc;
	if (is_first && depth > 0 &&
		entry_key_compare(s->key.data, s->key.len, s[-1].key.data, s[-1].key.len) != 0)
		return err_set(err, ERR_CORRUPT, "a node does not begin with its key");
	if (r->is_leaf_left && depth + 1 < r->height) {
		const struct buf *last = &r->steps[r->height - 1].key;
		if (entry_key_compare(s->key.data, s->key.len, last->data, last->len) <= 0)
			return err_set(err, ERR_CORRUPT, "nodes overlap");
	}
	return 0;
}

static int take_child(struct tree_reader *r, unsigned depth, struct err *err)
{
	struct step *s = &r->steps[depth];
	uint64_t index = 0, entries = 0, raw_bytes = 0;

	int rc = take_key(r, depth, err);
	if (rc == 0)
		rc = wire_take_varint(&s->view.items, &index, err);
	if (rc == 0)
		rc = node_codec_ref(&s->view, index, &s->child, err);
	if (rc == 0)
		rc = wire_take_varint(&s->view.items, &entries, err);
	if (rc == 0)
		rc = wire_take_varint(&s->view.items, &raw_bytes, err);
	if (rc != 0)
		return rc;
	s->child_entries = entries;
	s->child_raw_bytes = raw_bytes;
	return count_item(s, entries, raw_bytes, err);
}

/* Take the leaf's next entry, without spilled attributes. */
static int take_entry(struct tree_reader *r, struct err *err)
{
	struct step *s = &r->steps[r->depth - 1];
	struct wire tlvs = { .left = 0 };
	uint64_t len = 0;

	int rc = take_key(r, r->depth - 1, err);
	if (rc == 0)
		rc = wire_take_varint(&s->view.items, &len, err);
	if (rc != 0)
		return rc;
	if (len > ENTRY_CODEC_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "an entry is too long");
	tlvs.left = (size_t)len;
	rc = wire_take(&s->view.items, tlvs.left, &tlvs.p, err);
	if (rc == 0)
		rc = entry_decode_tlvs(tlvs, &s->view, &r->store, &r->entry, err);
	return rc != 0 ? rc : count_item(s, 1, r->entry.size, err);
}

/* Close the lowest open node, whose items are all taken. */
static int leave(struct tree_reader *r, struct err *err)
{
	struct step *s = &r->steps[r->depth - 1];

	int rc = node_codec_end(&s->view, err);
	if (rc != 0)
		return rc;
	if (r->depth > 1 && (s->entries != s->want_entries || s->raw_bytes != s->want_raw_bytes))
		return err_set(err, ERR_CORRUPT, "a node does not hold what its parent counts");
	if (r->depth == r->height)
		r->is_leaf_left = true;
	r->depth--;
	return 0;
}

/* Go to the next entry of the walk.  Return 1, 0 at the end, or an error. */
static int advance(struct tree_reader *r, struct err *err)
{
	while (r->depth > 0) {
		struct step *s = &r->steps[r->depth - 1];
		int rc;
		if (s->view.taken == s->view.nitems) {
			rc = leave(r, err);
		} else if (s->view.level == 0) {
			rc = take_entry(r, err);
			return rc != 0 ? rc : 1;
		} else {
			rc = take_child(r, r->depth - 1, err);
			r->is_leaf_left = false;
			if (rc == 0)
				rc = enter(r, err);
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* How many items of the interior node ${s} have a key <= ${key}; at least 1. */
static int count_upto(
	struct tree_reader *r, const uint8_t *key, size_t key_len, uint32_t *out, struct err *err)
{
	struct step *s = &r->steps[r->depth - 1];
	uint32_t upto = 0;

	while (s->view.taken < s->view.nitems) {
		int rc = take_child(r, r->depth - 1, err);
		if (rc != 0)
			return rc;
		if (s->view.taken > 1 &&
			entry_key_compare(s->key.data, s->key.len, key, key_len) > 0)
			break;
		upto++;
	}
	s->view.items = s->first;
	s->view.taken = 0;
	s->view.seen = 0;
	s->entries = 0;
	s->raw_bytes = 0;
	*out = upto;
	return 0;
}

/* Go down to the leaf in which ${key} is, or would be. */
static int descend(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err)
{
	int rc = enter(r, err);

	while (rc == 0 && r->steps[r->depth - 1].view.level > 0) {
		uint32_t upto = 0;
		rc = count_upto(r, key, key_len, &upto, err);
		for (uint32_t i = 0; rc == 0 && i < upto; i++)
			rc = take_child(r, r->depth - 1, err);
		if (rc == 0)
			rc = enter(r, err);
	}
	return rc;
}

static int seek(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err)
{
	int rc = key_len == 0 ? enter(r, err) : descend(r, key, key_len, err);
	if (rc != 0 || key_len == 0)
		return rc;
	while ((rc = advance(r, err)) > 0) {
		/* after the first leaf every key is greater: this ends soon */
		const struct buf *at = &r->steps[r->depth - 1].key;
		if (entry_key_compare(at->data, at->len, key, key_len) >= 0) {
			r->is_held = true;
			return 0;
		}
	}
	return rc;
}

int tree_reader_seek(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err)
{
	r->depth = 0;
	r->is_started = true;
	r->is_held = false;
	r->is_leaf_left = false;
	r->is_failed = true; /* unless everything works */
	int rc = seek(r, key, key_len, err);
	if (rc == 0)
		r->is_failed = false;
	return rc;
}

int tree_reader_skip(struct tree_reader *r, const uint8_t *key, size_t key_len, struct err *err)
{
	CLEANUP(buf_done) struct buf next = BUF_INIT(ENTRY_MAX_KEY_BYTES + 1);
	int rc = buf_add(&next, key, key_len, err);
	if (rc == 0)
		rc = buf_add8(&next, 1, err); /* 00 parts components: 01 is behind all of them */
	return rc != 0 ? rc : tree_reader_seek(r, next.data, next.len, err);
}

/* Make the leaf's current entry whole. */
static int complete(struct tree_reader *r, struct err *err)
{
	int rc = entry_spill_load(&r->source, &r->store, &r->entry, err);
	return rc != 0 ? rc : entry_decode_complete(&r->store, &r->entry, err);
}

int tree_reader_next(struct tree_reader *r, const uint8_t **key, size_t *key_len, struct entry *e,
	struct err *err)
{
	int rc = 1;

	if (!r->is_started) {
		rc = tree_reader_seek(r, NULL, 0, err);
		if (rc != 0)
			return rc;
	}
	if (r->is_failed)
		return err_set(err, ERR_FAILED, "the tree could not be read further");
	r->is_failed = true; /* unless everything works */
	rc = r->is_held ? 1 : advance(r, err);
	r->is_held = false;
	if (rc > 0) {
		int whole = complete(r, err);
		rc = whole != 0 ? whole : 1;
	}
	if (rc < 0)
		return rc;
	r->is_failed = false;
	if (rc > 0) {
		*key = r->steps[r->depth - 1].key.data;
		*key_len = r->steps[r->depth - 1].key.len;
		*e = r->entry;
	}
	return rc;
}

int tree_reader_extents(
	struct tree_reader *r, const struct entry *e, tree_extent_fn fn, void *arg, struct err *err)
{
	if (e->has_extent_tree)
		return extent_tree_walk(
			&r->source, &e->extent_tree, e->extent_height, e->size, fn, arg, err);
	for (size_t i = 0; i < e->extent_count; i++) {
		int rc = fn(arg, &e->extents[i], err);
		if (rc != 0)
			return rc;
	}
	return 0;
}
