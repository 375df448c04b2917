#include "vault/ref_table.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/err.h"
#include "tests/lib/fake_records.h"

static struct ref_table *make(void)
{
	struct ref_table *t = NULL;
	cr_assert(eq(int, ref_table_new(&t, NULL), 0));
	return t;
}

static size_t add(struct ref_table *t, uint32_t n)
{
	struct ref ref = fake_records_data(n);
	size_t index = SIZE_MAX;
	cr_assert(eq(int, ref_table_add(t, &ref, &index, NULL), 0));
	return index;
}

Test(ref_table, refs_keep_their_first_use_order_and_come_once)
{
	struct ref_table *t = make();
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < REF_TABLE_MAX; i++)
			cr_assert(eq(sz, add(t, i * 3), i));
	}
	cr_expect(eq(sz, ref_table_count(t), REF_TABLE_MAX));
	struct ref ref = fake_records_data(300);
	cr_expect(eq(int, memcmp(ref_table_at(t, 100), &ref, sizeof(ref)), 0));
	ref_table_free(t);
}

Test(ref_table, a_full_table_takes_known_refs_only)
{
	struct ref_table *t = make();
	struct ref ref = fake_records_data(REF_TABLE_MAX);
	size_t index = 4711;
	for (uint32_t i = 0; i < REF_TABLE_MAX; i++)
		(void)add(t, i);
	cr_expect(eq(int, ref_table_add(t, &ref, &index, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, index, 4711));
	cr_expect(eq(sz, add(t, 17), 17));
	ref_table_free(t);
}

Test(ref_table, truncated_refs_are_forgotten_and_the_others_found)
{
	struct ref_table *t = make();
	for (uint32_t i = 0; i < 3000; i++)
		(void)add(t, i);
	ref_table_truncate(t, 1000);
	cr_expect(eq(sz, ref_table_count(t), 1000));
	for (uint32_t i = 0; i < 1000; i++)
		cr_assert(eq(sz, add(t, i), i));
	cr_expect(eq(sz, add(t, 2999), 1000));
	ref_table_truncate(t, 0);
	cr_expect(eq(sz, add(t, 5), 0));
	ref_table_free(t);
}

Test(ref_table, one_record_has_one_key_and_one_length)
{
	struct ref_table *t = make();
	struct ref ref = fake_records_data(1);
	size_t index = 4711;
	(void)add(t, 1);
	ref.raw_len--;
	cr_expect(eq(int, ref_table_add(t, &ref, &index, NULL), -ERR_CORRUPT));
	ref.raw_len++;
	ref.key[31] ^= 1;
	cr_expect(eq(int, ref_table_add(t, &ref, &index, NULL), -ERR_CORRUPT));
	cr_expect(eq(sz, index, 4711));
	cr_expect(eq(sz, ref_table_count(t), 1));
	ref_table_free(t);
}

Test(ref_table, encoding_is_the_refs_in_order_or_nothing)
{
	struct ref_table *t = make();
	struct buf out = BUF_INIT(2 * REF_BYTES);
	struct ref ref;
	(void)add(t, 9);
	(void)add(t, 4);
	cr_assert(eq(int, ref_table_encode(t, &out, NULL), 0));
	cr_expect(eq(sz, out.len, 2 * REF_BYTES));
	ref_decode(out.data + REF_BYTES, &ref);
	cr_expect(eq(int, memcmp(&ref, ref_table_at(t, 1), sizeof(ref)), 0));
	cr_expect(eq(int, ref_table_encode(t, &out, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, out.len, 2 * REF_BYTES));
	buf_done(&out);
	ref_table_free(t);
}
