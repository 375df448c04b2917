#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "agents/content.h"
#include "base/err.h"

TestSuite(content);

Test(content, neighbours_that_continue_each_other_are_joined)
{
	struct err err = ERR_INIT;
	struct content *c = NULL;
	struct ref a = { .id = { 1 }, .raw_len = 100, .cr_len = 9 };
	struct ref b = { .id = { 2 }, .raw_len = 100, .cr_len = 9 };
	cr_assert(eq(int, content_new(&c, &err), 0));
	cr_assert(eq(int, content_add_hole(c, 10, &err), 0));
	cr_assert(eq(int, content_add_hole(c, 20, &err), 0));
	cr_assert(eq(int, content_add(c, &a, 0, 30, &err), 0));
	cr_assert(eq(int, content_add(c, &a, 30, 5, &err), 0));
	cr_assert(eq(int, content_add(c, &a, 50, 5, &err), 0));
	cr_assert(eq(int, content_add(c, &b, 55, 5, &err), 0));
	cr_expect(eq(sz, c->count, 4));
	cr_expect(eq(u64, c->extents[0].length, 30));
	cr_expect(eq(u64, c->extents[1].length, 35));
	content_free(c);
}

Test(content, bundled_bytes_wait_for_the_ref_of_their_bundle_and_only_they)
{
	struct err err = ERR_INIT;
	struct content *c = NULL;
	struct ref known = { .id = { 1 }, .cr_len = 9 };
	struct ref bundle = { .id = { 5 }, .cr_len = 7 };
	cr_assert(eq(int, content_new(&c, &err), 0));
	cr_assert(eq(int, content_add(c, &known, 0, 3, &err), 0));
	cr_expect(content_is_whole(c));
	cr_assert(eq(int, content_add_bundled(c, 7, 100, 3, &err), 0));
	cr_expect(not(content_is_whole(c)));
	content_resolve(c, &bundle);
	cr_expect(content_is_whole(c));
	cr_expect(eq(u8, c->extents[0].ref.id[0], 1));
	cr_expect(eq(u8, c->extents[1].ref.id[0], 5));
	content_free(c);
}

Test(content, records_that_are_sealed_later_are_told_in_any_order)
{
	struct err err = ERR_INIT;
	struct content *c = NULL;
	struct ref a = { .id = { 1 }, .raw_len = 10, .cr_len = 9 };
	struct ref b = { .id = { 2 }, .raw_len = 20, .cr_len = 9 };
	uint64_t at[2] = { 99, 99 };
	cr_assert(eq(int, content_new(&c, &err), 0));
	cr_assert(eq(int, content_add_hole(c, 5, &err), 0));
	cr_assert(eq(int, content_add_later(c, 10, &at[0], &err), 0));
	cr_assert(eq(int, content_add_later(c, 20, &at[1], &err), 0));
	cr_expect(eq(u64, at[0], 1));
	cr_expect(eq(u64, at[1], 2));
	content_settle(c, at[1], &b);
	cr_expect(not(content_is_whole(c)));
	content_settle(c, at[0], &a);
	cr_expect(content_is_whole(c));
	cr_expect(eq(u8, c->extents[1].ref.id[0], 1));
	cr_expect(eq(u64, c->extents[2].length, 20));
	content_free(c);
}

Test(content, it_lives_until_its_last_user)
{
	struct err err = ERR_INIT;
	struct content *c = NULL;
	cr_assert(eq(int, content_new(&c, &err), 0));
	struct content *same = content_share(c);
	content_free(c);
	cr_expect(eq(int, content_add_hole(same, 1, &err), 0));
	content_free(same);
	content_free(NULL);
}
