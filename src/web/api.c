#include "web/api.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/jsonx.h"
#include "controller/audit.h"
#include "controller/catalog_job.h"
#include "controller/controller.h"
#include "controller/controller_conf.h"
#include "msg/msg_error.h"
#include "net/http_server.h"
#include "web/api_body.h"
#include "web/api_internal.h"

/*
 * INVARIANTS
 * (1) The token is checked before the path: who has none learns nothing of what there is.
 * (2) A route changes something only by POST, needs at least operator for it, and leaves an audit
 *     record whatever came of it.
 * (3) Every request is answered exactly once, before its route returns; a preview later.
 */

#define API_UNREAD_MAX ((size_t)32 << 20) /* bytes of answers in memory for one address */

/* ---- what routes share ---- */

int api_query(struct api_request *r, const char *key, int64_t fallback, int64_t max, int64_t *out,
	struct err *err)
{
	return api_body_query(key, http_request_query(r->q, key), fallback, max, out, err);
}

int api_wrap_list(const char *key, struct api_listing *l, int rc, json_t **out, struct err *err)
{
	if (rc == 0)
		*out = json_pack("{s:O}", key, l->list);
	json_decref(l->list);
	if (rc == 0 && *out == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc;
}

/* ---- status ---- */

static int count_job(void *arg, const struct catalog_job *j)
{
	(void)j; /* its state was asked for */
	(*(int64_t *)arg)++;
	return 0;
}

static int get_status(struct api_request *r, json_t **out, struct err *err)
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
	{ HTTP_GET, { "agents" }, PEOPLE_VIEWER, NULL, api_agents_list },
	{ HTTP_GET, { "agents", "*" }, PEOPLE_VIEWER, NULL, api_agents_one },
	{ HTTP_GET, { "agents", "*", "approval" }, PEOPLE_VIEWER, NULL, api_agents_approval },
	{ HTTP_POST, { "agents", "*", "approve" }, PEOPLE_APPROVER, "agent.approve",
		api_agents_approve },
	{ HTTP_POST, { "agents", "*", "revoke" }, PEOPLE_APPROVER, "agent.revoke",
		api_agents_revoke },
	{ HTTP_GET, { "config" }, PEOPLE_VIEWER, NULL, api_agents_config },
	{ HTTP_POST, { "keys", "*", "strike" }, PEOPLE_APPROVER, "key.strike", api_agents_strike },
	{ HTTP_POST, { "enrolments" }, PEOPLE_OPERATOR, "agent.token", api_agents_enrolment },
	{ HTTP_GET, { "jobs" }, PEOPLE_VIEWER, NULL, api_jobs_list },
	{ HTTP_POST, { "jobs" }, PEOPLE_OPERATOR, "job.run", api_jobs_order },
	{ HTTP_GET, { "jobs", "*" }, PEOPLE_VIEWER, NULL, api_jobs_one },
	{ HTTP_POST, { "jobs", "*", "cancel" }, PEOPLE_OPERATOR, "job.cancel", api_jobs_cancel },
	{ HTTP_POST, { "maintenance" }, PEOPLE_OPERATOR, "maintenance.run", api_jobs_maintain },
	{ HTTP_GET, { "maintenance", "preview" }, PEOPLE_VIEWER, NULL, api_jobs_preview },
	{ HTTP_GET, { "schedules" }, PEOPLE_VIEWER, NULL, api_jobs_due },
	{ HTTP_GET, { "drills" }, PEOPLE_VIEWER, NULL, api_drills_list },
	{ HTTP_POST, { "drills" }, PEOPLE_OPERATOR, "drill.run", api_drills_order },
	{ HTTP_GET, { "reports", "*" }, PEOPLE_VIEWER, NULL, api_drills_report },
	{ HTTP_GET, { "snapshots" }, PEOPLE_VIEWER, NULL, api_jobs_snapshots },
	{ HTTP_GET, { "audit" }, PEOPLE_AUDITOR, NULL, api_people_audit },
	{ HTTP_GET, { "tokens" }, PEOPLE_OFFICER, NULL, api_people_list },
	{ HTTP_POST, { "tokens" }, PEOPLE_OFFICER, "token.new", api_people_add },
	{ HTTP_POST, { "tokens", "*", "revoke" }, PEOPLE_OFFICER, "token.revoke",
		api_people_revoke },
};

/* Return 0 or -1 (nothing of ours). */
static int split(struct api_request *r, const char *path)
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

static const struct route *find_route(const struct api_request *r)
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

static int authenticate(struct api_request *r, struct err *err)
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

static int read_body(struct api_request *r, struct err *err)
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

static void record(struct api_request *r, const struct route *x, int rc, const struct err *why)
{
	char who[80];
	const char *object = r->count > 1 ? r->parts[1] : "";
	const char *source = json_string_value(json_object_get(r->body, "source"));
	const char *agent = json_string_value(json_object_get(r->body, "agent"));
	if (object[0] == '\0')
		object = source != NULL ? source : agent != NULL ? agent : "";
	(void)snprintf(who, sizeof(who), "person:%s", r->who.name); /* fits */
	(void)audit_add(r->db, who, http_request_peer(r->q)->address, x->action, object,
		rc == 0 ? "ok" : err_id(rc), rc == 0 ? "" : why->msg,
		NULL); /* a full disk must not keep people from acting */
}

static int run(struct api_request *r, json_t **out, struct err *err)
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
	if (rc == 0 && http_request_unread(r->q) > API_UNREAD_MAX)
		rc = err_set(err, ERR_UNREACHABLE,
			"answers to other requests from here wait to be read");
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
	const int status = is_stranger ? 401 : msg_error_status(why);
	body.len = 0;
	(void)msg_error_encode(why, &body, NULL); /* the status says enough */
	if (is_stranger)
		http_request_add_header(q, "WWW-Authenticate", "Bearer");
	if (status == 503)
		http_request_add_header(q, "Retry-After", "2");
	http_request_reply(q, status, "application/json", body.data, body.len);
}

bool api_admit(void *arg, struct controller *c, struct http_request *q)
{
	(void)arg; /* needs nothing of its own */
	struct api_request r = { .c = c, .db = controller_db(c), .q = q };
	struct err why = ERR_INIT;
	int rc = authenticate(&r, &why);
	if (rc != 0)
		reply(q, rc, NULL, rc == -ERR_AUTH, &why);
	return rc == 0;
}

void api_handle(void *arg, struct controller *c, struct http_request *q)
{
	(void)arg; /* needs nothing of its own */
	struct api_request r = { .c = c, .db = controller_db(c), .q = q };
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
