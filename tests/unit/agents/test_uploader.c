#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "agents/uploader.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/store_scratch.h"
#include "tests/lib/vault_fixture.h"

#define RECORDS 40
#define RAW_BYTES (512u << 10)

/* A port that has every record whose ID has a last byte of the parity ${has}; notes what comes. */
struct picky_port {
	struct port port;
	unsigned has; /* 2 = none */
	uint8_t got[RECORDS][32];
	size_t got_count, got_bytes, largest;
};

static int picky_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	const struct picky_port *p = self;
	(void)err;
	for (size_t i = 0; i < count; i++)
		present[i] = (ids[i][31] & 1u) == p->has;
	return 0;
}

static int picky_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct picky_port *p = self;
	p->got_bytes += len;
	p->largest = len > p->largest ? len : p->largest;
	while (len > 0) {
		uint32_t cr_len = 0;
		int suite, type;
		int rc = record_peek(batch, len, &cr_len, &suite, &type, err);
		if (rc != 0 || cr_len > len || p->got_count == RECORDS)
			return -ERR_CORRUPT;
		hash_sha256(batch, cr_len, p->got[p->got_count++]);
		batch += cr_len;
		len -= cr_len;
	}
	return 0;
}

static void upload(struct picky_port *p, struct ref refs[RECORDS], struct uploader_stats *stats)
{
	static const uint8_t k_mle[32] = { 1 };
	static uint8_t raw[RAW_BYTES];
	struct err err = ERR_INIT;
	struct uploader *u = NULL;
	p->port = (struct port){ .self = p, .has = picky_has, .put = picky_put };
	const struct uploader_opts opts = {
		.port = &p->port, .k_mle = k_mle, .check = RECORD_CHECK_FULL
	};
	cr_assert(eq(int, uploader_new(&opts, &u, &err), 0));
	const struct record_sink *sink = uploader_sink(u);
	for (size_t i = 0; i < RECORDS; i++) {
		size_t len = RAW_BYTES - i * 1000; /* no two of a length */
		vault_fixture_noise(raw, len, i + 1);
		int rc = sink->put(
			sink->self, RECORD_DATA, RECORD_CLASS_BUNDLE, raw, len, &refs[i], &err);
		cr_assert(eq(int, rc, 0), "%s", err.msg);
	}
	cr_assert(eq(int, uploader_flush(u, &err), 0), "%s", err.msg);
	uploader_get_stats(u, stats);
	uploader_free(u);
}

static void expect_what_lacks(unsigned has)
{
	static struct picky_port p;
	struct ref refs[RECORDS];
	struct uploader_stats stats;
	size_t at = 0, bytes = 0;
	p = (struct picky_port){ .has = has };
	upload(&p, refs, &stats);
	for (size_t i = 0; i < RECORDS; i++) {
		if ((refs[i].id[31] & 1u) == has)
			continue;
		cr_assert(lt(sz, at, p.got_count));
		cr_expect(eq(int, memcmp(p.got[at++], refs[i].id, 32), 0), "record %zu", i);
		bytes += refs[i].cr_len;
	}
	cr_expect(eq(sz, p.got_count, at));
	cr_expect(eq(sz, p.got_bytes, bytes));
	cr_expect(eq(u64, stats.sent.sent_records, at));
	cr_expect(eq(u64, stats.sent.sent_bytes, bytes));
	cr_expect(eq(u64, stats.sealed_records, RECORDS));
}

Test(uploader, sends_exactly_what_the_vault_lacks_whole_and_in_order)
{
	expect_what_lacks(0);
	expect_what_lacks(1);
	expect_what_lacks(2);
}

#define NODES 5

/* Put the same nodes, and the last one's bytes as an attribute.  Return how many were sealed. */
static uint64_t put_nodes(const char *path, const uint8_t *base, const uint8_t snap_hash[32],
	struct ref refs[NODES + 1])
{
	static const uint8_t k_mle[32] = { 1 }, k_fp[32] = { 2 };
	static struct picky_port p;
	static uint8_t raw[20000];
	struct err err = ERR_INIT;
	struct uploader *u = NULL;
	struct chunk_cache *cache = NULL;
	struct uploader_stats stats;
	const uint8_t *segments = NULL;
	uint8_t root[32];
	uint64_t count;
	size_t len;
	p = (struct picky_port){ .has = 2 };
	p.port = (struct port){ .self = &p, .has = picky_has, .put = picky_put };
	cr_assert(eq(int, chunk_cache_open(path, k_fp, base, &cache, &err), 0), "%s", err.msg);
	const struct uploader_opts opts = {
		.port = &p.port, .k_mle = k_mle, .check = RECORD_CHECK_FULL, .cache = cache
	};
	cr_assert(eq(int, uploader_new(&opts, &u, &err), 0), "%s", err.msg);
	const struct record_sink *sink = uploader_sink(u);
	for (size_t i = 0; i <= NODES; i++) {
		const enum record_type type = i == NODES ? RECORD_ATTR : RECORD_NODE;
		if (i < NODES)
			vault_fixture_noise(raw, sizeof(raw), i + 1);
		int rc = sink->put(
			sink->self, type, RECORD_CLASS_META, raw, sizeof(raw), &refs[i], &err);
		cr_assert(eq(int, rc, 0), "%s", err.msg);
	}
	cr_assert(
		eq(int, uploader_finish(u, &segments, &len, &count, root, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, count, NODES + 1));
	cr_expect(eq(int, uploader_keep_cache(u, snap_hash, &err), 0), "%s", err.msg);
	uploader_get_stats(u, &stats);
	cr_expect(eq(sz, p.got_count, stats.sealed_records), "only what was sealed is sent");
	uploader_free(u);
	chunk_cache_free(cache);
	return stats.sealed_records;
}

Test(uploader, a_node_that_the_last_snapshot_has_is_not_sealed_again)
{
	static const uint8_t first[32] = { 1 }, second[32] = { 2 }, third[32] = { 3 };
	struct ref made[NODES + 1], again[NODES + 1];
	char path[4200];
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/chunks", dir); /* fits */
	cr_expect(eq(u64, put_nodes(path, NULL, first, made), NODES + 1));
	cr_expect(eq(u64, put_nodes(path, first, second, again), 0u));
	cr_expect(eq(int, memcmp(made, again, sizeof(made)), 0));
	cr_expect(eq(u64, put_nodes(path, second, third, again), 0u), "carried over");
	cr_expect(eq(int, memcmp(made, again, sizeof(made)), 0));
	cr_expect(ne(int, memcmp(&made[NODES - 1], &made[NODES], sizeof(made[0])), 0),
		"an attribute of a node's bytes is another record");
	cr_expect(eq(u64, put_nodes(path, first, first, again), NODES + 1), "another base");
	store_scratch_done();
}

Test(uploader, a_batch_is_sent_when_it_is_long_enough)
{
	static struct picky_port p;
	struct ref refs[RECORDS];
	struct uploader_stats stats;
	p = (struct picky_port){ .has = 2 };
	upload(&p, refs, &stats);
	cr_expect(le(sz, p.largest, 2u << 20));
	cr_expect(ge(sz, p.largest, (1u << 20) + 1));
}

#define LATER 300

static int put_copy(struct uploader *u, const uint8_t *raw, size_t len, seal_pool_fn fn, void *arg,
	uint64_t index)
{
	struct buf copy = BUF_INIT(RECORD_MAX_RAW_BYTES);
	cr_assert(eq(int, buf_add(&copy, raw, len, NULL), 0));
	int rc = uploader_put_later(
		u, RECORD_DATA, RECORD_CLASS_STREAM, &copy, len, fn, arg, index, NULL);
	buf_done(&copy);
	return rc;
}

static void note_ref(void *arg, uint64_t index, const struct ref *ref)
{
	struct ref *refs = arg;
	if (ref != NULL)
		refs[index] = *ref;
}

/* Content is sealed by several threads, nodes here: what is sent is in the order of the calls. */
Test(uploader, what_is_told_later_keeps_the_order_of_the_calls)
{
	static const uint8_t k_mle[32] = { 1 };
	static uint8_t raw[RAW_BYTES];
	static struct picky_port p = { .has = 2 };
	static struct ref refs[RECORDS];
	struct uploader *u = NULL;
	p.port = (struct port){ .self = &p, .has = picky_has, .put = picky_put };
	const struct uploader_opts opts = {
		.port = &p.port, .k_mle = k_mle, .check = RECORD_CHECK_FULL, .workers = 3
	};
	cr_assert(eq(int, uploader_new(&opts, &u, NULL), 0));
	const struct record_sink *sink = uploader_sink(u);
	for (size_t i = 0; i < RECORDS; i++) {
		size_t len = i % 5 == 0 ? RAW_BYTES - i : 1000 + i;
		vault_fixture_noise(raw, len, i + 1);
		int rc = i % 4 == 3 ? sink->put(sink->self, RECORD_NODE, RECORD_CLASS_META, raw,
					      len, &refs[i], NULL)
				    : put_copy(u, raw, len, note_ref, refs, i);
		cr_assert(eq(int, rc, 0));
	}
	cr_assert(eq(int, uploader_flush(u, NULL), 0));
	cr_assert(eq(sz, p.got_count, RECORDS));
	for (size_t i = 0; i < RECORDS; i++)
		cr_expect(eq(int, memcmp(p.got[i], refs[i].id, 32), 0), "record %zu", i);
	uploader_free(u);
}

static int broken_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	(void)self;
	(void)batch;
	(void)len;
	return err_set(err, ERR_UNREACHABLE, "the line is down");
}

static void count_lost(void *arg, uint64_t index, const struct ref *ref)
{
	size_t *counts = arg;
	(void)index;
	counts[ref == NULL]++;
}

Test(uploader, everybody_is_told_once_when_sending_fails)
{
	static const uint8_t k_mle[32] = { 1 };
	static uint8_t raw[RAW_BYTES];
	static struct picky_port p = { .has = 2 };
	struct uploader *u = NULL;
	size_t told[2] = { 0, 0 };
	size_t asked = 0;
	int rc = 0;
	p.port = (struct port){ .self = &p, .has = picky_has, .put = broken_put };
	const struct uploader_opts opts = { .port = &p.port, .k_mle = k_mle, .workers = 2 };
	cr_assert(eq(int, uploader_new(&opts, &u, NULL), 0));
	for (; rc == 0 && asked < LATER; asked++) {
		vault_fixture_noise(raw, sizeof(raw), asked + 1);
		rc = put_copy(u, raw, sizeof(raw), count_lost, told, asked);
	}
	cr_expect(eq(int, rc, -ERR_UNREACHABLE));
	cr_expect(eq(int, uploader_flush(u, NULL), -ERR_UNREACHABLE));
	uploader_free(u);
	cr_expect(eq(sz, told[0] + told[1], asked));
	cr_expect(ge(sz, told[1], 1));
}
