#include "plans/plan_expect.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <locale.h>
#include <math.h>

#include "base/err.h"

static struct plan_expect of(const char *text)
{
	struct plan_expect e = { .kind = PLAN_EXPECT_NONE };
	struct err err = ERR_INIT;
	cr_assert(eq(int, plan_expect_parse(text, &e, &err), 0), "%s", err.msg);
	return e;
}

static bool holds(const char *text, double observed, double manifest)
{
	struct plan_expect e = of(text);
	return plan_expect_holds(&e, observed, manifest);
}

Test(plan_expect, each_operator_compares_as_it_is_written)
{
	cr_expect(holds("==5", 5, NAN) && !holds("==5", 6, NAN));
	cr_expect(holds("!=5", 6, NAN) && !holds("!=5", 5, NAN));
	cr_expect(holds(">=5", 5, NAN) && !holds(">=5", 4, NAN));
	cr_expect(holds("<=5", 5, NAN) && !holds("<=5", 6, NAN));
	cr_expect(holds(">5", 6, NAN) && !holds(">5", 5, NAN));
	cr_expect(holds("<5", 4, NAN) && !holds("<5", 5, NAN));
	cr_expect(holds(">= 5", 5, NAN) && holds("< -1.5", -1.75, NAN));
}

Test(plan_expect, numbers_are_exact_whatever_the_locale)
{
	(void)setlocale(LC_ALL, ""); /* a decimal comma, if the machine has one */
	cr_expect(eq(dbl, of("==0.1").number, 0.1));
	cr_expect(eq(dbl, of("==-12.375").number, -12.375));
	cr_expect(eq(dbl, of("==999999999999999").number, 999999999999999.0));
}

Test(plan_expect, the_manifest_stands_for_what_it_says)
{
	cr_expect(holds("==manifest", 300000, 300000));
	cr_expect(not(holds("==manifest", 299999, 300000)));
	cr_expect(holds(">= manifest", 300001, 300000));
}

Test(plan_expect, all_means_every_one_of_at_least_one)
{
	cr_expect(holds("all", 25, 25));
	cr_expect(not(holds("all", 24, 25)));
	cr_expect(not(holds("all", 26, 25)));
	cr_expect(not(holds("all", 0, 0)));
}

Test(plan_expect, a_lag_is_a_duration_on_either_side)
{
	cr_expect(holds("lag<=10m", 600e9, NAN));
	cr_expect(not(holds("lag<=10m", 600e9 + 1, NAN)));
	cr_expect(not(holds("lag < 10m", 600e9, NAN)));
	cr_expect(holds("lag<=10m", -5e9, NAN));
	cr_expect(not(holds("lag<=10m", -601e9, NAN)));
}

Test(plan_expect, nothing_holds_for_what_is_not_known)
{
	static const char *const forms[] = { "all", "==5", "!=5", "<5", "==manifest", "!=manifest",
		"lag<=10m" };
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		cr_expect(not(holds(forms[i], NAN, 5)), "%s", forms[i]);
	cr_expect(not(holds("all", 5, NAN)));
	cr_expect(not(holds("!=manifest", 5, NAN)));
	struct plan_expect none = { .kind = PLAN_EXPECT_NONE };
	cr_expect(not(plan_expect_holds(&none, 1, 1)));
}

Test(plan_expect, anything_else_is_refused_and_leaves_the_out_alone)
{
	static const char *const wrong[] = { "", "ALL", "all ", "5", "=5", "===5", "=>5",
		">=", ">=x", ">=5x", ">=5.", ">=.5", ">=1e5", ">=1.2.3", ">=0x10",
		">=1234567890123456", ">=nan", ">=inf", ">=--5", "==Manifest", "lag",
		"lag<=", "lag>=10m", "lag==10m", "lag<=10", "lag<=ten", "lag<=-10m", "lagging" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct plan_expect e = { .kind = PLAN_EXPECT_ALL };
		struct err err = ERR_INIT;
		cr_expect(eq(int, plan_expect_parse(wrong[i], &e, &err), -ERR_CONFIG), "%s",
			wrong[i]);
		cr_expect(eq(int, (int)e.kind, PLAN_EXPECT_ALL));
	}
}

Test(plan_expect, operators_have_their_names)
{
	cr_expect(eq(str, (char *)plan_expect_op_name(PLAN_OP_GE), ">="));
	cr_expect(eq(str, (char *)plan_expect_op_name(PLAN_OP_LT), "<"));
}
