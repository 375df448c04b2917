#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/controller.h"
#include "controller/dispatch.h"
#include "controller/fleet.h"
#include "vault/domain.h"
#include "web/api_body.h"
#include "web/api_internal.h"
#include "web/api_show.h"

void api_agents_name(struct db *db, const uint8_t id[16], char out[MSG_NAME_BYTES])
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	const bool is_own = catalog_job_is_own_id(id);
	(void)snprintf(out, MSG_NAME_BYTES, "%s", is_own ? "controller" : "");
	if (!is_own && a != NULL && catalog_agent_get(db, id, a, NULL) == 0)
		(void)snprintf(out, MSG_NAME_BYTES, "%s", a->name); /* same size */
}

static json_t *show_agent(const struct api_request *r, const struct catalog_agent *a)
{
	return api_show_agent(a, fleet_lists(controller_fleet(r->c), a));
}

static int add_agent(void *arg, const struct catalog_agent *a)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, show_agent(l->r, a)) == 0 ? 0 : -ERR_NOMEM;
}

int api_agents_list(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	return api_wrap_list("agents", &l, catalog_agent_each(r->db, add_agent, &l, err), out, err);
}

static int add_source(void *arg, const struct msg_source *s)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_source(s)) == 0 ? 0 : -ERR_NOMEM;
}

static int find_agent(struct api_request *r, struct catalog_agent **out, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return catalog_agent_find(r->db, r->parts[1], *out, err);
}

int api_agents_one(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	struct api_listing l = { .r = r, .list = json_array() };
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
int api_agents_approval(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT(API_CONFIG_MAX);
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
static int need_config(const struct api_request *r, struct buf *out, struct err *err)
{
	const char *text = NULL;
	int rc = api_body_need(r->body, "config", &text, err);
	return rc != 0 ? rc : text_unbase64(text, strlen(text), out, err);
}

int api_agents_approve(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT(API_CONFIG_MAX);
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
int api_agents_revoke(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = NULL;
	CLEANUP(buf_done) struct buf config = BUF_INIT(API_CONFIG_MAX);
	int rc = find_agent(r, &a, err);
	if (rc == 0)
		rc = fleet_revoke(controller_fleet(r->c), a->id, r->who.name, err);
	if (rc != 0)
		return rc;
	controller_drop_agent(r->c, a->id);
	if (json_object_get(r->body, "config") != NULL)
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
int api_agents_config(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(API_CONFIG_MAX);
	size_t len;
	const void *data = fleet_config(controller_fleet(r->c), &len);
	int rc = text_base64(data, len, &text, err);
	if (rc == 0)
		*out = json_pack("{s:s}", "config", buf_cstr(&text));
	return rc;
}

int api_agents_strike(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(API_CONFIG_MAX);
	int rc = need_config(r, &config, err);
	if (rc == 0)
		rc = fleet_key_strike(controller_fleet(r->c), r->parts[1], config.data, config.len,
			r->who.name, err);
	if (rc == 0)
		*out = json_pack("{s:I}", "config_epoch",
			(json_int_t)fleet_domain(controller_fleet(r->c))->epoch);
	return rc;
}

int api_agents_enrolment(struct api_request *r, json_t **out, struct err *err)
{
	const char *role, *name, *group;
	char token[MSG_TOKEN_TEXT_BYTES];
	int64_t ttl = 0;
	int rc = api_body_need(r->body, "role", &role, err);
	if (rc == 0)
		rc = api_body_number(r->body, "ttl", FLEET_TOKEN_TTL_MAX_MS, &ttl, err);
	if (rc == 0 && msg_enrol_role(role) == 0)
		rc = err_set(err, ERR_USAGE, "'%s' is no role: capture or sandbox", role);
	if (rc == 0)
		rc = api_body_name(r->body, "name", &name, err);
	if (rc == 0)
		rc = api_body_name(r->body, "group", &group, err);
	if (rc == 0)
		rc = fleet_token(controller_fleet(r->c), msg_enrol_role(role), name, group, ttl,
			r->who.name, token, err);
	if (rc == 0)
		*out = json_pack("{s:s}", "token", token);
	return rc;
}

int api_agents_of_body(
	struct api_request *r, enum msg_role role, struct catalog_agent *a, struct err *err)
{
	const char *name;
	int rc = api_body_need(r->body, "agent", &name, err);
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
