#include "msg/msg_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/wire.h"
#include "msg/msg_json_internal.h"
#include "vault/domain.h"
#include "vault/record.h"
#include "vault/snapshot_body.h"

/*
 * INVARIANTS
 * (1) Form only: that a record is signed and a list is true is the vault's work.
 */

#define BASE_SEQ_MAX ((INT64_C(1) << 53) - 1)
#define SMALL_MAX ((size_t)64 << 10)
#define BEGUN_MAX ((size_t)2 << 20)
#define CONFIG_MAX ((size_t)1 << 20)
#define MAX_ENVELOPES (2 * DOMAIN_MAX_KEYS)
#define REPORT_MAX ((size_t)8 << 20)

/* ---- sessions -------------------------------------------------------------------------------- */

int msg_vault_begin_encode(const struct msg_begin *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, "job", MSG_JSON_LINE, m->job, sizeof(m->job));
	msg_json_put_number(&o, "attempt", m->attempt);
	msg_json_put_text(&o, "source", MSG_JSON_LINE, m->source, sizeof(m->source));
	return msg_json_write(&o, out, err);
}

int msg_vault_begin_decode(const void *data, size_t len, struct msg_begin *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_begin m = { .attempt = 0 };
	msg_json_open(&in, data, len, SMALL_MAX, "begin", err);
	msg_json_id(&in, "job", m.job);
	msg_json_number(&in, "attempt", 1, INT32_MAX, &m.attempt);
	msg_json_name(&in, "source", m.source, sizeof(m.source));
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

int msg_vault_begun_encode(const struct msg_begun *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, "session", MSG_JSON_LINE, m->session, sizeof(m->session));
	if (m->base.is_there) {
		msg_json_put_hex(&o, "base", m->base.hash, sizeof(m->base.hash));
		msg_json_put_number(&o, "seq", (int64_t)m->base.seq);
		msg_json_put_bool(&o, "whole", m->base.is_whole);
	}
	msg_json_put_base64(&o, "config", m->config, m->config_len);
	return msg_json_write(&o, out, err);
}

int msg_vault_begun_decode(const void *data, size_t len, struct msg_begun *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_begun m = { .config = NULL };
	msg_json_open(&in, data, len, BEGUN_MAX, "answer to begin", err);
	msg_json_id(&in, "session", m.session);
	m.base.is_there = msg_json_has(&in, "base");
	if (m.base.is_there) {
		int64_t seq = 0;
		msg_json_hex(&in, "base", m.base.hash, sizeof(m.base.hash));
		msg_json_number(&in, "seq", 1, BASE_SEQ_MAX, &seq);
		msg_json_bool(&in, "whole", &m.base.is_whole);
		m.base.seq = (uint64_t)seq;
	}
	msg_json_bytes(&in, "config", CONFIG_MAX, &m.config, &m.config_len);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_vault_begun_done(&m);
	return rc;
}

void msg_vault_begun_done(struct msg_begun *m)
{
	free(m->config);
	*m = (struct msg_begun){ .config = NULL };
}

/* ---- commit ---------------------------------------------------------------------------------- */

int msg_vault_commit_encode(const struct port_commit *c, struct buf *out, struct err *err)
{
	if (c->envelope_count > MAX_ENVELOPES)
		return err_set(err, ERR_LIMIT, "%zu envelopes are more than %d", c->envelope_count,
			MAX_ENVELOPES);
	if (c->label_len > SNAPSHOT_BODY_MAX_LABEL)
		return err_set(err, ERR_LIMIT, "a label of %zu bytes is longer than %d",
			c->label_len, SNAPSHOT_BODY_MAX_LABEL);
	int rc = buf_add(out, c->record, SNAPREC_BYTES, err);
	if (rc == 0)
		rc = buf_add16(out, (uint16_t)c->envelope_count, err);
	if (rc == 0)
		rc = buf_add(out, c->envelopes, c->envelope_count * SNAPREC_ENVELOPE_BYTES, err);
	if (rc == 0)
		rc = buf_add32(out, (uint32_t)c->label_len, err);
	return rc != 0 ? rc : buf_add(out, c->label, c->label_len, err);
}

static int take_commit(struct wire *w, struct port_commit *c, struct err *err)
{
	uint16_t count = 0;
	uint32_t label = 0;
	int rc = wire_take(w, SNAPREC_BYTES, &c->record, err);
	if (rc == 0)
		rc = wire_take16(w, &count, err);
	if (rc == 0 && count > MAX_ENVELOPES)
		rc = err_set(err, ERR_LIMIT, "%u envelopes are more than %d", (unsigned)count,
			MAX_ENVELOPES);
	c->envelope_count = count;
	if (rc == 0)
		rc = wire_take(w, (size_t)count * SNAPREC_ENVELOPE_BYTES, &c->envelopes, err);
	if (rc == 0)
		rc = wire_take32(w, &label, err);
	if (rc == 0 && label > SNAPSHOT_BODY_MAX_LABEL)
		rc = err_set(err, ERR_LIMIT, "a label of %lu bytes is longer than %d",
			(unsigned long)label, SNAPSHOT_BODY_MAX_LABEL);
	c->label_len = label;
	if (rc == 0)
		rc = wire_take(w, label, &c->label, err);
	return rc != 0 ? rc : wire_end(w, err);
}

int msg_vault_commit_decode(
	const uint8_t *data, size_t len, struct port_commit *out, struct err *err)
{
	struct wire w = { .p = data, .left = len };
	struct port_commit c = { .record = NULL };
	int rc = take_commit(&w, &c, err);
	if (rc != 0) {
		(void)err_wrap(err, "commit"); /* nobody need want the text */
		return rc;
	}
	*out = c;
	return 0;
}

int msg_vault_receipt_encode(const struct port_receipt *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	char ns[24];
	(void)snprintf(ns, sizeof(ns), "%llu", (unsigned long long)m->receipt_ns); /* fits */
	msg_json_begin(&o);
	msg_json_put_hex(&o, "snapshot", m->snap_hash, sizeof(m->snap_hash));
	msg_json_put_text(&o, "receipt_ns", MSG_JSON_LINE, ns, sizeof(ns));
	return msg_json_write(&o, out, err);
}

/* A number of ns in decimal digits, without leading zeros, that fits 63 bits. */
static bool parse_ns(const char *text, uint64_t *out)
{
	uint64_t v = 0;
	size_t len = strlen(text);
	if (len == 0 || len > 19 || (text[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0'); /* 19 digits fit 64 bits */
	}
	*out = v;
	return v <= INT64_MAX;
}

int msg_vault_receipt_decode(
	const void *data, size_t len, struct port_receipt *out, struct err *err)
{
	struct msg_json_in in;
	struct port_receipt m = { .receipt_ns = 0 };
	char ns[24] = "";
	msg_json_open(&in, data, len, SMALL_MAX, "receipt", err);
	msg_json_hex(&in, "snapshot", m.snap_hash, sizeof(m.snap_hash));
	msg_json_text(&in, "receipt_ns", MSG_JSON_LINE, ns, sizeof(ns));
	if (in.rc == 0 && !parse_ns(ns, &m.receipt_ns))
		msg_json_refuse(&in, "receipt_ns", "is not a time in decimal digits");
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

/* ---- the read port --------------------------------------------------------------------------- */

int msg_vault_records_add(struct buf *out, const void *cr, size_t len, struct err *err)
{
	size_t before = out->len;
	if (len == 0 || len > RECORD_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a record of %zu bytes is none", len);
	int rc = buf_add32(out, (uint32_t)len, err);
	if (rc == 0)
		rc = buf_add(out, cr, len, err);
	if (rc != 0)
		out->len = before;
	return rc;
}

int msg_vault_records_next(
	const uint8_t **data, size_t *len, const uint8_t **cr, size_t *cr_len, struct err *err)
{
	if (*len == 0)
		return 0;
	if (*len < 4)
		return err_set(err, ERR_CORRUPT, "records: cut short");
	uint32_t n = bytes_get32(*data);
	if (n == 0 || n > RECORD_MAX_BYTES || n > *len - 4)
		return err_set(err, ERR_CORRUPT, "records: a length of %lu where %zu bytes follow",
			(unsigned long)n, *len - 4);
	*cr = *data + 4;
	*cr_len = n;
	*data += 4 + (size_t)n;
	*len -= 4 + (size_t)n;
	return 1;
}

int msg_vault_report_encode(const void *envelope, size_t len, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	if (len == 0 || len > REPORT_MAX)
		return err_set(err, ERR_LIMIT, "a report of %zu bytes is none", len);
	msg_json_begin(&o);
	msg_json_put_base64(&o, "report", envelope, len);
	return msg_json_write(&o, out, err);
}

int msg_vault_report_decode(const void *data, size_t len, struct buf *envelope, struct err *err)
{
	struct msg_json_in in;
	uint8_t *bytes = NULL;
	size_t count = 0;
	msg_json_open(&in, data, len, MSG_MAX_BODY, "report", err);
	msg_json_bytes(&in, "report", REPORT_MAX, &bytes, &count);
	int rc = msg_json_close(&in);
	if (rc == 0)
		rc = buf_add(envelope, bytes, count, err);
	free(bytes);
	return rc;
}
