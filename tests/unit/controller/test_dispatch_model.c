/*
 * 20,000 random steps of agents, people, clocks and restarts against what must always hold:
 * one running attempt per source, never more than may run, an attempt that was given up is refused
 * ever after, tries are bounded, no job is lost over a restart, and every job ends.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "controller/dispatch.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

#define STEPS 20000
#define AGENTS 3
#define SOURCES 3
#define JOBS 20000
#define MAX_RUNNING 4
#define MINUTE INT64_C(60000)

struct model_job {
	char id[MSG_ID_HEX];
	int agent;
	int64_t retries;  /* as ordered */
	int64_t given_up; /* no attempt up to this number may do anything */
	bool is_told;     /* its last attempt ended by the agent's own result */
	bool is_over;
	enum catalog_job_state state;
};

static struct catalog_fixture f;
static struct dispatch *d;
static struct err err;
static int64_t now = INT64_C(1800000000000), mono = 5000;
static struct env_ops ops;
static struct model_job jobs[JOBS];
static size_t job_count;
static uint64_t seed = 20261126;
static int reached[16];

/* Orders as agents got them, the newest last; most of what agents say is about these. */
#define HANDED 6
static struct {
	struct model_job *job;
	int64_t attempt;
} handed[HANDED];
static size_t handed_count;

static uint32_t roll(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % n;
}

static int64_t fake_now(void)
{
	return now * 1000000;
}

static int64_t fake_mono(void)
{
	return mono * 1000000;
}

static void agent_id(int agent, uint8_t out[16])
{
	memset(out, 0, 16);
	out[3] = (uint8_t)(agent + 1);
}

static struct model_job *find(const char *id)
{
	for (size_t i = job_count; i > 0; i--) {
		if (strcmp(jobs[i - 1].id, id) == 0)
			return &jobs[i - 1];
	}
	cr_assert(false, "job %s is not one of ours", id);
	return NULL;
}

static void on_end(void *arg, const struct catalog_job *j)
{
	(void)arg;
	struct model_job *m = find(j->id);
	cr_assert(j->attempt > m->given_up, "attempt %d of %s ends twice", (int)j->attempt, j->id);
	m->given_up = j->attempt;
	m->is_told = j->result.attempt == j->attempt;
}

static int fill(void *arg, const struct catalog_job *j, struct msg_order *out, struct err *e)
{
	(void)arg;
	(void)j;
	(void)out;
	return roll(8) == 0 ? err_set(e, ERR_IO, "the plan cannot be read") : 0;
}

static void restart(void)
{
	const struct dispatch_opts o = {
		.db = f.db, .max_running = MAX_RUNNING, .fill_drill = fill, .on_end = on_end
	};
	dispatch_free(d);
	d = NULL;
	cr_assert(eq(int, dispatch_new(&o, &d, &err), 0), "%s", err.msg);
}

/* ---- steps ---- */

static void step_order(void)
{
	struct catalog_job j = { .verb = roll(6) == 0 ? MSG_VERB_DRILL : MSG_VERB_BACKUP,
		.due_ms = now + roll(3) * MINUTE,
		.retries = roll(4),
		.retry_after_ms = roll(3) * MINUTE / 2,
		.deadline_ms = roll(3) == 0 ? 3 * MINUTE : 0 };
	int agent = (int)roll(AGENTS);
	j.start_by_ms = j.due_ms + (1 + roll(20)) * MINUTE;
	agent_id(agent, j.agent_id);
	if (j.verb == MSG_VERB_BACKUP)
		(void)snprintf(j.source, sizeof(j.source), "source%u", roll(SOURCES));
	int rc = dispatch_order(d, &j, &err);
	if (rc == -ERR_EXISTS)
		return;
	cr_assert(eq(int, rc, 0), "%s", err.msg);
	cr_assert(job_count < JOBS);
	struct model_job *m = &jobs[job_count++];
	*m = (struct model_job){ .agent = agent, .retries = j.retries };
	memcpy(m->id, j.id, sizeof(m->id));
}

static void step_next(void)
{
	uint8_t id[16];
	struct msg_order o = { .attempt = 0 };
	int agent = (int)roll(AGENTS);
	agent_id(agent, id);
	int rc = dispatch_next(d, id, &o, &err);
	cr_assert(rc >= 0, "%s", err.msg);
	if (rc == 0)
		return;
	struct model_job *m = find(o.job);
	cr_assert(eq(int, m->agent, agent));
	cr_assert(o.attempt > m->given_up && o.attempt <= m->retries + 1);
	handed[handed_count % HANDED].job = m;
	handed[handed_count++ % HANDED].attempt = o.attempt;
	reached[0]++;
	msg_work_order_done(&o);
}

/* A recent job, and an attempt that may be its newest, an old one or one that never was. */
static struct model_job *pick(int64_t *attempt)
{
	if (job_count == 0)
		return NULL;
	if (handed_count > HANDED && roll(10) < 7) {
		uint32_t i = roll(HANDED);
		*attempt = handed[i].attempt;
		return handed[i].job;
	}
	uint32_t back = roll(roll(10) == 0 ? 200 : 14);
	struct model_job *m = &jobs[job_count - 1 - (back < job_count ? back : job_count - 1)];
	*attempt = m->given_up + (int64_t)roll(5) / 2; /* 0, 0, 1, 1, 2 further */
	return m;
}

/* Whether the answer to something about ${attempt} is right: given up = refused. */
static void check_fenced(const struct model_job *m, int64_t attempt, int64_t given_up, int rc)
{
	cr_assert(rc == 0 || rc == -ERR_INTERRUPTED, "%s", err.msg);
	cr_assert(attempt > given_up || rc == -ERR_INTERRUPTED,
		"attempt %d of %s was given up and is heard", (int)attempt, m->id);
	reached[rc == 0 ? 1 : 2]++;
}

static void step_progress(bool is_touch)
{
	int64_t attempt;
	uint8_t id[16];
	struct msg_go go = { .go = false };
	struct catalog_job j;
	struct model_job *m = pick(&attempt);
	if (m == NULL)
		return;
	agent_id(m->agent, id);
	const struct msg_progress p = { .attempt = attempt, .phase = "backup" };
	int64_t given_up = m->given_up;
	int rc = is_touch ? dispatch_touch(d, id, m->id, attempt, &j, &err)
			  : dispatch_progress(d, id, m->id, &p, &go, &err);
	check_fenced(m, attempt, given_up, rc);
	if (rc == 0 && !is_touch && !go.go)
		reached[3]++;
	/* a commit follows only what was let through, as the gateway does it */
	if (rc == 0 && is_touch && j.verb == MSG_VERB_BACKUP && roll(3) == 0) {
		cr_assert(eq(int, dispatch_committed(d, m->id, "abcd", &err), 0));
		reached[4]++;
	}
}

static void step_result(void)
{
	static const enum err_code codes[] = { ERR_OK, ERR_OK, ERR_PARTIAL, ERR_IO, ERR_UNREACHABLE,
		ERR_INTERRUPTED, ERR_CONFIG, ERR_OBJECTIVE };
	int64_t attempt;
	uint8_t id[16];
	struct model_job *m = pick(&attempt);
	if (m == NULL)
		return;
	struct msg_result r = { .attempt = attempt, .warnings = roll(2) };
	int code = (int)codes[roll(8)];
	if (code != 0)
		(void)err_set(&r.error, (enum err_code)code, "random failure");
	agent_id(m->agent, id);
	int64_t given_up = m->given_up;
	bool is_repeated = m->is_told && attempt == m->given_up;
	int rc = dispatch_result(d, id, m->id, &r, &err);
	if (!is_repeated)
		check_fenced(m, attempt, given_up, rc);
	else /* the same answer unless the next try began, and no new end */
		cr_assert(m->given_up == given_up && (rc == 0 || rc == -ERR_INTERRUPTED));
	reached[5] += rc == 0 ? 1 : 0;
}

static void step_time(void)
{
	int64_t ms = roll(8) == 0 ? roll(90000) : roll(9000);
	int64_t jump = roll(60) == 0 ? ((int64_t)roll(120) - 60) * MINUTE : 0;
	now += ms + jump;
	mono += ms;
	int64_t next = dispatch_tick(d, now);
	cr_assert(next > now && next <= now + MSG_LEASE_MS);
}

static void step_other(uint32_t which)
{
	int64_t attempt;
	uint8_t id[16];
	if (which < 12) {
		agent_id((int)roll(AGENTS), id);
		cr_assert(eq(int, dispatch_hello(d, id, &err), 0));
		reached[6]++;
	} else if (which < 22) {
		struct model_job *m = pick(&attempt);
		int rc = m == NULL ? 0 : dispatch_cancel(d, m->id, "anna", &err);
		cr_assert(rc == 0 || rc == -ERR_INTERRUPTED);
		reached[7] += rc == 0 ? 1 : 0;
	} else if (which < 25) {
		restart();
		reached[8]++;
	}
}

/* ---- what must hold ---- */

struct running {
	size_t count;
	struct catalog_job at[MAX_RUNNING + 1];
};

static int see_running(void *arg, const struct catalog_job *j)
{
	struct running *r = arg;
	cr_assert(r->count < MAX_RUNNING, "more run than may");
	for (size_t i = 0; i < r->count; i++)
		cr_assert(j->verb != r->at[i].verb ||
				  memcmp(r->at[i].agent_id, j->agent_id, 16) != 0 ||
				  (j->verb == MSG_VERB_BACKUP &&
					  strcmp(r->at[i].source, j->source) != 0),
			"two attempts of one source run");
	struct model_job *m = find(j->id);
	cr_assert(j->attempt == m->given_up + 1 && j->attempt <= m->retries + 1);
	r->at[r->count++] = *j;
	return 0;
}

static void check_running(void)
{
	static struct running r;
	const struct catalog_job_query q = { .states = 1u << JOB_RUNNING };
	r.count = 0;
	cr_assert(eq(int, catalog_job_each(f.db, &q, see_running, &r, &err), 0));
}

/* Every job is there; what was over stays as it was; returns how many are not over. */
static size_t check_all(void)
{
	size_t open = 0;
	for (size_t i = 0; i < job_count; i++) {
		struct catalog_job j;
		struct model_job *m = &jobs[i];
		cr_assert(eq(int, catalog_job_get(f.db, m->id, &j, &err), 0), "%s", err.msg);
		if (m->is_over)
			cr_assert(eq(int, (int)j.state, (int)m->state));
		m->is_over = catalog_job_is_over(j.state);
		m->state = j.state;
		cr_assert(j.attempt <= m->retries + 1);
		if (m->is_over)
			cr_assert(j.ended_ms != 0 && j.lease_until_ms == 0);
		else
			open++;
	}
	return open;
}

Test(dispatch_model, nothing_that_happens_breaks_a_promise)
{
	int ends_in[JOB_CANCELED + 1] = { 0 };
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	(void)env_swap(&ops);
	catalog_fixture_init(&f);
	restart();
	for (int i = 0; i < STEPS; i++) {
		uint32_t what = roll(200);
		if (what < 30)
			step_order();
		else if (what < 70)
			step_next();
		else if (what < 110)
			step_progress(what < 90);
		else if (what < 125)
			step_result();
		else if (what < 175)
			step_time();
		else
			step_other(what - 175);
		check_running();
		if (i % 1000 == 999)
			(void)check_all();
	}
	/* nobody calls any more: everything ends, also over a restart */
	catalog_fixture_reopen(&f);
	restart();
	for (int i = 0; i < 24 * 60; i++) {
		now += MINUTE;
		mono += MINUTE;
		(void)dispatch_tick(d, now);
	}
	cr_expect(eq(sz, check_all(), 0));
	for (size_t i = 0; i < job_count; i++)
		ends_in[jobs[i].state]++;
	for (int s = JOB_DONE; s <= JOB_CANCELED; s++)
		cr_expect(ends_in[s] > 5, "only %d jobs ended as %s", ends_in[s],
			catalog_job_state_name((enum catalog_job_state)s));
	for (int i = 0; i <= 8; i++)
		cr_expect(reached[i] > 20, "step %d was reached %d times only", i, reached[i]);
	dispatch_free(d);
	catalog_fixture_done(&f);
	(void)env_swap(NULL);
}
