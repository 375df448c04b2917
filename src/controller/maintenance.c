#include "controller/maintenance.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "controller/audit.h"
#include "controller/catalog.h"
#include "controller/catalog_job.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller_conf.h"
#include "controller/dispatch.h"
#include "controller/gateway_worker.h"
#include "controller/maintenance_run.h"
#include "vault/collect.h"

/*
 *	dispatch --> (tick) order --> [thread] maintenance_run_do --> (loop) catalog, audit, result
 *
 * INVARIANTS
 * (1) One job of a lane runs at a time: the sights of collection and the memory of scrubs are the
 *     tasks' alone.  Copies to replicas have a lane of their own, which no task waits for.
 * (2) A job holds its lease by ticks; one that is to stop is told so at the next, and ends with the
 *     operation on the store that it is at.
 * (3) A snapshot that the run names as pruned leaves the catalog whatever else came of the run.
 */

#define TICK_MS 5000
#define APPROVAL_KEY "maintenance.approval" /* of one job: "ID text" */
#define BEGIN_KEY "maintenance.begin."      /* and a replica's name: begun by this job: "ID" */
#define BEGIN_KEY_BYTES (sizeof(BEGIN_KEY) + MSG_NAME_BYTES)
#define SINCE_KEY "maintenance.retention" /* when retention last ran to its end, ms */
#define PHASE "maintenance"

struct task {
	struct gateway_task task; /* first: see gateway_worker.h */
	struct maintenance *m;
	struct lane *lane; /* NULL: a preview */
	struct maintenance_run run;
	char job[MSG_ID_HEX];
	int64_t attempt;
	/* a preview */
	struct task *next;
	maintenance_fn fn;
	void *arg;
};

/* Jobs that follow each other. */
struct lane {
	const uint8_t *id;             /* whose jobs they are for dispatch */
	struct gateway_worker *worker; /* owned */
	struct task *running;          /* or NULL */
};

enum { LANE_TASKS, LANE_COPIES, LANES };

struct maintenance {
	struct maintenance_opts o;
	const struct controller_conf *conf; /* borrowed */
	struct gateway_home *home;          /* owned, as all here */
	struct lane lanes[LANES];
	struct gateway_worker *previews;
	struct collect_sights sights;
	struct task *asked; /* previews on their way */
	char ages[PATH_MAX];
	bool is_ending;
};

/* ---- what a run must know ------------------------------------------------------------------ */

struct knowing {
	struct maintenance_run *r;
	struct err *err;
};

/* The newest of each source: they come newest first. */
static int add_known(void *arg, const struct catalog_snapshot *s)
{
	const struct knowing *k = arg;
	struct maintenance_run *r = k->r;
	uint8_t source[32];
	memcpy(source, s->agent_id, 16);
	memcpy(source + 16, s->source_id, 16);
	for (size_t i = 0; i < r->known_count; i++) {
		if (memcmp(r->known[i].source, source, sizeof(source)) != 0)
			continue;
		if (s->seq > r->known[i].seq)
			r->known[i].seq = s->seq;
		return 0;
	}
	struct maintenance_run_known *grown =
		reallocarray(r->known, r->known_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(k->err, ERR_NOMEM, "out of memory");
	r->known = grown;
	memcpy(grown[r->known_count].source, source, sizeof(source));
	grown[r->known_count++].seq = s->seq;
	return 0;
}

static int read_setting(struct maintenance *m, const char *key, char *out, size_t size)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	int rc = catalog_get(m->o.db, key, &text, NULL);
	if (rc == 0)
		(void)snprintf(out, size, "%.*s", (int)text.len, (const char *)text.data);
	return rc;
}

static const struct controller_schedule *find_schedule(
	const struct maintenance *m, const char *name)
{
	for (size_t i = 0; i < m->conf->schedule_count; i++) {
		if (strcmp(m->conf->schedules[i].name, name) == 0)
			return &m->conf->schedules[i];
	}
	return NULL;
}

static int prepare(struct maintenance *m, struct maintenance_run *r, struct err *err)
{
	struct knowing k = { .r = r, .err = err };
	char since[32] = "0";
	r->ages = m->ages;
	r->sights = &m->sights;
	r->grace_ns = COLLECT_GRACE_NS;
	r->older_than_ns = CONTROLLER_CONF_SCRUB_NS;
	(void)read_setting(m, SINCE_KEY, since, sizeof(since)); /* none yet: 0 */
	r->since_ns = strtoll(since, NULL, 10) * 1000000;
	int rc = retention_conf_copy(&m->conf->retention, &r->rules, err);
	return rc != 0 ? rc : catalog_snapshot_each(m->o.db, NULL, 0, add_known, &k, err);
}

/* ---- on the thread, and back --------------------------------------------------------------- */

static void run_task(struct gateway_task *t)
{
	struct task *x = (struct task *)t;
	t->rc = maintenance_run_do(&x->run, &x->m->o.vault, &t->err);
}

static void task_free(struct task *x)
{
	maintenance_run_done(&x->run);
	free(x);
}

/* Invariant 3. */
static void forget_pruned(struct maintenance *m, const struct maintenance_run *r)
{
	struct err why = ERR_INIT;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->pruned_count; i++)
		rc = catalog_snapshot_remove(m->o.db, r->pruned[i], &why);
	if (rc != 0)
		log_error("maintenance.catalog", "%s", why.msg);
}

static void record(struct maintenance *m, const struct task *x)
{
	char action[64];
	const int rc = x->task.rc;
	(void)snprintf(action, sizeof(action), "maintenance.%s",
		msg_work_verb_name(x->run.verb)); /* fits */
	if (audit_add(m->o.db, "controller", "", action, x->job, rc == 0 ? "ok" : err_id(rc),
		    rc == 0 ? x->run.summary : x->task.err.msg, NULL) != 0)
		log_error("maintenance.record", "unable to record what job %s did", x->job);
}

static void note_end(struct maintenance *m, const struct maintenance_run *r, int rc)
{
	char text[32];
	struct err why = ERR_INIT;
	/* a source that waits must not let the gains of all others grow for months */
	if (r->verb != MSG_VERB_RETENTION || (rc != 0 && !r->is_waiting))
		return;
	int n = snprintf(text, sizeof(text), "%lld", (long long)(env_now_ns() / 1000000));
	if (catalog_set(m->o.db, SINCE_KEY, text, (size_t)n, &why) != 0)
		log_error("maintenance.since", "%s", why.msg);
}

static void done_task(struct gateway_task *t)
{
	struct task *x = (struct task *)t;
	struct maintenance *m = x->m;
	struct err why = ERR_INIT;
	struct msg_result result = { .attempt = x->attempt, .warnings = x->run.warnings };
	x->lane->running = NULL;
	if (t->rc != 0)
		result.error = t->err;
	if (t->rc != 0 && result.error.code == 0)
		(void)err_set(&result.error, ERR_FAILED, "it failed without a reason");
	(void)snprintf(result.first_warning, sizeof(result.first_warning), "%s", x->run.summary);
	result.bytes = (int64_t)atomic_load(&x->run.done_bytes);
	forget_pruned(m, &x->run);
	record(m, x);
	note_end(m, &x->run, t->rc);
	/* a controller that ends leaves the job running: it goes on with the next start */
	if (!m->is_ending &&
		dispatch_result(m->o.dispatch, x->lane->id, x->job, &result, &why) != 0)
		log_warn("maintenance.result", "job=%s error=\"%s\", continuing", x->job, why.msg);
	task_free(x);
	if (!m->is_ending)
		m->o.on_end(m->o.arg);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

/* What only a person can allow: a job of this id. */
static bool is_allowed(
	struct maintenance *m, const char *key, const char *job, char *text, size_t size)
{
	return read_setting(m, key, text, size) == 0 && strncmp(text, job, MSG_ID_HEX - 1) == 0;
}

/* One for each replica: two that wait do not strike each other's words. */
static void begin_key(const char *replica, char out[BEGIN_KEY_BYTES])
{
	(void)snprintf(
		out, BEGIN_KEY_BYTES, BEGIN_KEY "%.*s", MSG_NAME_BYTES - 1, replica); /* fits */
}

static int prepare_copy(
	struct maintenance *m, struct maintenance_run *r, const char *replica, struct err *err)
{
	const struct replica_conf *of = replica_conf_find(&m->conf->replicas, replica);
	if (of == NULL)
		return err_set(err, ERR_USAGE, "the controller's configuration has no replica '%s'",
			replica);
	return replica_conf_copy(of, &r->replica, err);
}

static int begin(
	struct maintenance *m, struct lane *lane, const struct msg_order *order, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	struct task *x = calloc(1, sizeof(*x));
	char text[MAINTENANCE_RUN_APPROVAL_BYTES + MSG_ID_HEX];
	char key[BEGIN_KEY_BYTES];
	if (j == NULL || x == NULL) {
		free(x);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	x->m = m;
	x->lane = lane;
	x->run.verb = order->verb;
	x->attempt = order->attempt;
	memcpy(x->job, order->job, sizeof(x->job));
	int rc = order->verb == MSG_VERB_COPY ? prepare_copy(m, &x->run, order->source, err)
					      : prepare(m, &x->run, err);
	if (rc == 0)
		rc = catalog_job_get(m->o.db, order->job, j, err);
	if (rc != 0) {
		task_free(x);
		return rc;
	}
	const struct controller_schedule *s = find_schedule(m, j->schedule);
	if (s != NULL && s->verb == order->verb) {
		x->run.grace_ns = s->grace_ns;
		x->run.older_than_ns = s->older_than_ns;
		x->run.percent = (unsigned)s->sample_percent;
	}
	begin_key(order->source, key);
	x->run.is_begin =
		order->verb == MSG_VERB_COPY && is_allowed(m, key, x->job, text, sizeof(text));
	if (is_allowed(m, APPROVAL_KEY, x->job, text, sizeof(text)) && text[MSG_ID_HEX - 1] == ' ')
		(void)snprintf(x->run.approval, sizeof(x->run.approval), "%.*s",
			(int)sizeof(x->run.approval) - 1, text + MSG_ID_HEX);
	x->task = (struct gateway_task){ .run = run_task, .done = done_task };
	lane->running = x;
	log_info("maintenance.begin", "job=%s task=%s attempt=%lld", x->job,
		msg_work_verb_name(order->verb), (long long)order->attempt);
	gateway_worker_post(lane->worker, &x->task);
	return 0;
}

static void look_for_work(struct maintenance *m, struct lane *lane)
{
	struct msg_order order = { .attempt = 0 };
	struct err why = ERR_INIT;
	int rc = dispatch_next(m->o.dispatch, lane->id, &order, &why);
	if (rc == 1) {
		rc = begin(m, lane, &order, &why);
		if (rc != 0) {
			const struct msg_result failed = { .attempt = order.attempt, .error = why };
			(void)dispatch_result(m->o.dispatch, lane->id, order.job, &failed,
				NULL); /* its lease ends it else */
		}
		msg_work_order_done(&order);
	}
	if (rc != 0)
		log_error("maintenance.next", "%s", why.msg);
}

/* Invariant 2. */
static void give_sign(struct maintenance *m, const struct lane *lane)
{
	struct task *x = lane->running;
	struct msg_go go = { .go = false };
	struct err why = ERR_INIT;
	char a[HUMAN_BYTES], b[HUMAN_BYTES];
	struct msg_progress p = { .attempt = x->attempt, .phase = PHASE };
	const uint64_t done = atomic_load(&x->run.done_bytes);
	const uint64_t total = atomic_load(&x->run.total_bytes);
	const uint64_t items = atomic_load(&x->run.total_items);
	p.bytes = (int64_t)done;
	if (total > 0)
		(void)snprintf(p.text, sizeof(p.text), "%s of %s", human_size(a, done),
			human_size(b, total)); /* fits */
	else if (items > 0)
		(void)snprintf(p.text, sizeof(p.text), "%llu of %llu records",
			(unsigned long long)atomic_load(&x->run.done_items),
			(unsigned long long)items); /* fits */
	int rc = dispatch_progress(m->o.dispatch, lane->id, x->job, &p, &go, &why);
	if (rc == 0 && go.go)
		return;
	if (rc == 0 || rc == -ERR_INTERRUPTED || rc == -ERR_NOT_FOUND)
		atomic_store(&x->run.is_stopped, true);
	else
		log_error("maintenance.progress", "%s", why.msg);
}

int64_t maintenance_tick(struct maintenance *m, int64_t now_ms)
{
	gateway_worker_home_drain(m->home);
	for (int i = 0; i < LANES; i++) {
		if (m->lanes[i].running == NULL)
			look_for_work(m, &m->lanes[i]);
		else
			give_sign(m, &m->lanes[i]);
	}
	return now_ms + TICK_MS;
}

static int check_task(const struct maintenance *m, enum msg_verb verb, struct err *err)
{
	if (verb != MSG_VERB_RETENTION && verb != MSG_VERB_COLLECT && verb != MSG_VERB_SCRUB)
		return err_set(err, ERR_USAGE, "a task is retention, collect, scrub or copy");
	if (verb == MSG_VERB_RETENTION && m->conf->retention.count == 0) {
		(void)err_set(err, ERR_USAGE, "the controller has no rules of retention");
		return err_hint(err, "give 'retention' in its configuration (docs/CONTROLLER.md)");
	}
	return 0;
}

/* Order ${j}, and keep the words that it may go by under ${key}; ${words} NULL = none. */
static int order(struct maintenance *m, struct catalog_job *j, const char *person, const char *key,
	const char *words, struct err *err)
{
	char text[MAINTENANCE_RUN_APPROVAL_BYTES + MSG_ID_HEX];
	memcpy(j->agent_id, catalog_job_own_id(j->verb), 16);
	(void)snprintf(j->person, sizeof(j->person), "%.*s", MSG_NAME_BYTES - 1, person);
	j->due_ms = env_now_ns() / 1000000;
	int rc = dispatch_order(m->o.dispatch, j, err);
	if (rc != 0 || words == NULL)
		return rc;
	int n = snprintf(text, sizeof(text), "%s %s: %s", j->id, person, words); /* fits */
	rc = catalog_set(m->o.db, key, text, (size_t)n, err);
	if (rc != 0) /* it must not run without: then it would fail for want of it */
		(void)dispatch_cancel(m->o.dispatch, j->id, person, NULL);
	return rc;
}

int maintenance_order(struct maintenance *m, enum msg_verb verb, const char *person,
	const char *approval, char id[MSG_ID_HEX], struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	int rc = j == NULL ? err_set(err, ERR_NOMEM, "out of memory") : check_task(m, verb, err);
	if (rc == 0 && approval != NULL &&
		strlen(approval) + strlen(person) + 3 > MAINTENANCE_RUN_APPROVAL_BYTES)
		rc = err_set(err, ERR_USAGE, "an approval has at most %d bytes",
			MAINTENANCE_RUN_APPROVAL_BYTES - MSG_NAME_BYTES - 3);
	if (rc != 0)
		return rc;
	j->verb = verb;
	rc = order(m, j, person, APPROVAL_KEY, approval, err);
	if (rc == 0)
		memcpy(id, j->id, MSG_ID_HEX);
	return rc;
}

int maintenance_order_copy(struct maintenance *m, const char *replica, bool is_begin,
	const char *person, char id[MSG_ID_HEX], struct err *err)
{
	char key[BEGIN_KEY_BYTES];
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (replica_conf_find(&m->conf->replicas, replica) == NULL) {
		(void)err_set(err, ERR_USAGE, "the controller has no replica '%.64s'", replica);
		return err_hint(err, "give 'replicas' in its configuration (docs/CONTROLLER.md)");
	}
	j->verb = MSG_VERB_COPY;
	(void)snprintf(j->source, sizeof(j->source), "%s", replica); /* a name: fits */
	begin_key(replica, key);
	int rc = order(m, j, person, key, is_begin ? "begin" : NULL, err);
	if (rc == 0)
		memcpy(id, j->id, MSG_ID_HEX);
	return rc;
}

/* ---- previews ------------------------------------------------------------------------------ */

static void done_preview(struct gateway_task *t)
{
	struct task *x = (struct task *)t;
	for (struct task **p = &x->m->asked; *p != NULL; p = &(*p)->next) {
		if (*p == x) {
			*p = x->next;
			break;
		}
	}
	x->fn(x->arg, t->rc, t->rc == 0 ? NULL : &t->err, &x->run);
	task_free(x);
}

int maintenance_preview(struct maintenance *m, maintenance_fn fn, void *arg, struct err *err)
{
	int rc = check_task(m, MSG_VERB_RETENTION, err);
	struct task *x = rc != 0 ? NULL : calloc(1, sizeof(*x));
	if (rc == 0 && x == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = prepare(m, &x->run, err);
	if (rc == 0 && m->previews == NULL)
		rc = gateway_worker_new(m->home, &m->previews, err);
	if (rc != 0) {
		if (x != NULL)
			task_free(x);
		return rc;
	}
	x->m = m;
	x->run.verb = MSG_VERB_RETENTION;
	x->run.is_preview = true;
	x->fn = fn;
	x->arg = arg;
	x->task = (struct gateway_task){ .run = run_task, .done = done_preview };
	x->next = m->asked;
	m->asked = x;
	gateway_worker_post(m->previews, &x->task);
	return 0;
}

/* ---- begin and end ------------------------------------------------------------------------- */

DEFINE_CLEANUP(struct maintenance *, maintenance_free)

int maintenance_new(const struct maintenance_opts *opts, const struct controller_conf *conf,
	struct maintenance **out, struct err *err)
{
	CLEANUP(maintenance_free_p) struct maintenance *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->o = *opts;
	m->conf = conf;
	if (snprintf(m->ages, sizeof(m->ages), "%s/verified", opts->state) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", opts->state);
	int rc = gateway_worker_home_new(opts->loop, &m->home, err);
	for (int i = 0; rc == 0 && i < LANES; i++) {
		struct lane *lane = &m->lanes[i];
		lane->id = catalog_job_own_id(i == LANE_COPIES ? MSG_VERB_COPY : MSG_VERB_COLLECT);
		rc = gateway_worker_new(m->home, &lane->worker, err);
		if (rc == 0)
			rc = dispatch_hello(opts->dispatch, lane->id, err);
	}
	if (rc == 0)
		*out = TAKE(m);
	return rc;
}

void maintenance_free(struct maintenance *m)
{
	if (m == NULL)
		return;
	m->is_ending = true;
	for (int i = 0; i < LANES; i++) {
		if (m->lanes[i].running != NULL)
			atomic_store(&m->lanes[i].running->run.is_stopped, true);
	}
	for (struct task *x = m->asked; x != NULL; x = x->next)
		atomic_store(&x->run.is_stopped, true);
	for (int i = 0; i < LANES; i++)
		gateway_worker_free(m->lanes[i].worker);
	gateway_worker_free(m->previews);
	gateway_worker_home_free(m->home);
	collect_sights_done(&m->sights);
	free(m);
}

void maintenance_set_conf(struct maintenance *m, const struct controller_conf *conf)
{
	m->conf = conf;
}
