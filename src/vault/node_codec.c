#include "vault/node_codec.h"

#include <string.h>

#include "base/err.h"
#include "vault/ref_table.h"

/*
 * INVARIANTS
 * (1) view->seen counts the refs used; a ref with index >= seen is used only when index == seen.
 *     So the table is in first use order and node_codec_end() finds refs that nothing uses.
 * (2) A key is accepted only in its one encoding: the longest shared prefix, minimal varints.
 */
#define NODE_VERSION 1

int node_codec_source_init(
	struct node_source *ns, const struct record_source *source, struct err *err)
{
	struct ref_table *scratch = NULL;
	int rc = ref_table_new(&scratch, err);
	if (rc != 0)
		return rc;
	*ns = (struct node_source){ .source = source, .scratch = scratch };
	return 0;
}

void node_codec_source_done(struct node_source *ns)
{
	ref_table_free(ns->scratch);
	ns->scratch = NULL;
}

int node_codec_get(const struct node_source *ns, const struct ref *ref, enum record_type type,
	size_t max, struct buf *raw, struct err *err)
{
	size_t before = raw->len;

	if (ref->raw_len > max)
		return err_set(err, ERR_CORRUPT, "a record of %u bytes is over the limit of %zu",
			(unsigned)ref->raw_len, max);
	int rc = ns->source->get(ns->source->self, ref, type, raw, err);
	if (rc != 0)
		return rc;
	if (raw->len - before != ref->raw_len)
		return err_set(err, ERR_CORRUPT, "a record is not as long as its ref says");
	return ns->watch == NULL ? 0 : ns->watch(ns->watch_arg, ref, type, err);
}

/* Read the refs and see that no ID comes twice. */
static int take_refs(struct ref_table *scratch, struct node_view *view, struct err *err)
{
	int rc = wire_take(&view->items, (size_t)view->nrefs * REF_BYTES, &view->refs, err);
	if (rc != 0)
		return rc;
	ref_table_truncate(scratch, 0);
	for (size_t i = 0; i < view->nrefs; i++) {
		struct ref ref;
		size_t index = 0;
		ref_decode(view->refs + i * REF_BYTES, &ref);
		rc = ref_table_add(scratch, &ref, &index, err);
		if (rc != 0)
			return rc;
		if (index != i)
			return err_set(err, ERR_CORRUPT, "a node lists a ref twice");
	}
	return 0;
}

static int take_header(struct node_view *view, const char *magic, struct err *err)
{
	const uint8_t *head = NULL;

	int rc = wire_take(&view->items, NODE_CODEC_HEADER_BYTES, &head, err);
	if (rc != 0)
		return rc;
	if (memcmp(head, magic, 4) != 0)
		return err_set(err, ERR_CORRUPT, "a node does not begin with %s", magic);
	if (head[4] != NODE_VERSION || bytes_get16(head + 6) != 0)
		return err_set(err, ERR_UNSUPPORTED, "a node needs a newer version");
	view->level = head[5];
	if (view->level >= NODE_CODEC_MAX_HEIGHT)
		return err_set(err, ERR_CORRUPT, "a node has level %u", (unsigned)view->level);
	view->nrefs = bytes_get32(head + 8);
	view->nitems = bytes_get32(head + 12);
	if (view->nrefs > REF_TABLE_MAX || view->nitems > NODE_CODEC_MAX_ITEMS)
		return err_set(err, ERR_CORRUPT, "a node has %u refs and %u items",
			(unsigned)view->nrefs, (unsigned)view->nitems);
	return 0;
}

bool node_codec_peek(const uint8_t *raw, size_t len, const uint8_t **refs, uint32_t *count)
{
	struct node_view v = { .items = { .p = raw, .left = len } };
	const bool is_tree = len >= 4 && memcmp(raw, NODE_CODEC_TREE, 4) == 0;
	int rc = take_header(&v, is_tree ? NODE_CODEC_TREE : NODE_CODEC_EXTENTS, NULL);
	if (rc == 0)
		rc = wire_take(&v.items, (size_t)v.nrefs * REF_BYTES, refs, NULL);
	*count = v.nrefs;
	return rc == 0;
}

int node_codec_load(const struct node_source *ns, const struct ref *ref, const char *magic,
	struct buf *raw, struct node_view *view, struct err *err)
{
	buf_clear(raw);
	int rc = node_codec_get(ns, ref, RECORD_NODE, NODE_CODEC_MAX_BYTES, raw, err);
	if (rc != 0)
		return rc;
	struct node_view v = { .items = { .p = raw->data, .left = raw->len } };
	rc = take_header(&v, magic, err);
	if (rc == 0)
		rc = take_refs(ns->scratch, &v, err);
	if (rc == 0)
		*view = v;
	return rc;
}

int node_codec_ref(struct node_view *view, uint64_t index, struct ref *out, struct err *err)
{
	if (index >= view->nrefs || index > view->seen)
		return err_set(err, ERR_CORRUPT, "a node uses its refs out of order");
	if (index == view->seen)
		view->seen++;
	ref_decode(view->refs + index * REF_BYTES, out);
	return 0;
}

int node_codec_end(const struct node_view *view, struct err *err)
{
	if (view->seen != view->nrefs)
		return err_set(err, ERR_CORRUPT, "a node lists a ref that it does not use");
	return wire_end(&view->items, err);
}

int node_codec_key(struct node_view *view, bool is_first, struct buf *key, struct err *err)
{
	uint64_t shared = 0, rest = 0;
	const uint8_t *suffix = NULL;

	int rc = wire_take_varint(&view->items, &shared, err);
	if (rc == 0)
		rc = wire_take_varint(&view->items, &rest, err);
	if (rc != 0)
		return rc;
	if (rest == 0 || rest > ENTRY_MAX_KEY_BYTES || shared > (is_first ? 0 : key->len))
		return err_set(err, ERR_CORRUPT, "a node has a key of %llu and %llu bytes",
			(unsigned long long)shared, (unsigned long long)rest);
	rc = wire_take(&view->items, (size_t)rest, &suffix, err);
	if (rc != 0)
		return rc;
	/* one comparison for two rules: ascending, and no longer prefix could be shared */
	if (!is_first && shared < key->len && suffix[0] <= key->data[shared])
		return err_set(err, ERR_CORRUPT, "the keys of a node do not ascend");
	key->len = (size_t)shared;
	if (key->len + rest > ENTRY_MAX_KEY_BYTES)
		return err_set(err, ERR_CORRUPT, "a node has a key that is too long");
	rc = buf_add(key, suffix, (size_t)rest, err);
	return rc != 0 ? rc : entry_key_check(key->data, key->len, err);
}

int node_codec_add_key(struct buf *out, const struct buf *last, const uint8_t *key, size_t key_len,
	struct err *err)
{
	size_t shared = 0;

	while (shared < last->len && shared < key_len && last->data[shared] == key[shared])
		shared++;
	int rc = wire_add_varint(out, shared, err);
	if (rc == 0)
		rc = wire_add_varint(out, key_len - shared, err);
	return rc != 0 ? rc : buf_add(out, key + shared, key_len - shared, err);
}

size_t node_codec_size(size_t refs, size_t items_len)
{
	return NODE_CODEC_HEADER_BYTES + refs * REF_BYTES + items_len;
}

int node_codec_encode(const char *magic, unsigned level, const struct ref_table *refs,
	size_t nitems, const struct buf *items, struct buf *out, struct err *err)
{
	uint8_t head[NODE_CODEC_HEADER_BYTES] = { 0 };
	size_t before = out->len;

	memcpy(head, magic, 4);
	head[4] = NODE_VERSION;
	head[5] = (uint8_t)level;
	bytes_put32(head + 8, (uint32_t)ref_table_count(refs));
	bytes_put32(head + 12, (uint32_t)nitems);
	int rc = buf_add(out, head, sizeof(head), err);
	if (rc == 0)
		rc = ref_table_encode(refs, out, err);
	if (rc == 0)
		rc = buf_add(out, items->data, items->len, err);
	if (rc != 0)
		out->len = before;
	return rc;
}
