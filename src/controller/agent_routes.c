#include "controller/agent_routes_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "controller/agent_seen.h"
#include "controller/audit.h"
#include "controller/dispatch.h"
#include "controller/drill_desk.h"
#include "controller/fleet.h"
#include "controller/gateway.h"
#include "msg/msg_enrol.h"
#include "msg/msg_error.h"
#include "msg/msg_vault.h"
#include "msg/msg_work.h"
#include "net/http_server.h"
#include "net/loop.h"

/*
 * INVARIANTS
 * (1) Who calls is asked first (fleet_identify), then the role, then the message: nothing of a
 *     request is read for somebody who may not make it.
 * (2) Every request is answered exactly once: by reply_*(), or through a struct call.
 * (3) A poll waits in polls, at most one of an agent: a newer one ends the older.
 */

#define ROUTES_ANSWER_MAX ((size_t)24 << 20) /* base64 of 16 MiB, and its frame */
#define ROUTES_TICK_MS 5000
#define ROUTES_CLOCK_ALARM_MS 120000
#define ROUTES_CLOCK_REFUSE_MS (INT64_C(86400) * 1000)
#define ROUTES_COLLECT_MS 600000

struct poll {
	struct poll *next;
	struct http_request *q;
	uint8_t agent_id[16];
	int64_t until_ms;
	bool is_gone;
};

/* ---- answers ---- */

void agent_routes_refuse(struct http_request *q, const struct err *why)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(8192);
	int status = msg_error_status(why);
	if (status == 503)
		http_request_add_header(q, "Retry-After", "2");
	if (msg_error_encode(why, &body, NULL) != 0)
		body.len = 0; /* the status says enough */
	http_request_reply(q, status, JSON_TYPE, body.data, body.len);
}

/* Answer with ${body} if ${rc} is 0, else with ${why}. */
static void reply(struct http_request *q, int rc, const struct err *why, const struct buf *body)
{
	if (rc != 0)
		agent_routes_refuse(q, why);
	else
		http_request_reply(q, 200, JSON_TYPE, body->data, body->len);
}

void agent_routes_empty(struct http_request *q, int rc, const struct err *why)
{
	if (rc != 0)
		agent_routes_refuse(q, why);
	else
		http_request_reply(q, 204, NULL, NULL, 0);
}

void agent_routes_no_route(struct http_request *q)
{
	struct err why = ERR_INIT;
	(void)err_set(&why, ERR_NOT_FOUND, "there is no such request here");
	agent_routes_refuse(q, &why);
}

/* ---- enrolment (people's port) ---- */

static void do_enrol(struct agent_routes *r, struct http_request *q)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	struct err why = ERR_INIT;
	struct msg_enrol_answer answer;
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	CLEANUP(cleanup_free_p) struct msg_enrol *m = calloc(1, sizeof(*m));
	int rc = m == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : msg_enrol_decode(data, len, m, &why);
	if (rc == 0)
		rc = fleet_enrol(r->o.fleet, m, http_request_peer(q)->address, &answer, &why);
	if (rc == 0)
		rc = msg_enrol_answer_encode(&answer, &body, &why);
	reply(q, rc, &why, &body);
}

static void do_collect(struct agent_routes *r, struct http_request *q)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)4 << 20);
	struct err why = ERR_INIT;
	struct msg_collect m;
	struct msg_enrol_grant grant = { .certificate = NULL };
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_enrol_collect_decode(data, len, &m, &why);
	int64_t off = m.at_ms - env_now_ns() / 1000000;
	if (rc == 0 && (off > ROUTES_COLLECT_MS || off < -ROUTES_COLLECT_MS)) {
		(void)err_set(&why, ERR_AUTH,
			"the clock of this host is %" PRId64 " s off the controller's", off / 1000);
		rc = err_hint(&why, "set the clock, then go on: nothing is lost");
	}
	if (rc == 0)
		rc = fleet_collect(r->o.fleet, &m, &grant, &why);
	if (rc == -ERR_BUSY) {
		http_request_reply(q, 202, NULL, NULL, 0);
		return;
	}
	if (rc == 0)
		rc = msg_enrol_grant_encode(&grant, &body, &why);
	reply(q, rc, &why, &body);
	msg_enrol_grant_done(&grant);
}

bool agent_routes_enrol(struct agent_routes *r, struct http_request *q)
{
	const char *path = http_request_path(q);
	enum http_method method = http_request_method(q);
	if (strcmp(path, "/v1/ca") == 0 && method == HTTP_GET)
		http_request_reply(
			q, 200, "application/x-pem-file", r->o.ca_pem, strlen(r->o.ca_pem));
	else if (strcmp(path, "/v1/enrol") == 0 && method == HTTP_POST)
		do_enrol(r, q);
	else if (strcmp(path, "/v1/enrol/collect") == 0 && method == HTTP_POST)
		do_collect(r, q);
	else
		return false;
	return true;
}

/* ---- work ---- */

static void check_clock(
	struct agent_routes *r, struct catalog_agent *a, int64_t clock_ms, struct err *err)
{
	int64_t off = clock_ms - env_now_ns() / 1000000, size = off < 0 ? -off : off;
	a->clock_off_ms = off;
	if (size > ROUTES_CLOCK_REFUSE_MS) {
		(void)err_set(err, ERR_AUTH,
			"the clock of this host is %" PRId64 " s %s the controller's", size / 1000,
			off > 0 ? "ahead of" : "behind");
		(void)err_hint(err, "set the clock of the wrong one of the two");
	}
	if (size > ROUTES_CLOCK_ALARM_MS && r->o.on_alarm != NULL) {
		char text[160];
		(void)snprintf(text, sizeof(text), "its clock is %" PRId64 " s %s ours",
			size / 1000, off > 0 ? "ahead of" : "behind"); /* fits */
		r->o.on_alarm(r->o.arg, a->name, text);
	}
}

static int take_hello(
	struct agent_routes *r, struct catalog_agent *a, const struct msg_hello *m, struct err *err)
{
	struct err clock = ERR_INIT;
	if (m->protocol != MSG_PROTOCOL) {
		(void)err_set(err, ERR_UNSUPPORTED,
			"the agent speaks protocol %" PRId64 ", this controller %d", m->protocol,
			MSG_PROTOCOL);
		return err_hint(err, "install the same version on both");
	}
	if (m->role != a->role)
		return err_set(err, ERR_AUTH, "this agent was enrolled in another role");
	check_clock(r, a, m->clock_ms, &clock);
	(void)snprintf(a->version, sizeof(a->version), "%s", m->version); /* same size */
	a->seen_ms = env_now_ns() / 1000000;
	int rc = catalog_agent_set(r->o.db, a, err);
	if (rc == 0 && clock.code != 0) {
		*err = clock;
		return -clock.code;
	}
	if (rc == 0)
		rc = catalog_agent_set_sources(r->o.db, a->id, m->sources, m->source_count, err);
	if (rc == 0) {
		gateway_end_agent(r->o.gateway, a->id);
		rc = dispatch_hello(r->o.dispatch, a->id, err);
	}
	return rc;
}

static void do_hello(struct agent_routes *r, struct http_request *q, struct catalog_agent *a)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)4 << 20);
	struct err why = ERR_INIT;
	struct msg_hello m = { .sources = NULL };
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_work_hello_decode(data, len, &m, &why);
	if (rc == 0) {
		(void)snprintf(a->address, sizeof(a->address), "%s", http_request_peer(q)->address);
		rc = take_hello(r, a, &m, &why);
	}
	if (rc == 0) {
		struct msg_welcome w = { .clock_ms = env_now_ns() / 1000000,
			.poll_ms = MSG_WORK_WAIT_MAX_MS };
		size_t config_len;
		const void *config = fleet_config(r->o.fleet, &config_len);
		memcpy(w.agent_id, a->id, sizeof(w.agent_id));
		w.config = malloc(config_len + 1);
		if (w.config == NULL) {
			rc = err_set(&why, ERR_NOMEM, "out of memory");
		} else {
			memcpy(w.config, config, config_len);
			w.config_len = config_len;
			rc = msg_work_welcome_encode(&w, &body, &why);
		}
		msg_work_welcome_done(&w);
	}
	reply(q, rc, &why, &body);
	msg_work_hello_done(&m);
}

static void do_renew(struct agent_routes *r, struct http_request *q, struct catalog_agent *a)
{
	CLEANUP(buf_done) struct buf pem = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	struct err why = ERR_INIT;
	char csr[MSG_PEM_BYTES];
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_work_pem_decode(data, len, "csr", csr, &why);
	if (rc == 0)
		rc = fleet_renew(r->o.fleet, a, csr, &pem, &why);
	if (rc == 0)
		rc = msg_work_pem_encode("certificate", buf_cstr(&pem), &body, &why);
	reply(q, rc, &why, &body);
}

/* ---- waiting for work ---- */

static void poll_remove(struct agent_routes *r, struct poll *p)
{
	for (struct poll **at = &r->polls; *at != NULL; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	free(p);
}

static void on_gone(void *arg)
{
	struct poll *p = arg;
	p->is_gone = true;
}

/* Answer with an order if there is one.  Return true when the request is answered. */
static bool offer(struct agent_routes *r, struct http_request *q, const uint8_t agent_id[16])
{
	CLEANUP(buf_done) struct buf body = BUF_INIT((size_t)4 << 20);
	struct err why = ERR_INIT;
	struct msg_order order = { .attempt = 0 };
	int rc = dispatch_next(r->o.dispatch, agent_id, &order, &why);
	if (rc == 0)
		return false;
	if (rc == 1)
		rc = msg_work_order_encode(&order, &body, &why);
	reply(q, rc, &why, &body);
	msg_work_order_done(&order);
	return true;
}

static void poll_end(struct agent_routes *r, struct poll *p)
{
	struct http_request *q = p->q;
	http_request_on_gone(q, NULL, NULL);
	poll_remove(r, p);
	http_request_reply(q, 204, NULL, NULL, 0);
}

void agent_routes_wake(struct agent_routes *r, const uint8_t agent_id[16])
{
	for (struct poll *p = r->polls, *next; p != NULL; p = next) {
		next = p->next;
		if (memcmp(p->agent_id, agent_id, 16) != 0)
			continue;
		if (p->is_gone) { /* an order must not be given to nobody */
			poll_end(r, p);
			continue;
		}
		struct http_request *q = p->q;
		if (!offer(r, q, agent_id))
			continue;
		poll_remove(r, p); /* answered: the request is gone */
	}
}

void agent_routes_drop(struct agent_routes *r, const uint8_t agent_id[16])
{
	for (struct poll *p = r->polls, *next; p != NULL; p = next) {
		next = p->next;
		if (memcmp(p->agent_id, agent_id, 16) == 0)
			poll_end(r, p);
	}
}

/* End what waited long enough, and come again for the next. */
static void on_polls(void *arg)
{
	struct agent_routes *r = arg;
	const int64_t mono = env_mono_ns() / 1000000;
	int64_t wait = INT64_MAX;
	for (struct poll *p = r->polls, *next; p != NULL; p = next) {
		next = p->next;
		if (p->is_gone || p->until_ms <= mono)
			poll_end(r, p);
		else if (p->until_ms - mono < wait)
			wait = p->until_ms - mono;
	}
	if (r->polls != NULL)
		loop_timer_set(r->timer, wait);
}

static void do_work(struct agent_routes *r, struct http_request *q, struct catalog_agent *a)
{
	struct err why = ERR_INIT;
	struct msg_poll m;
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_work_poll_decode(data, len, &m, &why);
	if (rc == 0)
		rc = agent_seen_note(r->seen, a->id, env_now_ns() / 1000000,
			http_request_peer(q)->address, &why);
	if (rc != 0) {
		agent_routes_refuse(q, &why);
		return;
	}
	agent_routes_drop(r, a->id); /* invariant 3 */
	if (offer(r, q, a->id))
		return;
	struct poll *p = calloc(1, sizeof(*p));
	if (p == NULL || m.wait_ms <= 0) {
		free(p);
		http_request_reply(q, 204, NULL, NULL, 0);
		return;
	}
	p->q = q;
	memcpy(p->agent_id, a->id, 16);
	p->until_ms = env_mono_ns() / 1000000 +
		      (m.wait_ms > MSG_WORK_WAIT_MAX_MS ? MSG_WORK_WAIT_MAX_MS : m.wait_ms);
	p->next = r->polls;
	r->polls = p;
	http_request_on_gone(q, on_gone, p);
	on_polls(r);
}

/* ---- jobs ---- */

static void do_progress(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *job)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	struct err why = ERR_INIT;
	struct msg_progress m;
	struct msg_go go = { .go = false };
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_work_progress_decode(data, len, &m, &why);
	if (rc == 0)
		rc = dispatch_progress(r->o.dispatch, a->id, job, &m, &go, &why);
	if (rc == 0 && go.go)
		gateway_touch_job(r->o.gateway, job);
	if (rc == 0)
		rc = msg_work_go_encode(&go, &body, &why);
	reply(q, rc, &why, &body);
}

static void do_result(struct agent_routes *r, struct http_request *q, const struct catalog_agent *a,
	const char *job)
{
	static const struct buf empty = { .data = (uint8_t *)(uintptr_t) "{}", .len = 2 };
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct msg_result *m = calloc(1, sizeof(*m));
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = m == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : msg_work_result_decode(data, len, m, &why);
	if (rc == 0)
		rc = dispatch_result(r->o.dispatch, a->id, job, m, &why);
	reply(q, rc, &why, &empty);
}

static void do_evidence(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *job, const char *name)
{
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = j == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : agent_routes_vault_drill(r, a, job, j, &why);
	if (rc == 0)
		rc = drill_desk_evidence(r->o.desk, j, name, data, len, &why);
	agent_routes_empty(q, rc, &why);
}

static void do_report(struct agent_routes *r, struct http_request *q, const struct catalog_agent *a,
	const char *job)
{
	CLEANUP(buf_done) struct buf whole = BUF_INIT(MSG_MAX_BODY + 65536);
	CLEANUP(buf_done) struct buf body = BUF_INIT(ROUTES_ANSWER_MAX);
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = j == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : agent_routes_vault_drill(r, a, job, j, &why);
	if (rc == 0)
		rc = agent_routes_vault_owed(r, q, a, &why);
	if (rc == 0)
		rc = drill_desk_report(r->o.desk, j, a, data, len, &whole, &why);
	if (rc != 0 && rc != -ERR_UNREACHABLE)
		(void)audit_add_some(&r->refusals, r->o.db, a->name, http_request_peer(q)->address,
			"report.refused", job, err_id(rc), why.msg,
			NULL); /* the refusal itself is what counts */
	if (rc == 0)
		rc = msg_vault_report_encode(whole.data, whole.len, &body, &why);
	reply(q, rc, &why, &body);
}

/* ---- routes ---- */

struct parts {
	char at[5][128];
	size_t count;
};

/* "/v1/jobs/ID/progress" into its components behind "/v1".  Return 0 or -1. */
static int split(const char *path, struct parts *out)
{
	out->count = 0;
	memset(out->at, 0, sizeof(out->at));
	if (strncmp(path, "/v1/", 4) != 0)
		return -1;
	for (const char *p = path + 4; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (out->count == 5 || n == 0 || n >= sizeof(out->at[0]))
			return -1;
		memcpy(out->at[out->count++], p, n);
		p += n;
		p += *p == '/';
	}
	return 0;
}

static void route_job(struct agent_routes *r, struct http_request *q, struct catalog_agent *a,
	const struct parts *p)
{
	const enum http_method method = http_request_method(q);
	const char *job = p->at[1], *what = p->at[2];
	if (p->count == 3 && method == HTTP_POST && strcmp(what, "progress") == 0)
		do_progress(r, q, a, job);
	else if (p->count == 3 && method == HTTP_POST && strcmp(what, "result") == 0)
		do_result(r, q, a, job);
	else if (p->count == 3 && method == HTTP_POST && strcmp(what, "report") == 0)
		do_report(r, q, a, job);
	else if (p->count == 4 && method == HTTP_PUT && strcmp(what, "evidence") == 0)
		do_evidence(r, q, a, job, p->at[3]);
	else
		agent_routes_no_route(q);
}

static void route_post(
	struct agent_routes *r, struct http_request *q, struct catalog_agent *a, const char *what)
{
	if (strcmp(what, "hello") == 0)
		do_hello(r, q, a);
	else if (strcmp(what, "renew") == 0)
		do_renew(r, q, a);
	else if (strcmp(what, "work") == 0)
		do_work(r, q, a);
	else
		agent_routes_no_route(q);
}

/* The role that a path needs; 0 = any. */
static enum msg_role role_for(const struct parts *p)
{
	if (strcmp(p->at[0], "sessions") == 0)
		return MSG_ROLE_CAPTURE;
	if (strcmp(p->at[0], "grants") == 0 || strcmp(p->at[2], "evidence") == 0 ||
		strcmp(p->at[2], "report") == 0)
		return MSG_ROLE_SANDBOX;
	return 0;
}

/* Invariant 1.  Return true, or answer and return false. */
static bool identify(struct agent_routes *r, struct http_request *q, const struct parts *p,
	struct catalog_agent *a)
{
	struct err why = ERR_INIT;
	int rc = a == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : fleet_identify(r->o.fleet, http_request_peer(q), role_for(p), a, &why);
	if (rc == 0)
		return true;
	log_warn("agent_routes.refuse", "address=%s path=%s error=\"%s\", continuing",
		http_request_peer(q)->address, http_request_path(q), why.msg);
	agent_routes_refuse(q, &why);
	return false;
}

bool agent_routes_admit(struct agent_routes *r, struct http_request *q)
{
	struct parts p = { .count = 0 };
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	(void)split(http_request_path(q), &p); /* a path of nobody: told when it is whole */
	return identify(r, q, &p, a);
}

void agent_routes_handle(struct agent_routes *r, struct http_request *q)
{
	struct parts p = { .count = 0 };
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	const bool is_path = split(http_request_path(q), &p) == 0;
	if (!identify(r, q, &p, a))
		return;
	const enum http_method method = http_request_method(q);
	if (!is_path)
		agent_routes_no_route(q);
	else if (strcmp(p.at[0], "sessions") == 0 && p.count == 1 && method == HTTP_POST)
		agent_routes_vault_begin(r, q, a);
	else if (strcmp(p.at[0], "sessions") == 0 && p.count >= 2 && p.count <= 4)
		agent_routes_vault_session(r, q, a, p.at[1], p.at[2], p.at[3]);
	else if (strcmp(p.at[0], "grants") == 0 && (p.count == 2 || p.count == 3))
		agent_routes_vault_grant(r, q, a, p.at[1], p.at[2]);
	else if (strcmp(p.at[0], "jobs") == 0)
		route_job(r, q, a, &p);
	else if (p.count == 1 && method == HTTP_POST)
		route_post(r, q, a, p.at[0]);
	else
		agent_routes_no_route(q);
}

/* ---- */

int agent_routes_new(
	const struct agent_routes_opts *opts, struct agent_routes **out, struct err *err)
{
	struct agent_routes *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->o = *opts;
	int rc = agent_seen_new(opts->db, &r->seen, err);
	if (rc == 0)
		rc = loop_timer_new(opts->loop, on_polls, r, &r->timer, err);
	if (rc != 0) {
		agent_seen_free(r->seen);
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void agent_routes_free(struct agent_routes *r)
{
	if (r == NULL)
		return;
	while (r->polls != NULL)
		poll_end(r, r->polls);
	loop_timer_free(r->timer);
	agent_seen_free(r->seen);
	free(r);
}

int64_t agent_routes_tick(struct agent_routes *r, int64_t now_ms)
{
	on_polls(r);
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	for (struct call *c = r->calls; j != NULL && c != NULL; c = c->next) {
		if (c->attempt > 0)
			(void)dispatch_touch(r->o.dispatch, c->agent_id, c->job, c->attempt, j,
				NULL); /* an attempt that is over is seen by its next request */
	}
	const int64_t seen_ms = agent_seen_tick(r->seen, now_ms);
	return seen_ms < now_ms + ROUTES_TICK_MS ? seen_ms : now_ms + ROUTES_TICK_MS;
}
