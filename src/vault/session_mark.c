#include "vault/session_mark.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"

#define MARK_BYTES 104
#define MARK_MAGIC "HFSE"
#define MARK_VERSION 1

void session_mark_name(
	const uint8_t session[16], uint64_t number, char name[SESSION_MARK_NAME_BYTES])
{
	char hex[33];
	text_hex(session, 16, hex);
	(void)snprintf(
		name, SESSION_MARK_NAME_BYTES, "se/%s-%08x", hex, (unsigned)number); /* fits */
}

int session_mark_seal(const struct session_mark *m, const struct sealed_key *key, struct buf *out,
	char name[SESSION_MARK_NAME_BYTES], struct err *err)
{
	uint8_t b[MARK_BYTES] = { 0 };
	char hex[SEALED_NAME_BYTES];
	memcpy(b, MARK_MAGIC, 4);
	b[4] = MARK_VERSION;
	b[5] = (uint8_t)m->state;
	memcpy(b + 8, m->session, 16);
	memcpy(b + 24, m->agent_id, 16);
	memcpy(b + 40, m->source_id, 16);
	bytes_put64(b + 56, m->number);
	memcpy(b + 64, m->base, 32);
	bytes_put64(b + 96, (uint64_t)m->wall_ns);
	session_mark_name(m->session, m->number, name);
	return sealed_seal(key, SEALED_SESSION, b, sizeof(b), NULL, out, hex, err);
}

int session_mark_put(struct session_mark *m, enum session_mark_state state,
	const struct sealed_key *key, struct store *store, struct err *err)
{
	char name[SESSION_MARK_NAME_BYTES];
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	m->state = state;
	m->wall_ns = env_now_ns();
	int rc = session_mark_seal(m, key, &object, name, err);
	if (rc == 0)
		rc = store_put(store, name, object.data, object.len, err);
	if (rc == 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		m->number++;
	return rc;
}

int session_mark_open(const struct sealed_key *key, const char *name, const void *object,
	size_t len, struct session_mark *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(4096);
	int rc = sealed_open(key, SEALED_SESSION, object, len, &body, err);
	if (rc != 0)
		return rc;
	const uint8_t *b = body.data;
	if (body.len != MARK_BYTES || memcmp(b, MARK_MAGIC, 4) != 0 || b[6] != 0 || b[7] != 0)
		return err_set(err, ERR_CORRUPT, "a session mark has a wrong form");
	if (b[4] != MARK_VERSION || b[5] < SESSION_MARK_OPEN || b[5] > SESSION_MARK_VOID)
		return err_set(err, ERR_UNSUPPORTED, "a session mark needs a newer version");
	struct session_mark m = { .state = (enum session_mark_state)b[5],
		.number = bytes_get64(b + 56),
		.wall_ns = (int64_t)bytes_get64(b + 96) };
	memcpy(m.session, b + 8, 16);
	memcpy(m.agent_id, b + 24, 16);
	memcpy(m.source_id, b + 40, 16);
	memcpy(m.base, b + 64, 32);
	char want[SESSION_MARK_NAME_BYTES];
	session_mark_name(m.session, m.number, want);
	if (strcmp(want, name) != 0)
		return err_set(err, ERR_CORRUPT, "a session mark stands under another's name");
	*out = m;
	return 0;
}
