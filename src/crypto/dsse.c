#include "crypto/dsse.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/cryptolib_internal.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) There is one spelling of an envelope: what open() reads, encoded again, is the same bytes.
 * (2) Payload bytes reach the caller only after every check.
 *
 * Base64 is the crypto library's: it decodes too much (blanks, stray bits), and (1) catches that.
 */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
#define PK_BASE64 BASE64_LEN(ED25519_KEY_BYTES)
#define SIG_BASE64 BASE64_LEN(ED25519_SIG_BYTES)
#define KEYID_LEN (DSSE_KEYID_BYTES - 1)

/* What stands between the values, in order. */
#define BEFORE_PAYLOAD "{\"payload\":\""
#define BEFORE_TYPE "\",\"payloadType\":\""
#define BEFORE_KEYID "\",\"signatures\":[{\"keyid\":\""
#define BEFORE_PK "\",\"publicKey\":\""
#define BEFORE_SIG "\",\"sig\":\""
#define AFTER_SIG "\"}]}\n"

void dsse_keyid(const uint8_t pk[32], char out[DSSE_KEYID_BYTES])
{
	static const char label[] = "hf1/report-key"; /* with its NUL */
	static const char digits[] = "0123456789abcdef";
	uint8_t bytes[sizeof(label) + ED25519_KEY_BYTES];
	memcpy(bytes, label, sizeof(label));
	memcpy(bytes + sizeof(label), pk, ED25519_KEY_BYTES);
	uint8_t digest[HASH_BYTES];
	hash_sha256(bytes, sizeof(bytes), digest);
	for (size_t i = 0; i < HASH_BYTES; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[KEYID_LEN] = '\0';
}

/* Append base64. */
static int add_base64(struct buf *b, const void *data, size_t len, struct err *err)
{
	if (len > DSSE_MAX_BYTES) /* keeps the library's int from overflowing, too */
		return err_set(err, ERR_LIMIT, "%zu bytes are too many for an envelope", len);
	int rc = buf_reserve(b, BASE64_LEN(len) + 1, err);
	if (rc != 0)
		return rc;
	b->len += (size_t)EVP_EncodeBlock(b->data + b->len, data, (int)len);
	return 0;
}

static int add_str(struct buf *b, const char *str, struct err *err)
{
	return buf_add(b, str, strlen(str), err);
}

static int encode(struct buf *b, const char *payload_type, const void *payload, size_t len,
	const uint8_t *pk, const uint8_t *sig, struct err *err)
{
	char keyid[DSSE_KEYID_BYTES];
	dsse_keyid(pk, keyid);
	int rc = add_str(b, BEFORE_PAYLOAD, err);
	if (rc == 0)
		rc = add_base64(b, payload, len, err);
	if (rc == 0)
		rc = buf_addf(
			b, err, BEFORE_TYPE "%s" BEFORE_KEYID "%s" BEFORE_PK, payload_type, keyid);
	if (rc == 0)
		rc = add_base64(b, pk, ED25519_KEY_BYTES, err);
	if (rc == 0)
		rc = add_str(b, BEFORE_SIG, err);
	if (rc == 0)
		rc = add_base64(b, sig, ED25519_SIG_BYTES, err);
	if (rc == 0)
		rc = add_str(b, AFTER_SIG, err);
	return rc;
}

/* The pre-authentication encoding: what is signed. */
static int encode_pae(
	struct buf *b, const char *payload_type, const void *payload, size_t len, struct err *err)
{
	int rc = buf_addf(b, err, "DSSEv1 %zu %s %zu ", strlen(payload_type), payload_type, len);
	return rc != 0 ? rc : buf_add(b, payload, len, err);
}

/* A payload type that stands in JSON as it is. */
static bool is_plain_type(const char *payload_type)
{
	for (const char *p = payload_type; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '"' || *p == '\\')
			return false;
	}
	return *payload_type != '\0';
}

int dsse_seal(const uint8_t seed[32], const char *payload_type, const void *payload, size_t len,
	struct buf *out, struct err *err)
{
	assert(is_plain_type(payload_type));
	CLEANUP(buf_done) struct buf pae = BUF_INIT(DSSE_MAX_BYTES);
	int rc = encode_pae(&pae, payload_type, payload, len, err);
	if (rc != 0)
		return rc;
	uint8_t pk[ED25519_KEY_BYTES];
	uint8_t sig[ED25519_SIG_BYTES];
	ed25519_public(seed, pk);
	ed25519_sign(seed, pae.data, pae.len, sig);
	size_t before = out->len;
	rc = encode(out, payload_type, payload, len, pk, sig, err);
	if (rc == 0 && out->len - before > DSSE_MAX_BYTES)
		rc = err_set(err, ERR_LIMIT, "envelope of %zu bytes is over the limit",
			out->len - before);
	if (rc != 0)
		out->len = before;
	return rc;
}

/* Where a reader of an envelope is. */
struct cursor {
	const char *text;
	size_t at;
	size_t len;
};

/* Take the literal ${want}. */
static int take_literal(struct cursor *c, const char *want, struct err *err)
{
	for (; *want != '\0'; want++, c->at++) {
		if (c->at == c->len)
			return err_set(
				err, ERR_CORRUPT, "envelope is cut short at byte %zu", c->at);
		if (c->text[c->at] != *want)
			return err_set(
				err, ERR_CORRUPT, "envelope: byte %zu is not of the form", c->at);
	}
	return 0;
}

/* Take everything up to a quote; it stays the next byte.  ${want} 0 = any length. */
static int take_value(struct cursor *c, const char *name, size_t want, const char **value,
	size_t *value_len, struct err *err)
{
	const char *start = c->text + c->at;
	const char *quote = memchr(start, '"', c->len - c->at);
	if (quote == NULL)
		return err_set(err, ERR_CORRUPT, "envelope is cut short in its %s", name);
	size_t len = (size_t)(quote - start);
	if (want != 0 && len != want)
		return err_set(err, ERR_CORRUPT, "envelope: %s has %zu characters, not %zu", name,
			len, want);
	c->at += len;
	*value = start;
	*value_len = len;
	return 0;
}

/* Append decoded base64 to ${out}. */
static int add_decoded(
	struct buf *out, const char *name, const char *text, size_t len, struct err *err)
{
	if (len % 4 != 0)
		return err_set(err, ERR_CORRUPT, "envelope: %s is not base64", name);
	if (len == 0)
		return 0;
	int rc = buf_reserve(out, len / 4 * 3, err);
	if (rc != 0)
		return rc;
	int n = EVP_DecodeBlock(out->data + out->len, (const unsigned char *)text, (int)len);
	if (n != (int)(len / 4 * 3))
		return err_set(err, ERR_CORRUPT, "envelope: %s is not base64", name);
	/* the library counts the bytes that padding stands for */
	size_t padding = (text[len - 1] == '=') + (size_t)(text[len - 2] == '=');
	out->len += (size_t)n - padding;
	return 0;
}

static int decode_fixed(const char *name, const char *text, size_t text_len, uint8_t *out,
	size_t len, struct err *err)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(ED25519_SIG_BYTES + 2);
	int rc = add_decoded(&b, name, text, text_len, err);
	if (rc != 0)
		return rc;
	if (b.len != len)
		return err_set(
			err, ERR_CORRUPT, "envelope: %s has %zu bytes, not %zu", name, b.len, len);
	memcpy(out, b.data, len);
	return 0;
}

/* The values of an envelope. */
struct parts {
	const char *keyid; /* KEYID_LEN characters, borrowed from the envelope */
	uint8_t pk[ED25519_KEY_BYTES];
	uint8_t sig[ED25519_SIG_BYTES];
};

static int parse_signature(struct cursor *c, struct parts *parts, struct err *err)
{
	const char *value = NULL;
	size_t len = 0;
	int rc = take_literal(c, BEFORE_KEYID, err);
	if (rc == 0)
		rc = take_value(c, "keyid", KEYID_LEN, &parts->keyid, &len, err);
	if (rc == 0)
		rc = take_literal(c, BEFORE_PK, err);
	if (rc == 0)
		rc = take_value(c, "publicKey", PK_BASE64, &value, &len, err);
	if (rc == 0)
		rc = decode_fixed("publicKey", value, len, parts->pk, sizeof(parts->pk), err);
	if (rc == 0)
		rc = take_literal(c, BEFORE_SIG, err);
	if (rc == 0)
		rc = take_value(c, "sig", SIG_BASE64, &value, &len, err);
	if (rc == 0)
		rc = decode_fixed("sig", value, len, parts->sig, sizeof(parts->sig), err);
	if (rc == 0)
		rc = take_literal(c, AFTER_SIG, err);
	if (rc == 0 && c->at != c->len)
		rc = err_set(err, ERR_CORRUPT, "envelope: bytes after its end at %zu", c->at);
	return rc;
}

static int parse(struct cursor *c, const char *payload_type, struct buf *payload,
	struct parts *parts, struct err *err)
{
	const char *value = NULL;
	size_t len = 0;
	int rc = take_literal(c, BEFORE_PAYLOAD, err);
	if (rc == 0)
		rc = take_value(c, "payload", 0, &value, &len, err);
	if (rc == 0)
		rc = add_decoded(payload, "payload", value, len, err);
	if (rc == 0)
		rc = take_literal(c, BEFORE_TYPE, err);
	if (rc == 0)
		rc = take_value(c, "payloadType", 0, &value, &len, err);
	if (rc == 0 && (len != strlen(payload_type) || memcmp(value, payload_type, len) != 0))
		rc = err_set(err, ERR_CORRUPT, "envelope: payloadType is not '%s'", payload_type);
	return rc != 0 ? rc : parse_signature(c, parts, err);
}

/* Check that the bytes are the one spelling of what was read from them. */
static int check_spelling(const struct cursor *c, const char *payload_type,
	const struct buf *payload, const struct parts *parts, struct err *err)
{
	char keyid[DSSE_KEYID_BYTES];
	dsse_keyid(parts->pk, keyid);
	if (memcmp(parts->keyid, keyid, KEYID_LEN) != 0)
		return err_set(err, ERR_CORRUPT, "envelope: keyid is not that of its publicKey");

	CLEANUP(buf_done) struct buf again = BUF_INIT(2 * DSSE_MAX_BYTES);
	int rc = encode(
		&again, payload_type, payload->data, payload->len, parts->pk, parts->sig, err);
	if (rc != 0)
		return rc;
	size_t both = again.len < c->len ? again.len : c->len;
	for (size_t i = 0; i < both; i++) {
		if (again.data[i] != (uint8_t)c->text[i])
			return err_set(err, ERR_CORRUPT, "envelope: byte %zu is not canonical", i);
	}
	if (again.len != c->len)
		return err_set(err, ERR_CORRUPT, "envelope: byte %zu is not canonical", both);
	return 0;
}

static int check_signature(const char *payload_type, const struct buf *payload,
	const struct parts *parts, const uint8_t *pk, struct err *err)
{
	CLEANUP(buf_done) struct buf pae = BUF_INIT(2 * DSSE_MAX_BYTES);
	int rc = encode_pae(&pae, payload_type, payload->data, payload->len, err);
	if (rc != 0)
		return rc;
	if (!ed25519_is_valid(parts->pk, pae.data, pae.len, parts->sig))
		return err_set(err, ERR_CORRUPT, "envelope: signature does not match the payload");
	if (pk != NULL && memcmp(pk, parts->pk, ED25519_KEY_BYTES) != 0)
		return err_set(err, ERR_AUTH,
			"envelope is signed by key %.*s, not by the given one", KEYID_LEN,
			parts->keyid);
	return 0;
}

int dsse_open(const void *envelope, size_t len, const char *payload_type, const uint8_t *pk,
	struct buf *payload, struct dsse_opened *out, struct err *err)
{
	assert(is_plain_type(payload_type));
	if (len > DSSE_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "envelope of %zu bytes is over the limit", len);
	struct cursor c = { .text = envelope, .at = 0, .len = len };
	struct parts parts = { .keyid = NULL };
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(DSSE_MAX_BYTES);
	int rc = parse(&c, payload_type, &bytes, &parts, err);
	if (rc == 0)
		rc = check_spelling(&c, payload_type, &bytes, &parts, err);
	if (rc == 0)
		rc = check_signature(payload_type, &bytes, &parts, pk, err);
	if (rc == 0)
		rc = buf_add(payload, bytes.data, bytes.len, err);
	if (rc != 0)
		return rc;
	if (out != NULL) {
		memcpy(out->keyid, parts.keyid, KEYID_LEN);
		out->keyid[KEYID_LEN] = '\0';
		memcpy(out->pk, parts.pk, sizeof(out->pk));
	}
	return 0;
}
