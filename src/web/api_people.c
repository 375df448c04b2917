#include <stdio.h>

#include "base/env.h"
#include "base/err.h"
#include "controller/audit.h"
#include "net/http_server.h"
#include "web/api_body.h"
#include "web/api_internal.h"
#include "web/api_show.h"

#define PEOPLE_TTL_MAX_MS (INT64_C(100) * 366 * 86400 * 1000)

static int add_audit(void *arg, const struct audit_record *x)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_audit(x)) == 0 ? 0 : -ERR_NOMEM;
}

int api_people_audit(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	int64_t limit = 0;
	int rc = api_query(r, "limit", 100, API_LIMIT, &limit, err);
	if (rc == 0)
		rc = audit_check(r->db, err);
	if (rc == 0)
		rc = audit_each(r->db, limit, add_audit, &l, err);
	return api_wrap_list("audit", &l, rc, out, err);
}

static int add_person(void *arg, const struct people_token *t)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_person(t)) == 0 ? 0 : -ERR_NOMEM;
}

int api_people_list(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	return api_wrap_list("tokens", &l, people_each(r->db, add_person, &l, err), out, err);
}

int api_people_add(struct api_request *r, json_t **out, struct err *err)
{
	struct people_token t = { .made_ms = env_now_ns() / 1000000 };
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	const char *role, *name;
	int64_t ttl = 0;
	int rc = api_body_need(r->body, "name", &name, err);
	if (rc == 0)
		rc = api_body_name(r->body, "name", &name, err);
	if (rc == 0)
		rc = api_body_number(r->body, "ttl", PEOPLE_TTL_MAX_MS, &ttl, err);
	if (rc == 0)
		rc = api_body_need(r->body, "role", &role, err);
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

int api_people_revoke(struct api_request *r, json_t **out, struct err *err)
{
	int rc = people_revoke(r->db, r->parts[1], env_now_ns() / 1000000, err);
	if (rc == 0)
		*out = json_object();
	return rc;
}
