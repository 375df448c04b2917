#include "controller/maintenance.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/audit.h"
#include "controller/catalog.h"
#include "controller/catalog_job.h"
#include "controller/controller_conf.h"
#include "controller/dispatch.h"
#include "controller/maintenance_run.h"
#include "net/loop.h"
#include "restore/erase_tree.h"
#include "tests/lib/catalog_fixture.h"
#include "tests/lib/gateway_fixture.h"

static struct gateway_fixture f;
static struct catalog_fixture c;
static struct controller_conf conf;
static struct controller_schedule schedule;
static struct retention_conf rule;
static struct loop *loop;
static struct loop_timer *timer;
static struct dispatch *dispatch;
static struct maintenance *m;
static struct err err;
static char job[MSG_ID_HEX];
static int alarms;

static void on_alarm(void *arg, const struct catalog_job *j, const char *text)
{
	(void)arg;
	(void)j;
	(void)text;
	alarms++;
}

/* A job is over: whoever waits looks. */
static void on_end(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_time(void *arg)
{
	(void)arg;
	cr_fatal("nothing came of it in time");
}

static void wait_for_end(void)
{
	loop_timer_set(timer, 60000);
	cr_assert(eq(int, loop_run(loop, &err), 0));
	loop_timer_set(timer, -1);
}

static void begin(void)
{
	const struct dispatch_opts d = { .db = c.db, .max_running = 4, .on_alarm = on_alarm };
	cr_assert(eq(int, dispatch_new(&d, &dispatch, &err), 0), "%s", err.msg);
	const struct maintenance_opts o = { .loop = loop,
		.db = c.db,
		.dispatch = dispatch,
		.vault = f.vault,
		.state = c.dir,
		.on_end = on_end };
	cr_assert(eq(int, maintenance_new(&o, &conf, &m, &err), 0), "%s", err.msg);
}

static void end(void)
{
	maintenance_free(m);
	dispatch_free(dispatch);
	m = NULL;
	dispatch = NULL;
}

static void setup(void)
{
	gateway_fixture_init(&f);
	catalog_fixture_init(&c);
	err_clear(&err);
	alarms = 0;
	rule.policy.last = 1;
	memset(&conf, 0, sizeof(conf));
	conf.retention = (struct retention_conf_list){ .at = &rule, .count = 1 };
	conf.schedules = &schedule;
	cr_assert(eq(int, loop_new(&loop, &err), 0));
	cr_assert(eq(int, loop_timer_new(loop, on_time, NULL, &timer, &err), 0));
	begin();
}

static void teardown(void)
{
	char path[128];
	end();
	loop_timer_free(timer);
	loop_free(loop);
	(void)snprintf(path, sizeof(path), "%s/verified", c.dir); /* fits */
	(void)unlink(path);
	catalog_fixture_done(&c);
	gateway_fixture_done(&f);
}

TestSuite(maintenance, .init = setup, .fini = teardown);

static void back_up(int n)
{
	char text[32];
	struct backup_result r;
	(void)snprintf(text, sizeof(text), "batch %d complete\n", n);
	const struct fake_file file = { .path = "a.evt",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)text,
		.len = strlen(text),
		.mtime_s = n };
	cr_assert(eq(int, gateway_fixture_direct(&f, "a", &file, 1, &r, &err), 0), "%s", err.msg);
}

static int64_t now_ms(void)
{
	return env_now_ns() / 1000000;
}

static struct catalog_job run(enum msg_verb verb, const char *approval)
{
	struct catalog_job j;
	cr_assert(
		eq(int, maintenance_order(m, verb, "anna", approval, job, &err), 0), "%s", err.msg);
	(void)maintenance_tick(m, now_ms());
	wait_for_end();
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	return j;
}

static int find_action(void *arg, const struct audit_record *r)
{
	return strcmp(r->action, arg) == 0 ? 1 : 0;
}

Test(maintenance, a_task_is_a_job_with_a_reason_and_a_record)
{
	back_up(1);
	back_up(2);
	struct catalog_job j = run(MSG_VERB_RETENTION, "shift lead agrees");
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
	cr_expect(eq(str, j.reason, "1 snapshots stay, 1 were pruned"));
	cr_expect(eq(str, j.person, "anna"));
	cr_expect(eq(int, alarms, 0));
	cr_expect(eq(
		int, audit_each(c.db, 10, find_action, (void *)"maintenance.retention", &err), 1));
	j = run(MSG_VERB_SCRUB, NULL);
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
	j = run(MSG_VERB_COLLECT, NULL);
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
}

Test(maintenance, what_wants_an_approval_fails_with_an_alarm_and_an_approval_is_of_one_job)
{
	for (int i = 0; i < 3; i++)
		back_up(i);
	struct catalog_job j = run(MSG_VERB_RETENTION, NULL);
	cr_expect(eq(int, (int)j.state, JOB_FAILED));
	cr_expect(ne(ptr, strstr(j.reason, "an approval is wanted"), NULL), "%s", j.reason);
	cr_expect(eq(int, alarms, 1));
	/* the gains of all others are counted anew all the same */
	CLEANUP(buf_done) struct buf since = BUF_INIT(64);
	cr_expect(eq(int, catalog_get(c.db, "maintenance.retention", &since, &err), 0), "%s",
		err.msg);
	j = run(MSG_VERB_RETENTION, "yes");
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
	for (int i = 0; i < 3; i++)
		back_up(10 + i);
	cr_assert(eq(int, catalog_set(c.db, "maintenance.retention", "0", 1, &err), 0));
	j = run(MSG_VERB_RETENTION, NULL); /* the approval before counts no more */
	cr_expect(eq(int, (int)j.state, JOB_FAILED));
}

Test(maintenance, one_of_a_task_at_a_time_and_nothing_else)
{
	cr_assert(eq(int, maintenance_order(m, MSG_VERB_SCRUB, "anna", NULL, job, &err), 0));
	cr_expect(eq(
		int, maintenance_order(m, MSG_VERB_SCRUB, "anna", NULL, job, &err), -ERR_EXISTS));
	cr_expect(eq(
		int, maintenance_order(m, MSG_VERB_BACKUP, "anna", NULL, job, &err), -ERR_USAGE));
	conf.retention.count = 0;
	cr_expect(eq(int, maintenance_order(m, MSG_VERB_RETENTION, "anna", NULL, job, &err),
		-ERR_USAGE));
}

/* Whatever an agent asks for, it gets no task and ends none. */
Test(maintenance, no_agent_gets_or_ends_a_task)
{
	static const uint8_t agent[16] = { 1 };
	struct msg_order order;
	struct msg_go go;
	const struct msg_progress p = { .attempt = 1 };
	const struct msg_result r = { .attempt = 1 };
	cr_assert(eq(int, maintenance_order(m, MSG_VERB_SCRUB, "anna", NULL, job, &err), 0));
	cr_expect(eq(int, dispatch_next(dispatch, agent, &order, &err), 0));
	cr_expect(eq(int, dispatch_progress(dispatch, agent, job, &p, &go, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, dispatch_result(dispatch, agent, job, &r, &err), -ERR_NOT_FOUND));
	struct catalog_job j = { .verb = MSG_VERB_COLLECT };
	memcpy(j.agent_id, agent, 16);
	cr_expect(eq(int, dispatch_order(dispatch, &j, &err), -ERR_USAGE));
	memset(j.agent_id, 0, 16);
	j.verb = MSG_VERB_DRILL;
	cr_expect(eq(int, dispatch_order(dispatch, &j, &err), -ERR_USAGE));
}

Test(maintenance, a_task_that_is_canceled_ends_with_the_operation_it_is_at)
{
	struct catalog_job j;
	back_up(1);
	cr_assert(eq(int, maintenance_order(m, MSG_VERB_SCRUB, "anna", NULL, job, &err), 0));
	struct msg_order order; /* taken, but not begun: as a run that takes long */
	cr_assert(eq(int, dispatch_next(dispatch, DISPATCH_OWN_ID, &order, &err), 1));
	cr_assert(eq(int, dispatch_cancel(dispatch, job, "anna", &err), 0));
	struct msg_go go = { .go = true };
	const struct msg_progress p = { .attempt = 1 };
	cr_assert(eq(int, dispatch_progress(dispatch, DISPATCH_OWN_ID, job, &p, &go, &err), 0));
	cr_expect(not(go.go));
	struct msg_result r = { .attempt = 1 };
	(void)err_set(&r.error, ERR_INTERRUPTED, "verification was stopped");
	cr_assert(eq(int, dispatch_result(dispatch, DISPATCH_OWN_ID, job, &r, &err), 0));
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_CANCELED));
	cr_expect(eq(str, j.reason, "canceled by anna"));
}

Test(maintenance, what_ran_when_the_controller_ended_is_tried_again)
{
	struct catalog_job j = { .verb = MSG_VERB_SCRUB, .retries = 1 };
	back_up(1);
	cr_assert(eq(int, dispatch_order(dispatch, &j, &err), 0));
	(void)maintenance_tick(m, now_ms());
	end(); /* waits for the thread */
	cr_assert(eq(int, catalog_job_get(c.db, j.id, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_RUNNING));
	begin();
	(void)maintenance_tick(m, now_ms());
	wait_for_end();
	cr_assert(eq(int, catalog_job_get(c.db, j.id, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
	cr_expect(eq(i64, j.attempt, 2));
}

/* A copy that is at work keeps no task waiting: both are due at once, and both run, where one job
 * may. */
Test(maintenance, a_copy_to_a_replica_is_a_job_beside_the_tasks)
{
	char place[96], scrub[MSG_ID_HEX];
	struct catalog_job j;
	(void)snprintf(place, sizeof(place), "%s.replica", f.dir); /* fits */
	struct replica_conf cellar = { .name = (char *)"cellar", .place = place };
	conf.replicas = (struct replica_conf_list){ .at = &cellar, .count = 1 };
	back_up(1);
	cr_expect(
		eq(int, maintenance_order_copy(m, "attic", false, "anna", job, &err), -ERR_USAGE));
	cr_expect(
		eq(int, maintenance_order(m, MSG_VERB_COPY, "anna", NULL, job, &err), -ERR_USAGE));
	cr_assert(eq(int, maintenance_order_copy(m, "cellar", false, "anna", job, &err), 0));
	cr_expect(eq(
		int, maintenance_order_copy(m, "cellar", true, "eve", scrub, &err), -ERR_EXISTS));
	(void)maintenance_tick(m, now_ms());
	wait_for_end();
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_FAILED));
	cr_expect(ne(ptr, strstr(j.reason, "replica 'cellar'"), NULL), "%s", j.reason);
	cr_expect(eq(int, alarms, 1));

	dispatch_set_max_running(dispatch, 1);
	cr_assert(eq(int, maintenance_order_copy(m, "cellar", true, "anna", job, &err), 0));
	cr_assert(eq(int, maintenance_order(m, MSG_VERB_SCRUB, "anna", NULL, scrub, &err), 0));
	(void)maintenance_tick(m, now_ms());
	cr_assert(eq(int, catalog_job_get(c.db, scrub, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_RUNNING));
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_RUNNING));
	cr_expect(eq(str, j.source, "cellar"));
	wait_for_end();
	(void)maintenance_tick(m, now_ms());
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	if (j.state == JOB_RUNNING)
		wait_for_end();
	cr_assert(eq(int, catalog_job_get(c.db, job, &j, &err), 0));
	cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
	cr_expect(ne(ptr, strstr(j.reason, "brought 1 snapshots"), NULL), "%s", j.reason);
	cr_expect(eq(int, audit_each(c.db, 10, find_action, (void *)"maintenance.copy", &err), 1));
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, place, NULL, NULL), 0));
}

Test(maintenance, two_replicas_may_be_begun_at_once)
{
	char places[2][96], jobs[2][MSG_ID_HEX];
	struct catalog_job j;
	struct replica_conf replicas[2] = { { .name = (char *)"cellar", .place = places[0] },
		{ .name = (char *)"attic", .place = places[1] } };
	conf.replicas = (struct replica_conf_list){ .at = replicas, .count = 2 };
	back_up(1);
	for (int i = 0; i < 2; i++) {
		(void)snprintf(places[i], sizeof(places[i]), "%s.replica%d", f.dir, i); /* fits */
		cr_assert(eq(int,
			maintenance_order_copy(m, replicas[i].name, true, "anna", jobs[i], &err),
			0));
	}
	for (int i = 0; i < 2; i++) {
		(void)maintenance_tick(m, now_ms());
		wait_for_end();
	}
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, catalog_job_get(c.db, jobs[i], &j, &err), 0));
		cr_expect(eq(int, (int)j.state, JOB_DONE), "%s", j.reason);
		cr_expect(eq(int, erase_tree_run(AT_FDCWD, places[i], NULL, NULL), 0));
	}
}

static int answers, answer_rc;
static size_t answer_rows;

static void on_preview(void *arg, int rc, const struct err *why, const struct maintenance_run *r)
{
	(void)arg;
	(void)why;
	answers++;
	answer_rc = rc;
	answer_rows = r->row_count;
	loop_stop(loop);
}

Test(maintenance, a_preview_is_answered_once_also_when_the_controller_ends)
{
	back_up(1);
	back_up(2);
	answers = 0;
	cr_assert(eq(int, maintenance_preview(m, on_preview, NULL, &err), 0));
	wait_for_end();
	cr_expect(eq(int, answers, 1));
	cr_expect(eq(int, answer_rc, 0));
	cr_expect(eq(sz, answer_rows, 2));
	cr_assert(eq(int, maintenance_preview(m, on_preview, NULL, &err), 0));
	end();
	cr_expect(eq(int, answers, 2));
	begin();
}
