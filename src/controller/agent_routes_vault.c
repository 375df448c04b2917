#include "controller/agent_routes_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "controller/catalog_row.h"
#include "controller/catalog_snapshot.h"
#include "controller/dispatch.h"
#include "controller/drill_desk.h"
#include "controller/fleet.h"
#include "controller/gateway.h"
#include "msg/msg_vault.h"
#include "net/http_server.h"

/*
 * INVARIANTS
 * (1) A request that was handed to the gateway is a struct call in r->calls until it is answered.
 * (2) Nothing of a session is done for an attempt that is not the newest.
 * (3) Of large answers an agent has two at most on their way, so that one who asks on many
 *     connections and does not read takes no more memory.
 */

#define BYTES_TYPE "application/octet-stream"
#define ROUTES_OWED_MAX (MSG_MAX_BODY + ((size_t)1 << 20)) /* then no more is asked for */
#define ROUTES_NEWEST 64 /* snapshots of a name, by all agents that have one of that name */

int agent_routes_vault_drill(struct agent_routes *r, const struct catalog_agent *a, const char *job,
	struct catalog_job *j, struct err *err)
{
	int rc = catalog_job_get(r->o.db, job, j, err);
	if (rc == 0)
		rc = dispatch_touch(r->o.dispatch, a->id, j->id, j->attempt, j, err);
	if (rc == 0 && j->verb != MSG_VERB_DRILL)
		rc = err_set(err, ERR_NOT_FOUND, "this job is no drill");
	return rc;
}

/* ---- requests that a thread answers ---- */

static void call_remove(struct call *c)
{
	for (struct call **at = &c->r->calls; *at != NULL; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	free(c);
}

static void on_answer(void *arg, int rc, const struct err *why, const void *data, size_t len)
{
	struct call *c = arg;
	if (rc != 0)
		agent_routes_refuse(c->q, why);
	else if (c->type == NULL)
		http_request_reply(c->q, 204, NULL, NULL, 0);
	else
		http_request_reply(c->q, 200, c->type, data, len);
	call_remove(c);
}

static struct call *call_new(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *type)
{
	struct call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->r = r;
	c->q = q;
	c->type = type;
	memcpy(c->agent_id, a->id, 16);
	c->next = r->calls;
	r->calls = c;
	return c;
}

/* A request that was not handed over is answered here. */
static void call_check(struct call *c, int rc, const struct err *why)
{
	if (rc == 0)
		return;
	agent_routes_refuse(c->q, why);
	call_remove(c);
}

static int begin_job(struct agent_routes *r, const struct catalog_agent *a,
	const struct msg_begin *m, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = dispatch_touch(r->o.dispatch, a->id, m->job, m->attempt, j, err);
	if (rc == 0 && (j->verb != MSG_VERB_BACKUP || strcmp(j->source, m->source) != 0))
		rc = err_set(err, ERR_NOT_FOUND, "this job is no backup of source '%s'", m->source);
	return rc;
}

struct newest {
	const uint8_t *agent_id;
	struct session_base_memory *memory;
};

static int note_newest(void *arg, const struct catalog_snapshot *s)
{
	const struct newest *n = arg;
	if (memcmp(s->agent_id, n->agent_id, 16) == 0 && s->seq > n->memory->seq) {
		n->memory->seq = s->seq;
		memcpy(n->memory->hash, s->hash, 32);
	}
	return 0;
}

void agent_routes_vault_begin(
	struct agent_routes *r, struct http_request *q, const struct catalog_agent *a)
{
	struct err why = ERR_INIT;
	struct msg_begin m;
	struct gateway_begin b = { .ask = &m };
	struct newest newest = { .agent_id = a->id, .memory = &b.memory };
	size_t len;
	const uint8_t *data = http_request_body(q, &len);
	int rc = msg_vault_begin_decode(data, len, &m, &why);
	if (rc == 0)
		rc = begin_job(r, a, &m, &why);
	if (rc == 0)
		rc = catalog_snapshot_each(
			r->o.db, m.source, ROUTES_NEWEST, note_newest, &newest, &why);
	struct call *c = rc == 0 ? call_new(r, q, a, JSON_TYPE) : NULL;
	if (rc == 0 && c == NULL)
		rc = err_set(&why, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		agent_routes_refuse(q, &why);
		return;
	}
	memcpy(c->job, m.job, sizeof(c->job));
	c->attempt = m.attempt;
	b.config = fleet_config(r->o.fleet, &b.config_len);
	call_check(c, gateway_begin(r->o.gateway, a->id, &b, on_answer, c, &why), &why);
}

/* A session's job must still be the newest attempt: what was given up writes nothing more. */
static int session_call(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *session, const char *type, struct call **out,
	struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	int64_t attempt = 0;
	const char *job = gateway_job(r->o.gateway, a->id, session, &attempt);
	if (job == NULL)
		return err_set(err, ERR_INTERRUPTED, "there is no such session (any more)");
	if (j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = dispatch_touch(r->o.dispatch, a->id, job, attempt, j, err);
	if (rc != 0) {
		gateway_end_job(r->o.gateway, job);
		return rc;
	}
	struct call *c = call_new(r, q, a, type);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(c->job, j->id, sizeof(c->job));
	c->attempt = attempt;
	*out = c;
	return 0;
}

/* The number of a batch, the offset of a piece: digits and nothing else. */
static bool is_number(const char *text, uint64_t *out)
{
	const size_t len = strlen(text);
	if (len == 0 || len > 19 || strspn(text, "0123456789") != len)
		return false;
	*out = strtoull(text, NULL, 10);
	return true;
}

void agent_routes_vault_session(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *session, const char *what, const char *which)
{
	uint64_t n = 0;
	const bool has_n = is_number(which, &n), has_none = which[0] == '\0';
	struct err why = ERR_INIT;
	struct call *c = NULL;
	const enum http_method method = http_request_method(q);
	const bool is_has = strcmp(what, "has") == 0 && method == HTTP_POST && has_none;
	const bool is_put = strcmp(what, "batches") == 0 && method == HTTP_PUT && has_n;
	const bool is_list = strcmp(what, "list") == 0 && method == HTTP_PUT && has_n;
	const bool is_commit = strcmp(what, "commit") == 0 && method == HTTP_POST && has_none;
	if (what[0] == '\0' && method == HTTP_DELETE) {
		agent_routes_empty(q, gateway_abort(r->o.gateway, a->id, session, &why), &why);
		return;
	}
	if (!is_has && !is_put && !is_list && !is_commit) {
		agent_routes_no_route(q);
		return;
	}
	int rc = session_call(r, q, a, session,
		is_has      ? BYTES_TYPE
		: is_commit ? JSON_TYPE
			    : NULL,
		&c, &why);
	if (rc != 0) {
		agent_routes_refuse(q, &why);
		return;
	}
	size_t len;
	const uint8_t *body = http_request_body(q, &len);
	struct gateway *g = r->o.gateway;
	if (is_has)
		rc = gateway_has(g, a->id, session, body, len, on_answer, c, &why);
	else if (is_put)
		rc = gateway_put(g, a->id, session, body, len, on_answer, c, &why);
	else if (is_commit)
		rc = gateway_commit(g, a->id, session, body, len, on_answer, c, &why);
	else
		rc = gateway_list(g, a->id, session, n, body, len, on_answer, c, &why);
	call_check(c, rc, &why);
}

/* ---- the read port ---- */

/* A report may name what was given away and nothing else: noted before it goes out. */
static void on_points(void *arg, int rc, const struct err *why, const void *data, size_t len)
{
	struct call *c = arg;
	struct err err = ERR_INIT;
	struct catalog_job j;
	if (rc != 0) {
		on_answer(c, rc, why, data, len);
		return;
	}
	rc = catalog_job_get(c->r->o.db, c->job, &j, &err);
	if (rc == 0)
		rc = drill_desk_granted(c->r->o.desk, &j, data, len, &err);
	on_answer(c, rc, &err, data, len);
}

static void on_grant(void *arg, int rc, const struct err *why, const void *data, size_t len)
{
	struct call *c = arg;
	struct err err = ERR_INIT;
	if (rc == 0)
		rc = gateway_points(c->r->o.gateway, c->agent_id, c->job, on_points, c, &err);
	else
		err = *why;
	if (rc != 0)
		on_answer(c, rc, &err, data, len);
}

static int open_grant(struct agent_routes *r, const struct catalog_agent *a,
	const struct catalog_job *j, struct call *c, struct err *err)
{
	CLEANUP(buf_done) struct buf shut_out = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	struct gateway_grant_of of = { .at_ms = 0 };
	int rc = drill_desk_sources(r->o.desk, j, &of.sources, &of.source_count, &of.at_ms, err);
	if (rc == 0)
		rc = catalog_agent_in_state(r->o.db, AGENT_REVOKED, &shut_out, err);
	of.shut_out = shut_out.data;
	of.shut_out_count = shut_out.len / 16;
	return rc != 0 ? rc : gateway_open_grant(r->o.gateway, a->id, j->id, &of, on_grant, c, err);
}

/* Invariant 3. */
int agent_routes_vault_owed(const struct agent_routes *r, const struct http_request *q,
	const struct catalog_agent *a, struct err *err)
{
	size_t owed = http_request_unread(q);
	for (const struct call *c = r->calls; c != NULL; c = c->next)
		owed += c->is_large && memcmp(c->agent_id, a->id, 16) == 0 ? MSG_MAX_BODY : 0;
	if (owed <= ROUTES_OWED_MAX)
		return 0;
	(void)err_set(err, ERR_UNREACHABLE,
		"%zu MiB of answers to this agent are on their way or wait to be read", owed >> 20);
	return err_hint(err, "read them, then ask again");
}

/* A grant is called by its job. */
void agent_routes_vault_grant(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *job, const char *what)
{
	struct err why = ERR_INIT;
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	size_t len;
	const bool is_records = strcmp(what, "records") == 0;
	if (http_request_method(q) != (is_records ? HTTP_POST : HTTP_GET) ||
		(!is_records && what[0] != '\0')) {
		agent_routes_no_route(q);
		return;
	}
	int rc = j == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
			   : agent_routes_vault_drill(r, a, job, j, &why);
	if (rc == 0)
		rc = agent_routes_vault_owed(r, q, a, &why);
	struct call *c = rc == 0 ? call_new(r, q, a, is_records ? BYTES_TYPE : JSON_TYPE) : NULL;
	if (rc == 0 && c == NULL)
		rc = err_set(&why, ERR_NOMEM, "out of memory");
	if (rc != 0) {
		agent_routes_refuse(q, &why);
		return;
	}
	memcpy(c->job, j->id, sizeof(c->job));
	c->attempt = j->attempt;
	c->is_large = true;
	if (is_records) {
		const uint8_t *body = http_request_body(q, &len);
		rc = gateway_records(r->o.gateway, a->id, j->id, body, len, on_answer, c, &why);
	} else {
		rc = open_grant(r, a, j, c, &why);
	}
	call_check(c, rc, &why);
}
