#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <string.h>

#include "base/err.h"
#include "controller/audit.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "controller/catalog_report.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller_conf.h"
#include "controller/people.h"
#include "controller/schedule.h"
#include "plans/calendar.h"
#include "web/api_show.h"

/* 2026-08-01T00:00:00Z */
#define AT_MS INT64_C(1785542400000)

static json_t *shown;

static void teardown(void)
{
	json_decref(shown);
	shown = NULL;
}

TestSuite(api_show, .fini = teardown);

static const char *text(const char *key)
{
	const char *t = json_string_value(json_object_get(shown, key));
	return t == NULL ? "(absent)" : t;
}

static bool has(const char *key)
{
	return json_object_get(shown, key) != NULL;
}

/* Does the object hold ${needle} anywhere, in a key or a value? */
static bool tells(const char *needle)
{
	char *all = json_dumps(shown, 0);
	cr_assert(all != NULL);
	bool is_told = strstr(all, needle) != NULL;
	free(all);
	return is_told;
}

Test(api_show, an_agent_shows_its_public_keys_and_neither_request_nor_the_next_key)
{
	struct catalog_agent a = { .id = { 1 },
		.name = "line3",
		.role = MSG_ROLE_CAPTURE,
		.state = AGENT_PENDING,
		.csr = "-----BEGIN CERTIFICATE REQUEST-----",
		.tls_key_hash = { 2 },
		.ik = { 3 },
		.delivery = { 4 },
		.enrolled_ms = AT_MS };
	memset(a.next_key_hash, 0xee, sizeof(a.next_key_hash));
	shown = api_show_agent(&a, false);
	cr_expect(eq(str, (char *)text("id"), "01000000000000000000000000000000"));
	cr_expect(eq(str, (char *)text("state"), "pending"));
	cr_expect(eq(str, (char *)text("enrolled"), "2026-08-01T00:00:00.000Z"));
	cr_expect(not(tells("BEGIN")));
	cr_expect(not(tells("eeee")));
	/* what has not come, or is not of this role, is absent and not zero */
	const char *const absent[] = { "approved", "seen", "certificate_until", "dk", "report_key",
		"report_keyid", "group" };
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		cr_expect(not(has(absent[i])), "%s", absent[i]);
}

Test(api_show, a_sandbox_shows_what_its_reports_are_checked_with)
{
	struct catalog_agent a = { .role = MSG_ROLE_SANDBOX,
		.state = AGENT_ACTIVE,
		.group = "line3",
		.dk = { 5 },
		.report = { 6 } };
	shown = api_show_agent(&a, false);
	cr_expect(all(has("dk"), has("report_key")));
	cr_expect(eq(sz, strlen(text("report_keyid")), 64));
	cr_expect(ne(str, (char *)text("report_keyid"), (char *)text("report_key")));
}

Test(api_show, a_running_job_has_progress_and_one_that_is_to_stop_no_tries_left)
{
	struct catalog_job j = { .id = "ab",
		.verb = MSG_VERB_BACKUP,
		.state = JOB_RUNNING,
		.source = "plant",
		.retries = -1,
		.attempt = 1,
		.progress = { .files = 7 },
		.created_ms = AT_MS,
		.started_ms = AT_MS };
	shown = api_show_job(&j, "line3");
	cr_expect(eq(i64, json_integer_value(json_object_get(shown, "retries_left")), 0));
	cr_expect(eq(i64,
		json_integer_value(json_object_get(json_object_get(shown, "progress"), "files")),
		7));
	cr_expect(not(has("result")));
	cr_expect(not(has("ended")));
	cr_expect(not(has("drill")));
}

Test(api_show, an_ended_job_has_its_result_with_an_error_only_if_there_is_one)
{
	struct catalog_job j = { .state = JOB_DONE,
		.retries = 2,
		.result = { .attempt = 1, .snapshot = "abc" },
		.ended_ms = AT_MS };
	shown = api_show_job(&j, "line3");
	json_t *result = json_object_get(shown, "result");
	cr_expect(not(has("progress")));
	cr_expect(eq(i64, json_integer_value(json_object_get(shown, "retries_left")), 2));
	cr_expect(eq(ptr, json_object_get(result, "error"), NULL));
	json_decref(shown);
	j.state = JOB_FAILED;
	(void)err_set(&j.result.error, ERR_NOSPACE, "the vault is full");
	shown = api_show_job(&j, "line3");
	result = json_object_get(shown, "result");
	cr_expect(eq(str, (char *)json_string_value(json_object_get(result, "error")), "no-space"));
}

Test(api_show, names_that_are_no_text_survive)
{
	struct catalog_snapshot s = {
		.source = "plant", .host = "h\xff", .seq = 3, .receipt_ms = AT_MS
	};
	shown = api_show_snapshot(&s);
	cr_assert(ne(ptr, shown, NULL));
	cr_expect(eq(str, (char *)text("source"), "plant"));
	json_t *host = json_object_get(shown, "host");
	cr_expect(eq(str, (char *)json_string_value(json_object_get(host, "base64")), "aP8="));
	cr_expect(not(has("job")));
}

Test(api_show, a_drill_without_a_report_has_no_verdict)
{
	struct catalog_report r = {
		.exercise = "e", .plan_id = "line3", .plan_version = 2, .declared_ms = AT_MS
	};
	shown = api_show_report(&r);
	cr_expect(not(has("verdict")));
	cr_expect(not(has("ended")));
	cr_expect(not(has("sha256")));
	cr_expect(eq(i64, json_integer_value(json_object_get(shown, "plan_version")), 2));
}

Test(api_show, the_first_audit_record_has_none_before_it)
{
	struct audit_record r = { .number = 1,
		.at_ms = AT_MS,
		.who = "controller",
		.action = "alarm",
		.outcome = "raised",
		.hash = { 9 } };
	shown = api_show_audit(&r);
	cr_expect(not(has("prev")));
	cr_expect(not(has("address")));
	cr_expect(not(has("object")));
	cr_expect(eq(sz, strlen(text("hash")), 64));
}

Test(api_show, a_token_is_a_name_a_role_and_times)
{
	struct people_token t = { .name = "anna", .role = PEOPLE_APPROVER, .made_ms = AT_MS };
	shown = api_show_person(&t);
	cr_expect(eq(str, (char *)text("role"), "approver"));
	cr_expect(eq(sz, json_object_size(shown), 3));
}

Test(api_show, what_is_due_is_told_in_utc_and_in_its_own_zone)
{
	struct err err = ERR_INIT;
	struct controller_schedule s = { .name = "nightly",
		.agent = "line3",
		.plan = "/p/line3",
		.at = "02:00",
		.is_paused = true };
	const struct schedule_due d = { .schedule = &s, .due_ms = AT_MS };
	cr_assert(eq(int, calendar_parse("02:00", "Europe/Berlin", &s.calendar, &err), 0), "%s",
		err.msg);
	shown = api_show_due(&d);
	cr_expect(eq(str, (char *)text("due"), "2026-08-01T00:00:00.000Z"));
	cr_expect(ne(ptr, strstr(text("local"), "02:00"), NULL), "%s", text("local"));
	cr_expect(eq(str, (char *)text("zone"), "Europe/Berlin"));
	cr_expect(not(has("source")));
	cr_expect(eq(ptr, json_object_get(shown, "paused"), json_true()));
	calendar_free(s.calendar);
}
