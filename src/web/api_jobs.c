#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/catalog_job.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller.h"
#include "controller/controller_conf.h"
#include "controller/dispatch.h"
#include "controller/schedule.h"
#include "net/http_server.h"
#include "web/api_body.h"
#include "web/api_internal.h"
#include "web/api_maintenance.h"
#include "web/api_show.h"

#define JOBS_PREVIEW_MAX 1000

static int add_job(void *arg, const struct catalog_job *j)
{
	const struct api_listing *l = arg;
	char name[MSG_NAME_BYTES];
	api_agents_name(l->r->db, j->agent_id, name);
	return json_array_append_new(l->list, api_show_job(j, name)) == 0 ? 0 : -ERR_NOMEM;
}

int api_jobs_list(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	struct catalog_job_query query = { .source = http_request_query(r->q, "source"),
		.schedule = http_request_query(r->q, "schedule") };
	int rc = api_query(r, "limit", 50, API_LIMIT, &query.limit, err);
	if (rc == 0)
		rc = catalog_job_parse_states(
			http_request_query(r->q, "state"), &query.states, err);
	if (rc == 0)
		rc = catalog_job_each(r->db, &query, add_job, &l, err);
	return api_wrap_list("jobs", &l, rc, out, err);
}

static int add_attempt(void *arg, const struct catalog_attempt *a)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_attempt(a)) == 0 ? 0 : -ERR_NOMEM;
}

int api_jobs_show(struct api_request *r, const char *id, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	struct api_listing l = { .r = r, .list = json_array() };
	char name[MSG_NAME_BYTES];
	int rc = j == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			   : catalog_job_get(r->db, id, j, err);
	if (rc == 0)
		rc = catalog_job_each_attempt(r->db, j->id, add_attempt, &l, err);
	if (rc == 0) {
		api_agents_name(r->db, j->agent_id, name);
		*out = api_show_job(j, name);
		(void)json_object_set(*out, "attempts", l.list); /* told as out of memory below */
	}
	json_decref(l.list);
	return rc;
}

int api_jobs_one(struct api_request *r, json_t **out, struct err *err)
{
	return api_jobs_show(r, r->parts[1], out, err);
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
	struct api_request *r, const struct catalog_agent *a, const char *source, struct err *err)
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

int api_jobs_order(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	const char *source = NULL;
	if (a == NULL || j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = api_body_need(r->body, "source", &source, err);
	if (rc == 0)
		rc = api_body_number(
			r->body, "retries", CONTROLLER_CONF_RETRIES_MAX, &j->retries, err);
	if (rc == 0 && !msg_enrol_is_name(source))
		rc = err_set(err, ERR_USAGE, "'%s' is no name of a source", source);
	if (rc == 0)
		rc = api_agents_of_body(r, MSG_ROLE_CAPTURE, a, err);
	if (rc == 0)
		rc = check_source(r, a, source, err);
	if (rc != 0)
		return rc;
	j->verb = MSG_VERB_BACKUP;
	memcpy(j->agent_id, a->id, 16);
	(void)snprintf(j->source, sizeof(j->source), "%s", source);      /* a name: fits */
	(void)snprintf(j->person, sizeof(j->person), "%s", r->who.name); /* same size */
	j->due_ms = env_now_ns() / 1000000;
	j->retry_after_ms = 60000;
	rc = dispatch_order(controller_dispatch(r->c), j, err);
	controller_kick(r->c);
	return rc != 0 ? rc : api_jobs_show(r, j->id, out, err);
}

int api_jobs_cancel(struct api_request *r, json_t **out, struct err *err)
{
	int rc = dispatch_cancel(controller_dispatch(r->c), r->parts[1], r->who.name, err);
	controller_kick(r->c);
	return rc != 0 ? rc : api_jobs_show(r, r->parts[1], out, err);
}

/* ---- maintenance ---- */

int api_jobs_maintain(struct api_request *r, json_t **out, struct err *err)
{
	char job[MSG_ID_HEX];
	if (json_object_get(r->body, "approve") != NULL &&
		!people_may(r->who.role, PEOPLE_APPROVER))
		return err_set(err, ERR_AUTH, "an approval needs the role %s; token '%s' has %s",
			people_role_name(PEOPLE_APPROVER), r->who.name,
			people_role_name(r->who.role));
	int rc = api_maintenance_order(r->c, r->who.name, r->body, job, err);
	return rc != 0 ? rc : api_jobs_show(r, job, out, err);
}

int api_jobs_preview(struct api_request *r, json_t **out, struct err *err)
{
	(void)out; /* answered later */
	int rc = api_maintenance_preview(r->c, r->q, err);
	r->is_answered = rc == 0;
	return rc;
}

/* ---- what is due, what was made ---- */

int api_jobs_due(struct api_request *r, json_t **out, struct err *err)
{
	int64_t want = 0;
	struct api_listing l = { .r = r, .list = json_array() };
	int rc = api_query(r, "next", 20, JOBS_PREVIEW_MAX, &want, err);
	CLEANUP(cleanup_free_p)
	struct schedule_due *due = calloc((size_t)want + 1, sizeof(*due));
	if (rc == 0 && due == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	size_t n = rc != 0 ? 0
			   : schedule_preview(controller_schedule(r->c),
				     http_request_query(r->q, "name"), env_now_ns() / 1000000, due,
				     (size_t)want);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(l.list, api_show_due(&due[i])); /* short: no memory */
	return api_wrap_list("due", &l, rc, out, err);
}

static int add_snapshot(void *arg, const struct catalog_snapshot *s)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_snapshot(s)) == 0 ? 0 : -ERR_NOMEM;
}

int api_jobs_snapshots(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	int64_t limit = 0;
	int rc = api_query(r, "limit", 50, API_LIMIT, &limit, err);
	if (rc == 0)
		rc = catalog_snapshot_each(
			r->db, http_request_query(r->q, "source"), limit, add_snapshot, &l, err);
	return api_wrap_list("snapshots", &l, rc, out, err);
}
