#include "restore/drill.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "restore/drill_points_near.h"
#include "tests/lib/drill_fixture.h"
#include "vault/snapshot.h"

__attribute__((constructor)) static void start(int argc, char **argv)
{
	drill_fixture_be_process_1(argc, argv);
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	(void)set;
	drill_fixture_make();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	(void)stats;
	drill_fixture_remove();
}

static struct snapshot_list then;
static struct report *r;

static void teardown(void)
{
	free(then.at);
	report_free(r);
}

TestSuite(drill_system, .timeout = 240, .fini = teardown);

#define HOUR INT64_C(3600000000000)
#define PLAN(checks)                                                                               \
	"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n"                           \
	"{ id = \"batch3\"; type = \"batch_records\"; tier = 1; mtpd = \"12h\"; rto = \"2h\";\n"   \
	"  rpo = \"1h\"; source = \"source:batch3\";\n"                                            \
	"  steps = ( { name = \"restore\"; do = \"restore\"; } ); checks = (\n" checks             \
	" ); } );\n"                                                                               \
	"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n"
#define RECORDS(mandatory, expect)                                                                 \
	"{ id = \"records\"; type = \"open_record\"; mandatory = " mandatory                       \
	"; sample = 5; expect = \"" expect "\"; }"
#define XML "{ id = \"xml\"; type = \"xml\"; mandatory = true; expect = \"all\"; }"

static const struct report_system *drill(const char *plan, void (*change)(struct drill_opts *o))
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, drill_fixture_run(plan, change, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, drill_fixture_left(), 0));
	return r->systems[0];
}

static bool has_finding(const char *text)
{
	for (size_t i = 0; i < r->findings_count; i++) {
		if (strstr(r->findings[i]->description, text) != NULL)
			return true;
	}
	return false;
}

/* Every snapshot as if taken and received 75 minutes ago; what their files say stays of now: it
 * was written by a clock that is ahead. */
static void with_a_clock_ahead(struct drill_opts *o)
{
	struct drill_points_near *near = o->points->self;
	const int64_t at = env_now_ns() - HOUR - HOUR / 4;
	then.at = calloc(near->snapshots->count, sizeof(*then.at));
	cr_assert(then.at != NULL);
	for (then.count = 0; then.count < near->snapshots->count; then.count++) {
		struct snapshot *s = &then.at[then.count];
		*s = near->snapshots->at[then.count];
		s->record.t_start_ns = s->record.t_end_ns = s->body.receipt_ns = at;
	}
	near->snapshots = &then;
}

static void with_a_clock_ahead_of_t0(struct drill_opts *o)
{
	with_a_clock_ahead(o);
	o->declared_ns = env_now_ns() - HOUR;
}

Test(drill_system, data_from_after_its_snapshot_is_a_finding)
{
	const struct report_system *s = drill(PLAN(RECORDS("true", "all")), with_a_clock_ahead);
	cr_expect(has_finding("from after the end of its snapshot"));
	cr_expect(eq(i64, s->recovery_point.data_as_of, s->recovery_point.snapshot_at));
	cr_expect(eq(int, s->result.rpo_met, REPORT_MISSED), "75 minutes are more than an hour");
}

Test(drill_system, data_newer_than_the_disruption_has_no_age)
{
	const struct report_system *s =
		drill(PLAN(RECORDS("true", "all")), with_a_clock_ahead_of_t0);
	cr_expect(eq(int, s->result.rpo_met, REPORT_MET_NOT_DEMONSTRATED));
	cr_expect(eq(i64, s->result.rpa_ms, REPORT_NONE));
	cr_expect(has_finding("the restored data is newer than the declared disruption"));
}

Test(drill_system, a_check_that_failed_tells_no_age)
{
	const struct report_system *s = drill(PLAN(XML ", " RECORDS("false", "==99")), NULL);
	cr_expect(eq(int, s->checks[1]->status, REPORT_STATUS_FAIL));
	cr_expect(eq(i64, s->recovery_point.data_as_of, REPORT_NONE));
	cr_expect(eq(int, s->recovery_point.rpa_basis, REPORT_RPA_SNAPSHOT_TIME));
}
