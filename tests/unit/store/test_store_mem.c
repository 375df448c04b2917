#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/mem/store_mem.h"

static struct store_mem *m;
static struct store_mem *left;
static struct err err;

static void setup(void)
{
	cr_assert(eq(int, store_mem_new(&m, &err), 0));
}

static void teardown(void)
{
	store_mem_driver.free(m);
	store_mem_driver.free(left);
}

TestSuite(store_mem, .init = setup, .fini = teardown);

static void put(const char *name, const char *text)
{
	cr_assert(eq(int, store_mem_driver.put(m, name, text, strlen(text), &err), 0));
}

static void barrier(void)
{
	cr_assert(eq(int, store_mem_driver.barrier(m, &err), 0));
}

static bool holds(struct store_mem *in, const char *name, const char *text)
{
	struct buf got = BUF_INIT(64);
	bool is_right = store_mem_driver.get(in, name, &got, &err) == 0 &&
			got.len == strlen(text) &&
			(got.len == 0 || memcmp(got.data, text, got.len) == 0);
	buf_done(&got);
	return is_right;
}

Test(store_mem, a_crash_keeps_what_is_visible_and_the_chosen_staged_objects)
{
	put("a", "visible");
	barrier();
	put("z", "staged 0");
	put("c", "staged 1");
	put("b", "staged 2");
	uint64_t size = 0;

	cr_expect(eq(sz, store_mem_staged(m), (size_t)3));
	cr_assert(eq(int, store_mem_crash(m, 1u << 0 | 1u << 2, &left, &err), 0));
	cr_expect(holds(left, "a", "visible") && holds(left, "z", "staged 0"));
	cr_expect(holds(left, "b", "staged 2"));
	cr_expect(eq(int, store_mem_driver.stat(left, "c", &size, &err), -ERR_NOT_FOUND));
	cr_expect(eq(sz, store_mem_staged(left), (size_t)0));
	cr_expect(eq(sz, store_mem_staged(m), (size_t)3));
	barrier();
	cr_expect(holds(m, "c", "staged 1"));
}

Test(store_mem, a_flipped_bit_shows_here_and_not_in_the_copy)
{
	put("a", "content");
	barrier();
	cr_assert(eq(int, store_mem_crash(m, 0, &left, &err), 0));

	cr_expect(eq(int, store_mem_flip(m, "a", 8, &err), 0));
	cr_expect(holds(m, "a", "cnntent"));
	cr_expect(holds(left, "a", "content"));
	cr_expect(eq(int, store_mem_flip(m, "a", 8, &err), 0));
	cr_expect(holds(m, "a", "content"));
	cr_expect(eq(int, store_mem_flip(m, "a", 56, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_mem_flip(m, "b", 0, &err), -ERR_NOT_FOUND));
}

Test(store_mem, a_cut_object_is_shorter_here_and_whole_in_the_copy)
{
	put("a", "content");
	barrier();
	cr_assert(eq(int, store_mem_crash(m, 0, &left, &err), 0));

	cr_expect(eq(int, store_mem_truncate(m, "a", 3, &err), 0));
	cr_expect(holds(m, "a", "con"));
	cr_expect(holds(left, "a", "content"));
	cr_expect(eq(int, store_mem_truncate(m, "a", 4, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_mem_truncate(m, "a", 0, &err), 0));
	cr_expect(holds(m, "a", ""));
	cr_expect(eq(int, store_mem_truncate(m, "b", 0, &err), -ERR_NOT_FOUND));
}

static int remove_seen(void *arg, const char *name, uint64_t size)
{
	(void)size;
	++*(int *)arg;
	return store_mem_driver.remove(m, name, &err);
}

Test(store_mem, a_list_may_remove_what_it_sees)
{
	int count = 0;
	put("a", "1");
	put("b", "2");
	put("c", "3");
	barrier();

	cr_expect(eq(int, store_mem_driver.list(m, "", remove_seen, &count, &err), 0));
	cr_expect(eq(int, count, 3));
	cr_expect(not(holds(m, "b", "2")));
}
