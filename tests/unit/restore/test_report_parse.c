#include "restore/report_parse.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/report.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "tests/lib/report_fixture.h"

static char *good;
static struct err err;

static void setup(void)
{
	struct buf text = BUF_INIT(REPORT_JSON_MAX);
	struct report *r = report_fixture_good();
	report_judge_run(r);
	cr_assert(eq(int, report_json_encode(r, &text, &err), 0), "%s", err.msg);
	good = strdup(buf_cstr(&text));
	report_free(r);
	buf_done(&text);
}

static void teardown(void)
{
	free(good);
}

TestSuite(report_parse, .init = setup, .fini = teardown);

/* The good statement with the first ${from} replaced by ${to}; free it. */
static char *edited(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	cr_assert(ne(ptr, (void *)at, NULL), "%s", from);
	size_t size = strlen(good) + strlen(to) + 1;
	char *text = malloc(size);
	cr_assert(ne(ptr, text, NULL));
	(void)snprintf(text, size, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	return text;
}

static void expect_refused(const char *from, const char *to, int code, const char *message)
{
	struct report *r = NULL;
	char *text = edited(from, to);
	cr_expect(eq(int, report_parse_statement(text, strlen(text), &r, &err), -code), "%s", to);
	cr_expect(eq(ptr, r, NULL));
	cr_expect(ne(ptr, strstr(err.msg, message), NULL), "%s", err.msg);
	free(text);
}

Test(report_parse, members_arrive_where_they_belong)
{
	struct report *r = NULL;
	cr_assert(eq(int, report_parse_statement(good, strlen(good), &r, &err), 0), "%s", err.msg);
	cr_assert(eq(sz, r->systems_count, (size_t)3));
	const struct report_system *batch = r->systems[1];
	cr_expect(eq(str, (char *)batch->system_id, "batch3"));
	cr_expect(eq(str, (char *)batch->depends_on.items[0], "hist3"));
	cr_expect(eq(i64, batch->timings.t_declared, REPORT_FIXTURE_T0));
	cr_expect(eq(i64, batch->rto_ms, 3600000));
	cr_expect(eq(str, (char *)batch->steps[1]->action, "start"));
	cr_expect(eq(int, (int)batch->checks[1]->status, REPORT_STATUS_PASS));
	cr_expect(not(r->systems[2]->checks[1]->is_mandatory));
	cr_expect(eq(int, (int)batch->recovery_point.consistency, REPORT_APPLICATION));
	cr_expect(eq(i64, r->environment.canary.connections_seen, 0));
	cr_expect(eq(ptr, (void *)r->exercise.abort_reason, NULL));
	cr_expect(r->cleanup.is_completed);
	report_free(r);
}

Test(report_parse, members_of_the_wrong_type_or_form_are_named)
{
	expect_refused("\"rto_ms\":1800000", "\"rto_ms\":1800000.5", ERR_CORRUPT,
		"systems[0].rto_ms: must be a whole number");
	expect_refused("\"rto_ms\":1800000", "\"rto_ms\":-1", ERR_CORRUPT,
		"systems[0].rto_ms: is out of range");
	expect_refused("\"rto_ms\":1800000", "\"rto_ms\":9007199254740992", ERR_CORRUPT,
		"systems[0].rto_ms: is out of range");
	expect_refused("\"mandatory\":true", "\"mandatory\":1", ERR_CORRUPT,
		"systems[0].checks[0].mandatory: must be true or false");
	expect_refused("\"overall\":\"pass\"", "\"overall\":\"passed\"", ERR_CORRUPT,
		"verdict.overall: is not one of the words");
	expect_refused("\"overall\":\"pass\"", "\"overall\":1", ERR_CORRUPT,
		"verdict.overall: must be a string");
	expect_refused("\"type\":\"historian\"", "\"type\":\"\"", ERR_CORRUPT,
		"systems[0].type: must not be empty");
	expect_refused("\"type\":\"historian\"", "\"type\":null", ERR_CORRUPT,
		"systems[0].type: must be a string");
	expect_refused(
		"2026-11-24T02:39:53.120Z", "2026-11-24", ERR_CORRUPT, "must be an RFC 3339 time");
	expect_refused("2026-11-24T02:39:53.120Z", "1969-11-24T02:39:53.120Z", ERR_CORRUPT,
		"is out of range");
	expect_refused("\"depends_on\":[\"hist3\"]", "\"depends_on\":[]", ERR_CORRUPT,
		"systems[1].depends_on: must be a list that is not empty");
	expect_refused("\"depends_on\":[\"hist3\"]", "\"depends_on\":[7]", ERR_CORRUPT,
		"systems[1].depends_on: must hold strings");
	expect_refused("\"exercise_id\":\"5", "\"exercise_id\":\"X", ERR_CORRUPT,
		"exercise.exercise_id: must be a lower-case UUID");
}

Test(report_parse, missing_and_unknown_members_are_refused)
{
	expect_refused("\"log\":\"none\",", "", ERR_CORRUPT, "log: is missing");
	expect_refused("\"log\":\"none\",", "\"log\":\"none\",\"extra\":1,", ERR_CORRUPT,
		"report: has a member its schema does not");
	expect_refused("\"tier\":1", "\"tier\":1,\"tiers\":2", ERR_CORRUPT,
		"systems[0]: has a member its schema does not");
	expect_refused("\"tier\":1", "\"tier\":1,\"tier\":1", ERR_CORRUPT, "report");
}

Test(report_parse, another_schema_is_newer_not_damaged)
{
	expect_refused("drill-report/2", "drill-report/3", ERR_UNSUPPORTED,
		"the report is written in 'drill-report/3'");
	expect_refused("drill-report/v2", "drill-report/v3", ERR_UNSUPPORTED,
		"this program reads 'drill-report/2' and older ones");
	/* type and schema are of one version */
	expect_refused("drill-report/2", "drill-report/1", ERR_UNSUPPORTED,
		"the report is written in 'drill-report/1'");
	expect_refused("\"predicateType\"", "\"predicatetype\"", ERR_CORRUPT,
		"the signed text is not a drill report");
}

Test(report_parse, any_other_spelling_of_the_same_report_is_refused)
{
	static const char canonical[] = "not in its canonical form";
	expect_refused("{\"_type\"", "{ \"_type\"", ERR_CORRUPT, canonical);
	expect_refused("02:39:53.120Z", "02:39:53.1200Z", ERR_CORRUPT, canonical);
	expect_refused("02:39:53.120Z", "02:39:53.120+00:00", ERR_CORRUPT, canonical);
	expect_refused("historian", "h\\u0069storian", ERR_CORRUPT, canonical);
	expect_refused(
		"in-toto.io/Statement/v1", "in-toto.io/Statement/v2", ERR_CORRUPT, canonical);
}

Test(report_parse, subjects_that_are_not_those_of_the_report_are_refused)
{
	expect_refused("\"name\":\"snapshot:plc3\"", "\"name\":\"snapshot:plc4\"", ERR_CORRUPT,
		"its subjects are not those of the report");
}

Test(report_parse, no_truncation_is_taken_and_none_crashes)
{
	size_t len = strlen(good);
	for (size_t i = 0; i < len; i += i < 600 ? 1 : 37) {
		struct report *r = NULL;
		cr_expect(eq(int, report_parse_statement(good, i, &r, &err), -ERR_CORRUPT));
		cr_expect(eq(ptr, r, NULL));
	}
}

Test(report_parse, a_statement_over_the_limit_is_not_even_read)
{
	struct report *r = NULL;
	cr_expect(
		eq(int, report_parse_statement(good, REPORT_JSON_MAX + 1, &r, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "the report is larger than 16777216 bytes"));
}
