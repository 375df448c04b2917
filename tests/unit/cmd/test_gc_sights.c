#include "cmd/gc_sights.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static char dir[64];
static char path[96];

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/holdfast-sights-XXXXXX");
	cr_assert(ne(ptr, (void *)mkdtemp(dir), NULL));
	(void)snprintf(path, sizeof(path), "%s/sights", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(gc_sights, .init = setup, .fini = teardown);

static void overwrite(const char *text)
{
	FILE *f = fopen(path, "we");
	cr_assert(ne(ptr, (void *)f, NULL));
	(void)fputs(text, f);
	cr_assert(eq(int, fclose(f), 0));
}

Test(gc_sights, what_was_seen_is_remembered)
{
	struct err err = ERR_INIT;
	struct collect_sight at[2] = { { .session = { 1, 2 }, .number = 7, .since_ns = -5 },
		{ .session = { 9 }, .number = UINT64_MAX, .since_ns = INT64_MAX } };
	uint8_t packs[2][32] = { { 3 }, { 4 } };
	uint8_t open[1][16] = { { 5 } };
	struct collect_sights s = { .at = at,
		.count = 2,
		.packs = packs,
		.pack_count = 2,
		.sessions = open,
		.session_count = 1 };
	struct collect_sights back = { .count = 0 };
	cr_assert(eq(int, gc_sights_load(dir, &back, &err), 0));
	cr_expect(eq(sz, back.count, 0));
	cr_assert(eq(int, gc_sights_store(dir, &s, &err), 0), "%s", err.msg);
	cr_assert(eq(int, gc_sights_load(dir, &back, &err), 0), "%s", err.msg);
	cr_assert(eq(sz, back.count, 2));
	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, memcmp(back.at[i].session, at[i].session, 16), 0));
		cr_expect(eq(u64, back.at[i].number, at[i].number));
		cr_expect(eq(i64, back.at[i].since_ns, at[i].since_ns));
	}
	cr_assert(eq(sz, back.pack_count, 2));
	cr_expect(eq(int, memcmp(back.packs, packs, sizeof(packs)), 0));
	cr_assert(eq(sz, back.session_count, 1));
	cr_expect(eq(int, memcmp(back.sessions, open, sizeof(open)), 0));
	collect_sights_done(&back);
}

Test(gc_sights, another_boot_is_forgotten)
{
	struct err err = ERR_INIT;
	struct collect_sights back = { .count = 0 };
	overwrite("holdfast-sights 1 00000000-0000-0000-0000-000000000000\n"
		  "01020000000000000000000000000000 7 5\n");
	cr_assert(eq(int, gc_sights_load(dir, &back, &err), 0));
	cr_expect(eq(sz, back.count, 0));
}

Test(gc_sights, a_damaged_line_is_told)
{
	static const char *const bad[] = { "0102 7 5\n", "01020000000000000000000000000000 7\n",
		"01020000000000000000000000000000 7 5 x\n",
		"0102000000000000000000000000000g 7 5\n", "pack 01\n", "open zz\n" };
	struct err err = ERR_INIT;
	struct collect_sights s = { .count = 0 };
	struct collect_sights back = { .count = 0 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert(eq(int, gc_sights_store(dir, &s, &err), 0));
		FILE *f = fopen(path, "ae");
		cr_assert(ne(ptr, (void *)f, NULL));
		(void)fputs(bad[i], f);
		cr_assert(eq(int, fclose(f), 0));
		cr_expect(eq(int, gc_sights_load(dir, &back, &err), -ERR_CORRUPT), "%s", bad[i]);
		cr_expect(eq(sz, back.count + back.pack_count + back.session_count, 0));
	}
}
