#include "agents/pace.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define MS INT64_C(1000000)

Test(pace, no_limit_is_no_rest)
{
	struct pace p;
	pace_init(&p, 0, 0, 0);
	cr_expect(eq(i64, pace_due(&p, 1, 1000000 * MS), 0));
}

Test(pace, who_used_more_than_the_share_rests_until_it_fits)
{
	struct pace p;
	pace_init(&p, 25, 5000 * MS, 300 * MS);
	cr_expect(eq(i64, pace_due(&p, 5100 * MS, 400 * MS), 300 * MS));
	cr_expect(eq(i64, pace_due(&p, 5400 * MS, 400 * MS), 0));
}

Test(pace, more_than_one_processor_is_a_share_too)
{
	struct pace p;
	pace_init(&p, 200, 0, 0);
	cr_expect(eq(i64, pace_due(&p, 100 * MS, 200 * MS), 0));
	cr_expect(eq(i64, pace_due(&p, 100 * MS, 300 * MS), 50 * MS));
}

Test(pace, a_long_debt_is_paid_in_pieces_and_not_forgotten)
{
	struct pace p;
	pace_init(&p, 10, 0, 0);
	int64_t wall = 5000 * MS;
	for (int i = 0; i < 10; i++) { /* 1 s of work at 10 % takes 10 s */
		int64_t due = pace_due(&p, wall, 1000 * MS);
		cr_expect(eq(i64, due, PACE_REST_MAX_NS));
		wall += due;
	}
	cr_expect(eq(i64, pace_due(&p, wall, 1000 * MS), 0));
}

Test(pace, idle_time_long_ago_gives_no_credit)
{
	struct pace p;
	pace_init(&p, 50, 0, 0);
	cr_expect(eq(i64, pace_due(&p, 3600000 * MS, 0), 0)); /* an idle hour */
	cr_expect(eq(i64, pace_due(&p, 3600100 * MS, 100 * MS), 100 * MS));
}
