#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "controller/catalog_job.h"
#include "controller/catalog_report.h"
#include "controller/controller.h"
#include "controller/dispatch.h"
#include "controller/drill_desk.h"
#include "net/http_server.h"
#include "web/api_body.h"
#include "web/api_internal.h"
#include "web/api_show.h"

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

int api_drills_order(struct api_request *r, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	CLEANUP(cleanup_free_p) struct catalog_job *j = calloc(1, sizeof(*j));
	CLEANUP(buf_done) struct buf plan = BUF_INIT((size_t)1 << 20);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct drill_desk_order o = { .trigger = "manual" };
	const char *text = NULL;
	if (a == NULL || j == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = api_agents_of_body(r, MSG_ROLE_SANDBOX, a, err);
	if (rc == 0)
		rc = api_body_need(r->body, "plan_name", &o.plan_name, err);
	if (rc == 0)
		rc = api_body_need(r->body, "plan", &text, err);
	if (rc == 0)
		rc = api_body_text(r->body, "scenario", &o.scenario, err);
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
	return rc != 0 ? rc : api_jobs_show(r, j->id, out, err);
}

static int add_report(void *arg, const struct catalog_report *x)
{
	const struct api_listing *l = arg;
	return json_array_append_new(l->list, api_show_report(x)) == 0 ? 0 : -ERR_NOMEM;
}

int api_drills_list(struct api_request *r, json_t **out, struct err *err)
{
	struct api_listing l = { .r = r, .list = json_array() };
	int64_t limit = 0;
	int rc = api_query(r, "limit", 50, API_LIMIT, &limit, err);
	if (rc == 0)
		rc = catalog_report_each(r->db, limit, add_report, &l, err);
	return api_wrap_list("drills", &l, rc, out, err);
}

/* The signed bytes as they are: what is verified must not be written anew. */
int api_drills_report(struct api_request *r, json_t **out, struct err *err)
{
	(void)out; /* answered here */
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(API_ANSWER_MAX);
	int rc = drill_desk_read(controller_desk(r->c), r->parts[1], &bytes, err);
	if (rc == 0)
		http_request_reply(r->q, 200, "application/json", bytes.data, bytes.len);
	r->is_answered = rc == 0;
	return rc;
}
