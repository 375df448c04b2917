#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "msg/msg_json_internal.h"
#include "msg/msg_work.h"

/*
 * INVARIANTS
 * (1) A result with an error names no snapshot, and an error has an id that is known here or
 *     counts as "failed".
 */

#define RESULT_MAX ((size_t)64 << 10)
#define ID_BYTES 64

static void put_stats(struct msg_json_out *o, const struct msg_result *m)
{
	struct msg_json_out s;
	msg_json_begin(&s);
	msg_json_put_number(&s, "files", m->files);
	msg_json_put_number(&s, "dirs", m->dirs);
	msg_json_put_number(&s, "others", m->others);
	msg_json_put_number(&s, "bytes", m->bytes);
	msg_json_put_number(&s, "read_bytes", m->read_bytes);
	msg_json_put_number(&s, "sent_bytes", m->sent_bytes);
	msg_json_put_number(&s, "records", m->records);
	msg_json_put_object(o, "stats", &s);
}

int msg_work_result_encode(const struct msg_result *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_number(&o, "attempt", m->attempt);
	if (m->error.code != 0) {
		msg_json_put_text(&o, "error", MSG_JSON_LINE, err_id(m->error.code), ID_BYTES);
		msg_json_put_text(&o, "message", MSG_JSON_LINE, m->error.msg, sizeof(m->error.msg));
		if (m->error.hint[0] != '\0')
			msg_json_put_text(
				&o, "hint", MSG_JSON_LINE, m->error.hint, sizeof(m->error.hint));
	}
	msg_json_put_number(&o, "warnings", m->warnings);
	if (m->first_warning[0] != '\0')
		msg_json_put_text(&o, "first_warning", MSG_JSON_LINE, m->first_warning,
			sizeof(m->first_warning));
	put_stats(&o, m);
	if (m->error.code == 0 && m->snapshot[0] != '\0')
		msg_json_put_text(&o, "snapshot", MSG_JSON_LINE, m->snapshot, sizeof(m->snapshot));
	if (m->verdict[0] != '\0')
		msg_json_put_text(&o, "verdict", MSG_JSON_LINE, m->verdict, sizeof(m->verdict));
	return msg_json_write(&o, out, err);
}

static void take_error(struct msg_json_in *in, struct err *error)
{
	char id[ID_BYTES] = "";
	msg_json_word(in, "error", id, sizeof(id));
	msg_json_text(in, "message", MSG_JSON_LINE, error->msg, sizeof(error->msg));
	if (msg_json_has(in, "hint"))
		msg_json_text(in, "hint", MSG_JSON_LINE, error->hint, sizeof(error->hint));
	if (in->rc == 0)
		error->code = err_code_of_id(id) != 0 ? err_code_of_id(id) : ERR_FAILED;
}

static void take_stats(struct msg_json_in *in, struct msg_result *m)
{
	struct msg_json_in s = msg_json_inner(in, "stats");
	msg_json_number(&s, "files", 0, INT64_MAX, &m->files);
	msg_json_number(&s, "dirs", 0, INT64_MAX, &m->dirs);
	msg_json_number(&s, "others", 0, INT64_MAX, &m->others);
	msg_json_number(&s, "bytes", 0, INT64_MAX, &m->bytes);
	msg_json_number(&s, "read_bytes", 0, INT64_MAX, &m->read_bytes);
	msg_json_number(&s, "sent_bytes", 0, INT64_MAX, &m->sent_bytes);
	msg_json_number(&s, "records", 0, INT64_MAX, &m->records);
	msg_json_item_end(in, &s);
}

static void take_snapshot(struct msg_json_in *in, struct msg_result *m)
{
	uint8_t hash[32] = { 0 };
	msg_json_hex(in, "snapshot", hash, sizeof(hash));
	if (in->rc == 0 && m->error.code != 0)
		msg_json_refuse(in, "snapshot", "does not go with an error");
	if (in->rc == 0)
		text_hex(hash, sizeof(hash), m->snapshot);
}

int msg_work_result_decode(const void *data, size_t len, struct msg_result *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_result m = { .attempt = 0 };
	msg_json_open(&in, data, len, RESULT_MAX, "result", err);
	msg_json_number(&in, "attempt", 1, INT32_MAX, &m.attempt);
	if (msg_json_has(&in, "error"))
		take_error(&in, &m.error);
	msg_json_number(&in, "warnings", 0, INT64_MAX, &m.warnings);
	if (msg_json_has(&in, "first_warning"))
		msg_json_text(&in, "first_warning", MSG_JSON_LINE, m.first_warning,
			sizeof(m.first_warning));
	take_stats(&in, &m);
	if (msg_json_has(&in, "snapshot"))
		take_snapshot(&in, &m);
	if (msg_json_has(&in, "verdict"))
		msg_json_text(&in, "verdict", MSG_JSON_LINE, m.verdict, sizeof(m.verdict));
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}
