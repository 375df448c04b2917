#include "vault/index_merge.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_view.h"

static struct vault_fixture f;
static struct err err;

static void setup(void)
{
	vault_fixture_init(&f);
	err_clear(&err);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(index_merge, .init = setup, .fini = teardown);

static void back_up(int n)
{
	char text[32];
	struct backup_result r;
	(void)snprintf(text, sizeof(text), "batch %d complete\n", n);
	const struct fake_file file = { .path = "a",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)text,
		.len = strlen(text),
		.mtime_s = n };
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
}

static int merge(struct index_merge_result *r)
{
	struct collect_view view = { .count = 0 };
	int rc = collect_view_look(f.vault, &view, NULL, NULL, &err);
	if (rc == 0)
		rc = index_merge(f.vault, &view, r, &err);
	collect_view_done(&view);
	return rc;
}

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)name;
	++*(int *)arg;
	return 0;
}

static int segments(void)
{
	int n = 0;
	cr_assert(eq(int, store_list(f.store, "ix/", count_name, &n, &err), 0));
	return n;
}

Test(index_merge, few_segments_are_left_and_many_small_ones_joined)
{
	struct index_merge_result r;
	for (int i = 0; i < INDEX_MERGE_SMALL_MAX; i++)
		back_up(i);
	cr_assert(eq(int, merge(&r), 0), "%s", err.msg);
	cr_expect(eq(u64, r.segments, INDEX_MERGE_SMALL_MAX));
	cr_expect(eq(u64, r.replaced, 0));
	back_up(100);
	cr_assert(eq(int, merge(&r), 0), "%s", err.msg);
	cr_expect(eq(u64, r.replaced, INDEX_MERGE_SMALL_MAX + 1));
	cr_expect(eq(u64, r.written, 1));
	cr_expect(eq(int, segments(), 1));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

static int first_name(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)snprintf(arg, 128, "%s", name);
	return 1;
}

Test(index_merge, what_lists_a_pack_that_is_gone_is_replaced_and_what_cannot_be_read_left)
{
	struct index_merge_result r;
	char name[128];
	back_up(1);
	back_up(2);
	cr_assert(eq(int, store_list(f.store, "ix/", first_name, name, &err), 1));
	cr_assert(eq(int, store_mem_flip(f.mem, name, 100, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", first_name, name, &err), 1));
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	cr_assert(eq(int, merge(&r), 0), "%s", err.msg);
	cr_expect(eq(u64, r.segments, 1)); /* the other one cannot be read */
	cr_expect(le(u64, r.replaced, 1));
	cr_expect(ge(int, segments(), 1));
}
