#include "restore/report_order.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/err.h"
#include "restore/report.h"
#include "tests/lib/report_fixture.h"

static struct report *r;
static struct err err;

static void setup(void)
{
	r = report_fixture_good();
}

static void teardown(void)
{
	report_free(r);
}

TestSuite(report_order, .init = setup, .fini = teardown);

static void expect_refused(const char *message)
{
	cr_expect(eq(int, report_order_check(r, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, (char *)message));
}

Test(report_order, times_as_a_drill_makes_them_are_in_order)
{
	cr_expect(eq(int, report_order_check(r, &err), 0), "%s", err.msg);
}

Test(report_order, absent_times_order_nothing_but_do_not_hide_the_others)
{
	struct report_timings *t = &r->systems[0]->timings;
	t->t_approved = t->t_sandbox = t->t_started = REPORT_NONE;
	cr_expect(eq(int, report_order_check(r, &err), 0), "%s", err.msg);
	t->t_verified = t->t_restored - 5;
	expect_refused("system hist3: t_restored (2026-11-24 02:40:07 UTC) is after t_verified "
		       "(2026-11-24 02:40:07 UTC), by 5 ms");
}

Test(report_order, a_system_cannot_have_a_disruption_of_its_own)
{
	r->systems[1]->timings.t_declared -= 1;
	expect_refused("system batch3: t_declared is not that of the exercise");
}

Test(report_order, nothing_ends_after_the_exercise)
{
	r->systems[2]->timings.t_clean = r->exercise.ended + 1;
	expect_refused("system plc3: t_clean (2026-11-24 02:41:03 UTC) is after exercise.ended "
		       "(2026-11-24 02:41:03 UTC), by 1 ms");
}

Test(report_order, a_step_lies_within_the_exercise_and_ends_after_it_starts)
{
	struct report_step *p = r->systems[0]->steps[1];
	p->ended = p->started - 1000;
	expect_refused("system hist3, step 2: started (2026-11-24 02:40:07 UTC) is after ended "
		       "(2026-11-24 02:40:06 UTC), by 1000 ms");
	p->ended = REPORT_NONE;
	p->started = r->exercise.started - 60000;
	expect_refused("system hist3, step 2: exercise.started (2026-11-24 02:39:52 UTC) is after "
		       "started (2026-11-24 02:38:52 UTC), by 60000 ms");
	p->started = r->exercise.ended + 1;
	cr_expect(eq(int, report_order_check(r, &err), -ERR_CORRUPT));
}

Test(report_order, an_isolation_check_lies_within_the_exercise)
{
	r->environment.isolation_checks[2]->at = r->exercise.ended + 1;
	cr_expect(eq(int, report_order_check(r, &err), -ERR_CORRUPT));
}

Test(report_order, the_exercise_ends_after_it_starts_and_is_declared)
{
	r->exercise.ended = r->exercise.started - 1;
	cr_expect(eq(int, report_order_check(r, &err), -ERR_CORRUPT));
	r->exercise.ended = r->exercise.t_declared - 1;
	cr_expect(eq(int, report_order_check(r, &err), -ERR_CORRUPT));
}
