#include "vault/record_cache.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/sealed_records.h"
#include "tests/lib/vault_fixture.h"

#define RECORDS 64
#define RAW_BYTES ((size_t)100000)

static struct sealed_records *shop;
static uint8_t (*raw)[RAW_BYTES];
static struct record_cache *cache;

static void setup(void)
{
	shop = sealed_records_new();
	raw = calloc(RECORDS, sizeof(*raw));
	cr_assert(raw != NULL);
	for (size_t i = 0; i < RECORDS; i++) {
		vault_fixture_noise(raw[i], RAW_BYTES, i + 1);
		cr_assert(eq(sz, sealed_records_put(shop, raw[i], RAW_BYTES), i));
	}
}

static void teardown(void)
{
	record_cache_free(cache);
	sealed_records_free(shop);
	free(raw);
}

TestSuite(record_cache, .init = setup, .fini = teardown);

static void make(size_t max_bytes, unsigned ahead)
{
	const struct record_cache_opts opts = { .max_bytes = max_bytes, .ahead_threads = ahead };
	cr_assert(eq(int, record_cache_new(&shop->store, &opts, &cache, NULL), 0));
}

static bool reads(size_t nth)
{
	const struct record_cache_held *held;
	if (record_cache_hold(cache, &shop->ref[nth], RECORD_DATA, &held, NULL) != 0)
		return false;
	bool is_right = held->len == RAW_BYTES && memcmp(held->data, raw[nth], RAW_BYTES) == 0;
	record_cache_release(cache, held);
	return is_right;
}

static struct record_cache_stats stats(void)
{
	struct record_cache_stats s;
	record_cache_get_stats(cache, &s);
	return s;
}

Test(record_cache, keeps_what_was_used_last_within_its_bytes)
{
	make(RECORD_CACHE_MIN_BYTES, 0); /* ten records */
	for (size_t i = 0; i < RECORDS; i++) {
		cr_assert(reads(i));
		cr_assert(reads(0), "always the last but one");
		cr_assert(le(sz, stats().bytes, RECORD_CACHE_MIN_BYTES));
	}
	cr_expect(eq(u64, stats().misses, RECORDS));
	cr_expect(eq(u64, stats().hits, RECORDS));
	cr_expect(le(sz, stats().peak, RECORD_CACHE_MIN_BYTES));
	cr_expect(ge(sz, stats().bytes, (RECORD_CACHE_MIN_BYTES / 2) + 1));
	cr_expect(reads(1), "it was given up, and is opened again");
	cr_expect(eq(u64, stats().misses, RECORDS + 1));
}

Test(record_cache, what_is_held_stays_and_comes_on_top)
{
	const struct record_cache_held *held[RECORDS];
	make(RECORD_CACHE_MIN_BYTES, 0);
	for (size_t i = 0; i < RECORDS; i++)
		cr_assert(eq(int,
			record_cache_hold(cache, &shop->ref[i], RECORD_DATA, &held[i], NULL), 0));
	cr_expect(ge(sz, stats().bytes, (RECORDS * RAW_BYTES) + 1));
	for (size_t i = 0; i < RECORDS; i++) {
		cr_expect(eq(int, memcmp(held[i]->data, raw[i], RAW_BYTES), 0));
		record_cache_release(cache, held[i]);
	}
	cr_expect(le(sz, stats().bytes, RECORD_CACHE_MIN_BYTES));
}

Test(record_cache, a_damaged_record_is_an_error_each_time_and_never_kept)
{
	const struct record_cache_held *held;
	struct err err = ERR_INIT;
	make(RECORD_CACHE_DEFAULT_BYTES, 0);
	sealed_records_flip(shop, 3);
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, record_cache_hold(cache, &shop->ref[3], RECORD_DATA, &held, &err),
			-ERR_CORRUPT));
	cr_expect(eq(sz, shop->asked, 3));
	cr_expect(eq(sz, stats().bytes, 0));
	sealed_records_flip(shop, 3);
	cr_expect(reads(3), "as soon as the store brings it whole");
}

Test(record_cache, another_key_or_type_is_no_way_to_what_is_kept)
{
	const struct record_cache_held *held;
	struct err err = ERR_INIT;
	make(RECORD_CACHE_DEFAULT_BYTES, 0);
	cr_assert(reads(0));
	struct ref other = shop->ref[0];
	other.key[5] ^= 1;
	cr_expect(
		eq(int, record_cache_hold(cache, &other, RECORD_DATA, &held, &err), -ERR_CORRUPT));
	cr_expect(lt(int, record_cache_hold(cache, &shop->ref[0], RECORD_NODE, &held, &err), 0));
	other = shop->ref[0];
	other.raw_len = UINT32_MAX;
	other.id[0] ^= 1;
	cr_expect(
		eq(int, record_cache_hold(cache, &other, RECORD_DATA, &held, &err), -ERR_CORRUPT));
}

Test(record_cache, is_a_record_source)
{
	struct buf out = BUF_INIT(2 * RAW_BYTES);
	make(RECORD_CACHE_DEFAULT_BYTES, 0);
	const struct record_source *s = record_cache_source(cache);
	cr_assert(eq(int, s->get(s->self, &shop->ref[1], RECORD_DATA, &out, NULL), 0));
	cr_assert(eq(int, s->get(s->self, &shop->ref[1], RECORD_DATA, &out, NULL), 0));
	cr_expect(eq(int, memcmp(out.data + RAW_BYTES, raw[1], RAW_BYTES), 0));
	cr_expect(eq(sz, shop->asked, 1));
	buf_done(&out);
}

Test(record_cache, reads_ahead_what_it_is_told)
{
	make(RECORD_CACHE_DEFAULT_BYTES, 2);
	for (size_t i = 0; i < 20; i++)
		record_cache_ahead(cache, &shop->ref[i], RECORD_DATA);
	while (stats().ahead < 20) /* the test's own time limit ends it */
		(void)sched_yield();
	for (size_t i = 0; i < 20; i++)
		cr_expect(reads(i));
	cr_expect(eq(u64, stats().misses, 0));
	sealed_records_flip(shop, 30);
	record_cache_ahead(cache, &shop->ref[30], RECORD_DATA);
	record_cache_ahead(cache, &shop->ref[31], RECORD_DATA);
	while (stats().ahead < 21)
		(void)sched_yield();
	cr_expect(not(reads(30)));
}

struct reader {
	pthread_t thread;
	uint64_t seed;
	size_t wrong;
};

static void *read_random(void *arg)
{
	struct reader *r = arg;
	uint64_t x = r->seed;
	for (int i = 0; i < 600; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		r->wrong += !reads((size_t)(x >> 40) % RECORDS);
		if (i % 5 == 0)
			record_cache_ahead(
				cache, &shop->ref[(size_t)(x >> 20) % RECORDS], RECORD_DATA);
	}
	return NULL;
}

Test(record_cache, many_threads_read_right_bytes_within_the_bound)
{
	struct reader readers[8];
	make(RECORD_CACHE_MIN_BYTES, 2);
	for (size_t i = 0; i < 8; i++) {
		readers[i] = (struct reader){ .seed = i + 11 };
		cr_assert(eq(int,
			pthread_create(&readers[i].thread, NULL, read_random, &readers[i]), 0));
	}
	for (size_t i = 0; i < 8; i++) {
		cr_assert(eq(int, pthread_join(readers[i].thread, NULL), 0));
		cr_expect(eq(sz, readers[i].wrong, 0));
	}
	/* eight readers and two threads ahead may hold or fill one record each */
	cr_expect(le(sz, stats().peak, RECORD_CACHE_MIN_BYTES + 10 * (RAW_BYTES + 512)));
	cr_expect(le(sz, stats().bytes, RECORD_CACHE_MIN_BYTES));
}

Test(record_cache, a_record_that_many_want_is_opened_once)
{
	struct reader readers[8];
	make(RECORD_CACHE_DEFAULT_BYTES, 0);
	for (size_t i = 0; i < 8; i++) {
		readers[i] = (struct reader){ .seed = 5 }; /* all the same way */
		cr_assert(eq(int,
			pthread_create(&readers[i].thread, NULL, read_random, &readers[i]), 0));
	}
	for (size_t i = 0; i < 8; i++)
		cr_assert(eq(int, pthread_join(readers[i].thread, NULL), 0));
	cr_expect(le(sz, shop->asked, RECORDS));
	cr_expect(eq(u64, stats().misses, shop->asked));
}

/* A store that brings two records at a time, the second one damaged when asked to. */
static size_t runs_asked;
static bool is_second_bad;
static uint8_t second[2 * RAW_BYTES];

static int bring_run(void *self, const uint8_t *const *ids, size_t count, struct record_run *out,
	struct err *err)
{
	struct sealed_records *s = self;
	(void)err;
	(void)__atomic_add_fetch(&runs_asked, 1, __ATOMIC_RELAXED);
	out->count = 0;
	for (size_t k = 0; k < count && k < 2; k++) {
		size_t i = 0;
		while (memcmp(s->ref[i].id, ids[k], 32) != 0)
			i++;
		const uint8_t *cr = s->cr[i].data;
		struct record_run_item *r = &out->at[out->count++];
		memcpy(r->header, cr, sizeof(r->header));
		r->body = cr + sizeof(r->header);
		r->body_len = s->cr[i].len - sizeof(r->header);
		if (k == 1 && is_second_bad) {
			memcpy(second, r->body, r->body_len);
			second[7] ^= 1;
			r->body = second;
		}
	}
	return 0;
}

Test(record_cache, what_comes_together_is_opened_like_what_comes_alone)
{
	shop->store.get_run = bring_run;
	for (int round = 0; round < 2; round++) {
		is_second_bad = round == 1;
		make(RECORD_CACHE_DEFAULT_BYTES, 1);
		for (size_t i = 0; i < RECORDS; i++)
			record_cache_ahead(cache, &shop->ref[i], RECORD_DATA);
		for (size_t i = 0; i < RECORDS; i++)
			cr_assert(reads(i), "round %d, record %zu", round, i);
		record_cache_free(cache);
		cache = NULL;
	}
}

Test(record_cache, what_is_hardly_wanted_again_is_given_up_first)
{
	const struct record_cache_held *held;
	make(RECORD_CACHE_MIN_BYTES, 0); /* ten records */
	for (size_t i = 0; i < 9; i++)
		cr_assert(reads(i));
	cr_assert(eq(int, record_cache_hold(cache, &shop->ref[9], RECORD_DATA, &held, NULL), 0));
	record_cache_release_first(cache, held);
	cr_assert(reads(10)); /* takes its room */
	const uint64_t misses = stats().misses;
	for (size_t i = 0; i < 9; i++)
		cr_expect(reads(i));
	cr_expect(eq(u64, stats().misses, misses));
	cr_expect(reads(9));
	cr_expect(eq(u64, stats().misses, misses + 1));
}

Test(record_cache, after_a_rest_it_reads_ahead_again)
{
	make(RECORD_CACHE_DEFAULT_BYTES, 2);
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 8; i++)
			record_cache_ahead(cache, &shop->ref[round * 8 + i], RECORD_DATA);
		if (round != 1) { /* with a full queue, too */
			while (stats().ahead < 8)
				(void)sched_yield();
		}
		record_cache_rest(cache);
		for (size_t i = 0; i < 8; i++)
			cr_assert(reads(round * 8 + i));
		if (round == 1)
			continue;
		cr_expect(ge(u64, stats().ahead, 8));
	}
}
