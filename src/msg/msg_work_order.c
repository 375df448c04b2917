#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "msg/msg_json_internal.h"
#include "msg/msg_work.h"

/*
 * INVARIANTS
 * (1) The verbs are a closed set, and an order has nothing but what its verb has: no path, no
 *     command, no address.
 */

#define ORDER_MAX ((size_t)2 << 20)
#define PLAN_MAX ((size_t)1 << 20)
#define SCENARIO_MAX 4096
#define SPAN_MAX_MS (INT64_MAX / 2000000) /* in ns it still fits beside a clock */

static void put_drill(struct msg_json_out *o, const struct msg_order *m)
{
	msg_json_put_base64(o, "plan", m->plan, m->plan_len);
	msg_json_put_text(o, "plan_name", MSG_JSON_LINE, m->plan_name, sizeof(m->plan_name));
	msg_json_put_hex(o, "plan_sha256", m->plan_sha256, sizeof(m->plan_sha256));
	msg_json_put_text(o, "exercise", MSG_JSON_LINE, m->exercise, sizeof(m->exercise));
	msg_json_put_number(o, "since_declared_ms", m->since_declared_ms);
	msg_json_put_text(o, "trigger", MSG_JSON_LINE, m->trigger, sizeof(m->trigger));
	if (m->scenario != NULL)
		msg_json_put_text(o, "scenario", MSG_JSON_LINES, m->scenario, SCENARIO_MAX + 1);
	msg_json_put_text(o, "grant", MSG_JSON_LINE, m->grant, sizeof(m->grant));
	msg_json_put_text(o, "controller", MSG_JSON_LINE, m->controller, sizeof(m->controller));
	msg_json_put_hex(o, "controller_key", m->controller_key, sizeof(m->controller_key));
	if (m->ordered_by[0] != '\0')
		msg_json_put_text(
			o, "ordered_by", MSG_JSON_LINE, m->ordered_by, sizeof(m->ordered_by));
}

int msg_work_order_encode(const struct msg_order *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, "job", MSG_JSON_LINE, m->job, sizeof(m->job));
	msg_json_put_number(&o, "attempt", m->attempt);
	msg_json_put_text(&o, "verb", MSG_JSON_LINE, msg_work_verb_name(m->verb), MSG_NAME_BYTES);
	msg_json_put_number(&o, "deadline_ms", m->deadline_ms);
	if (m->verb == MSG_VERB_DRILL)
		put_drill(&o, m);
	else
		msg_json_put_text(&o, "source", MSG_JSON_LINE, m->source, sizeof(m->source));
	return msg_json_write(&o, out, err);
}

/* 8-4-4-4-12 lower-case hex digits. */
static bool is_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	for (size_t i = 0; i < sizeof(form); i++) {
		bool is_fit = form[i] == 'x' ? text[i] != '\0' &&
						       strchr("0123456789abcdef", text[i]) != NULL
					     : text[i] == form[i];
		if (!is_fit)
			return false;
	}
	return true;
}

/* The plan's text, with a NUL behind it. */
static void take_plan(struct msg_json_in *in, struct msg_order *m)
{
	uint8_t *plan = NULL;
	msg_json_bytes(in, "plan", PLAN_MAX, &plan, &m->plan_len);
	if (plan == NULL)
		return;
	m->plan = malloc(m->plan_len + 1);
	if (m->plan == NULL) {
		in->rc = err_set(in->err, ERR_NOMEM, "out of memory");
	} else {
		memcpy(m->plan, plan, m->plan_len);
		m->plan[m->plan_len] = '\0';
	}
	free(plan);
}

static void take_drill(struct msg_json_in *in, struct msg_order *m)
{
	take_plan(in, m);
	msg_json_text(in, "plan_name", MSG_JSON_LINE, m->plan_name, sizeof(m->plan_name));
	msg_json_hex(in, "plan_sha256", m->plan_sha256, sizeof(m->plan_sha256));
	msg_json_word(in, "exercise", m->exercise, sizeof(m->exercise));
	if (in->rc == 0 && !is_uuid(m->exercise))
		msg_json_refuse(in, "exercise", "is not a UUID");
	msg_json_number(in, "since_declared_ms", 0, SPAN_MAX_MS, &m->since_declared_ms);
	msg_json_word(in, "trigger", m->trigger, sizeof(m->trigger));
	if (msg_json_has(in, "scenario"))
		msg_json_strdup(in, "scenario", MSG_JSON_LINES, SCENARIO_MAX, &m->scenario);
	msg_json_id(in, "grant", m->grant);
	msg_json_name(in, "controller", m->controller, sizeof(m->controller));
	msg_json_hex(in, "controller_key", m->controller_key, sizeof(m->controller_key));
	if (msg_json_has(in, "ordered_by"))
		msg_json_text(
			in, "ordered_by", MSG_JSON_LINE, m->ordered_by, sizeof(m->ordered_by));
}

static void take_verb(struct msg_json_in *in, struct msg_order *m)
{
	char verb[32] = "";
	msg_json_word(in, "verb", verb, sizeof(verb));
	if (in->rc != 0)
		return;
	if (strcmp(verb, msg_work_verb_name(MSG_VERB_BACKUP)) == 0) {
		m->verb = MSG_VERB_BACKUP;
		msg_json_name(in, "source", m->source, sizeof(m->source));
	} else if (strcmp(verb, msg_work_verb_name(MSG_VERB_DRILL)) == 0) {
		m->verb = MSG_VERB_DRILL;
		take_drill(in, m);
	} else {
		in->rc = err_set(in->err, ERR_UNSUPPORTED, "there is no order '%s'", verb);
	}
}

int msg_work_order_decode(const void *data, size_t len, struct msg_order *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_order m = { .attempt = 0 };
	msg_json_open(&in, data, len, ORDER_MAX, "order", err);
	msg_json_id(&in, "job", m.job);
	msg_json_number(&in, "attempt", 1, INT32_MAX, &m.attempt);
	msg_json_number(&in, "deadline_ms", 0, SPAN_MAX_MS, &m.deadline_ms);
	take_verb(&in, &m);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_work_order_done(&m);
	return rc;
}

void msg_work_order_done(struct msg_order *m)
{
	free(m->plan);
	free(m->scenario);
	*m = (struct msg_order){ .attempt = 0 };
}
