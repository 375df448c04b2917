#include "msg/msg_enrol.h"

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "msg/msg_json_internal.h"

/*
 * INVARIANTS
 * (1) A request that was decoded is signed by the identity key in it, every member of it covered,
 *     also those that this version does not know.
 * (2) Keys that a role has not are zeros, and keys that it has are not.
 */

#define MAX_BYTES ((size_t)64 << 10)

static const char enrol_prefix[] = "hf1/enrol"; /* with its NUL */
static const char collect_prefix[] = "hf1/collect";
static const char fingerprint_prefix[] = "hf1/fingerprint";

const char *msg_enrol_role_name(enum msg_role role)
{
	switch (role) {
	case MSG_ROLE_CAPTURE:
		return "capture";
	case MSG_ROLE_SANDBOX:
		return "sandbox";
	}
	return "?";
}

enum msg_role msg_enrol_role(const char *word)
{
	if (strcmp(word, "capture") == 0)
		return MSG_ROLE_CAPTURE;
	return strcmp(word, "sandbox") == 0 ? MSG_ROLE_SANDBOX : (enum msg_role)0;
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool msg_enrol_is_name(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len >= MSG_NAME_BYTES || !is_name_start(name[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_name_start(name[i]) && strchr("._-", name[i]) == NULL)
			return false;
	}
	return true;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	uint8_t all = 0;
	for (size_t i = 0; i < len; i++)
		all |= p[i];
	return all == 0;
}

/* ---- the request ----------------------------------------------------------------------------- */

/* What the proof signs: the prefix and the hash of the object without the proof. */
static int proof_text(
	const json_t *members, uint8_t out[sizeof(enrol_prefix) + HASH_BYTES], struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(MAX_BYTES);
	int rc = jsonx_encode(members, &text, err);
	if (rc != 0)
		return rc;
	memcpy(out, enrol_prefix, sizeof(enrol_prefix));
	hash_sha256(text.data, text.len, out + sizeof(enrol_prefix));
	return 0;
}

static void put_members(struct msg_json_out *o, const struct msg_enrol *m)
{
	msg_json_put_base64(o, "secret", m->secret, sizeof(m->secret));
	msg_json_put_text(o, "role", MSG_JSON_LINE, msg_enrol_role_name(m->role), MSG_NAME_BYTES);
	msg_json_put_text(o, "name", MSG_JSON_LINE, m->name, sizeof(m->name));
	msg_json_put_text(o, "version", MSG_JSON_LINE, m->version, sizeof(m->version));
	msg_json_put_text(o, "csr", MSG_JSON_PEM, m->csr, sizeof(m->csr));
	msg_json_put_base64(o, "ik", m->ik, sizeof(m->ik));
	msg_json_put_base64(o, "delivery", m->delivery, sizeof(m->delivery));
	if (m->role == MSG_ROLE_SANDBOX) {
		msg_json_put_base64(o, "dk", m->dk, sizeof(m->dk));
		msg_json_put_base64(o, "report", m->report, sizeof(m->report));
	}
}

int msg_enrol_encode(
	const struct msg_enrol *m, const uint8_t ik_seed[32], struct buf *out, struct err *err)
{
	struct msg_json_out o;
	uint8_t text[sizeof(enrol_prefix) + HASH_BYTES];
	uint8_t proof[ED25519_SIG_BYTES];
	msg_json_begin(&o);
	put_members(&o, m);
	int rc = o.is_failed ? err_set(err, ERR_NOMEM, "out of memory for a message")
			     : proof_text(o.at, text, err);
	if (rc != 0) {
		msg_json_drop(&o);
		return rc;
	}
	ed25519_sign(ik_seed, text, sizeof(text), proof);
	msg_json_put_base64(&o, "proof", proof, sizeof(proof));
	return msg_json_write(&o, out, err);
}

static void take_role(struct msg_json_in *in, struct msg_enrol *m)
{
	char word[32] = "";
	msg_json_word(in, "role", word, sizeof(word));
	if (in->rc != 0)
		return;
	m->role = msg_enrol_role(word);
	if (m->role == 0)
		in->rc = err_set(in->err, ERR_UNSUPPORTED, "this version knows no role '%s'", word);
}

static void take_key(struct msg_json_in *in, const char *key, uint8_t out[32])
{
	msg_json_fixed(in, key, out, 32);
	if (in->rc == 0 && is_zero(out, 32))
		msg_json_refuse(in, key, "is no key");
}

static void take_members(struct msg_json_in *in, struct msg_enrol *m)
{
	msg_json_fixed(in, "secret", m->secret, sizeof(m->secret));
	take_role(in, m);
	msg_json_name(in, "name", m->name, sizeof(m->name));
	msg_json_text(in, "version", MSG_JSON_LINE, m->version, sizeof(m->version));
	msg_json_text(in, "csr", MSG_JSON_PEM, m->csr, sizeof(m->csr));
	take_key(in, "ik", m->ik);
	take_key(in, "delivery", m->delivery);
	if (m->role == MSG_ROLE_SANDBOX) {
		take_key(in, "dk", m->dk);
		take_key(in, "report", m->report);
	} else if (msg_json_has(in, "dk") || msg_json_has(in, "report")) {
		msg_json_refuse(in, "role", "has neither drill key nor report key");
	}
}

static void check_proof(struct msg_json_in *in, const uint8_t ik[32])
{
	uint8_t proof[ED25519_SIG_BYTES];
	uint8_t text[sizeof(enrol_prefix) + HASH_BYTES];
	msg_json_fixed(in, "proof", proof, sizeof(proof));
	if (in->rc != 0)
		return;
	(void)json_object_del(in->root, "proof"); /* it was there */
	in->rc = proof_text(in->root, text, in->err);
	if (in->rc == 0 && !ed25519_is_valid(ik, text, sizeof(text), proof))
		msg_json_refuse(in, "proof", "is not made by the identity key");
}

int msg_enrol_decode(const void *data, size_t len, struct msg_enrol *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_enrol m = { .role = 0 };
	msg_json_open(&in, data, len, MAX_BYTES, "enrolment", err);
	take_members(&in, &m);
	check_proof(&in, m.ik);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	secret_wipe(&m, sizeof(m));
	return rc;
}

/* ---- the answer ------------------------------------------------------------------------------ */

int msg_enrol_answer_encode(const struct msg_enrol_answer *m, struct buf *out, struct err *err)
{
	struct msg_json_out o;
	msg_json_begin(&o);
	msg_json_put_hex(&o, "agent_id", m->agent_id, sizeof(m->agent_id));
	msg_json_put_hex(&o, "domain_id", m->domain_id, sizeof(m->domain_id));
	msg_json_put_hex(&o, "vault_id", m->vault_id, sizeof(m->vault_id));
	msg_json_put_base64(&o, "officer", m->officer, sizeof(m->officer));
	return msg_json_write(&o, out, err);
}

int msg_enrol_answer_decode(
	const void *data, size_t len, struct msg_enrol_answer *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_enrol_answer m = { .agent_id = { 0 } };
	msg_json_open(&in, data, len, MAX_BYTES, "answer to the enrolment", err);
	msg_json_hex(&in, "agent_id", m.agent_id, sizeof(m.agent_id));
	msg_json_hex(&in, "domain_id", m.domain_id, sizeof(m.domain_id));
	msg_json_hex(&in, "vault_id", m.vault_id, sizeof(m.vault_id));
	take_key(&in, "officer", m.officer);
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}

void msg_enrol_fingerprint(const struct msg_enrol *m, const struct msg_enrol_answer *a,
	const uint8_t csr_key_hash[32], const uint8_t ca_hash[32], char out[MSG_FINGERPRINT_BYTES])
{
	uint8_t digest[HASH_BYTES];
	CLEANUP(buf_done) struct buf text = BUF_INIT(64);
	const struct hash_part parts[] = { { fingerprint_prefix, sizeof(fingerprint_prefix) },
		{ a->agent_id, sizeof(a->agent_id) }, { a->domain_id, sizeof(a->domain_id) },
		{ a->officer, sizeof(a->officer) }, { csr_key_hash, 32 }, { m->ik, sizeof(m->ik) },
		{ m->delivery, sizeof(m->delivery) }, { m->dk, sizeof(m->dk) },
		{ m->report, sizeof(m->report) }, { ca_hash, 32 } };
	hash_parts(parts, sizeof(parts) / sizeof(parts[0]), digest);
	out[0] = '\0'; /* no memory for 16 bytes: nothing to compare, so nobody approves */
	if (text_base32(digest, 10, &text, NULL) != 0)
		return;
	for (size_t i = 0; i < 4; i++) {
		memcpy(out + 5 * i, text.data + 4 * i, 4);
		out[5 * i + 4] = i < 3 ? '-' : '\0';
	}
}

/* ---- collect --------------------------------------------------------------------------------- */

#define COLLECT_BYTES (sizeof(collect_prefix) + 16 + 8)

static void collect_text(const struct msg_collect *m, uint8_t out[COLLECT_BYTES])
{
	memcpy(out, collect_prefix, sizeof(collect_prefix));
	memcpy(out + sizeof(collect_prefix), m->agent_id, 16);
	bytes_put64(out + sizeof(collect_prefix) + 16, (uint64_t)m->at_ms);
}

int msg_enrol_collect_encode(
	const struct msg_collect *m, const uint8_t ik_seed[32], struct buf *out, struct err *err)
{
	struct msg_json_out o;
	uint8_t text[COLLECT_BYTES];
	uint8_t proof[ED25519_SIG_BYTES];
	collect_text(m, text);
	ed25519_sign(ik_seed, text, sizeof(text), proof);
	msg_json_begin(&o);
	msg_json_put_hex(&o, "agent_id", m->agent_id, sizeof(m->agent_id));
	msg_json_put_base64(&o, "ik", m->ik, sizeof(m->ik));
	msg_json_put_number(&o, "at", m->at_ms);
	msg_json_put_base64(&o, "proof", proof, sizeof(proof));
	return msg_json_write(&o, out, err);
}

int msg_enrol_collect_decode(const void *data, size_t len, struct msg_collect *out, struct err *err)
{
	struct msg_json_in in;
	struct msg_collect m = { .at_ms = 0 };
	uint8_t text[COLLECT_BYTES];
	uint8_t proof[ED25519_SIG_BYTES];
	msg_json_open(&in, data, len, MAX_BYTES, "collect", err);
	msg_json_hex(&in, "agent_id", m.agent_id, sizeof(m.agent_id));
	take_key(&in, "ik", m.ik);
	msg_json_number(&in, "at", 0, INT64_MAX, &m.at_ms);
	msg_json_fixed(&in, "proof", proof, sizeof(proof));
	if (in.rc == 0) {
		collect_text(&m, text);
		if (!ed25519_is_valid(m.ik, text, sizeof(text), proof))
			msg_json_refuse(&in, "proof", "is not made by the identity key");
	}
	int rc = msg_json_close(&in);
	if (rc == 0)
		*out = m;
	return rc;
}
