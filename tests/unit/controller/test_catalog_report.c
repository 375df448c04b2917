#include "controller/catalog_report.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

static struct catalog_fixture f;
static struct err err = ERR_INIT;

static void setup(void)
{
	catalog_fixture_init(&f);
}

static void teardown(void)
{
	catalog_fixture_done(&f);
}

TestSuite(catalog_report, .init = setup, .fini = teardown);

static struct catalog_report report_of(const char *exercise, int64_t declared)
{
	struct catalog_report r = { .job = "0123",
		.plan_id = "line3",
		.plan_version = 4,
		.agent_id = { 1, 2 },
		.declared_ms = declared };
	memset(r.plan_sha256, 0x33, 32);
	snprintf(r.exercise, sizeof(r.exercise), "%s", exercise);
	return r;
}

Test(catalog_report, only_what_was_never_begun_is_struck)
{
	struct catalog_report begun = report_of("e1", 10), idle = report_of("e2", 11), got;
	idle.job[0] = '\0';
	cr_assert(eq(int, catalog_report_add(f.db, &begun, &err), 0), "%s", err.msg);
	cr_assert(eq(int, catalog_report_add(f.db, &idle, &err), 0), "%s", err.msg);
	cr_expect(eq(int, catalog_report_drop(f.db, "e1", &err), -ERR_EXISTS));
	cr_expect(eq(int, catalog_report_drop(f.db, "e2", &err), 0));
	cr_expect(eq(int, catalog_report_drop(f.db, "e2", &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_report_get(f.db, "e1", &got, &err), 0));
	cr_expect(eq(int, catalog_report_get(f.db, "e2", &got, &err), -ERR_NOT_FOUND));
}

static char told[64];

static int tell(void *arg, const struct catalog_report *r)
{
	(void)arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s ", r->exercise);
	return strcmp(r->exercise, "stop") == 0 ? 6 : 0;
}

Test(catalog_report, an_exercise_comes_back_and_ends_once_filled_in)
{
	struct catalog_report r = report_of("e1", 10), got;
	cr_assert(eq(int, catalog_report_add(f.db, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, catalog_report_add(f.db, &r, &err), -ERR_EXISTS));
	cr_assert(eq(int, catalog_report_get(f.db, "e1", &got, &err), 0));
	cr_expect(eq(int, memcmp(&got, &r, sizeof(r)), 0));
	struct catalog_report changed = r;
	r.ended_ms = changed.ended_ms = 20;
	memset(r.sha256, 9, 32);
	memset(changed.sha256, 9, 32);
	snprintf(r.verdict, sizeof(r.verdict), "met");
	snprintf(changed.verdict, sizeof(changed.verdict), "met");
	changed.declared_ms = 1;
	changed.plan_version = 99;
	cr_assert(eq(int, catalog_report_set(f.db, &changed, &err), 0));
	cr_assert(eq(int, catalog_report_get(f.db, "e1", &got, &err), 0));
	cr_expect(eq(int, memcmp(&got, &r, sizeof(r)), 0));
}

Test(catalog_report, what_is_not_there_is_not_found)
{
	struct catalog_report r = report_of("e1", 10), got;
	char longest[100];
	memset(longest, 'e', sizeof(longest));
	longest[99] = '\0';
	cr_expect(eq(int, catalog_report_get(f.db, "e1", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_report_get(f.db, longest, &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_report_set(f.db, &r, &err), -ERR_NOT_FOUND));
}

Test(catalog_report, newest_first)
{
	const struct catalog_report all[] = { report_of("e1", 10), report_of("stop", 5),
		report_of("e3", 30) };
	for (size_t i = 0; i < 3; i++)
		cr_assert(eq(int, catalog_report_add(f.db, &all[i], &err), 0));
	cr_expect(eq(int, catalog_report_each(f.db, 2, tell, NULL, &err), 0));
	cr_expect(eq(int, catalog_report_each(f.db, 0, tell, NULL, &err), 6));
	cr_expect(eq(str, told, "e3 e1 e3 e1 stop "));
}
