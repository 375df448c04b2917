#include "vault/id_table.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"

#define MANY 5000

static uint8_t ids[MANY][40];
static const struct id_table_array array = { (const uint8_t *)ids, 40 };

static void setup(void)
{
	for (size_t i = 0; i < MANY; i++) {
		uint8_t number[4];
		bytes_put32(number, (uint32_t)i);
		hash_sha256(number, sizeof(number), ids[i]);
	}
}

TestSuite(id_table, .init = setup);

Test(id_table, finds_every_member_at_its_ordinal_and_nothing_else)
{
	CLEANUP(id_table_done) struct id_table s = { .slots = NULL };
	cr_expect(eq(sz, id_table_find(&s, array, ids[0]), ID_TABLE_NONE));
	for (size_t i = 0; i < MANY / 2; i++)
		cr_assert(eq(int, id_table_add(&s, array, i, NULL), 0));
	for (size_t i = 0; i < MANY / 2; i++)
		cr_assert(eq(sz, id_table_find(&s, array, ids[i]), i));
	for (size_t i = MANY / 2; i < MANY; i++)
		cr_assert(eq(sz, id_table_find(&s, array, ids[i]), ID_TABLE_NONE));
}

Test(id_table, ids_that_share_their_first_bytes_are_told_apart)
{
	CLEANUP(id_table_done) struct id_table s = { .slots = NULL };
	for (size_t i = 0; i < 200; i++) {
		memset(ids[i], 7, 32);
		ids[i][31] = (uint8_t)i;
		cr_assert(eq(int, id_table_add(&s, array, i, NULL), 0));
	}
	for (size_t i = 0; i < 200; i++)
		cr_assert(eq(sz, id_table_find(&s, array, ids[i]), i));
}

Test(id_table, a_cleared_set_is_empty_and_usable)
{
	CLEANUP(id_table_done) struct id_table s = { .slots = NULL };
	cr_assert(eq(int, id_table_add(&s, array, 3, NULL), 0));
	id_table_clear(&s);
	cr_expect(eq(sz, id_table_find(&s, array, ids[3]), ID_TABLE_NONE));
	cr_assert(eq(int, id_table_add(&s, array, 4, NULL), 0));
	cr_expect(eq(sz, id_table_find(&s, array, ids[4]), 4));
}

Test(id_table, an_ordinal_that_does_not_fit_is_refused)
{
	CLEANUP(id_table_done) struct id_table s = { .slots = NULL };
	cr_expect(eq(int, id_table_add(&s, array, UINT32_MAX, NULL), -ERR_LIMIT));
}
