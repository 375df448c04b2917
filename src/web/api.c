#include "web/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "controller/audit.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "controller/catalog_report.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller.h"
#include "controller/controller_conf.h"
#include "controller/dispatch.h"
#include "controller/drill_desk.h"
#include "controller/fleet.h"
#include "controller/people.h"
#include "controller/schedule.h"
#include "msg/msg_error.h"
#include "net/http_server.h"
#include "vault/domain.h"
#include "web/api_maintenance.h"
#include "web/api_show.h"

/*
 * INVARIANTS
 * (1) The token is checked before the path: who has none learns nothing of what there is.
 * (2) A route changes something only by POST, needs at least operator for it, and leaves an audit
 *     record whatever came of it.
 * (3) Every request is answered exactly once, before its route returns; a preview later.
 */

#define API_ANSWER_MAX ((size_t)32 << 20)
#define API_LIMIT 1000
#define API_PREVIEW_MAX 1000
#define API_PARTS 4

struct request {
	struct controller *c;
	struct db *db;
	struct http_request *q;
	struct people_token who;
	char parts[API_PARTS][256]; /* behind /api/v1/ */
	size_t count;
	json_t *body; /* owned; NULL = none */
	bool is_answered;
	bool is_stranger; /* no token that counts */
};

/* A route fills *${out} (a new reference) or answers by itself and leaves it NULL. */
typedef int (*api_fn)(struct request *r, json_t **out, struct err *err);

/* ---- helpers ---- */

static const char *member_text(const struct request *r, const char *key)
{
	return json_string_value(json_object_get(r->body, key));
}

static int need_text(const struct request *r, const char *key, const char **out, struct err *err)
{
	*out = member_text(r, key);
	if (*out != NULL && (*out)[0] != '\0')
		return 0;
	return err_set(err, ERR_USAGE, "the request needs a text '%s'", key);
}

/* A name in the grammar of agents and sources; absent is "". */
static int optional_name(
	const struct request *r, const char *key, const char **out, struct err *err)
{
	const char *text = member_text(r, key);
	*out = text == NULL ? "" : text;
	if (text == NULL || msg_enrol_is_name(text))
		return 0;
	(void)err_set(err, ERR_USAGE, "'%s' is no name", text);
	return err_hint(err,
		"names are lower-case letters, digits, '.', '_', '-', at most %d of them",
		MSG_NAME_BYTES - 1);
}

static int64_t query_number(struct http_request *q, const char *key, int64_t other, int64_t max)
{
	const char *text = http_request_query(q, key);
	char *end = NULL;
	long long v = text == NULL ? 0 : strtoll(text, &end, 10);
	if (text == NULL || end == text || *end != '\0' || v <= 0)
		return other;
	return v > max ? max : v;
}

struct listing {
	struct request *r;
	json_t *list;
};

static int wrap_list(const char *key, struct listing *l, int rc, json_t **out, struct err *err)
{
	if (rc == 0)
		*out = json_pack("{s:O}", key, l->list);
	json_decref(l->list);
	if (rc == 0 && *out == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc;
}

static void agent_name(struct db *db, const uint8_t id[16], char out[MSG_NAME_BYTES])
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	const bool is_own = memcmp(id, DISPATCH_OWN_ID, 16) == 0;
	(void)snprintf(out, MSG_NAME_BYTES, "%s", is_own ? "controller" : "");
	if (!is_own && a != NULL && catalog_agent_get(db, id, a, NULL) == 0)
		(void)snprintf(out, MSG_NAME_BYTES, "%s", a->name); /* same size */
}

/* ---- agents ---- */

static json_t *show_agent(const struct request *r, const struct catalog_agent *a)
{
	return api_show_agent(a, fleet_lists(controller_fleet(r->c), a));
}

static int add_agent(void *arg, const struct catalog_agent *a)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, show_agent(l->r, a)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_agents(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	return wrap_list("agents", &l, catalog_agent_each(r->db, add_agent, &l, err), out, err);
}

static int add_source(void *arg, const struct msg_source *s)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_source(s)) == 0 ? 0 : -ERR_NOMEM;
}

static int find_agent(struct request *r, struct catalog_agent **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return catalog_agent_find(r->db, r->parts[1], *out, err);
}

static int get_agent(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	struct listing l = { .r = r, .list = json_array() };
	int rc = find_agent(r, &a, err);
	if (rc == 0)
		rc = catalog_agent_each_source(r->db, a->id, add_source, &l, err);
	if (rc == 0) {
		*out = show_agent(r, a);
		(void)json_object_set(*out, "sources", l.list); /* told as out of memory below */
	}
	json_decref(l.list);
	return rc;
}

/* What an approver signs: the agent's keys and the config as it is now. */
static int get_approval(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT((size_t)4 << 20);
	size_t len;
	const void *data = fleet_config(controller_fleet(r->c), &len);
	int rc = find_agent(r, &a, err);
	if (rc == 0)
		rc = text_base64(data, len, &config, err);
	if (rc == 0)
		*out = json_pack(
			"{s:o, s:s}", "agent", show_agent(r, a), "config", buf_cstr(&config));
	return rc;
}

/* The config that an officer signed. */
static int need_config(const struct request *r, struct buf *out, struct err *err)
{
	const char *text = NULL;
	int rc = need_text(r, "config", &text, err);
	return rc != 0 ? rc : text_unbase64(text, strlen(text), out, err);
}

static int post_approve(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT((size_t)4 << 20);
	int rc = find_agent(r, &a, err);
	if (rc == 0)
		rc = need_config(r, &config, err);
	if (rc == 0)
		rc = fleet_approve(
			controller_fleet(r->c), a->id, config.data, config.len, r->who.name, err);
	if (rc == 0)
		rc = catalog_agent_get(r->db, a->id, a, err);
	if (rc == 0)
		*out = show_agent(r, a);
	return rc;
}

/* Shut out at once; with a config also struck from the vault's. */
static int post_revoke(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT((size_t)4 << 20);
	int rc = find_agent(r, &a, err);
	if (rc == 0)
		rc = fleet_revoke(controller_fleet(r->c), a->id, r->who.name, err);
	if (rc != 0)
		return rc;
	controller_drop_agent(r->c, a->id);
	if (member_text(r, "config") != NULL)
		rc = need_config(r, &config, err);
	if (rc == 0 && config.len > 0)
		rc = fleet_strike(
			controller_fleet(r->c), a->id, config.data, config.len, r->who.name, err);
	if (rc == 0)
		rc = catalog_agent_get(r->db, a->id, a, err);
	if (rc == 0)
		*out = show_agent(r, a);
	return rc;
}

/* The newest config: what an officer signs upon. */
static int get_config(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)4 << 20);
	size_t len;
	const void *data = fleet_config(controller_fleet(r->c), &len);
	int rc = text_base64(data, len, &text, err);
	if (rc == 0)
		*out = json_pack("{s:s}", "config", buf_cstr(&text));
	return rc;
}

static int post_strike(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT((size_t)4 << 20);
	int rc = need_config(r, &config, err);
	if (rc == 0)
		rc = fleet_key_strike(controller_fleet(r->c), r->parts[1], config.data, config.len,
			r->who.name, err);
	if (rc == 0)
		*out = json_pack("{s:I}", "config_epoch",
			(json_int_t)fleet_domain(controller_fleet(r->c))->epoch);
	return rc;
}

static int post_enrolment(struct request *r, json_t **out, struct err *err)
{
	const char *role, *name, *group;
	char token[MSG_TOKEN_TEXT_BYTES];
	int64_t ttl = json_integer_value(json_object_get(r->body, "ttl"));
	int rc = need_text(r, "role", &role, err);
	if (rc == 0 && msg_enrol_role(role) == 0)
		rc = err_set(err, ERR_USAGE, "'%s' is no role: capture or sandbox", role);
	if (rc == 0)
		rc = optional_name(r, "name", &name, err);
	if (rc == 0)
		rc = optional_name(r, "group", &group, err);
	if (rc == 0)
		rc = fleet_token(controller_fleet(r->c), msg_enrol_role(role), name, group,
			ttl > 0 ? ttl : 0, r->who.name, token, err);
	if (rc == 0)
		*out = json_pack("{s:s}", "token", token);
	return rc;
}

/* ---- jobs ---- */

static int add_job(void *arg, const struct catalog_job *j)
{
	const struct listing *l = arg;
	char name[MSG_NAME_BYTES];
	agent_name(l->r->db, j->agent_id, name);
	return json_array_append_new(l->list, api_show_job(j, name)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_jobs(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	struct catalog_job_query query = { .source = http_request_query(r->q, "source"),
		.schedule = http_request_query(r->q, "schedule"),
		.limit = query_number(r->q, "limit", 50, API_LIMIT) };
	int rc = catalog_job_parse_states(http_request_query(r->q, "state"), &query.states, err);
	if (rc == 0)
		rc = catalog_job_each(r->db, &query, add_job, &l, err);
	return wrap_list("jobs", &l, rc, out, err);
}

static int add_attempt(void *arg, const struct catalog_attempt *a)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_attempt(a)) == 0 ? 0 : -ERR_NOMEM;
}

static int show_job(struct request *r, const char *id, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	struct listing l = { .r = r, .list = json_array() };
	char name[MSG_NAME_BYTES];
	int rc = j == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			   : catalog_job_get(r->db, id, j, err);
	if (rc == 0)
		rc = catalog_job_each_attempt(r->db, j->id, add_attempt, &l, err);
	if (rc == 0) {
		agent_name(r->db, j->agent_id, name);
		*out = api_show_job(j, name);
		(void)json_object_set(*out, "attempts", l.list); /* told as out of memory below */
	}
	json_decref(l.list);
	return rc;
}

static int get_job(struct request *r, json_t **out, struct err *err)
{
	return show_job(r, r->parts[1], out, err);
}

struct source_search {
	const char *name;
	bool is_there;
	size_t count;
};

static int match_source(void *arg, const struct msg_source *s)
{
	struct source_search *f = arg;
	f->count++;
	f->is_there = f->is_there || strcmp(s->name, f->name) == 0;
	return 0;
}

static int check_source(
	struct request *r, const struct catalog_agent *a, const char *source, struct err *err)
{
	struct source_search f = { .name = source };
	int rc = catalog_agent_each_source(r->db, a->id, match_source, &f, err);
	if (rc != 0 || f.is_there)
		return rc;
	if (f.count == 0) { /* an agent that backs up has at least one */
		(void)err_set(err, ERR_BUSY,
			"agent '%s' has not called yet: its sources are not known", a->name);
		return err_hint(err, "start 'holdfast-agent run' on its host, or wait a moment");
	}
	(void)err_set(err, ERR_NOT_FOUND, "agent '%s' has no source '%s'", a->name, source);
	return err_hint(err,
		"see 'holdfast agent show %s'; sources are in the agent's own "
		"configuration",
		a->name);
}

/* Find the agent that ${key} of the body names, in the given role. */
static int body_agent(
	struct request *r, enum msg_role role, struct catalog_agent *a, struct err *err)
{
	const char *name;
	int rc = need_text(r, "agent", &name, err);
	if (rc == 0)
		rc = catalog_agent_find(r->db, name, a, err);
	if (rc == 0 && a->state != AGENT_ACTIVE)
		rc = err_set(err, ERR_USAGE, "agent '%s' is %s", a->name,
			catalog_agent_state_name(a->state));
	if (rc == 0 && a->role != role)
		rc = err_set(err, ERR_USAGE, "agent '%s' has the role %s; this needs %s", a->name,
			msg_enrol_role_name(a->role), msg_enrol_role_name(role));
	return rc;
}

static int post_job(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	const char *source = NULL;
	if (a == NULL || j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = need_text(r, "source", &source, err);
	if (rc == 0 && !msg_enrol_is_name(source))
		rc = err_set(err, ERR_USAGE, "'%s' is no name of a source", source);
	if (rc == 0)
		rc = body_agent(r, MSG_ROLE_CAPTURE, a, err);
	if (rc == 0)
		rc = check_source(r, a, source, err);
	if (rc != 0)
		return rc;
	j->verb = MSG_VERB_BACKUP;
	memcpy(j->agent_id, a->id, 16);
	(void)snprintf(j->source, sizeof(j->source), "%s", source);      /* a name: fits */
	(void)snprintf(j->person, sizeof(j->person), "%s", r->who.name); /* same size */
	j->due_ms = env_now_ns() / 1000000;
	j->retries = json_integer_value(json_object_get(r->body, "retries"));
	j->retry_after_ms = 60000;
	rc = dispatch_order(controller_dispatch(r->c), j, err);
	controller_kick(r->c);
	return rc != 0 ? rc : show_job(r, j->id, out, err);
}

static int post_cancel(struct request *r, json_t **out, struct err *err)
{
	int rc = dispatch_cancel(controller_dispatch(r->c), r->parts[1], r->who.name, err);
	controller_kick(r->c);
	return rc != 0 ? rc : show_job(r, r->parts[1], out, err);
}

/* ---- maintenance ---- */

static int post_maintenance(struct request *r, json_t **out, struct err *err)
{
	char job[MSG_ID_HEX];
	if (json_object_get(r->body, "approve") != NULL &&
		!people_may(r->who.role, PEOPLE_APPROVER))
		return err_set(err, ERR_AUTH, "an approval needs the role %s; token '%s' has %s",
			people_role_name(PEOPLE_APPROVER), r->who.name,
			people_role_name(r->who.role));
	int rc = api_maintenance_order(r->c, r->who.name, r->body, job, err);
	return rc != 0 ? rc : show_job(r, job, out, err);
}

static int get_preview(struct request *r, json_t **out, struct err *err)
{
	(void)out; /* answered later */
	int rc = api_maintenance_preview(r->c, r->q, err);
	r->is_answered = rc == 0;
	return rc;
}

/* ---- drills ---- */

/* What is wrong with a plan, all of it, as one text. */
static int explain(const struct conf_problems *p, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(65536);
	if (p->count == 0 || conf_problems_format(p, &text, NULL) != 0)
		return -err->code;
	text.len -= text.len > 0 && text.data[text.len - 1] == '\n'; /* its last line's */
	const char *all = buf_cstr(&text);
	(void)err_set(err, ERR_CONFIG, "%s", all == NULL ? "the plan is not sound" : all);
	return err_hint(err, "see 'holdfast plan lint'");
}

static int post_drill(struct request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	CLEANUP(buf_done) struct buf plan = BUF_INIT((size_t)1 << 20);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct drill_desk_order o = { .trigger = "manual", .scenario = member_text(r, "scenario") };
	const char *text = NULL;
	if (a == NULL || j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = body_agent(r, MSG_ROLE_SANDBOX, a, err);
	if (rc == 0)
		rc = need_text(r, "plan_name", &o.plan_name, err);
	if (rc == 0)
		rc = need_text(r, "plan", &text, err);
	if (rc == 0)
		rc = text_unbase64(text, strlen(text), &plan, err);
	if (rc == 0) {
		o.plan = plan.data;
		o.plan_len = plan.len;
		o.agent = a;
		(void)snprintf(j->person, sizeof(j->person), "%s", r->who.name); /* same size */
		rc = drill_desk_prepare(controller_desk(r->c), &o, j, &problems, err);
		if (rc == -ERR_CONFIG)
			rc = explain(&problems, err);
	}
	if (rc == 0)
		rc = dispatch_order(controller_dispatch(r->c), j, err);
	conf_problems_done(&problems);
	controller_kick(r->c);
	return rc != 0 ? rc : show_job(r, j->id, out, err);
}

static int add_report(void *arg, const struct catalog_report *x)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_report(x)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_reports(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	int64_t limit = query_number(r->q, "limit", 50, API_LIMIT);
	return wrap_list(
		"drills", &l, catalog_report_each(r->db, limit, add_report, &l, err), out, err);
}

/* The signed bytes as they are: what is verified must not be written anew. */
static int get_report(struct request *r, json_t **out, struct err *err)
{
	(void)out; /* answered here */
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(API_ANSWER_MAX);
	int rc = drill_desk_read(controller_desk(r->c), r->parts[1], &bytes, err);
	if (rc == 0)
		http_request_reply(r->q, 200, "application/json", bytes.data, bytes.len);
	r->is_answered = rc == 0;
	return rc;
}

/* ---- the rest ---- */

static int get_schedules(struct request *r, json_t **out, struct err *err)
{
	const size_t want = (size_t)query_number(r->q, "next", 20, API_PREVIEW_MAX);
	CLEANUP(cleanup_free_p) struct schedule_due *due = calloc(want, sizeof(*due));
	struct listing l = { .r = r, .list = json_array() };
	int rc = due == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	size_t n = rc != 0 ? 0
			   : schedule_preview(controller_schedule(r->c),
				     http_request_query(r->q, "name"), env_now_ns() / 1000000, due,
				     want);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(l.list, api_show_due(&due[i])); /* short: no memory */
	return wrap_list("due", &l, rc, out, err);
}

static int add_snapshot(void *arg, const struct catalog_snapshot *s)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_snapshot(s)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_snapshots(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	int rc = catalog_snapshot_each(r->db, http_request_query(r->q, "source"),
		query_number(r->q, "limit", 50, API_LIMIT), add_snapshot, &l, err);
	return wrap_list("snapshots", &l, rc, out, err);
}

static int add_audit(void *arg, const struct audit_record *x)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_audit(x)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_audit(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	int rc = audit_check(r->db, err);
	if (rc == 0)
		rc = audit_each(
			r->db, query_number(r->q, "limit", 100, API_LIMIT), add_audit, &l, err);
	return wrap_list("audit", &l, rc, out, err);
}

static int add_person(void *arg, const struct people_token *t)
{
	const struct listing *l = arg;
	return json_array_append_new(l->list, api_show_person(t)) == 0 ? 0 : -ERR_NOMEM;
}

static int get_tokens(struct request *r, json_t **out, struct err *err)
{
	struct listing l = { .r = r, .list = json_array() };
	return wrap_list("tokens", &l, people_each(r->db, add_person, &l, err), out, err);
}

static int post_token(struct request *r, json_t **out, struct err *err)
{
	struct people_token t = { .made_ms = env_now_ns() / 1000000 };
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	const char *role, *name;
	int64_t ttl = json_integer_value(json_object_get(r->body, "ttl"));
	int rc = need_text(r, "name", &name, err);
	if (rc == 0)
		rc = optional_name(r, "name", &name, err);
	if (rc == 0)
		rc = need_text(r, "role", &role, err);
	if (rc == 0 && (t.role = people_role_of(role)) == 0)
		rc = err_set(err, ERR_USAGE,
			"'%s' is no role: viewer, auditor, operator, approver or officer", role);
	if (rc == 0) {
		(void)snprintf(t.name, sizeof(t.name), "%s", name); /* a name: fits */
		t.until_ms = ttl > 0 ? t.made_ms + ttl : 0;
		rc = people_add(r->db, &t, text, err);
	}
	if (rc == 0)
		*out = json_pack("{s:s, s:o}", "token", text, "person", api_show_person(&t));
	return rc;
}

static int post_token_revoke(struct request *r, json_t **out, struct err *err)
{
	int rc = people_revoke(r->db, r->parts[1], env_now_ns() / 1000000, err);
	if (rc == 0)
		*out = json_object();
	return rc;
}

static int count_job(void *arg, const struct catalog_job *j)
{
	(void)j; /* its state was asked for */
	(*(int64_t *)arg)++;
	return 0;
}

static int get_status(struct request *r, json_t **out, struct err *err)
{
	int64_t running = 0, waiting = 0;
	struct catalog_job_query query = { .states = 1u << JOB_RUNNING };
	int rc = catalog_job_each(r->db, &query, count_job, &running, err);
	query.states = 1u << JOB_WAITING;
	if (rc == 0)
		rc = catalog_job_each(r->db, &query, count_job, &waiting, err);
	if (rc == 0)
		*out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "name",
			controller_configuration(r->c)->name, "version", controller_version(r->c),
			"clock", (json_int_t)(env_now_ns() / 1000000), "running",
			(json_int_t)running, "waiting", (json_int_t)waiting, "person", r->who.name,
			"role", people_role_name(r->who.role));
	return rc;
}

/* ---- routes ---- */

static const struct route {
	enum http_method method;
	const char *parts[API_PARTS]; /* "*" = any one; NULL = the end */
	enum people_role need;
	const char *action; /* of the audit record; NULL = only looks */
	api_fn run;
} routes[] = {
	{ HTTP_GET, { "status" }, PEOPLE_VIEWER, NULL, get_status },
	{ HTTP_GET, { "agents" }, PEOPLE_VIEWER, NULL, get_agents },
	{ HTTP_GET, { "agents", "*" }, PEOPLE_VIEWER, NULL, get_agent },
	{ HTTP_GET, { "agents", "*", "approval" }, PEOPLE_VIEWER, NULL, get_approval },
	{ HTTP_POST, { "agents", "*", "approve" }, PEOPLE_APPROVER, "agent.approve", post_approve },
	{ HTTP_POST, { "agents", "*", "revoke" }, PEOPLE_APPROVER, "agent.revoke", post_revoke },
	{ HTTP_GET, { "config" }, PEOPLE_VIEWER, NULL, get_config },
	{ HTTP_POST, { "keys", "*", "strike" }, PEOPLE_APPROVER, "key.strike", post_strike },
	{ HTTP_POST, { "enrolments" }, PEOPLE_OPERATOR, "agent.token", post_enrolment },
	{ HTTP_GET, { "jobs" }, PEOPLE_VIEWER, NULL, get_jobs },
	{ HTTP_POST, { "jobs" }, PEOPLE_OPERATOR, "job.run", post_job },
	{ HTTP_GET, { "jobs", "*" }, PEOPLE_VIEWER, NULL, get_job },
	{ HTTP_POST, { "jobs", "*", "cancel" }, PEOPLE_OPERATOR, "job.cancel", post_cancel },
	{ HTTP_POST, { "maintenance" }, PEOPLE_OPERATOR, "maintenance.run", post_maintenance },
	{ HTTP_GET, { "maintenance", "preview" }, PEOPLE_VIEWER, NULL, get_preview },
	{ HTTP_GET, { "schedules" }, PEOPLE_VIEWER, NULL, get_schedules },
	{ HTTP_GET, { "drills" }, PEOPLE_VIEWER, NULL, get_reports },
	{ HTTP_POST, { "drills" }, PEOPLE_OPERATOR, "drill.run", post_drill },
	{ HTTP_GET, { "reports", "*" }, PEOPLE_VIEWER, NULL, get_report },
	{ HTTP_GET, { "snapshots" }, PEOPLE_VIEWER, NULL, get_snapshots },
	{ HTTP_GET, { "audit" }, PEOPLE_AUDITOR, NULL, get_audit },
	{ HTTP_GET, { "tokens" }, PEOPLE_OFFICER, NULL, get_tokens },
	{ HTTP_POST, { "tokens" }, PEOPLE_OFFICER, "token.new", post_token },
	{ HTTP_POST, { "tokens", "*", "revoke" }, PEOPLE_OFFICER, "token.revoke",
		post_token_revoke },
};

/* Return 0 or -1 (nothing of ours). */
static int split(struct request *r, const char *path)
{
	static const char top[] = "/api/v1/";
	if (strncmp(path, top, sizeof(top) - 1) != 0)
		return -1;
	for (const char *p = path + sizeof(top) - 1; *p != '\0';) {
		size_t n = strcspn(p, "/");
		if (n == 0 || n >= sizeof(r->parts[0]) || r->count == API_PARTS)
			return -1;
		memcpy(r->parts[r->count], p, n);
		r->parts[r->count++][n] = '\0';
		p += n;
		p += *p == '/';
	}
	return 0;
}

static const struct route *find_route(const struct request *r)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *x = &routes[i];
		size_t n = 0;
		bool fits = x->method == http_request_method(r->q);
		for (; fits && n < API_PARTS && x->parts[n] != NULL; n++)
			fits = n < r->count && (strcmp(x->parts[n], "*") == 0 ||
						       strcmp(x->parts[n], r->parts[n]) == 0);
		if (fits && n == r->count)
			return x;
	}
	return NULL;
}

static int authenticate(struct request *r, struct err *err)
{
	static const char scheme[] = "Bearer ";
	const char *text = http_request_header(r->q, "Authorization");
	const char *token = text != NULL && strncmp(text, scheme, sizeof(scheme) - 1) == 0
				    ? text + sizeof(scheme) - 1
				    : NULL;
	if (token == NULL) {
		err_set(err, ERR_AUTH, "the request carries no token");
		return err_hint(err, "give a token file with --token-file or HOLDFAST_TOKEN_FILE");
	}
	return people_find(r->db, token, env_now_ns() / 1000000, &r->who, err);
}

static int read_body(struct request *r, struct err *err)
{
	size_t len;
	const uint8_t *data = http_request_body(r->q, &len);
	if (len == 0)
		return 0;
	int rc = jsonx_parse(data, len, "the request", &r->body, err);
	if (rc == 0 && !json_is_object(r->body))
		rc = err_set(err, ERR_CORRUPT, "the request is no JSON object");
	return rc;
}

static void record(struct request *r, const struct route *x, int rc, const struct err *why)
{
	char who[80];
	const char *object = r->count > 1 ? r->parts[1] : "";
	const char *source = member_text(r, "source"), *agent = member_text(r, "agent");
	if (object[0] == '\0')
		object = source != NULL ? source : agent != NULL ? agent : "";
	(void)snprintf(who, sizeof(who), "person:%s", r->who.name); /* fits */
	(void)audit_add(r->db, who, http_request_peer(r->q)->address, x->action, object,
		rc == 0 ? "ok" : err_id(rc), rc == 0 ? "" : why->msg,
		NULL); /* a full disk must not keep people from acting */
}

static int run(struct request *r, json_t **out, struct err *err)
{
	int rc = authenticate(r, err);
	r->is_stranger = rc == -ERR_AUTH;
	if (rc != 0)
		return rc;
	const struct route *x = split(r, http_request_path(r->q)) == 0 ? find_route(r) : NULL;
	if (x == NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no such request here");
	if (!people_may(r->who.role, x->need)) {
		(void)err_set(err, ERR_AUTH, "this needs the role %s; token '%s' has %s",
			people_role_name(x->need), r->who.name, people_role_name(r->who.role));
		rc = err_hint(err, "an officer makes tokens with 'holdfast token new'");
	}
	if (rc == 0)
		rc = read_body(r, err);
	if (rc == 0)
		rc = x->run(r, out, err);
	if (x->action != NULL)
		record(r, x, rc, err);
	return rc;
}

static void reply(struct http_request *q, int rc, json_t *value, bool is_stranger, struct err *why)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(API_ANSWER_MAX);
	if (rc == 0)
		rc = jsonx_encode(value, &body, why);
	if (rc == 0) {
		http_request_reply(q, 200, "application/json", body.data, body.len);
		return;
	}
	body.len = 0;
	(void)msg_error_encode(why, &body, NULL); /* the status says enough */
	if (is_stranger)
		http_request_add_header(q, "WWW-Authenticate", "Bearer");
	http_request_reply(q, is_stranger ? 401 : msg_error_status(why), "application/json",
		body.data, body.len);
}

bool api_admit(void *arg, struct controller *c, struct http_request *q)
{
	(void)arg; /* needs nothing of its own */
	struct request r = { .c = c, .db = controller_db(c), .q = q };
	struct err why = ERR_INIT;
	int rc = authenticate(&r, &why);
	if (rc != 0)
		reply(q, rc, NULL, rc == -ERR_AUTH, &why);
	return rc == 0;
}

void api_handle(void *arg, struct controller *c, struct http_request *q)
{
	(void)arg; /* needs nothing of its own */
	struct request r = { .c = c, .db = controller_db(c), .q = q };
	struct err why = ERR_INIT;
	json_t *out = NULL;
	int rc = run(&r, &out, &why);
	if (rc == 0 && out == NULL && !r.is_answered)
		rc = err_set(&why, ERR_NOMEM, "out of memory");
	if (!r.is_answered)
		reply(q, rc, out, r.is_stranger, &why);
	json_decref(out);
	json_decref(r.body);
}
