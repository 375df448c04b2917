/*
 * dsse: the Dead Simple Signing Envelope (PAE v1) with Ed25519, as strict JSON: canonical base64,
 * fixed member order, exact re-encoding, so that any changed byte of the envelope shows.
 */
#ifndef CRYPTO_DSSE_H
#define CRYPTO_DSSE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define DSSE_MAX_BYTES ((size_t)64 << 20) /* of an envelope, checked before allocation */
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

struct dsse_opened {
	char keyid[DSSE_KEYID_BYTES]; /* as the envelope claims; checked when pk was given */
	uint8_t pk[32];               /* the key carried in the envelope */
};

/**
 * dsse_open(envelope, len, payload_type, pk, payload, out, err):
 * Check form and signature, append the payload to ${payload}; ${out} may be NULL.  With ${pk} NULL
 * the signature is checked against the key the envelope itself carries (proves "unchanged since
 * signed by whoever holds that key", nothing about who that is).  Return 0, -ERR_CORRUPT (form,
 * bytes or signature; the text says which) or -ERR_AUTH (well formed, but signed by another key
 * than ${pk}).
 */
int dsse_open(const void *envelope, size_t len, const char *payload_type, const uint8_t *pk,
	struct buf *payload, struct dsse_opened *out, struct err *err);

#endif
