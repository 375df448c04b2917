#include "controller/schedule.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "controller/dispatch.h"
#include "db/db.h"
#include "plans/calendar.h"
#include "tests/lib/catalog_fixture.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct catalog_fixture f;
static struct dispatch *d;
static struct schedule *s;
static struct controller_conf conf;
static struct controller_schedule list[4];
static struct err err;
static struct env_ops ops;
static int64_t now;
static int alarms, drill_rc;
static char alarm_text[700];

static int64_t fake_now(void)
{
	return now * 1000000;
}

static int64_t ms(const char *text)
{
	int64_t ns = 0;
	cr_assert(eq(int, human_parse_time(text, &ns), 0), "%s", text);
	return ns / 1000000;
}

static int prepare(
	void *arg, const struct controller_schedule *c, struct catalog_job *j, struct err *e)
{
	(void)arg;
	(void)snprintf(j->drill, sizeof(j->drill), "exercise of %s", c->name);
	return drill_rc == 0 ? 0 : err_set(e, (enum err_code) - drill_rc, "the plan has 2 errors");
}

static void on_alarm(void *arg, const char *name, const char *text)
{
	(void)arg;
	(void)snprintf(alarm_text, sizeof(alarm_text), "%s: %s", name, text);
	alarms++;
}

static void begin(void)
{
	const struct dispatch_opts o = { .db = f.db, .max_running = 4 };
	const struct schedule_opts p = {
		.db = f.db, .prepare_drill = prepare, .on_alarm = on_alarm
	};
	struct schedule_opts q = p;
	schedule_free(s);
	dispatch_free(d);
	s = NULL;
	d = NULL;
	cr_assert(eq(int, dispatch_new(&o, &d, &err), 0), "%s", err.msg);
	q.dispatch = d;
	cr_assert(eq(int, schedule_new(&q, &conf, &s, &err), 0), "%s", err.msg);
}

static void add_agent(enum catalog_agent_state state)
{
	struct catalog_agent a = {
		.id = { 7 }, .name = "line3", .role = MSG_ROLE_CAPTURE, .state = state
	};
	cr_assert(eq(int, catalog_agent_add(f.db, &a, &err), 0), "%s", err.msg);
}

static void plan_one(size_t i, const char *name, const char *at)
{
	calendar_free(list[i].calendar);
	list[i] = (struct controller_schedule){ .verb = MSG_VERB_BACKUP,
		.name = name,
		.agent = "line3",
		.source = name,
		.at = at,
		.retries = 2 };
	cr_assert(eq(int, calendar_parse(at, "Europe/Berlin", &list[i].calendar, &err), 0), "%s",
		err.msg);
	if (conf.schedule_count < i + 1)
		conf.schedule_count = i + 1;
}

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	(void)env_swap(&ops);
	catalog_fixture_init(&f);
	memset(list, 0, sizeof(list));
	conf = (struct controller_conf){ .schedules = list };
	s = NULL;
	d = NULL;
	alarms = drill_rc = 0;
	now = ms("2026-11-26T12:00:00Z");
	begin();
}

static void teardown(void)
{
	schedule_free(s);
	dispatch_free(d);
	for (size_t i = 0; i < 4; i++)
		calendar_free(list[i].calendar);
	catalog_fixture_done(&f);
	(void)env_swap(NULL);
}

TestSuite(schedule, .init = setup, .fini = teardown);

static struct catalog_job newest;
static int64_t job_count, missed_count;

static int see(void *arg, const struct catalog_job *j)
{
	(void)arg;
	newest = *j; /* the oldest first: the last one stays */
	job_count++;
	missed_count += j->state == JOB_MISSED ? 1 : 0;
	return 0;
}

static int64_t count_jobs(void)
{
	const struct catalog_job_query q = { .is_oldest_first = true };
	job_count = missed_count = 0;
	cr_assert(eq(int, catalog_job_each(f.db, &q, see, NULL, &err), 0), "%s", err.msg);
	return job_count;
}

/* Whatever waits is done. */
static void work(void)
{
	static const uint8_t id[16] = { 7 };
	for (;;) {
		struct msg_order o = { .attempt = 0 };
		int rc = dispatch_next(d, id, &o, &err);
		cr_assert(rc >= 0, "%s", err.msg);
		if (rc == 0)
			return;
		struct msg_result r = { .attempt = o.attempt };
		cr_assert(eq(int, dispatch_committed(d, o.job, "ab", &err), 0));
		cr_assert(eq(int, dispatch_result(d, id, o.job, &r, &err), 0));
		msg_work_order_done(&o);
	}
}

/* Let the time pass to ${until}, looking when the schedule wants it, and do the work. */
static void run_until(int64_t until)
{
	for (int64_t next = schedule_tick(s, now); now < until; next = schedule_tick(s, now)) {
		cr_assert(next > now);
		work();
		now = next < until ? next : until;
	}
	work();
}

Test(schedule, a_schedule_seen_first_is_due_from_then_on)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "02:30");
	run_until(now + 12 * HOUR);
	cr_expect(eq(i64, count_jobs(), 0));
	run_until(now + 12 * HOUR);
	cr_assert(eq(i64, count_jobs(), 1));
	cr_expect(eq(i64, newest.due_ms, ms("2026-11-27T01:30:00Z")));
	cr_expect(eq(i64, newest.start_by_ms, ms("2026-11-28T01:30:00Z")));
	cr_expect(eq(str, newest.schedule, "nightly"));
	cr_expect(eq(str, newest.source, "nightly"));
	cr_expect(eq(i64, newest.retries, 2));
	cr_expect(eq(int, (int)newest.state, JOB_DONE));
	cr_expect(eq(str, newest.reason, ""));
}

static int seen_day;

static int see_day(void *arg, const struct catalog_job *j)
{
	char text[CALENDAR_TEXT_BYTES], clock[16];
	int year, month, day;
	(void)arg;
	(void)calendar_format(list[0].calendar, j->due_ms, text);
	cr_assert(eq(int, sscanf(text, "%d-%d-%d %15s", &year, &month, &day, clock), 4));
	int key = month * 100 + day;
	cr_assert(key > seen_day, "%s", text);
	seen_day = key;
	/* in the night that has no 02:30 it is 03:00 */
	cr_expect(eq(str, clock, (char *)(key == 328 ? "03:00:00" : "02:30:00")), "%s", text);
	return 0;
}

Test(schedule, a_year_has_one_job_for_each_day_over_both_changes_of_the_clock)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "02:30");
	plan_one(1, "weekly", "Mon 06:00");
	now = ms("2027-01-01T00:00:00Z");
	run_until(ms("2028-01-01T00:00:00Z"));
	cr_expect(eq(i64, count_jobs(), 365 + 52));
	cr_expect(eq(i64, missed_count, 0));
	cr_expect(eq(int, alarms, 0));
	/* every night of the zone has its own */
	seen_day = 0;
	const struct catalog_job_query q = { .schedule = "nightly", .is_oldest_first = true };
	cr_assert(eq(int, catalog_job_each(f.db, &q, see_day, NULL, &err), 0));
}

Test(schedule, the_preview_tells_what_then_happens)
{
	struct schedule_due due[40];
	add_agent(AGENT_ACTIVE);
	plan_one(0, "a", "Mon..Fri 06,18:00");
	plan_one(1, "b", "02:30");
	plan_one(2, "c", "1 calendar_month");
	list[0].splay_ms = HOUR;
	list[1].splay_ms = 10 * MINUTE;
	now = ms("2027-03-20T12:00:00Z");
	(void)schedule_tick(s, now);
	now += DAY; /* months count from the mark, not from the question */
	(void)schedule_tick(s, now);
	work();
	int64_t before = count_jobs();
	cr_assert(eq(sz, schedule_preview(s, NULL, now, due, 40), 40));
	cr_expect(eq(sz, schedule_preview(s, "nobody", now, due, 0), 0));
	for (int i = 0; i < 40; i++) {
		now = due[i].due_ms - 1;
		(void)schedule_tick(s, now);
		work();
		cr_assert(eq(i64, count_jobs(), before));
		now++;
		(void)schedule_tick(s, now);
		work();
		while (i < 39 && due[i + 1].due_ms == now) {
			i++;
			before++;
		}
		cr_assert(eq(i64, count_jobs(), ++before));
		cr_expect(eq(i64, newest.due_ms, now));
		cr_expect(eq(str, newest.schedule, (char *)due[i].schedule->name));
	}
}

Test(schedule, what_was_missed_while_down_runs_once)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "02:30");
	run_until(now + DAY);
	now += 5 * DAY;
	begin();
	run_until(now + HOUR);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(eq(int, (int)newest.state, JOB_DONE));
	cr_expect(strstr(newest.reason, "5 due times passed") != NULL, "%s", newest.reason);
	cr_expect(eq(i64, newest.due_ms, ms("2026-12-02T01:30:00Z")));
}

Test(schedule, or_is_recorded_as_missed_where_that_was_chosen)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "02:30");
	list[0].catch_up = CATCH_UP_SKIP;
	run_until(now + DAY);
	now += 5 * DAY;
	begin();
	run_until(now + HOUR);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(eq(int, (int)newest.state, JOB_MISSED));
	cr_expect(eq(int, alarms, 1));
	run_until(now + DAY); /* and the next one runs */
	cr_expect(eq(i64, count_jobs(), 3));
	cr_expect(eq(i64, missed_count, 1));
}

Test(schedule, a_clock_that_jumps_never_makes_two_jobs_of_one_due_time)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "hourly", "*:00");
	run_until(ms("2026-11-26T15:30:00Z"));
	cr_expect(eq(i64, count_jobs(), 3));
	now -= 2 * HOUR + 40 * MINUTE; /* 12:50: 13, 14 and 15 o'clock come again */
	run_until(ms("2026-11-26T15:30:00Z"));
	cr_expect(eq(i64, count_jobs(), 3));
	cr_expect(strstr(alarm_text, "clock went back") != NULL);
	run_until(ms("2026-11-26T16:30:00Z"));
	cr_expect(eq(i64, count_jobs(), 4));
	now += 40 * DAY; /* forward: one stands for all */
	run_until(now + 10 * MINUTE);
	cr_expect(eq(i64, count_jobs(), 5));
	now -= 40 * DAY; /* and back: it goes on */
	run_until(now + 2 * HOUR);
	cr_expect(eq(i64, count_jobs(), 7));
}

Test(schedule, a_mark_that_was_not_written_makes_no_second_job)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "hourly", "*:00");
	run_until(now + 90 * MINUTE);
	cr_expect(eq(i64, count_jobs(), 1));
	cr_assert(eq(int, catalog_job_mark(f.db, "hourly", now - 2 * HOUR, &err), 0));
	begin();
	run_until(now + 10 * MINUTE);
	cr_expect(eq(i64, count_jobs(), 1));
}

Test(schedule, a_pause_is_told_once_a_day_and_catches_up_nothing)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "hourly", "*:00");
	list[0].is_paused = true;
	run_until(now + 3 * DAY - HOUR / 2);
	cr_expect(eq(i64, count_jobs(), 0));
	cr_expect(eq(int, alarms, 3));
	cr_expect(strstr(alarm_text, "hourly: the schedule is paused") != NULL, "%s", alarm_text);
	list[0].is_paused = false;
	schedule_set_conf(s, &conf);
	run_until(now + HOUR);
	cr_expect(eq(i64, count_jobs(), 1));
}

Test(schedule, another_expression_counts_from_when_it_was_seen)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "18:00");
	run_until(now + DAY);
	cr_expect(eq(i64, count_jobs(), 1));
	plan_one(0, "nightly", "06:00"); /* passed today: nothing was missed */
	schedule_set_conf(s, &conf);
	run_until(now + HOUR);
	cr_expect(eq(i64, count_jobs(), 1));
	run_until(now + DAY);
	cr_expect(eq(i64, count_jobs(), 2));
}

Test(schedule, an_agent_that_is_not_there_is_a_missed_job_and_an_alarm)
{
	plan_one(0, "nightly", "02:30");
	run_until(now + DAY);
	cr_assert(eq(i64, count_jobs(), 1));
	cr_expect(eq(int, (int)newest.state, JOB_MISSED));
	cr_expect(strstr(newest.reason, "line3") != NULL, "%s", newest.reason);
	cr_expect(eq(int, alarms, 1));
	add_agent(AGENT_PENDING);
	run_until(now + DAY);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(strstr(newest.reason, "'line3' is pending") != NULL, "%s", newest.reason);
}

Test(schedule, a_source_that_its_agent_does_not_have_is_missed)
{
	static const uint8_t id[16] = { 7 };
	const struct msg_source sources[] = { { .name = "historian" }, { .name = "batches" } };
	add_agent(AGENT_ACTIVE);
	cr_assert(eq(int, catalog_agent_set_sources(f.db, id, sources, 2, &err), 0));
	plan_one(0, "historian", "02:30");
	plan_one(1, "histroian", "02:30");
	run_until(now + DAY);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(eq(i64, missed_count, 1));
	cr_expect(strstr(alarm_text, "agent 'line3' has no source 'histroian'") != NULL, "%s",
		alarm_text);
}

Test(schedule, a_job_still_running_makes_the_next_one_missed)
{
	static const uint8_t id[16] = { 7 };
	struct msg_order o = { .attempt = 0 };
	add_agent(AGENT_ACTIVE);
	plan_one(0, "hourly", "*:00");
	(void)schedule_tick(s, now);
	now += HOUR;
	(void)schedule_tick(s, now);
	cr_assert(eq(int, dispatch_next(d, id, &o, &err), 1));
	now += HOUR;
	(void)schedule_tick(s, now);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(eq(i64, missed_count, 1));
	cr_expect(strstr(alarm_text, o.job) != NULL, "%s", alarm_text);
}

Test(schedule, splay_moves_due_times_and_never_changes)
{
	struct schedule_due due[3];
	add_agent(AGENT_ACTIVE);
	plan_one(0, "nightly", "02:30");
	list[0].splay_ms = 2 * HOUR;
	(void)schedule_tick(s, now);
	cr_assert(eq(sz, schedule_preview(s, NULL, now, due, 3), 3));
	int64_t splay = due[0].due_ms - ms("2026-11-27T01:30:00Z");
	cr_expect(splay > 0 && splay < 2 * HOUR);
	cr_expect(eq(i64, due[2].due_ms - due[1].due_ms, DAY));
	begin();
	run_until(now + DAY);
	cr_assert(eq(i64, count_jobs(), 1));
	cr_expect(eq(i64, newest.due_ms, due[0].due_ms));
	cr_expect(eq(i64, newest.start_by_ms, due[1].due_ms));
	cr_expect(eq(str, newest.reason, ""));
}

Test(schedule, a_drill_is_prepared_or_told_why_not)
{
	add_agent(AGENT_ACTIVE);
	plan_one(0, "drill", "02:30");
	list[0].source = NULL;
	list[0].plan = "/etc/holdfast/line3.plan";
	list[0].verb = MSG_VERB_DRILL;
	list[0].start_within_ms = 20 * MINUTE;
	(void)schedule_tick(s, now);
	now = ms("2026-11-27T01:30:00Z");
	(void)schedule_tick(s, now);
	cr_assert(eq(i64, count_jobs(), 1));
	cr_expect(eq(int, (int)newest.verb, MSG_VERB_DRILL));
	cr_expect(eq(str, newest.drill, "exercise of drill"));
	cr_expect(eq(i64, newest.start_by_ms, now + 20 * MINUTE));
	drill_rc = -ERR_CONFIG;
	now += DAY;
	(void)schedule_tick(s, now);
	cr_assert(eq(i64, count_jobs(), 2));
	cr_expect(eq(int, (int)newest.state, JOB_MISSED));
	cr_expect(strstr(newest.reason, "the plan has 2 errors") != NULL);
}
