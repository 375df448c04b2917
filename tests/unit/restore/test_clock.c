#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/env.h"
#include "restore/clock.h"

static int64_t wall = 1000000000, mono = 5000000;

static int64_t fake_wall(void)
{
	return wall;
}

static int64_t fake_mono(void)
{
	return mono;
}

static void setup(void)
{
	static struct env_ops ops;
	ops = *env_real();
	ops.now_ns = fake_wall;
	ops.mono_ns = fake_mono;
	(void)env_swap(&ops);
}

static void teardown(void)
{
	(void)env_swap(NULL);
}

TestSuite(clock, .init = setup, .fini = teardown);

Test(clock, a_step_of_the_wall_clock_changes_no_duration)
{
	struct clock c;
	clock_start(&c);
	int64_t before = clock_now_ms(&c);
	wall -= INT64_C(3600) * 1000000000;
	mono += 2000000;
	cr_expect(eq(i64, before, 1000));
	cr_expect(eq(i64, clock_now_ms(&c), 1002));
}

Test(clock, a_mark_is_set_once)
{
	struct clock c;
	struct report *r = report_new();
	cr_assert(r != NULL);
	struct report_system *s = report_add_system(r);
	cr_assert(s != NULL);
	clock_start(&c);
	clock_mark(&c, CLOCK_RESTORED, &s->timings);
	mono += 7000000;
	clock_mark(&c, CLOCK_RESTORED, &s->timings);
	clock_mark(&c, CLOCK_CLEAN, &s->timings);
	cr_expect(eq(i64, s->timings.t_restored, 1000));
	cr_expect(eq(i64, s->timings.t_clean, 1007));
	cr_expect(eq(i64, s->timings.t_started, REPORT_NONE));
	report_free(r);
}
