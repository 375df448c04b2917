#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "vault/block_memo.h"

static struct block_memo *memo;

static void setup(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, block_memo_new(&memo, &err), 0));
}

static void teardown(void)
{
	block_memo_free(memo);
}

TestSuite(block_memo, .init = setup, .fini = teardown);

static void number(uint8_t out[32], uint32_t n)
{
	memset(out, 0x5a, 32);
	bytes_put32(out, n * 2654435761u);
	bytes_put32(out + 4, n);
}

Test(block_memo, finds_every_leaf_that_was_added_and_no_other)
{
	uint8_t key[32], leaf[32];
	number(key, 1);
	cr_expect(block_memo_find(memo, key) == NULL);
	for (uint32_t n = 0; n < 3000; n++) {
		number(key, n);
		number(leaf, n + 7);
		block_memo_add(memo, key, leaf);
		block_memo_add(memo, key, leaf); /* twice is once */
	}
	cr_expect(eq(sz, block_memo_count(memo), 3000));
	for (uint32_t n = 0; n < 3000; n++) {
		number(key, n);
		number(leaf, n + 7);
		const uint8_t *found = block_memo_find(memo, key);
		cr_assert(found != NULL && memcmp(found, leaf, 32) == 0);
	}
	number(key, 3000);
	cr_expect(block_memo_find(memo, key) == NULL);
	memset(key, 0, sizeof(key)); /* of a key that could not be made */
	block_memo_add(memo, key, leaf);
	cr_expect(block_memo_find(memo, key) == NULL);
	cr_expect(eq(sz, block_memo_count(memo), 3000));
}

Test(block_memo, another_piece_in_any_way_is_another_key)
{
	struct extent pieces[3] = {
		{ .offset = 100, .length = 500 },
		{ .is_hole = true, .length = 4096 },
		{ .offset = 0, .length = 7 },
	};
	uint8_t keys[9][32];
	for (size_t i = 0; i < 32; i++)
		pieces[0].ref.id[i] = pieces[0].ref.key[i] = pieces[2].ref.id[i] = (uint8_t)i;
	struct extent other[3];
	for (int way = 0; way < 9; way++) {
		memcpy(other, pieces, sizeof(pieces));
		size_t count = 3;
		switch (way) {
		case 1:
			other[0].ref.id[31] ^= 1;
			break;
		case 2:
			other[0].ref.key[0] ^= 1;
			break;
		case 3:
			other[0].ref.raw_len++;
			break;
		case 4:
			other[0].offset++;
			break;
		case 5:
			other[0].length++;
			break;
		case 6:
			other[1].is_hole = false;
			break;
		case 7:
			count = 2;
			break;
		case 8:
			other[1].length--, other[2].length++;
			break;
		default:
			break;
		}
		block_memo_key(other, count, keys[way]);
		for (int i = 0; i < way; i++)
			cr_expect(memcmp(keys[i], keys[way], 32) != 0, "%d is %d", way, i);
	}
	/* what a hole's ref and offset hold is of no meaning */
	memcpy(other, pieces, sizeof(pieces));
	other[1].offset = 9;
	other[1].ref.id[0] = 9;
	block_memo_key(other, 3, keys[1]);
	cr_expect(memcmp(keys[0], keys[1], 32) == 0);
}
