#include "controller/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "codec/text.h"
#include "controller/catalog_report.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) Of one source of an agent, and of one plan of an agent, at most one job is waiting or
 * running: dispatch_order() refuses another. (2) An attempt that is not both the newest and running
 * is refused: what was given up stays so. (3) Each failed attempt takes one of the job's retries;
 * none left = the job is over. (4) A change of a job and of its attempt is one transaction;
 * callbacks come after it. (5) A running job that is to stop (STOP_*) gets no more lease, so it
 * ends within one.
 */

#define BACKOFF_MAX_MS (60 * 60 * 1000)
/* An order without a sign of life for so long was lost on its way: it is given again. */
#define SILENT_MS (MSG_PROGRESS_MS + 5000)
/* A lease is written anew only when so much of it is gone. */
#define RENEW_MS 5000
/* Wall clock against the clock that never steps: more is a step. */
#define STEP_MS 5000

/* In retries of a running job. */
#define STOP_CANCELED (-1)
#define STOP_DEADLINE (-2)

struct dispatch {
	struct dispatch_opts o;
	int64_t last_now_ms, last_mono_ms; /* of the last tick; 0 = none */
};

/* Jobs read at once: about 5 KiB each. */
#define JOBS_MAX 4096
struct jobs {
	struct catalog_job *at;
	size_t count, cap;
};

static void jobs_done(struct jobs *l)
{
	free(l->at);
}

static int jobs_add(void *arg, const struct catalog_job *j)
{
	struct jobs *l = arg;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 8 : l->cap * 2;
		struct catalog_job *at = reallocarray(l->at, cap, sizeof(*at));
		if (at == NULL)
			return -ERR_NOMEM;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->count++] = *j;
	return 0;
}

static int jobs_read(struct dispatch *d, uint32_t states, const uint8_t *agent_id, struct jobs *out,
	struct err *err)
{
	const struct catalog_job_query q = {
		.states = states, .agent_id = agent_id, .limit = JOBS_MAX, .is_oldest_first = true
	};
	int rc = catalog_job_each(d->o.db, &q, jobs_add, out, err);
	return rc == -ERR_NOMEM ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

static int64_t clock_ms(void)
{
	return env_now_ns() / 1000000;
}

static void say(char *out, size_t size, const char *text)
{
	(void)snprintf(out, size, "%.*s", (int)size - 1, text); /* a reason may be cut */
}

/* The controller does it itself. */
static bool is_own(const struct catalog_job *j)
{
	return catalog_job_own_id(j->verb) != NULL;
}

/* It has the agent's id that goes with its verb. */
static bool is_at_home(const struct catalog_job *j)
{
	const uint8_t *own = catalog_job_own_id(j->verb);
	return own != NULL ? memcmp(j->agent_id, own, 16) == 0
			   : !catalog_job_is_own_id(j->agent_id);
}

/* "line3", "copy", "copy offsite" */
static const char *name_of(const struct catalog_job *j, char out[2 * MSG_NAME_BYTES])
{
	const char *verb = j->verb == MSG_VERB_BACKUP ? "" : msg_work_verb_name(j->verb);
	const char *source = j->verb == MSG_VERB_DRILL ? "" : j->source;
	(void)snprintf(out, 2 * MSG_NAME_BYTES, "%s%s%s", verb,
		verb[0] != '\0' && source[0] != '\0' ? " " : "", source); /* fits */
	return out;
}

static bool is_committed(const struct catalog_job *j)
{
	return j->result.attempt == j->attempt && j->result.snapshot[0] != '\0';
}

/* ---- changes ---- */

struct change {
	bool is_attempt_over;
	const char *outcome; /* of the attempt */
	const char *alarm;   /* NULL = none */
};

static int write_all(
	struct dispatch *d, const struct catalog_job *j, const struct change *c, struct err *err)
{
	int rc = db_begin(d->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_job_set(d->o.db, j, err);
	if (rc == 0 && c->is_attempt_over) {
		struct catalog_attempt a = {
			.number = j->attempt, .started_ms = j->started_ms, .ended_ms = clock_ms()
		};
		say(a.outcome, sizeof(a.outcome), c->outcome);
		say(a.reason, sizeof(a.reason), j->reason);
		rc = catalog_job_set_attempt(d->o.db, j->id, &a, err);
	}
	if (rc == 0)
		return db_commit(d->o.db, err);
	db_rollback(d->o.db);
	return rc;
}

static int apply(
	struct dispatch *d, const struct catalog_job *j, const struct change *c, struct err *err)
{
	int rc = write_all(d, j, c, err);
	if (rc != 0)
		return rc;
	if (c->is_attempt_over)
		log_info("dispatch.attempt",
			"job=%s attempt=%lld outcome=%s state=%s reason=\"%s\"", j->id,
			(long long)j->attempt, c->outcome, catalog_job_state_name(j->state),
			j->reason);
	if (c->is_attempt_over && d->o.on_end != NULL)
		d->o.on_end(d->o.arg, j);
	if (c->alarm != NULL && d->o.on_alarm != NULL)
		d->o.on_alarm(d->o.arg, j, c->alarm);
	return 0;
}

/* The attempt is over, and so is the job. */
static int finish(struct dispatch *d, struct catalog_job *j, enum catalog_job_state state,
	const char *reason, struct err *err)
{
	static const char *const outcomes[] = { [JOB_DONE] = "done",
		[JOB_WARNINGS] = "warnings",
		[JOB_OBJECTIVE] = "objective-not-met",
		[JOB_FAILED] = "failed",
		[JOB_CANCELED] = "canceled",
		[JOB_MISSED] = "" };
	char text[640], name[2 * MSG_NAME_BYTES];
	j->state = state;
	j->ended_ms = clock_ms();
	j->lease_until_ms = 0;
	if (j->retries < 0)
		j->retries = 0;
	if (reason != j->reason)
		say(j->reason, sizeof(j->reason), reason);
	(void)snprintf(text, sizeof(text), "%s %s: %s", name_of(j, name),
		catalog_job_state_name(state), j->reason);
	const struct change c = { true, outcomes[state],
		state == JOB_FAILED || state == JOB_OBJECTIVE ? text : NULL };
	return apply(d, j, &c, err);
}

static int64_t backoff(const struct catalog_job *j)
{
	int64_t wait = j->retry_after_ms > 0 ? j->retry_after_ms : 0;
	for (int64_t i = 1; i < j->attempt && wait < BACKOFF_MAX_MS; i++)
		wait = wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
	return wait;
}

/* The attempt failed: try again, or give up. */
static int fail(struct dispatch *d, struct catalog_job *j, bool may_retry, const char *outcome,
	const char *reason, struct err *err)
{
	if (!may_retry || j->retries <= 0)
		return finish(d, j, JOB_FAILED, reason, err);
	j->retries--;
	j->state = JOB_WAITING;
	j->not_before_ms = clock_ms() + backoff(j);
	j->lease_until_ms = 0;
	say(j->reason, sizeof(j->reason), reason);
	const struct change c = { true, outcome, strcmp(outcome, "lost") == 0 ? j->reason : NULL };
	return apply(d, j, &c, err);
}

/* Nothing will be heard of the attempt any more. */
static int lose(struct dispatch *d, struct catalog_job *j, const char *reason, struct err *err)
{
	char text[512];
	if (is_committed(j)) {
		(void)snprintf(text, sizeof(text), "its snapshot is durable, but then %s", reason);
		return finish(d, j, JOB_DONE, text, err);
	}
	if (j->retries < 0)
		return finish(d, j, j->retries == STOP_CANCELED ? JOB_CANCELED : JOB_FAILED,
			j->reason, err);
	return fail(d, j, true, "lost", reason, err);
}

/* ---- ordering ---- */

/* True unless both drills are known to be of different plans. */
static bool is_same_plan(
	struct dispatch *d, const struct catalog_job *a, const struct catalog_job *b)
{
	struct catalog_report x, y;
	if (catalog_report_get(d->o.db, a->drill, &x, NULL) != 0 ||
		catalog_report_get(d->o.db, b->drill, &y, NULL) != 0)
		return true;
	return strcmp(x.plan_id, y.plan_id) == 0;
}

static int check_alone(struct dispatch *d, const struct catalog_job *j, struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int rc = jobs_read(d, 1u << JOB_WAITING | 1u << JOB_RUNNING, j->agent_id, &l, err);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		const struct catalog_job *o = &l.at[i];
		if (o->verb != j->verb)
			continue;
		bool is_same = j->verb == MSG_VERB_DRILL ? is_same_plan(d, o, j)
							 : strcmp(o->source, j->source) == 0;
		if (is_same) {
			(void)err_set(err, ERR_EXISTS, "job %s of the same %s is %s", o->id,
				j->verb == MSG_VERB_DRILL  ? "plan"
				: j->verb == MSG_VERB_COPY ? "replica"
				: is_own(j)                ? "task"
							   : "source",
				catalog_job_state_name(o->state));
			return err_hint(err, "wait for it, or cancel it");
		}
	}
	return rc;
}

static int take(struct dispatch *d, struct catalog_job *j, struct err *err)
{
	uint8_t id[16];
	if (j->verb == MSG_VERB_BACKUP && j->source[0] == '\0')
		return err_set(err, ERR_USAGE, "a backup is of a source");
	if (j->verb == MSG_VERB_COPY && j->source[0] == '\0')
		return err_set(err, ERR_USAGE, "a copy is to a replica");
	if (!is_at_home(j))
		return err_set(err, ERR_USAGE, "a %s is %s", msg_work_verb_name(j->verb),
			is_own(j) ? "no job for an agent" : "a job for an agent");
	if (j->retries < 0 || j->retry_after_ms < 0)
		return err_set(err, ERR_USAGE, "retries and their wait are not below 0");
	int rc = check_alone(d, j, err);
	if (rc == 0)
		rc = env_random(id, sizeof(id), err);
	if (rc != 0)
		return rc;
	text_hex(id, sizeof(id), j->id);
	j->state = JOB_WAITING;
	j->created_ms = clock_ms();
	j->started_ms = j->ended_ms = j->attempt = j->lease_until_ms = 0;
	if (j->due_ms == 0)
		j->due_ms = j->created_ms;
	memset(&j->progress, 0, sizeof(j->progress));
	memset(&j->result, 0, sizeof(j->result));
	return catalog_job_add(d->o.db, j, err);
}

int dispatch_order(struct dispatch *d, struct catalog_job *j, struct err *err)
{
	int rc = take(d, j, err);
	if (rc != 0 && j->drill[0] != '\0') {
		if (d->o.drop_drill != NULL)
			d->o.drop_drill(d->o.arg, j);
		j->drill[0] = '\0';
	}
	return rc;
}

/* ---- giving out ---- */

static bool is_silent(const struct catalog_job *j)
{
	return j->progress.attempt != j->attempt &&
	       j->lease_until_ms == j->started_ms + MSG_LEASE_MS;
}

/* Begin the next attempt. */
static int begin(struct dispatch *d, struct catalog_job *j, int64_t now, struct err *err)
{
	struct catalog_attempt a = { .number = j->attempt + 1, .started_ms = now };
	j->attempt++;
	j->state = JOB_RUNNING;
	j->started_ms = now;
	j->lease_until_ms = now + MSG_LEASE_MS;
	if (j->attempt > 1) /* of the try before; what the order said of it stays */
		j->reason[0] = '\0';
	int rc = db_begin(d->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_job_set(d->o.db, j, err);
	if (rc == 0)
		rc = catalog_job_add_attempt(d->o.db, j->id, &a, err);
	if (rc == 0)
		return db_commit(d->o.db, err);
	db_rollback(d->o.db);
	return rc;
}

/* Put ${j} into an order.  Return 1, 0 when the attempt failed at once, or an error. */
static int hand_out(
	struct dispatch *d, struct catalog_job *j, struct msg_order *out, struct err *err)
{
	struct msg_order order = { .attempt = j->attempt, .verb = j->verb };
	struct err why = ERR_INIT;
	int rc = 0;
	say(order.job, sizeof(order.job), j->id);
	say(order.source, sizeof(order.source), j->source);
	order.deadline_ms = j->deadline_ms;
	if (j->verb == MSG_VERB_DRILL)
		rc = d->o.fill_drill == NULL
			     ? err_set(&why, ERR_UNSUPPORTED, "nobody here prepares drills")
			     : d->o.fill_drill(d->o.arg, j, &order, &why);
	if (rc == 0) {
		*out = order;
		return 1;
	}
	msg_work_order_done(&order);
	return fail(d, j, err_is_retryable(rc), "failed", why.msg, err);
}

/* Of those that count among max_running: a copy may take days, and is alone in its lane. */
static int count_running(struct dispatch *d, int64_t *out, struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int64_t count = 0;
	int rc = jobs_read(d, 1u << JOB_RUNNING, NULL, &l, err);
	for (size_t i = 0; rc == 0 && i < l.count; i++)
		count += l.at[i].verb != MSG_VERB_COPY;
	if (rc == 0)
		*out = count;
	return rc;
}

/* An order of ${l} that got lost on its way, or NULL. */
static struct catalog_job *find_silent(struct jobs *l, int64_t now)
{
	for (size_t i = 0; i < l->count; i++) {
		struct catalog_job *j = &l->at[i];
		if (j->state == JOB_RUNNING && j->retries >= 0 && is_silent(j) &&
			now >= j->started_ms + SILENT_MS)
			return j;
	}
	return NULL;
}

static bool is_late(const struct catalog_job *j, int64_t now)
{
	if (j->start_by_ms == 0)
		return false;
	int64_t window = j->start_by_ms - j->due_ms;
	int64_t limit = j->not_before_ms + (window > 0 ? window : 0);
	return now > (j->attempt > 0 && limit > j->start_by_ms ? limit : j->start_by_ms);
}

/* What is to be done first: a drill, then what is due first (the list's order), or NULL. */
static struct catalog_job *find_waiting(struct jobs *l, int64_t now)
{
	struct catalog_job *best = NULL;
	for (size_t i = 0; i < l->count; i++) {
		struct catalog_job *j = &l->at[i];
		if (j->state != JOB_WAITING || j->not_before_ms > now || j->due_ms > now ||
			is_late(j, now))
			continue;
		if (best == NULL || (best->verb != MSG_VERB_DRILL && j->verb == MSG_VERB_DRILL))
			best = j;
	}
	return best;
}

int dispatch_next(
	struct dispatch *d, const uint8_t agent_id[16], struct msg_order *out, struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int64_t now = clock_ms(), running = 0;
	int rc = jobs_read(d, 1u << JOB_WAITING | 1u << JOB_RUNNING, agent_id, &l, err);
	if (rc != 0)
		return rc;
	struct catalog_job *lost = find_silent(&l, now);
	if (lost != NULL) {
		lost->lease_until_ms = now + MSG_LEASE_MS;
		rc = catalog_job_set(d->o.db, lost, err);
		return rc != 0 ? rc : hand_out(d, lost, out, err);
	}
	const uint8_t *copies = catalog_job_own_id(MSG_VERB_COPY);
	if (memcmp(agent_id, copies, 16) != 0) /* copies wait for each other alone */
		rc = count_running(d, &running, err);
	while (rc == 0 && running < d->o.max_running) {
		struct catalog_job *j = find_waiting(&l, now);
		if (j == NULL)
			return 0;
		rc = begin(d, j, now, err);
		if (rc == 0)
			rc = hand_out(d, j, out, err);
		if (rc == 0 && j->state == JOB_WAITING)
			j->not_before_ms = now + 1; /* not again in this call */
	}
	return rc;
}

/* ---- signs from agents ---- */

static int read_own(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	struct catalog_job *j, struct err *err)
{
	int rc = catalog_job_get(d->o.db, job, j, err);
	if (rc == -ERR_USAGE ||
		(rc == 0 && (memcmp(j->agent_id, agent_id, 16) != 0 || strcmp(j->id, job) != 0)))
		return err_set(err, ERR_NOT_FOUND, "no job '%s' of this agent", job);
	return rc;
}

static int refuse_attempt(const struct catalog_job *j, int64_t attempt, struct err *err)
{
	return err_set(err, ERR_INTERRUPTED, "attempt %lld of job %s is over: the job is %s%s%s",
		(long long)attempt, j->id, catalog_job_state_name(j->state),
		j->reason[0] != '\0' ? ", " : "", j->reason);
}

static int read_running(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	int64_t attempt, struct catalog_job *j, struct err *err)
{
	int rc = read_own(d, agent_id, job, j, err);
	if (rc == 0 && (j->state != JOB_RUNNING || j->attempt != attempt))
		return refuse_attempt(j, attempt, err);
	return rc;
}

int dispatch_touch(struct dispatch *d, const uint8_t agent_id[16], const char *job, int64_t attempt,
	struct catalog_job *out, struct err *err)
{
	struct catalog_job j;
	int rc = read_running(d, agent_id, job, attempt, &j, err);
	if (rc == 0 && j.retries < 0)
		return err_set(err, ERR_INTERRUPTED, "job %s is to stop: %s", j.id, j.reason);
	int64_t until = clock_ms() + MSG_LEASE_MS;
	if (rc == 0 && until - j.lease_until_ms >= RENEW_MS) {
		j.lease_until_ms = until;
		rc = catalog_job_set(d->o.db, &j, err);
	}
	if (rc == 0)
		*out = j;
	return rc;
}

int dispatch_progress(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	const struct msg_progress *p, struct msg_go *go, struct err *err)
{
	struct catalog_job j;
	int rc = read_running(d, agent_id, job, p->attempt, &j, err);
	if (rc != 0)
		return rc;
	j.progress = *p;
	if (j.retries >= 0)
		j.lease_until_ms = clock_ms() + MSG_LEASE_MS;
	rc = catalog_job_set(d->o.db, &j, err);
	if (rc != 0)
		return rc;
	*go = (struct msg_go){ .go = j.retries >= 0 };
	if (!go->go)
		say(go->why, sizeof(go->why), j.reason);
	return 0;
}

int dispatch_committed(
	struct dispatch *d, const char *job, const char *snapshot_hex, struct err *err)
{
	struct catalog_job j;
	int rc = catalog_job_get(d->o.db, job, &j, err);
	if (rc != 0)
		return rc;
	if (j.state == JOB_RUNNING) {
		memset(&j.result, 0, sizeof(j.result));
		j.result.attempt = j.attempt;
	}
	say(j.result.snapshot, sizeof(j.result.snapshot), snapshot_hex);
	if (j.state != JOB_WAITING && j.state != JOB_FAILED)
		return catalog_job_set(d->o.db, &j, err);
	/* the attempt was given up while its commit was under way: there is nothing left to try */
	j.state = JOB_DONE;
	j.result.attempt = j.attempt;
	j.ended_ms = clock_ms();
	say(j.reason, sizeof(j.reason), "its snapshot became durable after its agent was given up");
	return catalog_job_set(d->o.db, &j, err);
}

/* What an attempt's own account of its end makes of the job. */
static int judge(struct dispatch *d, struct catalog_job *j, bool is_made, struct err *err)
{
	const struct msg_result *r = &j->result;
	int code = r->error.code;
	char text[512];
	if (code == ERR_OK || code == ERR_PARTIAL) {
		if (j->verb == MSG_VERB_BACKUP && !is_made)
			return fail(d, j, true, "failed",
				"the agent reports a snapshot, but none was committed", err);
		bool is_clean = code == ERR_OK && r->warnings == 0;
		return finish(d, j, is_clean ? JOB_DONE : JOB_WARNINGS,
			is_clean && !is_own(j)        ? (j->attempt == 1 ? j->reason : "")
			: r->first_warning[0] != '\0' ? r->first_warning
						      : r->error.msg,
			err);
	}
	if (code == ERR_OBJECTIVE)
		return finish(d, j, JOB_OBJECTIVE, r->error.msg, err);
	if (is_made) {
		(void)snprintf(text, sizeof(text), "its snapshot is durable, but then: %.440s",
			r->error.msg);
		return finish(d, j, JOB_WARNINGS, text, err);
	}
	if (j->retries < 0)
		return finish(d, j, j->retries == STOP_CANCELED ? JOB_CANCELED : JOB_FAILED,
			j->reason, err);
	(void)snprintf(text, sizeof(text), "%.500s",
		r->error.msg[0] != '\0' ? r->error.msg : err_id(code));
	return fail(d, j, err_is_retryable(code), "failed", text, err);
}

int dispatch_result(struct dispatch *d, const uint8_t agent_id[16], const char *job,
	const struct msg_result *r, struct err *err)
{
	struct catalog_job j;
	int rc = read_own(d, agent_id, job, &j, err);
	if (rc != 0)
		return rc;
	if (j.state != JOB_RUNNING && r->attempt > 0 && j.attempt == r->attempt &&
		j.result.attempt == r->attempt)
		return 0; /* said before: the answer was lost */
	if (j.state != JOB_RUNNING || j.attempt != r->attempt)
		return refuse_attempt(&j, r->attempt, err);
	bool is_made = is_committed(&j);
	char snapshot[sizeof(j.result.snapshot)] = "";
	if (is_made)
		memcpy(snapshot, j.result.snapshot, sizeof(snapshot));
	j.result = *r;
	memcpy(j.result.snapshot, snapshot, sizeof(snapshot)); /* what we saw, not what it says */
	return judge(d, &j, is_made, err);
}

int dispatch_hello(struct dispatch *d, const uint8_t agent_id[16], struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int rc = jobs_read(d, 1u << JOB_RUNNING, agent_id, &l, err);
	for (size_t i = 0; rc == 0 && i < l.count; i++)
		rc = lose(d, &l.at[i],
			is_own(&l.at[i]) ? "the controller began anew" : "the agent began anew",
			err);
	return rc;
}

int dispatch_drop(struct dispatch *d, const uint8_t agent_id[16], struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int rc = jobs_read(d, 1u << JOB_WAITING | 1u << JOB_RUNNING, agent_id, &l, err);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		struct catalog_job *j = &l.at[i];
		if (j->state == JOB_WAITING) {
			rc = dispatch_cancel(d, j->id, "the revocation of its agent", err);
			continue;
		}
		j->retries = j->retries < 0 ? j->retries : 0;
		rc = lose(d, j, "its agent was revoked", err);
	}
	return rc;
}

int dispatch_cancel(struct dispatch *d, const char *job, const char *who, struct err *err)
{
	struct catalog_job j;
	int rc = catalog_job_get(d->o.db, job, &j, err);
	if (rc != 0)
		return rc;
	if (catalog_job_is_over(j.state))
		return err_set(err, ERR_INTERRUPTED, "job %s is over: it is %s", j.id,
			catalog_job_state_name(j.state));
	(void)snprintf(j.reason, sizeof(j.reason), "canceled by %s", who);
	if (j.state == JOB_RUNNING) {
		j.retries = STOP_CANCELED;
	} else {
		j.state = JOB_CANCELED;
		j.ended_ms = clock_ms();
	}
	return catalog_job_set(d->o.db, &j, err);
}

/* ---- time ---- */

/* The wall clock was set: leases and runs are measured by the other clock, so move them along. */
static int64_t step_of(struct dispatch *d, int64_t now)
{
	int64_t mono = env_mono_ns() / 1000000, step = 0;
	if (d->last_now_ms != 0)
		step = (now - d->last_now_ms) - (mono - d->last_mono_ms);
	d->last_now_ms = now;
	d->last_mono_ms = mono;
	return step > STEP_MS || step < -STEP_MS ? step : 0;
}

static int move_along(
	struct dispatch *d, struct catalog_job *j, int64_t step, int64_t now, struct err *err)
{
	bool was_silent = is_silent(j);
	j->started_ms += step;
	j->lease_until_ms += step;
	if (j->started_ms > now)
		j->started_ms = now;
	if (j->lease_until_ms > now + MSG_LEASE_MS)
		j->lease_until_ms = now + MSG_LEASE_MS;
	if (was_silent)
		j->lease_until_ms = j->started_ms + MSG_LEASE_MS;
	return catalog_job_set(d->o.db, j, err);
}

static int look_at_running(struct dispatch *d, struct catalog_job *j, int64_t now, struct err *err)
{
	if (j->retries >= 0 && j->deadline_ms > 0 && now >= j->started_ms + j->deadline_ms) {
		char text[HUMAN_BYTES];
		j->retries = STOP_DEADLINE;
		(void)snprintf(j->reason, sizeof(j->reason),
			"it ran longer than its deadline of %s",
			human_duration(text, j->deadline_ms * 1000000));
		int rc = catalog_job_set(d->o.db, j, err);
		if (rc != 0)
			return rc;
	}
	if (now >= j->lease_until_ms)
		return lose(d, j, "nothing was heard of the agent for a minute", err);
	return 0;
}

static int look_at_waiting(struct dispatch *d, struct catalog_job *j, int64_t now, struct err *err)
{
	char text[640], name[2 * MSG_NAME_BYTES];
	if (!is_late(j, now))
		return 0;
	bool has_begun = j->attempt > 0;
	j->state = has_begun ? JOB_FAILED : JOB_MISSED;
	j->ended_ms = now;
	if (has_begun)
		(void)snprintf(text, sizeof(text), "%.400s; the next try did not begin in time",
			j->reason);
	else
		say(text, sizeof(text),
			is_own(j) ? "it did not begin in time: another task of the controller, or "
				    "as many jobs as may run at once were running"
				  : "it did not begin in time: the agent did not ask for work, "
				    "or as many jobs as may run at once were running");
	say(j->reason, sizeof(j->reason), text);
	(void)snprintf(text, sizeof(text), "%s %s: %s", name_of(j, name),
		catalog_job_state_name(j->state), j->reason);
	const struct change c = { .is_attempt_over = false, .alarm = text };
	return apply(d, j, &c, err);
}

static void earlier(int64_t *next, int64_t at)
{
	if (at < *next)
		*next = at;
}

/* When ${j} needs a look again. */
static void plan_look(const struct catalog_job *j, int64_t now, int64_t *next)
{
	if (j->state == JOB_RUNNING) {
		earlier(next, j->lease_until_ms);
		if (j->deadline_ms > 0 && j->retries >= 0)
			earlier(next, j->started_ms + j->deadline_ms);
		if (is_silent(j) && now < j->started_ms + SILENT_MS)
			earlier(next, j->started_ms + SILENT_MS);
		return;
	}
	int64_t from = j->due_ms > j->not_before_ms ? j->due_ms : j->not_before_ms;
	if (from > now)
		earlier(next, from);
	if (j->start_by_ms > 0) {
		int64_t limit = j->start_by_ms;
		if (j->attempt > 0 && j->not_before_ms + (limit - j->due_ms) > limit)
			limit = j->not_before_ms + (limit - j->due_ms);
		earlier(next, limit + 1);
	}
}

/* Wake the agents that have something to fetch. */
static void wake(struct dispatch *d, struct jobs *l, int64_t running, int64_t now)
{
	for (size_t i = 0; d->o.on_ready != NULL && i < l->count; i++) {
		struct catalog_job *j = &l->at[i];
		struct jobs one = { j, 1, 1 };
		bool is_ready = (running < d->o.max_running && find_waiting(&one, now) != NULL) ||
				find_silent(&one, now) != NULL;
		if (is_ready)
			d->o.on_ready(d->o.arg, j->agent_id);
	}
}

int64_t dispatch_tick(struct dispatch *d, int64_t now_ms)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	struct err why = ERR_INIT;
	int64_t step = step_of(d, now_ms), next = now_ms + MSG_LEASE_MS, running = 0;
	int rc = jobs_read(d, 1u << JOB_WAITING | 1u << JOB_RUNNING, NULL, &l, &why);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		struct catalog_job *j = &l.at[i];
		if (j->state == JOB_RUNNING && step != 0)
			rc = move_along(d, j, step, now_ms, &why);
		if (rc == 0 && j->state == JOB_RUNNING)
			rc = look_at_running(d, j, now_ms, &why);
		else if (rc == 0)
			rc = look_at_waiting(d, j, now_ms, &why);
		if (!catalog_job_is_over(j->state))
			plan_look(j, now_ms, &next);
		running += j->state == JOB_RUNNING ? 1 : 0;
	}
	if (rc != 0) { /* the catalog is in trouble: look again soon */
		log_error("dispatch.tick", "%s", why.msg);
		return now_ms + 1000;
	}
	wake(d, &l, running, now_ms);
	return next > now_ms ? next : now_ms + 1;
}

/* ---- begin and end ---- */

/* Agents could not be heard while nobody listened: their leases begin again. */
static int renew_all(struct dispatch *d, struct err *err)
{
	CLEANUP(jobs_done) struct jobs l = { NULL, 0, 0 };
	int rc = jobs_read(d, 1u << JOB_RUNNING, NULL, &l, err);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		if (l.at[i].retries < 0)
			continue;
		l.at[i].lease_until_ms = clock_ms() + MSG_LEASE_MS;
		rc = catalog_job_set(d->o.db, &l.at[i], err);
	}
	return rc;
}

DEFINE_CLEANUP(struct dispatch *, dispatch_free)

int dispatch_new(const struct dispatch_opts *opts, struct dispatch **out, struct err *err)
{
	CLEANUP(dispatch_free_p) struct dispatch *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->o = *opts;
	int rc = renew_all(d, err);
	if (rc == 0)
		*out = TAKE(d);
	return rc;
}

void dispatch_free(struct dispatch *d)
{
	free(d);
}

void dispatch_set_max_running(struct dispatch *d, int64_t max_running)
{
	d->o.max_running = max_running;
}
