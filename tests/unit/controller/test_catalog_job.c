#include "controller/catalog_job.h"

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

TestSuite(catalog_job, .init = setup, .fini = teardown);

static struct catalog_job job_of(const char *id, enum catalog_job_state state, int64_t due)
{
	struct catalog_job j = {
		.verb = MSG_VERB_BACKUP,
		.state = state,
		.agent_id = { 0xaa, 1 },
		.source = "historian",
		.schedule = "nightly",
		.person = "anna",
		.reason = "because",
		.due_ms = due,
		.not_before_ms = 2,
		.start_by_ms = 3,
		.deadline_ms = 4,
		.created_ms = 5,
		.started_ms = 6,
		.ended_ms = 7,
		.retries = 8,
		.retry_after_ms = 9,
		.attempt = 10,
		.lease_until_ms = 11,
		.progress = { 12, "backup", 13, 14, 15, 16, "going on" },
		.result = { .attempt = 17,
			.error = { ERR_NOSPACE, "store is full", "make room" },
			.warnings = 18,
			.first_warning = "a file changed",
			.snapshot = "00ff",
			.files = 19,
			.dirs = 20,
			.others = 21,
			.bytes = 22,
			.read_bytes = 23,
			.sent_bytes = 24,
			.records = 25,
			.verdict = "met" },
		.drill = "e1",
	};
	snprintf(j.id, sizeof(j.id), "%s", id);
	return j;
}

static const char one[] = "11110000000000000000000000000001",
		  two[] = "1111222200000000000000000000000a",
		  three[] = "3333000000000000000000000000000f";

static void add(const char *id, enum catalog_job_state state, int64_t due)
{
	struct catalog_job j = job_of(id, state, due);
	cr_assert(eq(int, catalog_job_add(f.db, &j, &err), 0), "%s", err.msg);
}

Test(catalog_job, a_job_comes_back_whole)
{
	struct catalog_job j = job_of(one, JOB_RUNNING, 1), got;
	cr_assert(eq(int, catalog_job_add(f.db, &j, &err), 0), "%s", err.msg);
	cr_expect(eq(int, catalog_job_add(f.db, &j, &err), -ERR_EXISTS));
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, catalog_job_get(f.db, one, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(&got, &j, sizeof(j)), 0));
}

Test(catalog_job, a_change_is_written_and_who_it_is_is_not)
{
	struct catalog_job j = job_of(one, JOB_RUNNING, 1), got;
	add(one, JOB_WAITING, 1);
	j.due_ms = 100;
	j.retries = 2;
	j.result.error.code = 0;
	j.result.error.msg[0] = '\0';
	j.progress.files = 1000;
	snprintf(j.drill, sizeof(j.drill), "e2");
	struct catalog_job changed = j;
	changed.verb = MSG_VERB_DRILL;
	changed.agent_id[0] = 1;
	changed.created_ms = 1000;
	snprintf(changed.source, sizeof(changed.source), "other");
	snprintf(changed.schedule, sizeof(changed.schedule), "other");
	snprintf(changed.person, sizeof(changed.person), "other");
	cr_assert(eq(int, catalog_job_set(f.db, &changed, &err), 0));
	cr_assert(eq(int, catalog_job_get(f.db, one, &got, &err), 0));
	memset(got.result.error.msg, 0, sizeof(got.result.error.msg));
	memset(j.result.error.msg, 0, sizeof(j.result.error.msg));
	cr_expect(eq(int, memcmp(&got, &j, sizeof(j)), 0));
	snprintf(j.id, sizeof(j.id), "%s", three);
	cr_expect(eq(int, catalog_job_set(f.db, &j, &err), -ERR_NOT_FOUND));
}

Test(catalog_job, an_id_may_be_shortened_while_it_is_clear)
{
	struct catalog_job got;
	add(one, JOB_DONE, 1);
	add(two, JOB_DONE, 1);
	cr_expect(eq(int, catalog_job_get(f.db, "111", &got, &err), -ERR_USAGE));
	cr_expect(eq(int, catalog_job_get(f.db, "1111", &got, &err), -ERR_USAGE));
	cr_expect(eq(int, catalog_job_get(f.db, "3333", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_job_get(f.db, three, &got, &err), -ERR_NOT_FOUND));
	cr_expect(ne(str, err.hint, ""));
	cr_assert(eq(int, catalog_job_get(f.db, "11112", &got, &err), 0));
	cr_expect(eq(str, got.id, (char *)two));
	char longer[40];
	snprintf(longer, sizeof(longer), "%s0", one);
	cr_expect(eq(int, catalog_job_get(f.db, longer, &got, &err), -ERR_NOT_FOUND));
}

static char told[256];

static int tell(void *arg, const struct catalog_job *j)
{
	(void)arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%.4s%c ", j->id + 28, j->id[4]);
	return 0;
}

static const char *ask(struct catalog_job_query q)
{
	told[0] = '\0';
	cr_assert(eq(int, catalog_job_each(f.db, &q, tell, NULL, &err), 0), "%s", err.msg);
	return told;
}

Test(catalog_job, questions_narrow_and_order)
{
	struct catalog_job j = job_of(three, JOB_FAILED, 30);
	const uint8_t other[16] = { 0xbb };
	add(one, JOB_WAITING, 10);
	add(two, JOB_RUNNING, 20);
	j.verb = MSG_VERB_DRILL;
	memcpy(j.agent_id, other, 16);
	snprintf(j.source, sizeof(j.source), "share");
	snprintf(j.schedule, sizeof(j.schedule), "weekly");
	cr_assert(eq(int, catalog_job_add(f.db, &j, &err), 0));
#define ASK(...) (char *)ask((struct catalog_job_query){ __VA_ARGS__ })
	cr_expect(eq(str, ASK(.limit = 0), "000f0 000a2 00010 "));
	cr_expect(eq(str, ASK(.is_oldest_first = true), "00010 000a2 000f0 "));
	cr_expect(eq(str, ASK(.is_oldest_first = true, .limit = 2), "00010 000a2 "));
	cr_expect(eq(str, ASK(.states = 1 << JOB_WAITING | 1 << JOB_FAILED), "000f0 00010 "));
	cr_expect(eq(str, ASK(.states = 1u << 30), ""));
	cr_expect(eq(str, ASK(.agent_id = other), "000f0 "));
	cr_expect(eq(str, ASK(.source = "share"), "000f0 "));
	cr_expect(eq(str, ASK(.source = "none"), ""));
	cr_expect(eq(str, ASK(.schedule = "nightly"), "000a2 00010 "));
	cr_expect(eq(str, ASK(.verb = MSG_VERB_DRILL), "000f0 "));
	cr_expect(eq(str,
		ASK(.states = 0x1fe, .agent_id = other, .source = "share", .schedule = "weekly",
			.verb = MSG_VERB_DRILL, .limit = 9),
		"000f0 "));
}

static int end_each(void *arg, const struct catalog_job *j)
{
	struct catalog_job changed = *j;
	(*(int *)arg)++;
	changed.state = JOB_CANCELED;
	changed.due_ms += 1000; /* would be told again by a query that is still running */
	cr_assert(eq(int, catalog_job_set(f.db, &changed, &err), 0));
	return *(int *)arg == 5 ? 42 : 0;
}

Test(catalog_job, jobs_may_be_changed_while_they_are_told)
{
	int count = 0;
	const struct catalog_job_query all = { .is_oldest_first = true };
	add(one, JOB_WAITING, 10);
	add(two, JOB_WAITING, 20);
	add(three, JOB_WAITING, 30);
	cr_expect(eq(int, catalog_job_each(f.db, &all, end_each, &count, &err), 0));
	cr_expect(eq(int, count, 3));
	cr_expect(eq(int, catalog_job_each(f.db, &all, end_each, &count, &err), 42));
	cr_expect(eq(str, ASK(.states = 1 << JOB_WAITING), ""));
}

static int tell_attempt(void *arg, const struct catalog_attempt *a)
{
	(void)arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%lld %lld %lld %s %s; ",
		(long long)a->number, (long long)a->started_ms, (long long)a->ended_ms, a->outcome,
		a->reason);
	return 0;
}

Test(catalog_job, attempts_are_kept_in_order)
{
	struct catalog_attempt second = { 2, 30, 0, "", "" },
			       first = { 1, 10, 20, "lost", "silent" };
	cr_expect(eq(int, catalog_job_add_attempt(f.db, one, &first, &err), -ERR_FAILED));
	add(one, JOB_RUNNING, 1);
	cr_assert(eq(int, catalog_job_add_attempt(f.db, one, &second, &err), 0));
	cr_assert(eq(int, catalog_job_add_attempt(f.db, one, &first, &err), 0));
	cr_expect(eq(int, catalog_job_add_attempt(f.db, one, &first, &err), -ERR_EXISTS));
	second.ended_ms = 40;
	snprintf(second.outcome, sizeof(second.outcome), "done");
	cr_assert(eq(int, catalog_job_set_attempt(f.db, one, &second, &err), 0));
	cr_expect(eq(int, catalog_job_each_attempt(f.db, one, tell_attempt, NULL, &err), 0));
	cr_expect(eq(str, told, "1 10 20 lost silent; 2 30 40 done ; "));
	second.number = 3;
	cr_expect(eq(int, catalog_job_set_attempt(f.db, one, &second, &err), -ERR_NOT_FOUND));
}

Test(catalog_job, a_mark_is_moved_and_zero_before_the_first)
{
	int64_t due = 9;
	cr_assert(eq(int, catalog_job_get_mark(f.db, "nightly", &due, &err), 0));
	cr_expect(eq(i64, due, 0));
	cr_assert(eq(int, catalog_job_mark(f.db, "nightly", 5, &err), 0));
	cr_assert(eq(int, catalog_job_mark(f.db, "nightly", 7, &err), 0));
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, catalog_job_get_mark(f.db, "nightly", &due, &err), 0));
	cr_expect(eq(i64, due, 7));
}

Test(catalog_job, states_have_names_and_an_end)
{
	static const char *const names[] = { "?", "waiting", "running", "done", "warnings",
		"objective-not-met", "failed", "missed", "canceled", "?" };
	for (int s = 0; s <= 9; s++) {
		cr_expect(eq(str, (char *)catalog_job_state_name(s), (char *)names[s]));
		if (s >= JOB_WAITING && s <= JOB_CANCELED)
			cr_expect(eq(int, catalog_job_is_over(s), s > JOB_RUNNING));
	}
}

Test(catalog_job, the_controllers_own_jobs_have_agents_that_nobody_is)
{
	static const uint8_t somebody[16] = { 1 };
	cr_expect(eq(ptr, (void *)catalog_job_own_id(MSG_VERB_BACKUP), NULL));
	cr_expect(eq(ptr, (void *)catalog_job_own_id(MSG_VERB_DRILL), NULL));
	cr_expect(catalog_job_is_own_id(catalog_job_own_id(MSG_VERB_COPY)));
	cr_expect(catalog_job_is_own_id(catalog_job_own_id(MSG_VERB_SCRUB)));
	cr_expect(ne(int,
		memcmp(catalog_job_own_id(MSG_VERB_COPY), catalog_job_own_id(MSG_VERB_SCRUB), 16),
		0));
	cr_expect(not(catalog_job_is_own_id(somebody)));
}
