#include "web/api_maintenance.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "controller/controller.h"
#include "controller/maintenance.h"
#include "controller/maintenance_run.h"
#include "msg/msg_error.h"
#include "net/http_server.h"

/*
 * INVARIANTS
 * (1) A preview is answered exactly once: by its callback, which comes once, also when the
 *     controller ends.
 */

#define ANSWER_MAX ((size_t)64 << 20)

int api_maintenance_order(struct controller *c, const char *person, const json_t *body,
	char job[MSG_ID_HEX], struct err *err)
{
	static const enum msg_verb verbs[] = { MSG_VERB_RETENTION, MSG_VERB_COLLECT,
		MSG_VERB_SCRUB };
	const char *task = json_string_value(json_object_get(body, "task"));
	const char *approve = json_string_value(json_object_get(body, "approve"));
	const char *replica = json_string_value(json_object_get(body, "replica"));
	const bool is_copy = task != NULL && strcmp(task, msg_work_verb_name(MSG_VERB_COPY)) == 0;
	const bool is_begin = json_is_true(json_object_get(body, "begin"));
	enum msg_verb verb = is_copy ? MSG_VERB_COPY : 0;
	for (size_t i = 0; task != NULL && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(task, msg_work_verb_name(verbs[i])) == 0)
			verb = verbs[i];
	}
	if (verb == 0)
		return err_set(err, ERR_USAGE,
			"the request needs a 'task': retention, collect, scrub or copy");
	if (approve != NULL && verb != MSG_VERB_RETENTION)
		return err_set(err, ERR_USAGE, "'approve' goes with retention only");
	if (approve != NULL && approve[0] == '\0')
		return err_set(err, ERR_USAGE, "'approve' says who agreed and why");
	if (is_copy != (replica != NULL) || (is_begin && !is_copy))
		return err_set(err, ERR_USAGE,
			is_copy ? "'copy' needs a 'replica': one of the configuration's"
				: "'replica' and 'begin' go with copy only");
	int rc = is_copy ? maintenance_order_copy(
				   controller_maintenance(c), replica, is_begin, person, job, err)
			 : maintenance_order(
				   controller_maintenance(c), verb, person, approve, job, err);
	controller_kick(c);
	return rc;
}

static json_t *show_why(const struct maintenance_run_row *r)
{
	json_t *why = json_array();
	if (!r->has_rule)
		(void)json_array_append_new(why, json_string("no-rule"));
	for (unsigned bit = 0; r->has_rule && bit < RETENTION_BITS; bit++) {
		if ((r->why & 1u << bit) != 0)
			(void)json_array_append_new(
				why, json_string(retention_why_word(1u << bit)));
	}
	return why;
}

static json_t *show_row(const struct maintenance_run_row *r)
{
	char id[65], agent[33], when[HUMAN_BYTES];
	text_hex(r->hash, 32, id);
	text_hex(r->agent_id, 16, agent);
	return json_pack("{s:s, s:o, s:o, s:s, s:I, s:s, s:b, s:o}", "id", id, "source",
		jsonx_name(r->source, strlen(r->source)), "host",
		jsonx_name(r->host, strlen(r->host)), "agent_id", agent, "seq", (json_int_t)r->seq,
		"received", human_time_utc(when, r->receipt_ms * 1000000), "stays",
		(int)(!r->has_rule || r->why != 0), "why", show_why(r));
}

static json_t *show_preview(const struct maintenance_run *run)
{
	json_t *rows = json_array();
	json_int_t going = 0;
	for (size_t i = 0; i < run->row_count; i++) {
		going += run->rows[i].has_rule && run->rows[i].why == 0;
		if (json_array_append_new(rows, show_row(&run->rows[i])) != 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return json_pack("{s:I, s:I, s:s, s:o}", "kept", (json_int_t)run->row_count - going,
		"going", going, "guards", run->guards, "snapshots", rows);
}

static void on_preview(void *arg, int rc, const struct err *why, const struct maintenance_run *run)
{
	struct http_request *q = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(ANSWER_MAX);
	struct err err = ERR_INIT;
	if (why != NULL)
		err = *why;
	if (rc == 0) {
		json_t *o = show_preview(run);
		rc = o == NULL ? err_set(&err, ERR_NOMEM, "out of memory")
			       : jsonx_encode(o, &body, &err);
		json_decref(o);
	}
	if (rc == 0) {
		http_request_reply(q, 200, "application/json", body.data, body.len);
		return;
	}
	buf_clear(&body);
	(void)msg_error_encode(&err, &body, NULL); /* the status says enough */
	http_request_reply(q, msg_error_status(&err), "application/json", body.data, body.len);
}

int api_maintenance_preview(struct controller *c, struct http_request *q, struct err *err)
{
	return maintenance_preview(controller_maintenance(c), on_preview, q, err);
}
