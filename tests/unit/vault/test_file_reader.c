#include "vault/file_reader.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/sealed_records.h"
#include "tests/lib/vault_fixture.h"
#include "vault/entry.h"
#include "vault/extent_tree.h"
#include "vault/record_cache.h"

/*
 * A file of 3000 extents: pieces of 300 records, some twice, with a hole each seventh; the same
 * bytes in want.
 */
#define RECORDS 300
#define EXTENTS 3000
#define RECORD_BYTES ((size_t)20000)

static struct sealed_records *shop;
static struct record_cache *cache;
static struct file_reader *file;
static uint8_t *want;
static uint64_t size;
static struct extent list[EXTENTS];
static struct entry entry;
static struct err err;

static void make_cache(size_t max_bytes, unsigned ahead)
{
	const struct record_cache_opts opts = { .max_bytes = max_bytes, .ahead_threads = ahead };
	cr_assert(eq(int, record_cache_new(&shop->store, &opts, &cache, NULL), 0));
	cr_assert(eq(int, file_reader_new(cache, &entry, &file, &err), 0), "%s", err.msg);
}

static void make_content(void)
{
	static uint8_t raw[RECORDS][RECORD_BYTES];
	for (size_t i = 0; i < RECORDS; i++) {
		vault_fixture_noise(raw[i], RECORD_BYTES, i + 1);
		(void)sealed_records_put(shop, raw[i], RECORD_BYTES);
	}
	want = calloc(EXTENTS, RECORD_BYTES);
	cr_assert(want != NULL);
	uint64_t x = 88172645463325252u;
	for (size_t i = 0; i < EXTENTS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		size_t nth = (size_t)(x >> 8) % RECORDS;
		uint64_t offset = (x >> 20) % RECORD_BYTES;
		uint64_t length = (x >> 40) % (RECORD_BYTES - offset) + 1;
		list[i] = (struct extent){ .is_hole = i % 7 == 3, .length = length };
		if (!list[i].is_hole) {
			list[i].ref = shop->ref[nth];
			list[i].offset = offset;
			memcpy(want + size, raw[nth] + offset, length);
		}
		size += length;
	}
}

static void setup(void)
{
	struct extent_tree *t = NULL;
	struct extent_tree_summary s;
	shop = sealed_records_new();
	make_content();
	cr_assert(eq(int, extent_tree_new(&shop->sink, &t, NULL), 0));
	for (size_t i = 0; i < EXTENTS; i++)
		cr_assert(eq(int, extent_tree_add(t, &list[i], NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, &s, NULL), 0));
	extent_tree_free(t);
	entry = (struct entry){ .kind = ENTRY_FILE,
		.size = size,
		.has_extent_tree = true,
		.extent_tree = s.top,
		.extent_height = s.height };
}

static void teardown(void)
{
	file_reader_free(file);
	record_cache_free(cache);
	sealed_records_free(shop);
	free(want);
}

TestSuite(file_reader, .init = setup, .fini = teardown);

static bool is_right(uint64_t offset, size_t len, uint8_t *room)
{
	size_t got = 0;
	if (file_reader_read(file, offset, room, len, &got, NULL) != 0)
		return false;
	size_t there = offset >= size ? 0 : size - offset < len ? (size_t)(size - offset) : len;
	return got == there && (got == 0 || memcmp(room, want + offset, got) == 0);
}

Test(file_reader, any_range_is_what_the_whole_file_has_there)
{
	make_cache(RECORD_CACHE_MIN_BYTES, 0);
	uint8_t *room = malloc(300000);
	uint64_t x = 7;
	cr_assert(eq(u64, file_reader_size(file), size));
	for (int i = 0; i < 4000; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		size_t len =
			i % 3 == 0 ? (x >> 50) % 64 : (x >> 30) % (i % 50 == 0 ? 300000 : 20000);
		uint64_t offset = (x >> 20) % (size + 1000);
		cr_assert(is_right(offset, len, room), "%zu bytes at %llu", len,
			(unsigned long long)offset);
	}
	cr_expect(is_right(size - 1, 10, room));
	cr_expect(is_right(size, 10, room));
	cr_expect(is_right(UINT64_MAX - 5, 10, room));
	struct record_cache_stats s;
	record_cache_get_stats(cache, &s);
	cr_expect(le(sz, s.peak, RECORD_CACHE_MIN_BYTES + 2 * 65536));
	free(room);
}

Test(file_reader, reading_in_order_is_read_ahead_and_jumping_is_not)
{
	struct record_cache_stats s;
	uint8_t *room = malloc(65536);
	make_cache(RECORD_CACHE_DEFAULT_BYTES, 2);
	for (uint64_t at = 0; at < size; at += 65536)
		cr_assert(is_right(at, 65536, room));
	record_cache_get_stats(cache, &s);
	cr_expect(ge(u64, s.ahead, 1));
	file_reader_free(file);
	record_cache_free(cache);
	make_cache(RECORD_CACHE_DEFAULT_BYTES, 2);
	for (uint64_t i = 0; i < 8; i++)
		cr_assert(is_right((i * 3 % 8 + 1) * (size / 10), 4096, room));
	record_cache_get_stats(cache, &s);
	cr_expect(eq(u64, s.ahead, 0));
	free(room);
}

struct reader {
	pthread_t thread;
	uint64_t seed;
	size_t wrong;
};

static void *read_random(void *arg)
{
	struct reader *r = arg;
	uint8_t *room = malloc(50000);
	uint64_t x = r->seed;
	for (int i = 0; i < 1000; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		r->wrong += !is_right((x >> 20) % size, (x >> 45) % 50000, room);
	}
	free(room);
	return NULL;
}

Test(file_reader, one_file_for_many_threads)
{
	struct reader readers[6];
	make_cache(RECORD_CACHE_MIN_BYTES, 2);
	for (size_t i = 0; i < 6; i++) {
		readers[i] = (struct reader){ .seed = i + 3 };
		cr_assert(eq(int,
			pthread_create(&readers[i].thread, NULL, read_random, &readers[i]), 0));
	}
	for (size_t i = 0; i < 6; i++) {
		cr_assert(eq(int, pthread_join(readers[i].thread, NULL), 0));
		cr_expect(eq(sz, readers[i].wrong, 0));
	}
}

Test(file_reader, a_damaged_record_is_an_error_where_it_lies_and_nowhere_else)
{
	uint8_t *room = malloc(RECORD_BYTES);
	make_cache(RECORD_CACHE_DEFAULT_BYTES, 0);
	sealed_records_flip(shop, 17);
	uint64_t at = 0;
	size_t bad = 0;
	for (size_t i = 0; i < EXTENTS; at += list[i++].length) {
		size_t got = 0;
		int rc = file_reader_read(file, at, room, list[i].length, &got, &err);
		bool is_bad = !list[i].is_hole && memcmp(list[i].ref.id, shop->ref[17].id, 32) == 0;
		cr_assert(eq(int, rc, is_bad ? -ERR_CORRUPT : 0), "extent %zu", i);
		cr_assert(eq(sz, got, is_bad ? 0 : list[i].length));
		cr_assert(is_bad || memcmp(room, want + at, got) == 0);
		bad += is_bad;
	}
	cr_expect(ge(sz, bad, 1));
	free(room);
}

Test(file_reader, seeks_data_and_holes)
{
	make_cache(RECORD_CACHE_DEFAULT_BYTES, 0);
	uint64_t at = 0;
	for (size_t i = 0; i < 200; at += list[i++].length) {
		uint64_t found = 0;
		uint64_t middle = at + list[i].length / 2;
		cr_assert(
			eq(int, file_reader_seek(file, middle, list[i].is_hole, &found, &err), 0));
		cr_assert(eq(u64, found, middle));
		cr_assert(
			eq(int, file_reader_seek(file, middle, !list[i].is_hole, &found, &err), 0));
		cr_assert(ge(u64, found, middle + 1));
		if (list[i].is_hole) /* holes stand alone */
			cr_assert(eq(u64, found, at + list[i].length));
	}
	uint64_t found = 0;
	cr_expect(eq(int, file_reader_seek(file, size - 1, true, &found, &err), 0));
	cr_expect(eq(u64, found, list[EXTENTS - 1].is_hole ? size - 1 : size));
	cr_expect(eq(int, file_reader_seek(file, size, true, &found, &err), -ERR_NOT_FOUND));
}

Test(file_reader, an_empty_file_has_no_bytes)
{
	uint8_t byte;
	size_t got = 1;
	uint64_t found;
	entry = (struct entry){ .kind = ENTRY_FILE };
	make_cache(RECORD_CACHE_DEFAULT_BYTES, 0);
	cr_expect(eq(int, file_reader_read(file, 0, &byte, 1, &got, &err), 0));
	cr_expect(eq(sz, got, 0));
	cr_expect(eq(int, file_reader_seek(file, 0, false, &found, &err), -ERR_NOT_FOUND));
}
