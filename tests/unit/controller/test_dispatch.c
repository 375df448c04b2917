#include "controller/dispatch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define START INT64_C(1800000000000)

static struct catalog_fixture f;
static struct dispatch *d;
static struct err err;
static struct env_ops ops;
static int64_t now, mono;
static const uint8_t agent[16] = { 0xaa }, other[16] = { 0xbb };
static int ends, alarms, readies, fill_rc;
static char alarm_text[700];
static struct catalog_job ended;

static int64_t fake_now(void)
{
	return now * 1000000;
}

static int64_t fake_mono(void)
{
	return mono * 1000000;
}

static int fill(void *arg, const struct catalog_job *j, struct msg_order *out, struct err *e)
{
	(void)arg;
	(void)snprintf(out->exercise, sizeof(out->exercise), "%s", j->drill);
	return fill_rc == 0 ? 0 : err_set(e, (enum err_code) - fill_rc, "no such plan");
}

static char dropped[200];

static void drop(void *arg, const struct catalog_job *j)
{
	(void)arg;
	(void)snprintf(
		dropped + strlen(dropped), sizeof(dropped) - strlen(dropped), "%s ", j->drill);
}

static void on_end(void *arg, const struct catalog_job *j)
{
	(void)arg;
	ended = *j;
	ends++;
}

static void on_alarm(void *arg, const struct catalog_job *j, const char *text)
{
	(void)arg;
	(void)j;
	(void)snprintf(alarm_text, sizeof(alarm_text), "%s", text);
	alarms++;
}

static void on_ready(void *arg, const uint8_t id[16])
{
	(void)arg;
	(void)id;
	readies++;
}

static void begin(int64_t max_running)
{
	const struct dispatch_opts o = { .db = f.db,
		.max_running = max_running,
		.fill_drill = fill,
		.drop_drill = drop,
		.on_end = on_end,
		.on_alarm = on_alarm,
		.on_ready = on_ready };
	dispatch_free(d);
	d = NULL;
	cr_assert(eq(int, dispatch_new(&o, &d, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	now = START;
	mono = 1000;
	(void)env_swap(&ops);
	catalog_fixture_init(&f);
	d = NULL;
	ends = alarms = readies = fill_rc = 0;
	begin(4);
}

static void teardown(void)
{
	dispatch_free(d);
	catalog_fixture_done(&f);
	(void)env_swap(NULL);
}

TestSuite(dispatch, .init = setup, .fini = teardown);

static void pass(int64_t ms)
{
	now += ms;
	mono += ms;
	(void)dispatch_tick(d, now);
}

static struct catalog_job backup_of(const uint8_t *id, const char *source)
{
	struct catalog_job j = {
		.verb = MSG_VERB_BACKUP, .due_ms = now, .retries = 1, .retry_after_ms = MINUTE
	};
	memcpy(j.agent_id, id, 16);
	(void)snprintf(j.source, sizeof(j.source), "%s", source);
	return j;
}

static struct catalog_job order(const char *source)
{
	struct catalog_job j = backup_of(agent, source);
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0), "%s", err.msg);
	return j;
}

/* The next order is of ${j}, attempt ${attempt}. */
static void runs(const struct catalog_job *j, int64_t attempt)
{
	struct msg_order o = { .attempt = 0 };
	cr_assert(eq(int, dispatch_next(d, j->agent_id, &o, &err), 1));
	cr_expect(eq(str, o.job, (char *)j->id));
	cr_expect(eq(i64, o.attempt, attempt));
	msg_work_order_done(&o);
}

static void has_none(const uint8_t *id)
{
	struct msg_order o = { .attempt = 0 };
	cr_expect(eq(int, dispatch_next(d, id, &o, &err), 0));
}

static int progress(const struct catalog_job *j, int64_t attempt, struct msg_go *go)
{
	const struct msg_progress p = { .attempt = attempt, .phase = "backup", .files = 3 };
	return dispatch_progress(d, j->agent_id, j->id, &p, go, &err);
}

static int result(const struct catalog_job *j, int64_t attempt, int code)
{
	struct msg_result r = { .attempt = attempt };
	if (code != 0)
		(void)err_set(&r.error, (enum err_code)code, "it went wrong");
	return dispatch_result(d, j->agent_id, j->id, &r, &err);
}

static void is_in(const struct catalog_job *j, enum catalog_job_state state, const char *reason)
{
	struct catalog_job n;
	cr_assert(eq(int, catalog_job_get(f.db, j->id, &n, &err), 0));
	cr_expect(eq(str, (char *)catalog_job_state_name(n.state),
			  (char *)catalog_job_state_name(state)),
		"%s", n.reason);
	cr_expect(strstr(n.reason, reason) != NULL, "'%s' is not in: %s", reason, n.reason);
}

static char outcomes[200];

static int note(void *arg, const struct catalog_attempt *a)
{
	(void)arg;
	size_t n = strlen(outcomes);
	(void)snprintf(outcomes + n, sizeof(outcomes) - n, "%d:%s ", (int)a->number, a->outcome);
	return 0;
}

static void had_attempts(const struct catalog_job *j, const char *all)
{
	outcomes[0] = '\0';
	cr_assert(eq(int, catalog_job_each_attempt(f.db, j->id, note, NULL, &err), 0));
	cr_expect(eq(str, outcomes, (char *)all));
}

Test(dispatch, a_job_is_given_out_watched_and_done)
{
	struct catalog_job j = order("s");
	struct msg_go go;
	has_none(other);
	runs(&j, 1);
	has_none(agent);
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	cr_expect(go.go);
	is_in(&j, JOB_RUNNING, "");
	cr_expect(eq(int, dispatch_committed(d, j.id, "abcd", &err), 0));
	cr_expect(eq(int, result(&j, 1, 0), 0));
	is_in(&j, JOB_DONE, "");
	cr_expect(eq(int, ends, 1));
	cr_expect(eq(str, ended.result.snapshot, "abcd"));
	cr_expect(eq(int, alarms, 0));
	/* the answer was lost: the same again is fine and changes nothing */
	cr_expect(eq(int, result(&j, 1, 0), 0));
	cr_expect(eq(int, ends, 1));
	cr_expect(eq(int, progress(&j, 1, &go), -ERR_INTERRUPTED));
	had_attempts(&j, "1:done ");
}

Test(dispatch, a_source_has_one_job_at_a_time)
{
	struct catalog_job j = order("s"), again = backup_of(agent, "s"),
			   elsewhere = backup_of(other, "s");
	cr_expect(eq(int, dispatch_order(d, &again, &err), -ERR_EXISTS));
	cr_expect(strstr(err.msg, j.id) != NULL, "%s", err.msg);
	cr_expect(eq(int, dispatch_order(d, &elsewhere, &err), 0));
	runs(&j, 1);
	cr_expect(eq(int, dispatch_order(d, &again, &err), -ERR_EXISTS));
	(void)dispatch_committed(d, j.id, "ab", &err);
	cr_expect(eq(int, result(&j, 1, 0), 0));
	cr_expect(eq(int, dispatch_order(d, &again, &err), 0));
}

Test(dispatch, a_success_without_a_snapshot_is_none)
{
	struct catalog_job j = order("s");
	runs(&j, 1);
	struct msg_result r = { .attempt = 1, .snapshot = "abcd" };
	cr_expect(eq(int, dispatch_result(d, agent, j.id, &r, &err), 0));
	is_in(&j, JOB_WAITING, "none was committed");
}

Test(dispatch, no_more_run_than_may_and_drills_go_first)
{
	begin(2);
	struct catalog_job a = order("a"), b = order("b"), c = order("c");
	struct catalog_job drill = { .verb = MSG_VERB_DRILL, .due_ms = now, .drill = "exercise" };
	memcpy(drill.agent_id, agent, 16);
	cr_assert(eq(int, dispatch_order(d, &drill, &err), 0), "%s", err.msg);
	runs(&drill, 1);
	struct catalog_job *rest[] = { &a, &b, &c };
	struct msg_order o = { .attempt = 0 };
	cr_assert(eq(int, dispatch_next(d, agent, &o, &err), 1));
	has_none(agent);
	dispatch_set_max_running(d, 3);
	pass(0);
	cr_expect(readies > 0);
	struct msg_order p = { .attempt = 0 };
	cr_assert(eq(int, dispatch_next(d, agent, &p, &err), 1));
	int found = 0;
	for (int i = 0; i < 3; i++)
		found += strcmp(rest[i]->id, o.job) == 0 || strcmp(rest[i]->id, p.job) == 0;
	cr_expect(eq(int, found, 2));
	has_none(agent);
}

Test(dispatch, what_is_not_due_yet_waits)
{
	struct catalog_job j = backup_of(agent, "s");
	j.due_ms = now + MINUTE;
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0));
	has_none(agent);
	cr_expect(dispatch_tick(d, now) <= now + MINUTE);
	pass(MINUTE);
	cr_expect(eq(int, readies, 1));
	runs(&j, 1);
}

Test(dispatch, a_lease_that_ends_gives_the_attempt_up_for_good)
{
	struct catalog_job j = order("s"), n;
	struct msg_go go;
	runs(&j, 1);
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	pass(MSG_LEASE_MS - 1);
	is_in(&j, JOB_RUNNING, "");
	cr_expect(eq(int, dispatch_touch(d, agent, j.id, 1, &n, &err), 0));
	pass(MSG_LEASE_MS - 1);
	is_in(&j, JOB_RUNNING, "");
	pass(1);
	is_in(&j, JOB_WAITING, "nothing was heard");
	cr_expect(eq(int, alarms, 1));
	cr_expect(eq(int, dispatch_touch(d, agent, j.id, 1, &n, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, result(&j, 1, 0), -ERR_INTERRUPTED));
	has_none(agent); /* the wait before the next try */
	pass(MINUTE);
	runs(&j, 2);
	cr_expect(eq(int, result(&j, 1, 0), -ERR_INTERRUPTED));
	cr_expect(eq(int, progress(&j, 1, &go), -ERR_INTERRUPTED));
	cr_expect(eq(int, progress(&j, 2, &go), 0));
	pass(MSG_LEASE_MS);
	is_in(&j, JOB_FAILED, "nothing was heard");
	cr_expect(eq(int, result(&j, 2, 0), -ERR_INTERRUPTED));
	cr_expect(eq(int, dispatch_touch(d, other, j.id, 2, &n, &err), -ERR_NOT_FOUND));
	had_attempts(&j, "1:lost 2:failed ");
}

Test(dispatch, an_order_whose_answer_was_lost_is_given_again)
{
	struct catalog_job j = order("s");
	struct msg_go go;
	runs(&j, 1);
	pass(MSG_PROGRESS_MS);
	has_none(agent);
	pass(5000);
	cr_expect(eq(int, readies, 1));
	runs(&j, 1);
	has_none(agent);
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	pass(30000);
	has_none(agent);
}

Test(dispatch, a_failure_is_tried_again_only_where_that_may_help)
{
	struct catalog_job a = order("a"), b = order("b");
	struct msg_order o = { .attempt = 0 };
	cr_assert(eq(int, dispatch_next(d, agent, &o, &err), 1));
	cr_assert(eq(int, dispatch_next(d, agent, &o, &err), 1));
	cr_expect(eq(int, result(&a, 1, ERR_UNREACHABLE), 0));
	is_in(&a, JOB_WAITING, "it went wrong");
	cr_expect(eq(int, alarms, 0));
	cr_expect(eq(int, result(&b, 1, ERR_CONFIG), 0));
	is_in(&b, JOB_FAILED, "it went wrong");
	cr_expect(eq(int, alarms, 1));
}

Test(dispatch, waits_between_tries_double)
{
	struct catalog_job j = backup_of(agent, "s");
	j.retries = 3;
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0));
	runs(&j, 1);
	cr_expect(eq(int, result(&j, 1, ERR_IO), 0));
	pass(MINUTE);
	runs(&j, 2);
	cr_expect(eq(int, result(&j, 2, ERR_IO), 0));
	pass(2 * MINUTE - 1);
	has_none(agent);
	pass(1);
	runs(&j, 3);
	cr_expect(eq(int, result(&j, 3, ERR_IO), 0));
	pass(4 * MINUTE - 1);
	has_none(agent);
	pass(1);
	runs(&j, 4);
	cr_expect(eq(int, result(&j, 4, ERR_IO), 0));
	is_in(&j, JOB_FAILED, "it went wrong");
}

Test(dispatch, what_did_not_begin_in_time_is_missed)
{
	struct catalog_job j = backup_of(agent, "s");
	j.start_by_ms = now + MINUTE;
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0));
	cr_expect(dispatch_tick(d, now) <= now + MINUTE + 1);
	pass(MINUTE);
	is_in(&j, JOB_WAITING, "");
	pass(1);
	is_in(&j, JOB_MISSED, "did not begin in time");
	cr_expect(eq(int, alarms, 1));
	has_none(agent);
}

Test(dispatch, a_retry_whose_agent_stays_away_ends_too)
{
	struct catalog_job j = backup_of(agent, "s");
	j.start_by_ms = now + MINUTE;
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0));
	runs(&j, 1);
	cr_expect(eq(int, result(&j, 1, ERR_IO), 0));
	pass(2 * MINUTE);
	is_in(&j, JOB_WAITING, "");
	pass(1);
	is_in(&j, JOB_FAILED, "it went wrong; the next try");
}

Test(dispatch, a_run_past_its_deadline_is_stopped_and_not_tried_again)
{
	struct catalog_job j = backup_of(agent, "s"), n;
	struct msg_go go;
	j.deadline_ms = 90 * SECOND;
	cr_assert(eq(int, dispatch_order(d, &j, &err), 0));
	runs(&j, 1);
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int, progress(&j, 1, &go), 0));
		cr_expect(go.go);
		pass(20 * SECOND);
	}
	pass(10 * SECOND);
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	cr_expect(not(go.go));
	cr_expect(strstr(go.why, "deadline") != NULL);
	cr_expect(eq(int, dispatch_touch(d, agent, j.id, 1, &n, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, result(&j, 1, ERR_INTERRUPTED), 0));
	is_in(&j, JOB_FAILED, "longer than its deadline of 1 min 30 s");
}

Test(dispatch, a_job_is_canceled_at_once_or_at_its_next_progress)
{
	struct catalog_job a = order("a"), b = backup_of(agent, "b");
	struct msg_go go;
	runs(&a, 1);
	cr_assert(eq(int, dispatch_order(d, &b, &err), 0));
	cr_expect(eq(int, dispatch_cancel(d, b.id, "anna", &err), 0));
	is_in(&b, JOB_CANCELED, "canceled by anna");
	cr_expect(eq(int, dispatch_cancel(d, a.id, "anna", &err), 0));
	is_in(&a, JOB_RUNNING, "canceled by anna");
	begin(4); /* it is remembered */
	cr_expect(eq(int, progress(&a, 1, &go), 0));
	cr_expect(not(go.go));
	/* progress alone does not keep it */
	pass(MSG_LEASE_MS);
	is_in(&a, JOB_CANCELED, "canceled by anna");
	cr_expect(eq(int, dispatch_cancel(d, a.id, "anna", &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, result(&a, 1, ERR_INTERRUPTED), -ERR_INTERRUPTED));
}

Test(dispatch, a_revoked_agent_has_no_jobs_left)
{
	struct catalog_job running = order("a"); /* with a try left */
	runs(&running, 1);
	struct catalog_job waiting = order("b"), others = backup_of(other, "a");
	cr_assert(eq(int, dispatch_order(d, &others, &err), 0));
	cr_expect(eq(int, dispatch_drop(d, agent, &err), 0), "%s", err.msg);
	is_in(&running, JOB_FAILED, "its agent was revoked");
	is_in(&waiting, JOB_CANCELED, "canceled by the revocation of its agent");
	has_none(agent);
	runs(&others, 1);
}

Test(dispatch, committed_and_then_lost_is_done)
{
	struct catalog_job j = order("s");
	runs(&j, 1);
	cr_expect(eq(int, dispatch_committed(d, j.id, "ab12", &err), 0));
	cr_expect(eq(int, dispatch_hello(d, agent, &err), 0));
	is_in(&j, JOB_DONE, "its snapshot is durable");
	/* and when the commit ends only after the agent was given up */
	struct catalog_job k = order("s");
	runs(&k, 1);
	cr_expect(eq(int, dispatch_hello(d, agent, &err), 0));
	is_in(&k, JOB_WAITING, "began anew");
	cr_expect(eq(int, dispatch_committed(d, k.id, "ab13", &err), 0));
	is_in(&k, JOB_DONE, "");
	/* also when it had no try left; but what a person took back stays so */
	struct catalog_job m = order("s");
	m.retries = 0;
	cr_assert(eq(int, catalog_job_set(f.db, &m, &err), 0));
	runs(&m, 1);
	cr_expect(eq(int, dispatch_hello(d, agent, &err), 0));
	is_in(&m, JOB_FAILED, "began anew");
	cr_expect(eq(int, dispatch_committed(d, m.id, "ab15", &err), 0));
	is_in(&m, JOB_DONE, "became durable");
	struct catalog_job n = order("s");
	cr_expect(eq(int, dispatch_cancel(d, n.id, "anna", &err), 0));
	cr_expect(eq(int, dispatch_committed(d, n.id, "ab16", &err), 0));
	is_in(&n, JOB_CANCELED, "anna");
	/* and when it says it failed after its snapshot was there */
	struct catalog_job l = order("s");
	runs(&l, 1);
	cr_expect(eq(int, dispatch_committed(d, l.id, "ab14", &err), 0));
	cr_expect(eq(int, result(&l, 1, ERR_IO), 0));
	is_in(&l, JOB_WARNINGS, "it went wrong");
}

Test(dispatch, a_restart_gives_running_jobs_a_new_lease)
{
	struct catalog_job j = order("s");
	struct msg_go go;
	runs(&j, 1);
	now += 10 * MINUTE;
	mono += 10 * MINUTE;
	begin(4);
	pass(0);
	is_in(&j, JOB_RUNNING, "");
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	cr_expect(go.go);
}

Test(dispatch, a_clock_that_is_set_ends_no_lease_and_makes_none_longer)
{
	struct catalog_job j = order("s");
	struct msg_go go;
	runs(&j, 1);
	cr_expect(eq(int, progress(&j, 1, &go), 0));
	pass(0);
	now += 3600 * SECOND;
	(void)dispatch_tick(d, now);
	is_in(&j, JOB_RUNNING, "");
	now -= 7200 * SECOND;
	(void)dispatch_tick(d, now);
	pass(MSG_LEASE_MS);
	is_in(&j, JOB_WAITING, "nothing was heard");
}

Test(dispatch, a_drill_that_cannot_be_ordered_fails_with_its_reason)
{
	struct catalog_job drill = { .verb = MSG_VERB_DRILL, .due_ms = now, .drill = "x" };
	memcpy(drill.agent_id, agent, 16);
	fill_rc = -ERR_CONFIG;
	cr_assert(eq(int, dispatch_order(d, &drill, &err), 0));
	has_none(agent);
	is_in(&drill, JOB_FAILED, "no such plan");
	cr_expect(strstr(alarm_text, "no such plan") != NULL);
}

Test(dispatch, a_drill_that_is_not_taken_is_given_back)
{
	struct catalog_job drill = { .verb = MSG_VERB_DRILL, .due_ms = now, .drill = "x" };
	struct catalog_job again = { .verb = MSG_VERB_DRILL, .due_ms = now, .drill = "y" };
	struct catalog_job wrong = { .verb = MSG_VERB_DRILL, .retries = -1, .drill = "z" };
	memcpy(drill.agent_id, agent, 16);
	memcpy(again.agent_id, agent, 16);
	dropped[0] = '\0';
	cr_assert(eq(int, dispatch_order(d, &drill, &err), 0), "%s", err.msg);
	cr_expect(eq(str, dropped, ""));
	cr_expect(eq(str, drill.drill, "x"));
	cr_expect(eq(int, dispatch_order(d, &again, &err), -ERR_EXISTS));
	cr_expect(eq(str, again.drill, ""));
	cr_expect(eq(int, dispatch_order(d, &wrong, &err), -ERR_USAGE));
	cr_expect(eq(str, dropped, "y z "));
}

Test(dispatch, a_drill_that_missed_its_objectives_is_told)
{
	struct catalog_job drill = { .verb = MSG_VERB_DRILL, .due_ms = now, .drill = "x" };
	memcpy(drill.agent_id, agent, 16);
	cr_assert(eq(int, dispatch_order(d, &drill, &err), 0));
	runs(&drill, 1);
	cr_expect(eq(int, result(&drill, 1, ERR_OBJECTIVE), 0));
	is_in(&drill, JOB_OBJECTIVE, "it went wrong");
	cr_expect(eq(int, alarms, 1));
}
