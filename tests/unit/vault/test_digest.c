#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "vault/digest.h"

TestSuite(digest);

/* The definition of the format page, word by word, with everything in memory. */
static void by_definition(const uint8_t *data, size_t len, uint8_t out[32])
{
	struct hash *outer = hash_new();
	uint8_t head[9] = { 1 };
	bytes_put64(head + 1, len);
	hash_add(outer, head, sizeof(head));
	for (size_t at = 0; at < len; at += DIGEST_BLOCK_BYTES) {
		uint8_t leaf[32];
		struct hash *h = hash_new();
		size_t n = len - at < DIGEST_BLOCK_BYTES ? len - at : DIGEST_BLOCK_BYTES;
		hash_add(h, "\0", 1);
		hash_add(h, data + at, n);
		hash_end(h, leaf);
		hash_free(h);
		hash_add(outer, leaf, sizeof(leaf));
	}
	hash_end(outer, out);
	hash_free(outer);
}

Test(digest, small_files_have_plain_sha256_and_large_ones_blocks)
{
	cr_expect(eq(int, digest_kind(0), ENTRY_DIGEST_SHA256));
	cr_expect(eq(int, digest_kind(16u << 20), ENTRY_DIGEST_SHA256));
	cr_expect(eq(int, digest_kind((16u << 20) + 1), ENTRY_DIGEST_BLOCKS));
}

Test(digest, blocks_equal_the_definition_whatever_the_pieces_and_holes)
{
	struct err err = ERR_INIT;
	size_t len = 3 * DIGEST_BLOCK_BYTES + 12345;
	uint8_t *data = calloc(1, len);
	cr_assert(data != NULL);
	for (size_t i = 0; i < DIGEST_BLOCK_BYTES / 2; i++)
		data[i] = (uint8_t)(i * 7);
	data[len - 1] = 1; /* zeros from the middle of block 0 to the last byte */
	uint8_t want[32];
	uint8_t got[32];
	by_definition(data, len, want);
	struct digest *d = NULL;
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &d, &err), 0));
	for (int round = 0; round < 5; round++) { /* begun anew by end */
		/* its length not told, told, told wrong, told, not told */
		const bool is_wrong = round == 2;
		if (round > 0 && round < 4)
			digest_expect(d, is_wrong ? len + 1 : len);
		digest_add(d, data, 1000);
		digest_add(d, data + 1000, DIGEST_BLOCK_BYTES / 2 - 1000);
		digest_add_zeros(d, len - 1 - DIGEST_BLOCK_BYTES / 2);
		digest_add(d, data + len - 1, 1);
		cr_assert(eq(int, digest_end(d, got, NULL), 0));
		cr_expect(eq(int, memcmp(got, want, 32) == 0, !is_wrong), "round %d", round);
	}
	digest_add(d, data, len);
	cr_assert(eq(int, digest_end(d, got, NULL), 0));
	cr_expect(memcmp(got, want, 32) == 0);
	digest_free(d);
	free(data);
}

Test(digest, plain_digest_with_a_hole_is_that_of_the_zeros)
{
	struct err err = ERR_INIT;
	struct digest *d = NULL;
	static uint8_t data[200000];
	uint8_t want[32];
	uint8_t got[32];
	data[0] = 1;
	hash_sha256(data, sizeof(data), want);
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_SHA256, &d, &err), 0));
	digest_add(d, data, 1);
	digest_add_zeros(d, sizeof(data) - 1);
	cr_assert(eq(int, digest_end(d, got, NULL), 0));
	cr_expect(memcmp(got, want, 32) == 0);
	digest_free(d);
}

Test(digest, one_that_was_ended_serves_for_a_file_of_any_kind)
{
	struct err err = ERR_INIT;
	const enum entry_digest kinds[] = { ENTRY_DIGEST_SHA256, ENTRY_DIGEST_BLOCKS,
		ENTRY_DIGEST_BLOCKS, ENTRY_DIGEST_SHA256, ENTRY_DIGEST_BLOCKS };
	struct digest *again = NULL;
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &again, &err), 0));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct digest *fresh = NULL;
		uint8_t a[32], b[32];
		cr_assert(eq(int, digest_new(kinds[i], &fresh, &err), 0));
		digest_begin(again, kinds[i]);
		for (int n = 0; n < 2; n++) {
			struct digest *d = n == 0 ? again : fresh;
			digest_add(d, "some bytes", i);
			digest_add_zeros(d, 5 * DIGEST_BLOCK_BYTES + i);
		}
		cr_assert(eq(int, digest_end(again, a, &err), 0));
		cr_assert(eq(int, digest_end(fresh, b, &err), 0));
		cr_expect(eq(int, memcmp(a, b, sizeof(a)), 0), "%zu", i);
		digest_free(fresh);
	}
	digest_free(again);
}

Test(digest, a_block_that_is_known_by_its_leaf_counts_as_its_bytes)
{
	struct err err = ERR_INIT;
	const size_t len = 3 * DIGEST_BLOCK_BYTES + 99;
	uint8_t *data = malloc(len);
	uint8_t want[32], got[32], leaf[4][32];
	struct digest *d = NULL;
	cr_assert(data != NULL);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * i >> 7);
	memset(data + DIGEST_BLOCK_BYTES, 0, DIGEST_BLOCK_BYTES);
	by_definition(data, len, want);
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &d, &err), 0));
	for (size_t i = 0; i < 4; i++) {
		const struct hash_part parts[] = { { "", 1 },
			{ data + i * DIGEST_BLOCK_BYTES, i < 3 ? DIGEST_BLOCK_BYTES : 99 } };
		hash_parts(parts, 2, leaf[i]);
	}
	for (size_t known = 0; known <= 4; known++) { /* the first of them by their leaves */
		const size_t rest = known * DIGEST_BLOCK_BYTES;
		for (size_t i = 0; i < known; i++)
			digest_add_leaf(d, leaf[i], i < 3 ? DIGEST_BLOCK_BYTES : 99);
		if (known < 4)
			digest_add(d, data + rest, len - rest);
		cr_assert(eq(int, digest_end(d, got, &err), 0));
		cr_expect(memcmp(got, want, 32) == 0, "%zu by leaf", known);
	}
	digest_free(d);
	free(data);
}
