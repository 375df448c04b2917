#include "plans/plan_order.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "plans/plan.h"

#define MAX 8

/* A plan of systems a, b, c .. made by hand. */
static struct plan plan;
static struct plan_system systems[MAX];
static struct plan_dependency after[MAX][MAX];
static struct plan_step steps[MAX];
static char ids[MAX][2];

static void make(size_t count)
{
	memset(systems, 0, sizeof(systems));
	memset(steps, 0, sizeof(steps));
	plan = (struct plan){ .systems = systems, .system_count = count };
	for (size_t i = 0; i < count; i++) {
		ids[i][0] = (char)('a' + (int)i);
		systems[i].id = ids[i];
		systems[i].tier = 1;
		systems[i].after = after[i];
		systems[i].steps = &steps[i];
		systems[i].step_count = 1;
	}
}

static void wait_for(size_t i, size_t other)
{
	after[i][systems[i].after_count++] =
		(struct plan_dependency){ .id = ids[other], .index = other };
}

/* The order as letters. */
static const char *order(void)
{
	static char text[MAX + 1];
	size_t found[MAX];
	struct err err = ERR_INIT;
	cr_assert(eq(int, plan_order_find(&plan, found, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < plan.system_count; i++)
		text[i] = ids[found[i]][0];
	text[plan.system_count] = '\0';
	return text;
}

Test(plan_order, lower_tiers_first_then_as_written)
{
	make(4);
	cr_expect(eq(str, (char *)order(), "abcd"));
	systems[0].tier = 2;
	systems[1].tier = 3;
	cr_expect(eq(str, (char *)order(), "cdab"));
}

Test(plan_order, a_system_comes_behind_what_it_waits_for_whatever_its_tier)
{
	make(4);
	wait_for(0, 3);
	systems[3].tier = 3;
	wait_for(1, 0);
	cr_expect(eq(str, (char *)order(), "cdab"));
}

Test(plan_order, an_empty_plan_has_an_empty_order)
{
	make(0);
	cr_expect(eq(str, (char *)order(), ""));
	int64_t ns = -1;
	cr_expect(eq(int, plan_order_critical_path(&plan, NULL, &ns, NULL), 0));
	cr_expect(eq(i64, ns, 0));
}

Test(plan_order, unknown_names_are_not_waited_for)
{
	make(2);
	wait_for(0, 1);
	after[0][0].index = PLAN_NO_INDEX;
	cr_expect(eq(str, (char *)order(), "ab"));
}

Test(plan_order, a_cycle_is_named_and_leaves_the_outs_alone)
{
	make(4);
	wait_for(0, 1); /* outside, waits for the cycle */
	wait_for(1, 2);
	wait_for(2, 3);
	wait_for(3, 1);
	size_t found[MAX] = { 77 };
	int64_t ns = 77;
	struct err err = ERR_INIT;
	cr_expect(eq(int, plan_order_find(&plan, found, &err), -ERR_CONFIG));
	cr_expect(eq(str, err.msg, "systems wait for each other: b -> c -> d -> b"));
	cr_expect(eq(sz, found[0], 77));
	cr_expect(eq(int, plan_order_critical_path(&plan, NULL, &ns, &err), -ERR_CONFIG));
	cr_expect(eq(i64, ns, 77));
}

Test(plan_order, every_cycle_is_found_once)
{
	make(5);
	wait_for(0, 0);
	wait_for(2, 3);
	wait_for(3, 2);
	wait_for(4, 3);
	bool done[MAX] = { false };
	size_t cycle[MAX];
	cr_assert(eq(sz, plan_order_cycle(&plan, done, cycle), 1));
	cr_expect(eq(sz, cycle[0], 0));
	cr_assert(eq(sz, plan_order_cycle(&plan, done, cycle), 2));
	cr_expect(eq(sz, cycle[0], 2));
	cr_expect(eq(sz, cycle[1], 3));
	cr_expect(eq(sz, plan_order_cycle(&plan, done, cycle), 0));
}

Test(plan_order, the_critical_path_is_the_longest_sum_of_budgets)
{
	make(4);
	steps[0].budget_ns = 10;
	steps[1].budget_ns = 20;
	steps[2].budget_ns = 5;
	steps[3].budget_ns = 31;
	wait_for(2, 0);
	wait_for(2, 1);
	int64_t finish[MAX];
	int64_t longest = 0;
	cr_assert(eq(int, plan_order_critical_path(&plan, finish, &longest, NULL), 0));
	cr_expect(eq(i64, finish[0], 10));
	cr_expect(eq(i64, finish[1], 20));
	cr_expect(eq(i64, finish[2], 25));
	cr_expect(eq(i64, finish[3], 31));
	cr_expect(eq(i64, longest, 31));
}

Test(plan_order, sums_do_not_wrap_around)
{
	make(2);
	steps[0].budget_ns = INT64_MAX - 1;
	steps[1].budget_ns = 5;
	wait_for(1, 0);
	int64_t longest = 0;
	cr_assert(eq(int, plan_order_critical_path(&plan, NULL, &longest, NULL), 0));
	cr_expect(eq(i64, longest, INT64_MAX));
}
