#include "store/store_readback.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/local/store_local.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "store/store_around.h"
#include "tests/lib/store_scratch.h"

/* A store whose medium is broken: what it is told to spoil is wrong from its barrier on. */
struct spoiler {
	struct store_around around; /* first */
	struct store_mem *mem;      /* borrowed */
	const char *flipped, *lost; /* names, or NULL */
	unsigned wrong;             /* reads that come back wrong from now on */
};

static struct store *s;
static struct spoiler *sp;
static struct store_readback *r;
static struct err err;

static int spoil(void *self, struct err *e)
{
	struct spoiler *x = self;
	int rc = x->around.inner->barrier(x->around.self, e);
	if (rc == 0 && x->flipped != NULL)
		rc = store_mem_flip(x->mem, x->flipped, 3, e);
	if (rc == 0 && x->lost != NULL)
		rc = x->around.inner->remove(x->around.self, x->lost, e);
	return rc;
}

static int misread(void *self, const char *name, struct buf *out, struct err *e)
{
	struct spoiler *x = self;
	const size_t before = out->len;
	int rc = x->around.inner->get(x->around.self, name, out, e);
	if (rc == 0 && x->wrong > 0 && out->len > before) {
		x->wrong--;
		out->data[before] ^= 1;
	}
	return rc;
}

static void end(void *self)
{
	store_around_end(self);
	free(self);
}

static void setup(void)
{
	struct store_mem *mem = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
	sp = calloc(1, sizeof(*sp));
	cr_assert(sp != NULL);
	sp->mem = mem;
	store_around_begin(&sp->around, s, end);
	sp->around.driver.barrier = spoil;
	sp->around.driver.get = misread;
	cr_assert(eq(int, store_readback_add(s, &r, &err), 0));
	err_clear(&err);
}

static void teardown(void)
{
	store_free(s);
}

TestSuite(store_readback, .init = setup, .fini = teardown);

static void put(const char *name, const char *text)
{
	cr_assert(eq(int, store_put(s, name, text, strlen(text), &err), 0), "%s", err.msg);
}

Test(store_readback, a_barrier_ends_when_all_was_read_back_and_counts_it_once)
{
	put("a", "first");
	put("b", "second");
	put("c", "");
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, store_readback_objects(r), 3));
	cr_expect(eq(u64, store_readback_bytes(r), 11));
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, store_readback_objects(r), 3));
}

Test(store_readback, a_flipped_bit_fails_the_barrier_with_the_objects_name)
{
	put("a", "first");
	put("pk/b", "second");
	sp->flipped = "pk/b";
	cr_expect(eq(int, store_barrier(s, &err), -ERR_IO));
	cr_expect(strstr(err.msg, "'pk/b' reads back with other bytes") != NULL, "%s", err.msg);
	cr_expect(eq(int, store_stat(s, "pk/b", NULL, &err), -ERR_NOT_FOUND), "a bad one goes");
	cr_expect(eq(int, store_stat(s, "a", NULL, &err), 0), "a good one stays");
	err_clear(&err);
	sp->flipped = NULL; /* the set was given up: the next one stands for itself */
	put("c", "third");
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
}

Test(store_readback, one_wrong_read_takes_nothing_away_and_two_do)
{
	put("a", "first");
	sp->wrong = 1;
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_stat(s, "a", NULL, &err), 0));
	cr_expect(eq(u64, store_readback_objects(r), 1));
	put("b", "second");
	sp->wrong = 2;
	cr_expect(eq(int, store_barrier(s, &err), -ERR_IO));
	cr_expect(eq(int, store_stat(s, "b", NULL, &err), -ERR_NOT_FOUND));
}

Test(store_readback, an_object_that_is_gone_fails_it_too_but_not_one_that_was_removed)
{
	put("a", "first");
	put("b", "second");
	cr_expect(eq(int, store_remove(s, "b", &err), 0));
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	put("d", "third");
	sp->lost = "d";
	cr_expect(eq(int, store_barrier(s, &err), -ERR_IO));
	cr_expect(strstr(err.msg, "'d' was written and is not there") != NULL, "%s", err.msg);
}

Test(store_readback, pieces_are_compared_as_they_lie_on_a_disk)
{
	struct store *local = NULL;
	struct store_draft *d = NULL;
	struct store_readback *mine = NULL;
	const struct store_local_opts opts = { .create = true };
	cr_assert(eq(int, store_local_open(store_scratch_new(), &opts, &local, &err), 0), "%s",
		err.msg);
	cr_assert(eq(int, store_readback_add(local, &mine, &err), 0));
	cr_assert(eq(int, store_draft_new(local, &d, &err), 0));
	store_draft_free(d);
	cr_assert(eq(int, store_draft_new(local, &d, &err), 0));
	cr_assert(eq(int, store_draft_add(d, "some ", 5, &err), 0));
	cr_assert(eq(int, store_draft_add(d, "good", 4, &err), 0));
	cr_assert(eq(int, store_draft_put(d, "a", &err), 0));
	cr_expect(eq(int, store_barrier(local, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, store_readback_objects(mine), 1));
	cr_expect(eq(u64, store_readback_bytes(mine), 9));
	store_free(local);
	store_scratch_done();
}
