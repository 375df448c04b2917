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
 * (2) Payload bytes reach the caller only after every check, of every signature.
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
#define BEFORE_SIGNATURES "\",\"signatures\":["
#define BEFORE_KEYID "{\"keyid\":\""
#define BEFORE_PK "\",\"publicKey\":\""
#define BEFORE_SIG "\",\"sig\":\""
#define AFTER_SIG "\"}"
#define AFTER_SIGNATURES "]}\n"

/* One signature as it stands in an envelope. */
struct signature {
	struct dsse_signer by;
	uint8_t sig[ED25519_SIG_BYTES];
};

struct signatures {
	struct signature at[DSSE_MAX_SIGNATURES];
	size_t count;
};

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

static int encode_signature(struct buf *b, const struct signature *s, struct err *err)
{
	int rc = buf_addf(b, err, BEFORE_KEYID "%s" BEFORE_PK, s->by.keyid);
	if (rc == 0)
		rc = add_base64(b, s->by.pk, ED25519_KEY_BYTES, err);
	if (rc == 0)
		rc = add_str(b, BEFORE_SIG, err);
	if (rc == 0)
		rc = add_base64(b, s->sig, ED25519_SIG_BYTES, err);
	return rc == 0 ? add_str(b, AFTER_SIG, err) : rc;
}

static int encode(struct buf *b, const char *payload_type, const void *payload, size_t len,
	const struct signatures *all, struct err *err)
{
	int rc = add_str(b, BEFORE_PAYLOAD, err);
	if (rc == 0)
		rc = add_base64(b, payload, len, err);
	if (rc == 0)
		rc = buf_addf(b, err, BEFORE_TYPE "%s" BEFORE_SIGNATURES, payload_type);
	for (size_t i = 0; rc == 0 && i < all->count; i++) {
		if (i > 0)
			rc = add_str(b, ",", err);
		if (rc == 0)
			rc = encode_signature(b, &all->at[i], err);
	}
	return rc == 0 ? add_str(b, AFTER_SIGNATURES, err) : rc;
}

/* Append the envelope, or nothing. */
static int add_envelope(struct buf *out, const char *payload_type, const void *payload, size_t len,
	const struct signatures *all, struct err *err)
{
	size_t before = out->len;
	int rc = encode(out, payload_type, payload, len, all, err);
	if (rc == 0 && out->len - before > DSSE_MAX_BYTES)
		rc = err_set(err, ERR_LIMIT, "envelope of %zu bytes is over the limit",
			out->len - before);
	if (rc != 0)
		out->len = before;
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

static int sign(const uint8_t seed[32], const char *payload_type, const void *payload, size_t len,
	struct signature *out, struct err *err)
{
	CLEANUP(buf_done) struct buf pae = BUF_INIT(2 * DSSE_MAX_BYTES);
	int rc = encode_pae(&pae, payload_type, payload, len, err);
	if (rc != 0)
		return rc;
	ed25519_public(seed, out->by.pk);
	dsse_keyid(out->by.pk, out->by.keyid);
	ed25519_sign(seed, pae.data, pae.len, out->sig);
	return 0;
}

int dsse_seal(const uint8_t seed[32], const char *payload_type, const void *payload, size_t len,
	struct buf *out, struct err *err)
{
	assert(is_plain_type(payload_type));
	struct signatures one = { .count = 1 };
	int rc = sign(seed, payload_type, payload, len, &one.at[0], err);
	return rc == 0 ? add_envelope(out, payload_type, payload, len, &one, err) : rc;
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

static int parse_signature(struct cursor *c, struct signature *s, struct err *err)
{
	const char *value = NULL;
	size_t len = 0;
	int rc = take_literal(c, BEFORE_KEYID, err);
	if (rc == 0)
		rc = take_value(c, "keyid", KEYID_LEN, &value, &len, err);
	if (rc != 0)
		return rc;
	memcpy(s->by.keyid, value, KEYID_LEN);
	s->by.keyid[KEYID_LEN] = '\0';
	rc = take_literal(c, BEFORE_PK, err);
	if (rc == 0)
		rc = take_value(c, "publicKey", PK_BASE64, &value, &len, err);
	if (rc == 0)
		rc = decode_fixed("publicKey", value, len, s->by.pk, sizeof(s->by.pk), err);
	if (rc == 0)
		rc = take_literal(c, BEFORE_SIG, err);
	if (rc == 0)
		rc = take_value(c, "sig", SIG_BASE64, &value, &len, err);
	if (rc == 0)
		rc = decode_fixed("sig", value, len, s->sig, sizeof(s->sig), err);
	return rc == 0 ? take_literal(c, AFTER_SIG, err) : rc;
}

static int parse_signatures(struct cursor *c, struct signatures *all, struct err *err)
{
	int rc = take_literal(c, BEFORE_SIGNATURES, err);
	bool has_more = true;
	while (rc == 0 && has_more) {
		if (all->count == DSSE_MAX_SIGNATURES)
			return err_set(err, ERR_CORRUPT, "envelope: more than %d signatures",
				DSSE_MAX_SIGNATURES);
		rc = parse_signature(c, &all->at[all->count++], err);
		has_more = c->at < c->len && c->text[c->at] == ',';
		c->at += rc == 0 && has_more;
	}
	if (rc == 0)
		rc = take_literal(c, AFTER_SIGNATURES, err);
	if (rc == 0 && c->at != c->len)
		rc = err_set(err, ERR_CORRUPT, "envelope: bytes after its end at %zu", c->at);
	return rc;
}

static int parse(struct cursor *c, const char *payload_type, struct buf *payload,
	struct signatures *all, struct err *err)
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
	return rc != 0 ? rc : parse_signatures(c, all, err);
}

/* No key signs twice, and each is called by its own name. */
static int check_names(const struct signatures *all, struct err *err)
{
	char keyid[DSSE_KEYID_BYTES];
	for (size_t i = 0; i < all->count; i++) {
		dsse_keyid(all->at[i].by.pk, keyid);
		if (memcmp(all->at[i].by.keyid, keyid, KEYID_LEN) != 0)
			return err_set(
				err, ERR_CORRUPT, "envelope: keyid is not that of its publicKey");
		for (size_t k = 0; k < i; k++) {
			if (memcmp(all->at[k].by.pk, all->at[i].by.pk, ED25519_KEY_BYTES) == 0)
				return err_set(err, ERR_CORRUPT,
					"envelope: key %.16s signed it twice", keyid);
		}
	}
	return 0;
}

/* Check that the bytes are the one spelling of what was read from them. */
static int check_spelling(const struct cursor *c, const char *payload_type,
	const struct buf *payload, const struct signatures *all, struct err *err)
{
	CLEANUP(buf_done) struct buf again = BUF_INIT(2 * DSSE_MAX_BYTES);
	int rc = check_names(all, err);
	if (rc == 0)
		rc = encode(&again, payload_type, payload->data, payload->len, all, err);
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

static int check_signatures(const char *payload_type, const struct buf *payload,
	const struct signatures *all, const uint8_t *pk, struct err *err)
{
	CLEANUP(buf_done) struct buf pae = BUF_INIT(2 * DSSE_MAX_BYTES);
	bool is_there = pk == NULL;
	int rc = encode_pae(&pae, payload_type, payload->data, payload->len, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < all->count; i++) {
		const struct signature *s = &all->at[i];
		if (!ed25519_is_valid(s->by.pk, pae.data, pae.len, s->sig))
			return err_set(err, ERR_CORRUPT,
				"envelope: signature %zu of %zu does not match the payload", i + 1,
				all->count);
		is_there |= pk != NULL && memcmp(pk, s->by.pk, ED25519_KEY_BYTES) == 0;
	}
	if (!is_there)
		return err_set(err, ERR_AUTH, "envelope is signed by key %s, not by the given one",
			all->at[0].by.keyid);
	return 0;
}

/* Check everything; the payload goes to ${bytes}. */
static int open_all(const void *envelope, size_t len, const char *payload_type, const uint8_t *pk,
	struct buf *bytes, struct signatures *all, struct err *err)
{
	assert(is_plain_type(payload_type));
	if (len > DSSE_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "envelope of %zu bytes is over the limit", len);
	struct cursor c = { .text = envelope, .at = 0, .len = len };
	int rc = parse(&c, payload_type, bytes, all, err);
	if (rc == 0)
		rc = check_spelling(&c, payload_type, bytes, all, err);
	return rc == 0 ? check_signatures(payload_type, bytes, all, pk, err) : rc;
}

int dsse_open(const void *envelope, size_t len, const char *payload_type, const uint8_t *pk,
	struct buf *payload, struct dsse_opened *out, struct err *err)
{
	struct signatures all = { .count = 0 };
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(DSSE_MAX_BYTES);
	int rc = open_all(envelope, len, payload_type, pk, &bytes, &all, err);
	if (rc == 0)
		rc = buf_add(payload, bytes.data, bytes.len, err);
	if (rc != 0 || out == NULL)
		return rc;
	*out = (struct dsse_opened){ .count = all.count };
	for (size_t i = 0; i < all.count; i++)
		out->signers[i] = all.at[i].by;
	return 0;
}

int dsse_add_signature(const void *envelope, size_t len, const char *payload_type,
	const uint8_t seed[32], struct buf *out, struct err *err)
{
	struct signatures all = { .count = 0 };
	struct signature mine = { .sig = { 0 } };
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(DSSE_MAX_BYTES);
	int rc = open_all(envelope, len, payload_type, NULL, &bytes, &all, err);
	if (rc == 0)
		rc = sign(seed, payload_type, bytes.data, bytes.len, &mine, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < all.count; i++) {
		if (memcmp(all.at[i].by.pk, mine.by.pk, ED25519_KEY_BYTES) == 0)
			return err_set(
				err, ERR_EXISTS, "key %.16s signed it already", mine.by.keyid);
	}
	if (all.count == DSSE_MAX_SIGNATURES)
		return err_set(err, ERR_LIMIT, "an envelope bears at most %d signatures",
			DSSE_MAX_SIGNATURES);
	all.at[all.count++] = mine;
	return add_envelope(out, payload_type, bytes.data, bytes.len, &all, err);
}

const struct dsse_signer *dsse_find_signer(const struct dsse_opened *o, const char *keyid)
{
	for (size_t i = 0; i < o->count; i++) {
		if (strcmp(o->signers[i].keyid, keyid) == 0)
			return &o->signers[i];
	}
	return NULL;
}
