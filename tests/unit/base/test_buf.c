#include "base/buf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#define LONG ((size_t)1 << 20)
#define KEEP ((size_t)100000)

Test(buf, trimmed_it_has_its_first_bytes_and_its_room_and_no_more_memory)
{
	struct buf b = BUF_INIT(LONG);
	cr_assert(eq(int, buf_reserve(&b, LONG, NULL), 0));
	memset(b.data, 0xaa, LONG);
	b.len = LONG;
	const uint8_t *at = b.data;
	buf_trim(&b, KEEP);
	cr_expect(eq(sz, b.len, KEEP));
	cr_expect(eq(sz, b.cap, LONG));
	cr_expect(eq(int, b.data[0], 0xaa));
	cr_expect(eq(int, b.data[KEEP - 1], 0xaa));
	cr_expect(eq(int, b.data[LONG / 2], 0), "fresh pages");
	cr_assert(eq(int, buf_add_zero(&b, LONG - KEEP, NULL), 0));
	cr_expect(eq(ptr, b.data, (uint8_t *)(uintptr_t)at));
	cr_expect(eq(int, b.data[KEEP - 1], 0xaa));
	buf_done(&b);
}

Test(buf, trimming_what_is_short_or_empty_changes_nothing)
{
	struct buf b = BUF_INIT(LONG);
	buf_trim(&b, 0);
	cr_expect(eq(ptr, b.data, NULL));
	cr_assert(eq(int, buf_add(&b, "abc", 3, NULL), 0));
	buf_trim(&b, KEEP);
	cr_expect(eq(sz, b.len, 3));
	cr_expect(eq(int, memcmp(b.data, "abc", 3), 0));
	buf_done(&b);
}
