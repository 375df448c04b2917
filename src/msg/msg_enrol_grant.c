#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "msg/msg_enrol.h"
#include "msg/msg_enrol_token.h"
#include "msg/msg_json_internal.h"

/*
 * INVARIANTS
 * (1) A grant that was decoded has all its parts; none of them is believed yet: the agent checks
 *     certificate, config and keys against what it knows.
 */

#define MAX_BYTES ((size_t)2 << 20)
#define MAX_CONFIG ((size_t)1 << 20)
#define MAX_KEYS ((size_t)4096)

int msg_enrol_grant_encode(const struct msg_enrol_grant *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_text(&o, "certificate", MSG_JSON_PEM, m->certificate, MSG_PEM_BYTES);
	msg_json_put_text(&o, "ca", MSG_JSON_PEM, m->ca, MSG_PEM_BYTES);
	msg_json_put_text(&o, "address", MSG_JSON_LINE, m->address, sizeof(m->address));
	msg_json_put_base64(&o, "config", m->config, m->config_len);
	msg_json_put_base64(&o, "keys", m->keys, m->keys_len);
	return msg_json_write(&o, out, err);
}

int msg_enrol_grant_decode(
	const void *data, size_t len, struct msg_enrol_grant *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_enrol_grant m = { .certificate = NULL };
	msg_json_open(&in, data, len, MAX_BYTES, "grant", err);
	msg_json_strdup(&in, "certificate", MSG_JSON_PEM, MSG_PEM_BYTES - 1, &m.certificate);
	msg_json_strdup(&in, "ca", MSG_JSON_PEM, MSG_PEM_BYTES - 1, &m.ca);
	msg_json_text(&in, "address", MSG_JSON_LINE, m.address, sizeof(m.address));
	if (in.rc == 0 && !msg_enrol_token_is_address(m.address))
		msg_json_refuse(&in, "address", "is not HOST:PORT");
	msg_json_bytes(&in, "config", MAX_CONFIG, &m.config, &m.config_len);
	msg_json_bytes(&in, "keys", MAX_KEYS, &m.keys, &m.keys_len);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	else
		msg_enrol_grant_done(&m);
	return rc;
}

void msg_enrol_grant_done(struct msg_enrol_grant *m)
{
	free(m->certificate);
	free(m->ca);
	free(m->config);
	free(m->keys);
	*m = (struct msg_enrol_grant){ .certificate = NULL };
}
