#include "restore/report_json.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "restore/report.h"
#include "restore/report_judge.h"
#include "restore/report_parse.h"
#include "tests/lib/report_fixture.h"

static struct report *r;
static struct buf text = BUF_INIT(REPORT_JSON_MAX);
static struct err err;

static void setup(void)
{
	r = report_fixture_good();
	report_judge_run(r);
}

static void teardown(void)
{
	report_free(r);
	buf_done(&text);
}

TestSuite(report_json, .init = setup, .fini = teardown);

static void expect_refused(enum err_code code, const char *message)
{
	cr_expect(eq(int, report_json_encode(r, &text, &err), -(int)code));
	cr_expect(eq(str, err.msg, (char *)message));
	cr_expect(eq(sz, text.len, (size_t)0));
}

/* Write, read, judge, write: the same bytes. */
static void expect_round_trip(struct report *made)
{
	struct report *again = NULL;
	struct buf second = BUF_INIT(REPORT_JSON_MAX);
	report_judge_run(made);
	cr_assert(eq(int, report_json_encode(made, &text, &err), 0), "%s", err.msg);
	cr_assert(eq(int, report_parse_statement(text.data, text.len, &again, &err), 0), "%s",
		err.msg);
	report_judge_run(again);
	cr_assert(eq(int, report_json_encode(again, &second, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, second.len, text.len));
	cr_expect(eq(int, memcmp(second.data, text.data, text.len), 0));
	cr_expect(eq(int, (int)again->verdict.overall, (int)made->verdict.overall));
	report_free(again);
	buf_done(&second);
}

Test(report_json, a_good_report_comes_back_and_is_judged_the_same)
{
	expect_round_trip(r);
}

Test(report_json, a_bad_report_comes_back_and_is_judged_the_same)
{
	struct report *bad = report_fixture_bad();
	expect_round_trip(bad);
	report_free(bad);
}

Test(report_json, a_small_report_comes_back_and_is_judged_the_same)
{
	struct report *small = report_fixture_small();
	expect_round_trip(small);
	report_free(small);
}

Test(report_json, texts_with_controls_and_other_scripts_come_back)
{
	r->exercise.scenario =
		report_text(r, "line 1\nline \"2\"\t\x1b[0m \xe2\x82\xac \xf0\x9f\x8f\xad");
	expect_round_trip(r);
}

Test(report_json, the_subjects_are_the_plan_and_the_snapshots)
{
	r->systems[1]->recovery_point.snapshot_id = NULL;
	cr_assert(eq(int, report_json_encode(r, &text, &err), -ERR_FAILED));
	memset(&r->systems[1]->recovery_point, 0, sizeof(r->systems[1]->recovery_point));
	r->systems[1]->recovery_point.seq = REPORT_NONE;
	r->systems[1]->recovery_point.snapshot_at = REPORT_NONE;
	r->systems[1]->recovery_point.data_as_of = REPORT_NONE;
	cr_assert(eq(int, report_json_encode(r, &text, &err), 0), "%s", err.msg);
	json_t *json = json_loadb((const char *)text.data, text.len, 0, NULL);
	const json_t *subjects = json_object_get(json, "subject");
	cr_assert(eq(sz, json_array_size(subjects), (size_t)3));
	const json_t *plan = json_array_get(subjects, 0), *plc = json_array_get(subjects, 2);
	cr_expect(eq(
		str, (char *)json_string_value(json_object_get(plan, "name")), "plan:bcp-line3"));
	cr_expect(
		eq(str, (char *)json_string_value(json_object_get(plc, "name")), "snapshot:plc3"));
	cr_expect(eq(str,
		(char *)json_string_value(
			json_object_get(json_object_get(plc, "digest"), "sha256")),
		(char *)r->systems[2]->recovery_point.snapshot_id));
	json_decref(json);
}

Test(report_json, what_is_absent_is_absent_never_empty)
{
	struct report *small = report_fixture_small();
	report_judge_run(small);
	cr_assert(eq(int, report_json_encode(small, &text, &err), 0), "%s", err.msg);
	const char *json = buf_cstr(&text);
	report_free(small);
	cr_expect(eq(ptr, strstr(json, "null"), NULL));
	cr_expect(eq(ptr, strstr(json, "\"\""), NULL));
	cr_expect(eq(ptr, strstr(json, "[]"), NULL));
	cr_expect(eq(ptr, strstr(json, "{}"), NULL));
	cr_expect(eq(ptr, strstr(json, "negative_control\""), NULL));
	cr_expect(eq(ptr, strstr(json, "\"cleanup\""), NULL));
	cr_expect(eq(ptr, strstr(json, "\"canary\""), NULL));
	cr_expect(eq(ptr, strstr(json, "\"evidence\""), NULL));
}

Test(report_json, a_missing_member_is_named)
{
	r->systems[1]->checks[2]->type = NULL;
	expect_refused(ERR_FAILED, "unable to write 'systems[1].checks[2].type': it is absent");
}

Test(report_json, a_report_that_was_not_judged_is_refused)
{
	r->verdict.overall = 0;
	expect_refused(ERR_FAILED, "unable to write 'verdict.overall': it is absent");
}

Test(report_json, a_text_in_the_wrong_form_is_named)
{
	r->exercise.exercise_id = "5E0F3C1A-7b7e-4c55-9d39-0a6f1f2b3c4d";
	expect_refused(ERR_FAILED, "unable to write 'exercise.exercise_id': not in its form");
	r->exercise.exercise_id = "5e0f3c1a-7b7e-4c55-9d39-0a6f1f2b3c4d";
	r->plan.sha256 = "a1b2";
	expect_refused(ERR_FAILED, "unable to write 'plan.sha256': not in its form");
}

Test(report_json, numbers_out_of_range_are_named)
{
	r->systems[0]->volume.objects = REPORT_INT_MAX + 1;
	expect_refused(ERR_FAILED, "unable to write 'systems[0].volume.objects': out of range");
	r->systems[0]->volume.objects = -1;
	expect_refused(ERR_FAILED, "unable to write 'systems[0].volume.objects': out of range");
	r->systems[0]->volume.objects = 1;
	r->exercise.started = INT64_MAX / 1000;
	expect_refused(ERR_FAILED, "unable to write 'exercise.started': out of range");
}

Test(report_json, an_enum_value_without_word_is_named)
{
	r->cleanup.rule = 99;
	expect_refused(ERR_FAILED, "unable to write 'cleanup.rule': unknown value 99");
}

Test(report_json, a_report_that_ran_out_of_memory_is_refused)
{
	r->has_failed = true;
	expect_refused(ERR_NOMEM, "unable to write the report: out of memory, or more than 10000 "
				  "items in a list");
}

Test(report_json, a_report_whose_times_are_out_of_order_is_not_signed)
{
	const uint8_t seed[32] = { 1 };
	r->systems[0]->timings.t_started = r->systems[0]->timings.t_restored - 1;
	cr_expect(eq(int, report_json_seal(r, seed, &text, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, text.len, (size_t)0));
}
