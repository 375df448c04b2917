#include "cmd/drill_far.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "restore/report.h"
#include "tests/lib/report_fixture.h"

#define OTHER_ID "00000000-0000-4000-8000-000000000000"
#define OTHER_SHA256 "00000000000000000000000000000000000000000000000000000000000000ff"

static struct report *r;

static void setup(void)
{
	r = report_fixture_good();
}

static void teardown(void)
{
	report_free(r);
}

TestSuite(drill_far, .init = setup, .fini = teardown);

Test(drill_far, the_report_of_another_exercise_is_refused)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, drill_far_check(r, r->exercise.exercise_id, NULL, &err), 0));
	cr_expect(eq(int, drill_far_check(r, OTHER_ID, NULL, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, r->exercise.exercise_id), NULL), "%s", err.msg);
}

/* A controller that drilled a weaker plan has shown nothing of the one that was sent. */
Test(drill_far, the_report_of_another_plan_than_the_one_sent_is_refused)
{
	struct err err = ERR_INIT;
	const char *id = r->exercise.exercise_id;
	cr_expect(eq(int, drill_far_check(r, id, r->plan.sha256, &err), 0));
	cr_expect(eq(int, drill_far_check(r, id, OTHER_SHA256, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, r->plan.sha256), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.msg, OTHER_SHA256), NULL), "%s", err.msg);
}
