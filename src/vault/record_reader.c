#include "vault/record_reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/node_codec.h"
#include "vault/record_cache.h"
#include "vault/record_plan.h"

/*
 * INVARIANTS
 * (1) What is given was opened under its own ref and type, and its hash compared with the id, by
 *     the store if that says so: neither a hint nor what was opened ahead changes an outcome.
 * (2) lent[first .. first + count) modulo LENT_MAX are the records borrowed, the last one at the
 * end; all of them stay in the cache, and lent_bytes is their sum. (3) The cache holds what is
 * planned and as much again that was used, or was lent: nothing that was opened ahead is given up
 * before it is asked for.
 */

#define CACHE_BYTES (3 * RECORD_PLAN_MAX_BYTES)
#define LENT_MAX (RECORD_KEEP_MAX + 1)

struct lent {
	const struct record_cache_held *held;
	struct ref ref;
	enum record_type type;
	bool is_kept; /* for a while, and then done with */
};

struct record_reader {
	const struct record_store *store; /* borrowed */
	struct record_source source;
	struct record_cache *cache;
	struct record_plan *plan; /* NULL: nothing is opened ahead */
	struct lent lent[LENT_MAX];
	size_t first, count, lent_bytes, keep_bytes;
};

DEFINE_CLEANUP(struct record_reader *, record_reader_free)

/* These are what is asked for next. */
static void tell_expected(struct record_reader *r, const uint8_t *refs, size_t count)
{
	if (r->store->expect == NULL)
		return;
	uint8_t(*ids)[REF_ID_BYTES] = calloc(count, REF_ID_BYTES);
	if (ids == NULL)
		return; /* a hint may be missed */
	for (size_t i = 0; i < count; i++)
		memcpy(ids[i], refs + i * REF_BYTES, REF_ID_BYTES);
	r->store->expect(r->store->self, (const uint8_t(*)[REF_ID_BYTES])ids, count);
	free(ids);
}

/* A node's refs, in the order of their first use. */
static void look_into(struct record_reader *r, const struct record_cache_held *node, bool is_new)
{
	const uint8_t *refs;
	uint32_t count;
	if (!node_codec_peek(node->data, node->len, &refs, &count) || count == 0)
		return;
	if (is_new)
		tell_expected(r, refs, count);
	if (r->plan != NULL)
		record_plan_enter(r->plan, refs, count);
}

static void open_ahead(struct record_reader *r)
{
	struct ref ref;
	while (r->plan != NULL && record_plan_next(r->plan, &ref)) {
		int type = r->store->type != NULL ? r->store->type(r->store->self, ref.id) : 0;
		if (type != 0)
			record_cache_ahead(r->cache, &ref, (enum record_type)type);
	}
	explicit_bzero(&ref, sizeof(ref));
}

static uint64_t opened_count(struct record_reader *r)
{
	struct record_cache_stats stats;
	record_cache_get_stats(r->cache, &stats);
	return stats.misses;
}

static int hold(struct record_reader *r, const struct ref *ref, enum record_type type,
	const struct record_cache_held **out, struct err *err)
{
	if (r->plan != NULL)
		record_plan_ask(r->plan, ref, type);
	if (type == RECORD_DATA)
		open_ahead(r);
	uint64_t before = opened_count(r);
	int rc = record_cache_hold(r->cache, ref, type, out, err);
	if (rc == 0 && type == RECORD_NODE)
		look_into(r, *out, opened_count(r) != before);
	return rc;
}

static int reader_get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	struct record_reader *r = self;
	const struct record_cache_held *held;
	int rc = hold(r, ref, type, &held, err);
	if (rc != 0)
		return rc;
	rc = buf_add(raw, held->data, held->len, err);
	record_cache_release(r->cache, held);
	return rc;
}

static void release_first(struct record_reader *r)
{
	struct lent *l = &r->lent[r->first];
	r->lent_bytes -= l->held->len;
	if (l->is_kept)
		record_cache_release_first(r->cache, l->held);
	else
		record_cache_release(r->cache, l->held);
	explicit_bzero(&l->ref, sizeof(l->ref));
	r->first = (r->first + 1) % LENT_MAX;
	r->count--;
}

/* Release what need not stay when another record is borrowed. */
static void let_go(struct record_reader *r)
{
	while (r->count > 0 &&
		(r->count > RECORD_KEEP_MAX ||
			r->lent_bytes - r->lent[r->first].held->len >= r->keep_bytes))
		release_first(r);
}

static void reader_keep(void *self, size_t bytes)
{
	struct record_reader *r = self;
	r->keep_bytes = bytes;
}

static int reader_borrow(void *self, const struct ref *ref, enum record_type type,
	const uint8_t **raw, struct err *err)
{
	struct record_reader *r = self;
	const struct lent *last = &r->lent[(r->first + r->count + LENT_MAX - 1) % LENT_MAX];
	/* many small files lie in one record */
	if (r->count == 0 || last->type != type || memcmp(&last->ref, ref, sizeof(*ref)) != 0) {
		const struct record_cache_held *held;
		let_go(r);
		int rc = hold(r, ref, type, &held, err);
		if (rc != 0)
			return rc;
		struct lent *next = &r->lent[(r->first + r->count++) % LENT_MAX];
		*next = (struct lent){
			.held = held, .ref = *ref, .type = type, .is_kept = r->keep_bytes > 0
		};
		r->lent_bytes += held->len;
		last = next;
	}
	*raw = last->held->data;
	return 0;
}

static void reader_rest(void *self)
{
	struct record_reader *r = self;
	while (r->count > 0)
		release_first(r);
	r->keep_bytes = 0;
	record_cache_rest(r->cache);
}

static unsigned thread_count(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (unsigned)online; /* the cache has a limit of its own */
}

int record_reader_new(const struct record_store *store, struct record_reader **out, struct err *err)
{
	CLEANUP(record_reader_free_p) struct record_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->store = store;
	r->source = (struct record_source){ .self = r,
		.get = reader_get,
		.borrow = reader_borrow,
		.keep = reader_keep,
		.rest = reader_rest };
	const struct record_cache_opts opts = { .max_bytes = CACHE_BYTES,
		.ahead_threads = store->is_shared ? thread_count() : 0 };
	int rc = record_cache_new(store, &opts, &r->cache, err);
	if (rc == 0 && store->is_shared)
		rc = record_plan_new(&r->plan, err);
	if (rc != 0)
		return rc;
	*out = TAKE(r);
	return 0;
}

void record_reader_free(struct record_reader *r)
{
	if (r == NULL)
		return;
	while (r->count > 0)
		release_first(r);
	record_plan_free(r->plan);
	record_cache_free(r->cache);
	free(r);
}

const struct record_source *record_reader_source(struct record_reader *r)
{
	return &r->source;
}
