#include "vault/bundle.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/sample_tree.h"

static uint8_t content[BUNDLE_FILE_BYTES];

/* The ends of the bundles so far. */
struct ends {
	size_t count;
	size_t first[6];
	struct hash *all;
};

static void end_bundle(struct ends *ends, struct bundle *b)
{
	uint8_t raw[4];

	if (ends->count < 6)
		ends->first[ends->count] = b->bytes.len;
	bytes_put32(raw, (uint32_t)b->bytes.len);
	hash_add(ends->all, raw, 4);
	ends->count++;
	bundle_clear(b);
}

Test(bundle, ends_follow_keys_and_lengths_as_in_the_reference)
{
	static const size_t first[] = { 1029006, 583137, 678928, 1033545, 351764, 442065 };
	struct ends ends = { .all = hash_new() };
	uint8_t digest[32];
	char hex[65], key[32];
	struct bundle b;

	bundle_init(&b, sample_tree_key);
	for (unsigned i = 0; i < 4000; i++) {
		size_t len = i * 7919 % 60000 + 1, offset = 0;
		int key_len = snprintf(key, sizeof(key), "d%u/f%05u", i / 1000, i);
		key[2] = 0;
		if (bundle_must_close_before(&b, len))
			end_bundle(&ends, &b);
		size_t before = b.bytes.len;
		cr_assert(eq(int, bundle_add(&b, content, len, &offset, NULL), 0));
		cr_expect(eq(sz, offset, before));
		if (bundle_should_close_after(&b, (const uint8_t *)key, (size_t)key_len))
			end_bundle(&ends, &b);
	}
	if (b.bytes.len > 0)
		end_bundle(&ends, &b);
	hash_end(ends.all, digest);
	hash_free(ends.all);
	cr_expect(eq(sz, ends.count, 196));
	for (size_t i = 0; i < 6; i++)
		cr_expect(eq(sz, ends.first[i], first[i]));
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_hex(digest, 32, hex),
		"5c4475965dd06db2210699caf1fd06960b62abb5add8ac5e8d9681965e13ecd6"));
	bundle_done(&b);
}

Test(bundle, holds_the_contents_at_their_offsets)
{
	struct bundle b;
	size_t at[3];
	bundle_init(&b, sample_tree_key);
	cr_assert(eq(int, bundle_add(&b, "one", 3, &at[0], NULL), 0));
	cr_assert(eq(int, bundle_add(&b, "three", 5, &at[1], NULL), 0));
	cr_expect(eq(sz, at[1], 3));
	cr_expect(eq(int, memcmp(b.bytes.data, "onethree", 8), 0));
	bundle_clear(&b);
	cr_assert(eq(int, bundle_add(&b, "x", 1, &at[2], NULL), 0));
	cr_expect(eq(sz, at[2], 0));
	bundle_done(&b);
}

Test(bundle, never_passes_its_limit)
{
	struct bundle b;
	size_t offset = 99;
	bundle_init(&b, sample_tree_key);
	cr_expect(not(bundle_must_close_before(&b, BUNDLE_FILE_BYTES - 1)));
	for (int i = 0; i < 4; i++)
		cr_assert(
			eq(int, bundle_add(&b, content, BUNDLE_FILE_BYTES - 1, &offset, NULL), 0));
	cr_expect(not(bundle_must_close_before(&b, 4)));
	cr_expect(bundle_must_close_before(&b, 5));
	cr_expect(eq(int, bundle_add(&b, content, 5, &offset, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, offset, 3 * (BUNDLE_FILE_BYTES - 1)));
	cr_expect(eq(int, bundle_add(&b, content, 4, &offset, NULL), 0));
	bundle_done(&b);
}

Test(bundle, takes_small_files_only_and_no_empty_ones)
{
	struct bundle b;
	size_t offset = 99;
	struct err err = ERR_INIT;
	bundle_init(&b, sample_tree_key);
	cr_expect(eq(int, bundle_add(&b, content, BUNDLE_FILE_BYTES, &offset, &err), -ERR_LIMIT));
	cr_expect(eq(str, err.msg, "a file of 262144 bytes does not go into a bundle"));
	cr_expect(eq(int, bundle_add(&b, content, 0, &offset, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, offset, 99));
	bundle_done(&b);
}

Test(bundle, does_not_end_below_the_minimum)
{
	struct bundle b;
	size_t offset;
	bundle_init(&b, sample_tree_key);
	cr_assert(eq(int, bundle_add(&b, content, BUNDLE_FILE_BYTES - 1, &offset, NULL), 0));
	for (unsigned i = 0; i < 1000; i++)
		cr_expect(not(bundle_should_close_after(&b, (uint8_t *)&i, sizeof(i))));
	bundle_done(&b);
}
