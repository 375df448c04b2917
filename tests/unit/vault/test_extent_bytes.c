#include "vault/extent_bytes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

static const char text[] = "a record of one small file and another";
static int gets, borrows, rests, answer;

static int get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	(void)self;
	gets++;
	cr_expect(eq(int, type, RECORD_DATA));
	return answer != 0 ? err_set(err, ERR_NOT_FOUND, "no such record")
			   : buf_add(raw, text, ref->raw_len, err);
}

static int borrow(void *self, const struct ref *ref, enum record_type type, const uint8_t **raw,
	struct err *err)
{
	(void)self;
	(void)ref;
	borrows++;
	cr_expect(eq(int, type, RECORD_DATA));
	if (answer != 0)
		return err_set(err, ERR_NOT_FOUND, "no such record");
	*raw = (const uint8_t *)text;
	return 0;
}

static void rest(void *self)
{
	(void)self;
	rests++;
}

TestSuite(extent_bytes);

static void try_source(const struct record_source *source)
{
	struct extent x = { .ref = { .raw_len = sizeof(text) }, .offset = 2, .length = 6 };
	struct extent_bytes b;
	struct err err = ERR_INIT;
	const uint8_t *data = NULL;
	extent_bytes_init(&b, source);
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, extent_bytes_get(&b, &x, &data, &err), 0), "%s", err.msg);
		cr_expect(eq(int, memcmp(data, "record", 6), 0));
	}
	x.length = sizeof(text) - 2;
	cr_expect(eq(int, extent_bytes_get(&b, &x, &data, &err), 0), "up to its end");
	x.length++;
	cr_expect(eq(int, extent_bytes_get(&b, &x, &data, &err), -ERR_CORRUPT));
	x.offset = UINT32_MAX;
	x.length = 1;
	cr_expect(eq(int, extent_bytes_get(&b, &x, &data, &err), -ERR_CORRUPT));
	x.offset = 0;
	x.length = UINT64_MAX;
	cr_expect(eq(int, extent_bytes_get(&b, &x, &data, &err), -ERR_CORRUPT));
	answer = -ERR_NOT_FOUND;
	cr_expect(eq(int, extent_bytes_get(&b, &x, &data, &err), -ERR_NOT_FOUND));
	extent_bytes_done(&b);
}

Test(extent_bytes, gives_what_lies_in_the_record_and_no_more_from_a_source_that_copies)
{
	const struct record_source source = { .get = get };
	try_source(&source);
	cr_expect(eq(int, gets, 8));
}

Test(extent_bytes, borrows_where_it_can_and_lets_the_source_rest_at_the_end)
{
	const struct record_source source = { .get = get, .borrow = borrow, .rest = rest };
	try_source(&source);
	cr_expect(eq(int, gets, 0));
	cr_expect(eq(int, borrows, 8));
	cr_expect(eq(int, rests, 1));
}
