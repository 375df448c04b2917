#include "vault/record_reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/node_codec.h"
#include "vault/ref_table.h"

/*
 * INVARIANTS
 * (1) A cached record was opened under its own ref, so its bytes are right.
 * (2) Whatever the store brings is opened by record_open(), which compares its hash with the id
 *     first; a hint changes no outcome.
 */

#define CACHE_SLOTS 24
#define CACHE_MAX_RAW_BYTES (2u << 20)

struct cached {
	uint8_t id[REF_ID_BYTES];
	uint8_t key[32];
	enum record_type type;
	struct buf raw;
	uint64_t used_at; /* 0 = empty */
};

struct record_reader {
	const struct record_store *store; /* borrowed */
	struct record_opener *opener;
	struct record_source source;
	struct cached cache[CACHE_SLOTS];
	uint64_t clock;
};

DEFINE_CLEANUP(struct record_reader *, record_reader_free)

static struct cached *cache_find(
	struct record_reader *r, const struct ref *ref, enum record_type type)
{
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		struct cached *c = &r->cache[i];
		if (c->used_at > 0 && c->type == type &&
			memcmp(c->id, ref->id, sizeof(c->id)) == 0 &&
			memcmp(c->key, ref->key, sizeof(c->key)) == 0)
			return c;
	}
	return NULL;
}

static void cache_keep(struct record_reader *r, const struct ref *ref, enum record_type type,
	const uint8_t *raw, size_t len)
{
	if (len > CACHE_MAX_RAW_BYTES)
		return;
	struct cached *oldest = &r->cache[0];
	for (size_t i = 1; i < CACHE_SLOTS; i++) {
		if (r->cache[i].used_at < oldest->used_at)
			oldest = &r->cache[i];
	}
	buf_clear(&oldest->raw);
	oldest->used_at = 0;
	if (buf_add(&oldest->raw, raw, len, NULL) != 0)
		return; /* a cache may forget */
	memcpy(oldest->id, ref->id, sizeof(oldest->id));
	memcpy(oldest->key, ref->key, sizeof(oldest->key));
	oldest->type = type;
	oldest->used_at = ++r->clock;
}

/* A node was opened: its refs, in order of first use, are what is asked for next. */
static void tell_expected(struct record_reader *r, const uint8_t *raw, size_t len)
{
	const uint8_t *refs;
	uint32_t count;
	if (r->store->expect == NULL || !node_codec_peek(raw, len, &refs, &count) || count == 0)
		return;
	uint8_t(*ids)[REF_ID_BYTES] = calloc(count, REF_ID_BYTES);
	if (ids == NULL)
		return; /* a hint may be missed */
	for (uint32_t i = 0; i < count; i++)
		memcpy(ids[i], refs + (size_t)i * REF_BYTES, REF_ID_BYTES);
	r->store->expect(r->store->self, (const uint8_t(*)[REF_ID_BYTES])ids, count);
	free(ids);
}

static int reader_get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	struct record_reader *r = self;
	struct cached *c = cache_find(r, ref, type);
	if (c != NULL) {
		c->used_at = ++r->clock;
		return buf_add(raw, c->raw.data, c->raw.len, err);
	}
	CLEANUP(buf_done) struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	size_t before = raw->len;
	int rc = r->store->get(r->store->self, ref->id, &cr, err);
	if (rc == 0)
		rc = record_open(r->opener, ref, type, cr.data, cr.len, raw, err);
	if (rc != 0)
		return rc;
	cache_keep(r, ref, type, raw->data + before, raw->len - before);
	if (type == RECORD_NODE)
		tell_expected(r, raw->data + before, raw->len - before);
	return 0;
}

int record_reader_new(const struct record_store *store, struct record_reader **out, struct err *err)
{
	CLEANUP(record_reader_free_p) struct record_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->store = store;
	r->source = (struct record_source){ .self = r, .get = reader_get };
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		r->cache[i].raw = (struct buf)BUF_INIT(CACHE_MAX_RAW_BYTES);
	int rc = record_opener_new(&r->opener, err);
	if (rc != 0)
		return rc;
	*out = TAKE(r);
	return 0;
}

void record_reader_free(struct record_reader *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		buf_wipe(&r->cache[i].raw);
	record_opener_free(r->opener);
	free(r);
}

const struct record_source *record_reader_source(struct record_reader *r)
{
	return &r->source;
}
