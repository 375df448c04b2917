#include "controller/gateway.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "controller/gateway_grant.h"
#include "controller/gateway_session.h"
#include "controller/gateway_worker.h"
#include "net/loop.h"
#include "vault/id_set.h"

/*
 *	begin --> (desk's thread) opening --> open --> has, put, list, commit .. --> over --> freed
 *	                                       |                                      ^
 *	                                       +-- fenced by a newer begin, job ended, idle --+
 *
 * INVARIANTS
 * (1) A desk is one thread for one source of one agent (or for one grant).  Sessions of a source
 *     follow each other on it, so that the one before has ended before the next one reads the
 *     chain: two commits of a source never run at once.
 * (2) is_over is the loop's: nothing more is handed over.  is_fenced is read by the thread: what
 *     waits in its queue is answered with "interrupted" and does nothing.
 * (3) Whose envelopes a commit stores is looked up when it runs, not when it is asked for: once
 *     gateway_set_readers() is back, no commit that begins gives one to a key that was struck.
 * (4) A visitor (session or grant) is freed on the loop when it is over and nothing of it is
 *     pending; a desk when it has no visitor and nothing pending.
 * (5) What comes back to the loop owns what it tells: its visitor's session may be closed by then.
 */

#define GATEWAY_TICK_MS 10000
#define GATEWAY_LEFT_MAX 16 /* sources whose backup broke off and whose records are remembered */

struct desk {
	struct desk *next;
	uint8_t agent_id[16];
	char source[MSG_NAME_BYTES]; /* "" = of a grant */
	struct gateway_worker *worker;
	size_t visitors;
	struct id_set *known; /* owned; the thread's: what the agent put since the last commit */
};

/* What is left of a desk whose sessions broke off: the agent comes back. */
struct left {
	struct left *next;
	uint8_t agent_id[16];
	char source[MSG_NAME_BYTES];
	struct id_set *known; /* owned */
};

struct visitor;
struct closing {
	struct gateway_task task; /* first: see gateway_worker.h */
	struct visitor *v;
};

struct visitor {
	struct visitor *next;
	struct closing closing;
	struct gateway *gateway;
	struct desk *desk;
	bool is_grant;
	char id[MSG_ID_HEX]; /* session id, or the job's of a grant */
	uint8_t agent_id[16];
	char source[MSG_NAME_BYTES];
	char job[MSG_ID_HEX];
	int64_t attempt;
	int64_t used_ms;
	int pending;
	bool is_open, is_over;
	atomic_bool is_fenced;
	/* the thread's */
	struct gateway_session *session;
	struct gateway_grant *grant;
};

struct gateway {
	struct gateway_opts o;
	struct gateway_home *home; /* owned */
	struct desk *desks;
	struct visitor *visitors;
	struct left *lefts;   /* newest first, at most GATEWAY_LEFT_MAX */
	pthread_mutex_t lock; /* of readers: written on the loop, read by desks */
	struct gateway_session_readers readers;
};

/* One request on its way. */
struct request {
	struct gateway_task task;
	struct visitor *v;
	int (*run)(struct request *r, struct err *err);
	gateway_fn fn;
	void *arg;
	const uint8_t *body; /* borrowed */
	size_t len;
	uint64_t offset;
	struct buf out;
	struct snapshot *made; /* owned */
	/* begin */
	uint8_t *config; /* owned */
	size_t config_len;
	struct session_base_memory memory;
	/* grant */
	char **sources; /* owned */
	size_t source_count;
	uint8_t *shut_out; /* owned */
	size_t shut_out_count;
	int64_t at_ms;
};

static int64_t now_ms(void)
{
	return env_mono_ns() / 1000000;
}

/* ---- visitors and desks (the loop's) ---- */

static void left_free(struct left *l)
{
	id_set_free(l->known);
	free(l);
}

/* Keep what the next desk of the source should know; the thread has ended.  Without memory the
 * agent sends all again. */
static void leave(struct gateway *g, struct desk *d)
{
	struct left *l = d->known == NULL ? NULL : calloc(1, sizeof(*l));
	if (l == NULL) {
		id_set_free(d->known);
		return;
	}
	memcpy(l->agent_id, d->agent_id, 16);
	memcpy(l->source, d->source, sizeof(l->source));
	l->known = d->known;
	l->next = g->lefts;
	g->lefts = l;
	size_t n = 0;
	for (struct left **p = &g->lefts; *p != NULL;) {
		struct left *old = *p;
		if (++n <= GATEWAY_LEFT_MAX) {
			p = &old->next;
			continue;
		}
		*p = old->next;
		left_free(old);
	}
}

/* What leave() kept for this desk. */
static void come_back(struct gateway *g, struct desk *d)
{
	for (struct left **p = &g->lefts; *p != NULL; p = &(*p)->next) {
		struct left *l = *p;
		if (memcmp(l->agent_id, d->agent_id, 16) != 0 || strcmp(l->source, d->source) != 0)
			continue;
		*p = l->next;
		d->known = TAKE(l->known);
		left_free(l);
		return;
	}
}

static void desk_release(struct gateway *g, struct desk *d)
{
	if (--d->visitors > 0)
		return;
	for (struct desk **p = &g->desks; *p != NULL; p = &(*p)->next) {
		if (*p == d) {
			*p = d->next;
			break;
		}
	}
	gateway_worker_free(d->worker);
	leave(g, d);
	free(d);
}

static int desk_get(struct gateway *g, const uint8_t agent_id[16], const char *source,
	struct desk **out, struct err *err)
{
	for (struct desk *d = g->desks; d != NULL && source[0] != '\0'; d = d->next) {
		if (memcmp(d->agent_id, agent_id, 16) == 0 && strcmp(d->source, source) == 0) {
			d->visitors++;
			*out = d;
			return 0;
		}
	}
	struct desk *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = gateway_worker_new(g->home, &d->worker, err);
	if (rc != 0) {
		free(d);
		return rc;
	}
	memcpy(d->agent_id, agent_id, 16);
	(void)snprintf(d->source, sizeof(d->source), "%s", source); /* a name: fits */
	come_back(g, d);
	d->visitors = 1;
	d->next = g->desks;
	g->desks = d;
	*out = d;
	return 0;
}

/* Invariant 4. */
static void visitor_free(struct visitor *v)
{
	struct gateway *g = v->gateway;
	for (struct visitor **p = &g->visitors; *p != NULL; p = &(*p)->next) {
		if (*p == v) {
			*p = v->next;
			break;
		}
	}
	desk_release(g, v->desk);
	free(v);
}

/* The last task of a visitor closes its vault on its own thread. */
static void run_close(struct gateway_task *t)
{
	struct visitor *v = ((struct closing *)t)->v;
	const bool is_committed = v->session != NULL && gateway_session_is_committed(v->session);
	gateway_session_free(v->session);
	if (is_committed) { /* its list says it all */
		id_set_free(v->desk->known);
		v->desk->known = NULL;
	}
	gateway_grant_free(v->grant);
	v->session = NULL;
	v->grant = NULL;
}

static void done_close(struct gateway_task *t)
{
	visitor_free(((struct closing *)t)->v);
}

/* Take no more requests; what is queued is answered without being done. */
static void visitor_end(struct visitor *v)
{
	if (v->is_over)
		return;
	v->is_over = true;
	atomic_store(&v->is_fenced, true);
	v->closing = (struct closing){ .task = { .run = run_close, .done = done_close }, .v = v };
	gateway_worker_post(v->desk->worker, &v->closing.task);
}

static struct visitor *find(const struct gateway *g, const uint8_t agent_id[16], const char *id,
	bool is_grant, struct err *err)
{
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (v->is_grant != is_grant || strcmp(v->id, id) != 0 ||
			memcmp(v->agent_id, agent_id, 16) != 0)
			continue;
		if (!v->is_over)
			return v;
		(void)err_set(
			err, ERR_INTERRUPTED, "this %s is over", is_grant ? "grant" : "session");
		return NULL;
	}
	/* a session that is not known may have been one before a restart: the agent begins anew */
	(void)err_set(err, ERR_INTERRUPTED, "there is no such %s (any more)",
		is_grant ? "grant" : "session");
	return NULL;
}

static size_t count(const struct gateway *g, bool is_grant)
{
	size_t n = 0;
	for (const struct visitor *v = g->visitors; v != NULL; v = v->next)
		n += v->is_grant == is_grant && !v->is_over;
	return n;
}

static int visitor_new(struct gateway *g, const uint8_t agent_id[16], const char *source,
	bool is_grant, struct visitor **out, struct err *err)
{
	const int max = is_grant ? g->o.max_grants : g->o.max_sessions;
	if (count(g, is_grant) >= (size_t)max)
		return err_set(err, ERR_BUSY, "the gateway has %d %s open, its limit", max,
			is_grant ? "grants" : "sessions");
	struct visitor *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = desk_get(g, agent_id, source, &v->desk, err);
	if (rc != 0) {
		free(v);
		return rc;
	}
	v->gateway = g;
	v->is_grant = is_grant;
	memcpy(v->agent_id, agent_id, 16);
	(void)snprintf(v->source, sizeof(v->source), "%s", source); /* a name: fits */
	v->used_ms = now_ms();
	v->next = g->visitors;
	g->visitors = v;
	*out = v;
	return 0;
}

/* ---- requests ---- */

static void request_free(struct request *r)
{
	free(r->config);
	for (size_t i = 0; i < r->source_count; i++)
		free(r->sources[i]);
	free(r->sources);
	free(r->shut_out);
	gateway_session_made_free(r->made);
	buf_done(&r->out);
	free(r);
}

static void run_request(struct gateway_task *t)
{
	struct request *r = (struct request *)t;
	if (atomic_load(&r->v->is_fenced))
		t->rc = err_set(&t->err, ERR_INTERRUPTED, "this %s is over",
			r->v->is_grant ? "grant" : "session");
	else
		t->rc = r->run(r, &t->err);
}

static void done_request(struct gateway_task *t)
{
	struct request *r = (struct request *)t;
	struct visitor *v = r->v;
	v->pending--;
	v->used_ms = now_ms();
	const bool is_opening = !v->is_open && !v->is_over;
	if (is_opening && t->rc == 0)
		v->is_open = true;
	if (r->made != NULL && v->gateway->o.on_commit != NULL)
		v->gateway->o.on_commit(v->gateway->o.arg, v->job, r->made);
	if (t->rc != 0)
		log_debug("gateway.request", "job=%s error=\"%s\"", v->job, t->err.msg);
	r->fn(r->arg, t->rc, t->rc == 0 ? NULL : &t->err, r->out.data, r->out.len);
	if (is_opening && t->rc != 0)
		visitor_end(v);
	request_free(r);
}

static int hand_over(struct visitor *v, struct request *r, gateway_fn fn, void *arg)
{
	r->v = v;
	r->fn = fn;
	r->arg = arg;
	r->task.run = run_request;
	r->task.done = done_request;
	v->pending++;
	v->used_ms = now_ms();
	gateway_worker_post(v->desk->worker, &r->task);
	return 0;
}

static struct request *request_new(
	size_t max, int (*run)(struct request *r, struct err *err), const uint8_t *body, size_t len)
{
	struct request *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	r->out = (struct buf)BUF_INIT(max);
	r->run = run;
	r->body = body;
	r->len = len;
	return r;
}

/* What has, put, list, commit, records share. */
static int ask(struct gateway *g, const uint8_t agent_id[16], const char *id, bool is_grant,
	struct request *r, gateway_fn fn, void *arg, struct err *err)
{
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct visitor *v = find(g, agent_id, id, is_grant, err);
	if (v == NULL) {
		request_free(r);
		return -ERR_INTERRUPTED;
	}
	return hand_over(v, r, fn, arg);
}

/* ---- the vault port ---- */

static int run_begin(struct request *r, struct err *err)
{
	struct visitor *v = r->v;
	struct gateway_session_opts opts = { .vault = &v->gateway->o.vault,
		.source = v->source,
		.max_list = GATEWAY_LIST_MAX,
		.memory = r->memory };
	struct msg_begun m = { .config = r->config, .config_len = r->config_len };
	memcpy(opts.agent_id, v->agent_id, 16);
	memcpy(m.session, v->id, sizeof(m.session));
	int rc = v->desk->known == NULL ? id_set_new(&v->desk->known, err) : 0;
	if (rc != 0)
		return rc;
	opts.known = v->desk->known;
	rc = gateway_session_new(&opts, &v->session, &m.base, err);
	return rc != 0 ? rc : msg_vault_begun_encode(&m, &r->out, err);
}

static int random_id(char out[MSG_ID_HEX], struct err *err)
{
	uint8_t raw[16];
	int rc = env_random(raw, sizeof(raw), err);
	if (rc == 0)
		text_hex(raw, sizeof(raw), out);
	return rc;
}

/* A newer session of the same source is the one that counts. */
static void fence(struct gateway *g, const uint8_t agent_id[16], const char *source)
{
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (!v->is_grant && !v->is_over && strcmp(v->source, source) == 0 &&
			memcmp(v->agent_id, agent_id, 16) == 0) {
			log_info("gateway.fence", "job=%s source=%s", v->job, source);
			visitor_end(v);
		}
	}
}

int gateway_begin(struct gateway *g, const uint8_t agent_id[16], const struct gateway_begin *b,
	gateway_fn fn, void *arg, struct err *err)
{
	const struct msg_begin *m = b->ask;
	struct visitor *v = NULL;
	char id[MSG_ID_HEX];
	int rc = random_id(id, err);
	if (rc != 0)
		return rc;
	struct request *r = request_new((size_t)1 << 20, run_begin, NULL, 0);
	if (r == NULL || (r->config = malloc(b->config_len + 1)) == NULL) {
		if (r != NULL)
			request_free(r);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	memcpy(r->config, b->config, b->config_len);
	r->config_len = b->config_len;
	r->memory = b->memory;
	fence(g, agent_id, m->source);
	rc = visitor_new(g, agent_id, m->source, false, &v, err);
	if (rc != 0) {
		request_free(r);
		return rc;
	}
	memcpy(v->id, id, sizeof(v->id));
	memcpy(v->job, m->job, sizeof(v->job));
	v->attempt = m->attempt;
	return hand_over(v, r, fn, arg);
}

static int run_has(struct request *r, struct err *err)
{
	uint8_t present[PORT_HAS_IDS];
	size_t n = 0;
	int rc = gateway_session_has(r->v->session, r->body, r->len, present, &n, err);
	return rc != 0 ? rc : buf_add(&r->out, present, n, err);
}

int gateway_has(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err)
{
	return ask(
		g, agent_id, session, false, request_new(4096, run_has, body, len), fn, arg, err);
}

static int run_put(struct request *r, struct err *err)
{
	return gateway_session_put(r->v->session, r->body, r->len, err);
}

int gateway_put(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err)
{
	return ask(g, agent_id, session, false, request_new(16, run_put, body, len), fn, arg, err);
}

static int run_list(struct request *r, struct err *err)
{
	return gateway_session_list(r->v->session, r->offset, r->body, r->len, err);
}

int gateway_list(struct gateway *g, const uint8_t agent_id[16], const char *session,
	uint64_t offset, const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err)
{
	struct request *r = request_new(16, run_list, body, len);
	if (r != NULL)
		r->offset = offset;
	return ask(g, agent_id, session, false, r, fn, arg, err);
}

static int run_commit(struct request *r, struct err *err)
{
	struct gateway *g = r->v->gateway;
	struct gateway_session_readers readers;
	struct port_receipt receipt;
	(void)pthread_mutex_lock(&g->lock); /* fails on a lock never made only */
	readers = g->readers;
	(void)pthread_mutex_unlock(&g->lock); /* as above */
	int rc = gateway_session_commit(
		r->v->session, &readers, r->body, r->len, &receipt, &r->made, err);
	return rc != 0 ? rc : msg_vault_receipt_encode(&receipt, &r->out, err);
}

int gateway_commit(struct gateway *g, const uint8_t agent_id[16], const char *session,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err)
{
	return ask(g, agent_id, session, false, request_new(4096, run_commit, body, len), fn, arg,
		err);
}

void gateway_set_readers(struct gateway *g, const struct domain *newest)
{
	struct gateway_session_readers readers;
	gateway_session_readers(newest, &readers);
	(void)pthread_mutex_lock(&g->lock); /* fails on a lock never made only */
	g->readers = readers;
	(void)pthread_mutex_unlock(&g->lock); /* as above */
}

int gateway_abort(
	struct gateway *g, const uint8_t agent_id[16], const char *session, struct err *err)
{
	struct visitor *v = find(g, agent_id, session, false, err);
	if (v == NULL)
		return -ERR_INTERRUPTED;
	visitor_end(v);
	return 0;
}

const char *gateway_job(
	const struct gateway *g, const uint8_t agent_id[16], const char *session, int64_t *attempt)
{
	const struct visitor *v = find(g, agent_id, session, false, NULL);
	if (v == NULL)
		return NULL;
	*attempt = v->attempt;
	return v->job;
}

void gateway_touch_job(struct gateway *g, const char *job)
{
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (strcmp(v->job, job) == 0)
			v->used_ms = now_ms();
	}
}

void gateway_end_job(struct gateway *g, const char *job)
{
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (strcmp(v->job, job) == 0)
			visitor_end(v);
	}
}

void gateway_end_agent(struct gateway *g, const uint8_t agent_id[16])
{
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (memcmp(v->agent_id, agent_id, 16) == 0)
			visitor_end(v);
	}
}

/* ---- the read port ---- */

static int run_grant(struct request *r, struct err *err)
{
	const struct gateway_grant_opts opts = { .vault = &r->v->gateway->o.vault,
		.at_ms = r->at_ms,
		.sources = (const char *const *)r->sources,
		.source_count = r->source_count,
		.shut_out = r->shut_out,
		.shut_out_count = r->shut_out_count };
	return r->v->grant != NULL ? 0 : gateway_grant_new(&opts, &r->v->grant, err);
}

static int copy_grant_of(struct request *r, const struct gateway_grant_of *of, struct err *err)
{
	r->at_ms = of->at_ms;
	r->sources = calloc(of->source_count + 1, sizeof(*r->sources));
	r->shut_out = malloc(of->shut_out_count * 16 + 1);
	if (r->sources == NULL || r->shut_out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (of->shut_out_count > 0)
		memcpy(r->shut_out, of->shut_out, of->shut_out_count * 16);
	r->shut_out_count = of->shut_out_count;
	for (; r->source_count < of->source_count; r->source_count++) {
		r->sources[r->source_count] = strdup(of->sources[r->source_count]);
		if (r->sources[r->source_count] == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

int gateway_open_grant(struct gateway *g, const uint8_t agent_id[16], const char *job,
	const struct gateway_grant_of *of, gateway_fn fn, void *arg, struct err *err)
{
	struct visitor *v = find(g, agent_id, job, true, NULL);
	struct request *r = request_new(16, run_grant, NULL, 0);
	int rc = r == NULL ? err_set(err, ERR_NOMEM, "out of memory") : copy_grant_of(r, of, err);
	if (rc == 0 && v == NULL) {
		rc = visitor_new(g, agent_id, "", true, &v, err);
		if (rc == 0) {
			(void)snprintf(v->id, sizeof(v->id), "%s", job); /* an id: fits */
			(void)snprintf(v->job, sizeof(v->job), "%s", job);
		}
	}
	if (rc != 0) {
		if (r != NULL)
			request_free(r);
		return rc;
	}
	return hand_over(v, r, fn, arg);
}

/* What is asked for right behind an opening that failed finds no grant. */
static int check_granted(const struct request *r, struct err *err)
{
	return r->v->grant != NULL ? 0
				   : err_set(err, ERR_INTERRUPTED,
					     "this grant was not opened: ask for it first");
}

static int run_points(struct request *r, struct err *err)
{
	int rc = check_granted(r, err);
	return rc != 0 ? rc : gateway_grant_points(r->v->grant, &r->out, err);
}

int gateway_points(struct gateway *g, const uint8_t agent_id[16], const char *grant, gateway_fn fn,
	void *arg, struct err *err)
{
	return ask(g, agent_id, grant, true, request_new((size_t)64 << 20, run_points, NULL, 0), fn,
		arg, err);
}

/* What comes back is told to those who watch over agents. */
struct refusal {
	struct gateway *gateway;
	uint8_t agent_id[16];
	char grant[MSG_ID_HEX];
	gateway_fn fn;
	void *arg;
};

static void on_records(void *arg, int rc, const struct err *why, const void *data, size_t len)
{
	struct refusal *f = arg;
	const struct gateway_opts *o = &f->gateway->o;
	if (rc == -ERR_NOT_FOUND && o->on_refused != NULL)
		o->on_refused(o->arg, f->agent_id, f->grant, why->msg);
	f->fn(f->arg, rc, why, data, len);
	free(f);
}

static int run_records(struct request *r, struct err *err)
{
	int rc = check_granted(r, err);
	return rc != 0 ? rc : gateway_grant_records(r->v->grant, r->body, r->len, &r->out, err);
}

int gateway_records(struct gateway *g, const uint8_t agent_id[16], const char *grant,
	const uint8_t *body, size_t len, gateway_fn fn, void *arg, struct err *err)
{
	struct refusal *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->gateway = g;
	memcpy(f->agent_id, agent_id, 16);
	(void)snprintf(f->grant, sizeof(f->grant), "%s", grant); /* cut: it will not be found */
	f->fn = fn;
	f->arg = arg;
	int rc = ask(g, agent_id, grant, true,
		request_new(MSG_MAX_BODY + ((size_t)1 << 20), run_records, body, len), on_records,
		f, err);
	if (rc != 0)
		free(f);
	return rc;
}

/* ---- */

int gateway_new(const struct gateway_opts *opts, struct gateway **out, struct err *err)
{
	struct gateway *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	g->o = *opts;
	int rc = gateway_worker_home_new(opts->loop, &g->home, err);
	if (rc == 0 && pthread_mutex_init(&g->lock, NULL) != 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		gateway_worker_home_free(g->home);
		free(g);
		return rc;
	}
	*out = g;
	return 0;
}

void gateway_free(struct gateway *g)
{
	if (g == NULL)
		return;
	while (g->visitors != NULL) {
		for (struct visitor *v = g->visitors; v != NULL; v = v->next)
			visitor_end(v);
		/* threads end and are joined as their last visitor goes */
		gateway_worker_home_drain(g->home);
		if (g->visitors != NULL)
			gateway_worker_home_wait(g->home);
	}
	gateway_worker_home_free(g->home);
	while (g->lefts != NULL) {
		struct left *l = g->lefts;
		g->lefts = l->next;
		left_free(l);
	}
	(void)pthread_mutex_destroy(&g->lock); /* nobody holds it */
	free(g);
}

int64_t gateway_tick(struct gateway *g, int64_t at_ms)
{
	const int64_t now = now_ms();
	gateway_worker_home_drain(g->home);
	for (struct visitor *v = g->visitors; v != NULL; v = v->next) {
		if (!v->is_over && v->pending == 0 && now - v->used_ms > GATEWAY_IDLE_MS) {
			log_info("gateway.idle", "job=%s source=%s", v->job, v->source);
			visitor_end(v);
		}
	}
	return at_ms + GATEWAY_TICK_MS;
}
