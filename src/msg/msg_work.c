#include "msg/msg_work.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "msg/msg_json_internal.h"

/*
 * INVARIANTS
 * (1) What was decoded is in the ranges that this file names; a caller need not look again.
 * (2) Encoding never fails for what a text holds: it is escaped or cut.
 */

#define SMALL_MAX ((size_t)64 << 10)
#define HELLO_MAX ((size_t)256 << 10)
#define WELCOME_MAX ((size_t)2 << 20)
#define CONFIG_MAX ((size_t)1 << 20)
#define POLL_MAX_MS 3600000

const char *msg_work_verb_name(enum msg_verb verb)
{
	switch (verb) {
	case MSG_VERB_BACKUP:
		return "backup";
	case MSG_VERB_DRILL:
		return "drill";
	case MSG_VERB_RETENTION:
		return "retention";
	case MSG_VERB_COLLECT:
		return "collect";
	case MSG_VERB_SCRUB:
		return "scrub";
	case MSG_VERB_COPY:
		return "copy";
	}
	return "?";
}

/* ---- hello ----------------------------------------------------------------------------------- */

static void put_sources(struct msg_json_out *o, const struct msg_hello *m)
{
	json_t *list = json_array();
	for (size_t i = 0; i < m->source_count; i++) {
		const struct msg_source *s = &m->sources[i];
		struct msg_json_out item;
		msg_json_begin(&item);
		msg_json_put_text(&item, "name", MSG_JSON_LINE, s->name, sizeof(s->name));
		msg_json_put_text(&item, "type", MSG_JSON_LINE, s->type, sizeof(s->type));
		msg_json_put_text(&item, "consistency", MSG_JSON_LINE, s->consistency,
			sizeof(s->consistency));
		msg_json_add_item(o, list, &item);
	}
	msg_json_put_array(o, "sources", list);
}

int msg_work_hello_encode(const struct msg_hello *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_number(&o, "protocol", m->protocol);
	msg_json_put_text(&o, "name", MSG_JSON_LINE, m->name, sizeof(m->name));
	msg_json_put_text(&o, "version", MSG_JSON_LINE, m->version, sizeof(m->version));
	msg_json_put_text(&o, "role", MSG_JSON_LINE, msg_enrol_role_name(m->role), MSG_NAME_BYTES);
	msg_json_put_number(&o, "clock", m->clock_ms);
	put_sources(&o, m);
	return msg_json_write(&o, out, err);
}

static bool is_twice(const struct msg_source *sources, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (strcmp(sources[k].name, sources[i].name) == 0)
			return true;
	}
	return false;
}

static void take_sources(struct msg_json_in *in, struct msg_hello *m)
{
	const json_t *list = msg_json_array(in, "sources", MSG_MAX_SOURCES);
	size_t count = json_array_size(list);
	if (count == 0)
		return;
	m->sources = calloc(count, sizeof(*m->sources));
	if (m->sources == NULL) {
		in->rc = err_set(in->err, ERR_NOMEM, "out of memory");
		return;
	}
	for (size_t i = 0; in->rc == 0 && i < count; i++) {
		struct msg_source *s = &m->sources[i];
		struct msg_json_in item = msg_json_item(in, list, i);
		msg_json_name(&item, "name", s->name, sizeof(s->name));
		msg_json_word(&item, "type", s->type, sizeof(s->type));
		msg_json_word(&item, "consistency", s->consistency, sizeof(s->consistency));
		if (item.rc == 0 && is_twice(m->sources, i))
			msg_json_refuse(&item, "name", "is there twice");
		msg_json_item_end(in, &item);
	}
	m->source_count = count;
}

int msg_work_hello_decode(const void *data, size_t len, struct msg_hello *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_hello m = { .protocol = 0 };
	char role[32] = "";
	msg_json_open(&in, data, len, HELLO_MAX, "hello", err);
	msg_json_number(&in, "protocol", 1, INT32_MAX, &m.protocol);
	msg_json_name(&in, "name", m.name, sizeof(m.name));
	msg_json_text(&in, "version", MSG_JSON_LINE, m.version, sizeof(m.version));
	msg_json_word(&in, "role", role, sizeof(role));
	msg_json_number(&in, "clock", 0, INT64_MAX, &m.clock_ms);
	take_sources(&in, &m);
	m.role = msg_enrol_role(role);
	if (in.rc == 0 && m.role == 0)
		in.rc = err_set(err, ERR_UNSUPPORTED, "this version knows no role '%s'", role);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_work_hello_done(&m);
	return rc;
}

void msg_work_hello_done(struct msg_hello *m)
{
	free(m->sources);
	*m = (struct msg_hello){ .protocol = 0 };
}

int msg_work_welcome_encode(const struct msg_welcome *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_hex(&o, "agent_id", m->agent_id, sizeof(m->agent_id));
	msg_json_put_number(&o, "clock", m->clock_ms);
	msg_json_put_number(&o, "poll_ms", m->poll_ms);
	msg_json_put_base64(&o, "config", m->config, m->config_len);
	return msg_json_write(&o, out, err);
}

int msg_work_welcome_decode(const void *data, size_t len, struct msg_welcome *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_welcome m = { .clock_ms = 0 };
	msg_json_open(&in, data, len, WELCOME_MAX, "answer to hello", err);
	msg_json_hex(&in, "agent_id", m.agent_id, sizeof(m.agent_id));
	msg_json_number(&in, "clock", 0, INT64_MAX, &m.clock_ms);
	msg_json_number(&in, "poll_ms", 0, POLL_MAX_MS, &m.poll_ms);
	msg_json_bytes(&in, "config", CONFIG_MAX, &m.config, &m.config_len);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_work_welcome_done(&m);
	return rc;
}

void msg_work_welcome_done(struct msg_welcome *m)
{
	free(m->config);
	*m = (struct msg_welcome){ .clock_ms = 0 };
}

/* ---- poll, progress, go ---------------------------------------------------------------------- */

int msg_work_poll_encode(const struct msg_poll *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_number(&o, "wait_ms", m->wait_ms);
	return msg_json_write(&o, out, err);
}

int msg_work_poll_decode(const void *data, size_t len, struct msg_poll *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_poll m = { .wait_ms = 0 };
	msg_json_open(&in, data, len, SMALL_MAX, "work", err);
	msg_json_number(&in, "wait_ms", 0, MSG_WORK_WAIT_MAX_MS, &m.wait_ms);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

int msg_work_progress_encode(const struct msg_progress *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_number(&o, "attempt", m->attempt);
	msg_json_put_text(&o, "phase", MSG_JSON_LINE, m->phase, sizeof(m->phase));
	msg_json_put_number(&o, "files", m->files);
	msg_json_put_number(&o, "bytes", m->bytes);
	msg_json_put_number(&o, "read_bytes", m->read_bytes);
	msg_json_put_number(&o, "sent_bytes", m->sent_bytes);
	if (m->text[0] != '\0')
		msg_json_put_text(&o, "text", MSG_JSON_LINE, m->text, sizeof(m->text));
	return msg_json_write(&o, out, err);
}

int msg_work_progress_decode(
	const void *data, size_t len, struct msg_progress *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_progress m = { .attempt = 0 };
	msg_json_open(&in, data, len, SMALL_MAX, "progress", err);
	msg_json_number(&in, "attempt", 1, INT32_MAX, &m.attempt);
	msg_json_word(&in, "phase", m.phase, sizeof(m.phase));
	msg_json_number(&in, "files", 0, INT64_MAX, &m.files);
	msg_json_number(&in, "bytes", 0, INT64_MAX, &m.bytes);
	msg_json_number(&in, "read_bytes", 0, INT64_MAX, &m.read_bytes);
	msg_json_number(&in, "sent_bytes", 0, INT64_MAX, &m.sent_bytes);
	if (msg_json_has(&in, "text"))
		msg_json_text(&in, "text", MSG_JSON_LINE, m.text, sizeof(m.text));
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

int msg_work_go_encode(const struct msg_go *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_bool(&o, "go", m->go);
	if (!m->go)
		msg_json_put_text(&o, "why", MSG_JSON_LINE, m->why, sizeof(m->why));
	return msg_json_write(&o, out, err);
}

int msg_work_go_decode(const void *data, size_t len, struct msg_go *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_go m = { .go = false };
	msg_json_open(&in, data, len, SMALL_MAX, "answer to progress", err);
	msg_json_bool(&in, "go", &m.go);
	if (in.rc == 0 && !m.go)
		msg_json_text(&in, "why", MSG_JSON_LINE, m.why, sizeof(m.why));
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

/* ---- renewal --------------------------------------------------------------------------------- */

int msg_work_pem_encode(const char *member, const char *pem, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, member, MSG_JSON_PEM, pem, MSG_PEM_BYTES);
	return msg_json_write(&o, out, err);
}

int msg_work_pem_decode(
	const void *data, size_t len, const char *member, char out[MSG_PEM_BYTES], struct err *err)
{
	struct msg_json_in in;
	msg_json_open(&in, data, len, SMALL_MAX, "renewal", err);
	msg_json_text(&in, member, MSG_JSON_PEM, out, MSG_PEM_BYTES);
	return msg_json_close(&in);
}
