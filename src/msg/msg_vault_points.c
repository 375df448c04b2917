#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "msg/msg_json_internal.h"
#include "msg/msg_vault.h"

/*
 * INVARIANTS
 * (1) The whole answer fits MSG_MAX_BODY: that bounds what its parts take together.
 */

#define CONFIG_MAX ((size_t)1 << 20)

int msg_vault_points_encode(const struct msg_points *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	size_t before = out->len;
	if (m->count > MSG_MAX_POINTS)
		return err_set(err, ERR_LIMIT, "%zu recovery points are more than %d", m->count,
			MSG_MAX_POINTS);
	msg_json_begin(&o);
	json_t *list = json_array();
	for (size_t i = 0; i < m->count; i++) {
		const struct msg_point *p = &m->at[i];
		struct msg_json_out item;
		msg_json_begin(&item);
		msg_json_put_text(&item, "source", MSG_JSON_LINE, p->source, sizeof(p->source));
		msg_json_put_base64(&item, "snapshot", p->snapshot, p->snapshot_len);
		msg_json_put_base64(&item, "envelopes", p->envelopes, p->envelopes_len);
		msg_json_add_item(&o, list, &item);
	}
	msg_json_put_array(&o, "points", list);
	msg_json_put_base64(&o, "config", m->config, m->config_len);
	int rc = msg_json_write(&o, out, err);
	if (rc == 0 && out->len - before > MSG_MAX_BODY) {
		out->len = before;
		rc = err_set(err, ERR_LIMIT, "the recovery points take more than %zu bytes",
			MSG_MAX_BODY);
	}
	return rc;
}

static void take_points(struct msg_json_in *in, struct msg_points *m)
{
	const json_t *list = msg_json_array(in, "points", MSG_MAX_POINTS);
	size_t count = json_array_size(list);
	if (count == 0)
		return;
	m->at = calloc(count, sizeof(*m->at));
	if (m->at == NULL) {
		in->rc = err_set(in->err, ERR_NOMEM, "out of memory");
		return;
	}
	m->count = count;
	for (size_t i = 0; in->rc == 0 && i < count; i++) {
		struct msg_point *p = &m->at[i];
		struct msg_json_in item = msg_json_item(in, list, i);
		msg_json_name(&item, "source", p->source, sizeof(p->source));
		msg_json_bytes(&item, "snapshot", MSG_MAX_BODY, &p->snapshot, &p->snapshot_len);
		msg_json_bytes(&item, "envelopes", MSG_MAX_BODY, &p->envelopes, &p->envelopes_len);
		msg_json_item_end(in, &item);
	}
}

int msg_vault_points_decode(const void *data, size_t len, struct msg_points *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_points m = { .count = 0 };
	msg_json_open(&in, data, len, MSG_MAX_BODY, "grant", err);
	take_points(&in, &m);
	msg_json_bytes(&in, "config", CONFIG_MAX, &m.config, &m.config_len);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_vault_points_done(&m);
	return rc;
}

void msg_vault_points_done(struct msg_points *m)
{
	for (size_t i = 0; i < m->count; i++) {
		free(m->at[i].snapshot);
		free(m->at[i].envelopes);
	}
	free(m->at);
	free(m->config);
	*m = (struct msg_points){ .count = 0 };
}
