#include "store/store_around.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/local/store_local.h"
#include "store/mem/store_mem.h"
#include "tests/lib/store_scratch.h"

static struct err err;
static int ended;

static void end(void *self)
{
	store_around_end(self);
	free(self);
	ended++;
}

static struct store_around *around(struct store *s)
{
	struct store_around *a = calloc(1, sizeof(*a));
	cr_assert(a != NULL);
	store_around_begin(a, s, end);
	return a;
}

static int tally(void *arg, const char *name, uint64_t size)
{
	(void)name;
	*(uint64_t *)arg += size;
	return 0;
}

/* Every verb through two drivers that stand around, one in the other. */
static void use_all(struct store *s, unsigned features)
{
	struct buf got = BUF_INIT(64);
	struct store_draft *d = NULL;
	uint64_t size = 0, total = 0;
	(void)around(s);
	(void)around(s);
	cr_expect(eq(uint, store_features(s), features));
	cr_assert(eq(int, store_put(s, "a/one", "12345", 5, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_draft_new(s, &d, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_draft_add(d, "12", 2, &err), 0));
	cr_assert(eq(int, store_draft_put(d, "a/two", &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_draft_new(s, &d, &err), 0));
	store_draft_free(d);
	cr_assert(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_get(s, "a/one", &got, &err), 0));
	cr_expect(eq(int, store_get_range(s, "a/one", 1, 2, &got, &err), 0));
	cr_expect(eq(str, (char *)buf_cstr(&got), "1234523"));
	cr_expect(eq(int, store_stat(s, "a/two", &size, &err), 0));
	cr_expect(eq(u64, size, 2));
	cr_expect(eq(int, store_remove(s, "a/two", &err), 0));
	cr_expect(eq(int, store_list(s, "", tally, &total, &err), 0));
	cr_expect(eq(u64, total, 5));
	cr_expect(eq(int, store_facts(s, NULL, NULL), 0)); /* neither driver knows any */
	store_free(s);
	cr_expect(eq(int, ended, 2));
	buf_done(&got);
}

Test(store_around, a_driver_with_pieces_and_one_without_do_all_they_did)
{
	struct store_mem *mem = NULL;
	struct store *s = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
	use_all(s, store_mem_driver.features);
	ended = 0;
	const struct store_local_opts opts = { .create = true };
	cr_assert(
		eq(int, store_local_open(store_scratch_new(), &opts, &s, &err), 0), "%s", err.msg);
	use_all(s, STORE_HAS_RANGE | STORE_HAS_IF_ABSENT | STORE_NEEDS_BARRIER);
	store_scratch_done();
}
