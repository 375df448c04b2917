#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "agents/cache_file.h"
#include "base/err.h"
#include "tests/lib/store_scratch.h"

static char path[4200];
static const struct file_cache_keys keys = { .id = { 1 }, .mac = { 2 } };
static const uint8_t snap[32] = { 3 };
static struct err err;

static struct cache_file *open_cache(const uint8_t *base)
{
	const struct cache_file_opts opts = { .path = path, .keys = &keys, .base = base };
	struct cache_file *c = NULL;
	cr_assert(eq(int, cache_file_open(&opts, &c, &err), 0), "%s", err.msg);
	return c;
}

Test(cache_file, records_are_found_and_listed_by_ascending_keys_the_first_of_each)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/made/here/cache", dir);
	struct cache_file *c = open_cache(NULL);
	for (uint64_t i = 500; i > 0; i--) {
		const struct file_cache_key key = { i % 250, 7 };
		cr_assert(eq(int, cache_file_add(c, &key, &i, sizeof(i), &err), 0));
	}
	cr_assert(eq(int, cache_file_commit(c, snap, &err), 0), "%s", err.msg);
	cache_file_free(c);

	c = open_cache(snap);
	cr_assert(eq(u64, cache_file_count(c), 250));
	for (uint64_t i = 0; i < 250; i++) {
		struct file_cache_key key;
		uint64_t at, found, record;
		cr_assert(eq(int, cache_file_get(c, i, &key, &at), 1));
		cr_expect(eq(u64, key.fs_id, i));
		cr_assert(eq(int, cache_file_find(c, &key, &found), 1));
		cr_expect(eq(u64, found, at));
		cr_assert(eq(int, cache_file_read(c, at, &record, sizeof(record)), 1));
		cr_expect(eq(u64, record, i == 0 ? 500 : i + 250));
	}
	struct file_cache_key key = { 250, 7 };
	uint64_t at;
	cr_expect(eq(int, cache_file_find(c, &key, &at), 0));
	cr_expect(eq(int, cache_file_get(c, 250, &key, &at), 0));
	const uint64_t end = FILE_CACHE_HEADER_BYTES + 500 * sizeof(uint64_t);
	cr_expect(cache_file_has(c, FILE_CACHE_HEADER_BYTES, 500 * sizeof(uint64_t)));
	cr_expect(not(cache_file_has(c, FILE_CACHE_HEADER_BYTES - 1, 1)));
	cr_expect(not(cache_file_has(c, end, 1)), "the index is no record");
	cr_expect(not(cache_file_has(c, end - 1, UINT64_MAX)));
	cache_file_free(c);
	cache_file_free(NULL);
	store_scratch_done();
}
