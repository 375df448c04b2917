/*
 * hmac: HMAC-SHA256 (RFC 2104, vectors RFC 4231) and the format's key derivation on HKDF-SHA256
 * (RFC 5869).
 */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include <stddef.h>
#include <stdint.h>

#define HMAC_BYTES 32

/* One piece of a message given in pieces. */
struct hmac_part {
	const void *data;
	size_t len;
};

/* HMAC-SHA256 over the concatenation of ${count} parts. */
void hmac_sha256(const void *key, size_t key_len, const struct hmac_part *parts, size_t count,
	uint8_t out[HMAC_BYTES]);

/* HKDF-Extract; salt_len 0 = 32 zero bytes. */
void hmac_extract(const void *salt, size_t salt_len, const void *ikm, size_t ikm_len,
	uint8_t prk[HMAC_BYTES]);

/* HKDF-Expand to ${len} <= 8160 bytes. */
void hmac_expand(
	const uint8_t prk[HMAC_BYTES], const void *info, size_t info_len, uint8_t *out, size_t len);

/**
 * hmac_kdf(ikm, ikm_len, salt, salt_len, label, ctx, ctx_len, out, len):
 * The format's KDF: HKDF-SHA256 with info = label || 00 || ctx (docs/FORMAT.md section 1).
 * ${label} is a C string of at most 64 bytes, ctx_len at most 256.
 */
void hmac_kdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len, const char *label,
	const void *ctx, size_t ctx_len, uint8_t *out, size_t len);

#endif
