/*
 * dsse: the Dead Simple Signing Envelope (PAE v1) with Ed25519, as strict JSON: canonical base64,
 * fixed member order, exact re-encoding, so that any changed byte of the envelope shows.
 * It bears 1 to 4 signatures over the same payload, in the order in which they were made.
 */
#ifndef CRYPTO_DSSE_H
#define CRYPTO_DSSE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define DSSE_MAX_BYTES ((size_t)64 << 20) /* of an envelope, checked before allocation */
#define DSSE_MAX_SIGNATURES 4
#define DSSE_KEYID_BYTES 65 /* 64 hex digits of SHA-256("hf1/report-key\0" || pk), NUL */

/* The text fingerprint of a public signing key. */
void dsse_keyid(const uint8_t pk[32], char out[DSSE_KEYID_BYTES]);

/**
 * dsse_seal(seed, payload_type, payload, len, out, err):
 * Append the signed envelope, one JSON object and a newline, to ${out}.  ${payload_type} is
 * printable ASCII without blank, quote and backslash.  Return 0 or as buf_add().
 */
int dsse_seal(const uint8_t seed[32], const char *payload_type, const void *payload, size_t len,
	struct buf *out, struct err *err);

/**
 * dsse_add_signature(envelope, len, payload_type, seed, out, err):
 * Append to ${out} the envelope with one more signature, after those that are there; all of them
 * are checked first.  Return as dsse_open(), -ERR_EXISTS (this key signed it already) or
 * -ERR_LIMIT (as many as there may be, or too long).
 */
int dsse_add_signature(const void *envelope, size_t len, const char *payload_type,
	const uint8_t seed[32], struct buf *out, struct err *err);

struct dsse_signer {
	char keyid[DSSE_KEYID_BYTES];
	uint8_t pk[32]; /* the key carried in the envelope; its signature was checked */
};

struct dsse_opened {
	struct dsse_signer signers[DSSE_MAX_SIGNATURES]; /* in order of signing; no key twice */
	size_t count;                                    /* from 1 */
};

/**
 * dsse_open(envelope, len, payload_type, pk, payload, out, err):
 * Check form and every signature, append the payload to ${payload}; ${out} may be NULL.  The
 * signatures are checked against the keys the envelope itself carries (proves "unchanged since
 * signed by whoever holds them", nothing about who that is); with ${pk} not NULL, one of them must
 * be this one.  Return 0, -ERR_CORRUPT (form, bytes or a signature; the text says which) or
 * -ERR_AUTH (well formed, but not signed by ${pk}).
 */
int dsse_open(const void *envelope, size_t len, const char *payload_type, const uint8_t *pk,
	struct buf *payload, struct dsse_opened *out, struct err *err);

/* The signer with fingerprint ${keyid}, or NULL; borrowed. */
const struct dsse_signer *dsse_find_signer(const struct dsse_opened *o, const char *keyid);

#endif
