#include "vault/verify_ages.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static struct verify_ages *ages;
static char dir[] = "/tmp/holdfast-ages.XXXXXX";
static char path[64];
static uint8_t id[5][32];
static struct verify_ages_item items[5];

static void setup(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, verify_ages_new(&ages, &err), 0));
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(path, sizeof(path), "%s/verified", dir); /* fits */
	for (uint8_t i = 0; i < 5; i++) {
		memset(id[i], i + 1, sizeof(id[i]));
		items[i] = (struct verify_ages_item){ .id = id[i], .size = 100 };
	}
}

static void teardown(void)
{
	verify_ages_free(ages);
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(verify_ages, .init = setup, .fini = teardown);

static unsigned left(int64_t older_than, uint64_t budget)
{
	struct err err = ERR_INIT;
	unsigned bits = 0;
	cr_assert(eq(int, verify_ages_choose(ages, items, 5, older_than, budget, 1000, &err), 0));
	for (unsigned i = 0; i < 5; i++)
		bits |= (items[i].is_left ? 1u : 0u) << i;
	return bits;
}

Test(verify_ages, without_a_rule_everything_is_read)
{
	verify_ages_set(ages, id[0], 999);
	cr_expect(eq(uint, left(0, 0), 0));
}

Test(verify_ages, what_was_read_lately_is_left_and_what_was_damaged_never)
{
	verify_ages_set(ages, id[0], 999);
	verify_ages_set(ages, id[1], 900); /* exactly so old: read */
	verify_ages_set(ages, id[2], 901);
	verify_ages_set(ages, id[3], VERIFY_AGES_DAMAGED);
	cr_expect(eq(uint, left(100, 0), 1u << 0 | 1u << 2));
	cr_expect(eq(uint, left(100, 1), 1u << 0 | 1u << 1 | 1u << 2 | 0u << 3)); /* 3, and one */
}

Test(verify_ages, a_budget_takes_the_oldest_first_and_one_at_least)
{
	for (uint8_t i = 0; i < 5; i++)
		verify_ages_set(ages, id[i], 500 - i);
	cr_expect(eq(uint, left(0, 200), 1u << 0 | 1u << 1 | 1u << 2));
	cr_expect(eq(uint, left(0, 1), 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3));
	items[3].size = 1000; /* does not fit any more: what is younger waits as well */
	cr_expect(eq(uint, left(0, 200), 1u << 0 | 1u << 1 | 1u << 2 | 1u << 3));
}

Test(verify_ages, a_time_that_has_not_come_is_not_believed)
{
	verify_ages_set(ages, id[0], 2000);
	cr_expect(eq(uint, left(100, 0), 0));
}

/* Runs of a budget each, one after the other: all is read before anything is read again. */
Test(verify_ages, runs_with_a_budget_get_round)
{
	struct err err = ERR_INIT;
	unsigned seen[5] = { 0 };
	for (int run = 0; run < 10; run++) {
		cr_assert(eq(int, verify_ages_choose(ages, items, 5, 0, 100, 1000 + run, &err), 0));
		for (int i = 0; i < 5; i++) {
			if (items[i].is_left)
				continue;
			seen[i]++;
			verify_ages_set(ages, id[i], 1000 + run);
		}
	}
	for (int i = 0; i < 5; i++)
		cr_expect(eq(uint, seen[i], 2), "%d", i);
}

Test(verify_ages, is_kept_in_a_file_and_forgets_what_is_gone)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, verify_ages_load(ages, path, &err), 0)); /* none yet */
	verify_ages_set(ages, id[0], 77);
	verify_ages_set(ages, id[1], VERIFY_AGES_DAMAGED);
	cr_assert(eq(int, verify_ages_store(ages, path, false, &err), 0), "%s", err.msg);
	for (int i = 0; i < 2; i++) { /* the second time id[1] was forgotten */
		verify_ages_free(ages);
		cr_assert(eq(int, verify_ages_new(&ages, &err), 0));
		cr_assert(eq(int, verify_ages_load(ages, path, &err), 0), "%s", err.msg);
		cr_expect(eq(i64, verify_ages_get(ages, id[0]), 77));
		if (i == 0)
			cr_assert(eq(int, verify_ages_store(ages, path, true, &err), 0));
	}
	cr_expect(eq(i64, verify_ages_get(ages, id[1]), VERIFY_AGES_NEVER));
	cr_expect(eq(i64, verify_ages_get(ages, id[2]), VERIFY_AGES_NEVER));
}

Test(verify_ages, a_file_that_is_none_is_refused)
{
	static const char *const bad[] = { "", "holdfast-verified 2\n",
		"holdfast-verified 1\nx 1\n",
		"holdfast-verified "
		"1\n0101010101010101010101010101010101010101010101010101010101010101 "
		"-2\n",
		"holdfast-verified "
		"1\n0101010101010101010101010101010101010101010101010101010101010101 "
		"1 2\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;
		FILE *f = fopen(path, "w");
		cr_assert(ne(ptr, f, NULL));
		(void)fputs(bad[i], f);
		(void)fclose(f);
		cr_expect(eq(int, verify_ages_load(ages, path, &err), -ERR_CORRUPT), "%zu", i);
	}
}
