#include "restore/drill.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"
#include "restore/drill_points.h"
#include "restore/erase_tree.h"
#include "tests/lib/drill_fixture.h"

#define EXERCISE "0b0e3e52-6a3f-4a6e-9d3b-6f1c2d3e4f50"

/* Nothing is there to be restored: what is before and around a drill is all that happens. */
static const char plan_text[] =
	"plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n"
	"{ id = \"plc3\"; type = \"plc_project\"; tier = 2; mtpd = \"12h\"; rto = \"4h\";\n"
	"  rpo = \"7d\"; source = \"source:plc3\";\n"
	"  steps = ( { name = \"restore\"; do = \"restore\"; } );\n"
	"  checks = (\n"
	"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; } ); } "
	");\n"
	"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n";

static char dir[] = "/tmp/drill-begin-XXXXXX";
static char work[64], reports[64];
static struct plan *plan;
static struct report *r;
static struct err err;

__attribute__((constructor)) static void start(int argc, char **argv)
{
	drill_fixture_be_process_1(argc, argv);
}

static int no_point(
	void *self, const char *source, int64_t at_ns, struct drill_point *out, struct err *why)
{
	(void)self, (void)at_ns, (void)out;
	return err_set(why, ERR_NOT_FOUND, "nobody backed '%s' up", source);
}

static int64_t no_newest(void *self, const char *source)
{
	(void)self, (void)source;
	return 0;
}

static void setup(void)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(work, sizeof(work), "%s/work", dir);
	(void)snprintf(reports, sizeof(reports), "%s/reports", dir);
	cr_assert(mkdir(work, 0700) == 0 && mkdir(reports, 0700) == 0);
	cr_assert(eq(int,
		plan_parse("test.plan", plan_text, strlen(plan_text), &plan, &problems, &err), 0));
	conf_problems_done(&problems);
}

static void teardown(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	report_free(r);
	plan_free(plan);
	cr_expect(eq(int, erase_tree_run(top, dir + 1, NULL, NULL), 0));
	(void)close(top);
}

TestSuite(drill_begin, .init = setup, .fini = teardown, .timeout = 120);

static int drill(struct drill_opts o)
{
	static const struct drill_points points = { .open = no_point, .newest = no_newest };
	o.plan = plan;
	o.points = &points;
	o.work = work;
	o.reports = reports;
	o.tool = "holdfast test";
	o.trigger = REPORT_TRIGGER_MANUAL;
	report_free(r);
	r = report_new();
	cr_assert(r != NULL);
	return drill_run(&o, r, &err);
}

static bool is_there(const char *name)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/%s", reports, name);
	return access(path, F_OK) == 0;
}

/* Write a file, as whoever signs does with the report. */
static void put(const char *name)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/%s", reports, name);
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL && fputs("{}\n", f) >= 0 && fclose(f) == 0);
}

/* Whoever orders an exercise twice does not erase what the first one came to. */
Test(drill_begin, an_earlier_report_of_the_same_exercise_stays_with_its_evidence)
{
	const struct drill_opts o = { .exercise = EXERCISE, .since_declared_ms = 5 };
	cr_assert(eq(int, drill(o), 0), "%s", err.msg);
	cr_assert(is_there(EXERCISE "/evidence/drill.log"));
	for (int i = 0; i < 2; i++) {
		put(EXERCISE ".json");
		put(EXERCISE ".html");
		cr_assert(eq(int, drill(o), 0), "%s", err.msg);
		cr_expect(not(is_there(EXERCISE ".json")), "it is for who signs to write it");
	}
	cr_expect(is_there(EXERCISE ".1.json"));
	cr_expect(is_there(EXERCISE ".1.html"));
	cr_expect(is_there(EXERCISE ".1/evidence/drill.log"));
	cr_expect(is_there(EXERCISE ".2.json"));
	cr_expect(is_there(EXERCISE ".2.html"));
	cr_expect(is_there(EXERCISE ".2/evidence/drill.log"));
	cr_expect(is_there(EXERCISE "/evidence/drill.log"));
}

Test(drill_begin, what_a_try_left_that_came_to_no_report_goes)
{
	const struct drill_opts o = { .exercise = EXERCISE, .since_declared_ms = 5 };
	cr_assert(eq(int, drill(o), 0), "%s", err.msg);
	put(EXERCISE "/evidence/stale.log");
	cr_assert(eq(int, drill(o), 0), "%s", err.msg);
	cr_expect(not(is_there(EXERCISE "/evidence/stale.log")));
	cr_expect(not(is_there(EXERCISE ".1")));
}

Test(drill_begin, an_exercise_that_is_ordered_without_end_is_refused)
{
	const struct drill_opts o = { .exercise = EXERCISE, .since_declared_ms = 5 };
	char name[64];
	for (int i = 1; i <= 99; i++) {
		(void)snprintf(name, sizeof(name), EXERCISE ".%d.json", i);
		put(name);
	}
	put(EXERCISE ".json");
	cr_expect(eq(int, drill(o), -ERR_LIMIT));
	cr_expect(is_there(EXERCISE ".json"));
}

Test(drill_begin, what_was_done_of_the_recovery_before_is_after_t0)
{
	const struct drill_opts o = { .spent_ms = 7000 };
	cr_assert(eq(int, drill(o), 0), "%s", err.msg);
	const struct report_timings *t = &r->systems[0]->timings;
	cr_expect(eq(i64, t->t_approved - t->t_declared, 7000));
	cr_expect(eq(i64, r->exercise.t_declared, t->t_declared));
}

Test(drill_begin, a_declared_time_is_t0_whatever_was_done_before)
{
	const struct drill_opts o = { .declared_ns = INT64_C(1795487993120000000),
		.spent_ms = 7000 };
	cr_assert(eq(int, drill(o), 0), "%s", err.msg);
	cr_expect(le(i64, r->exercise.t_declared, 1795487993120));
}
