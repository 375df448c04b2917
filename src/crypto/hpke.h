/*
 * hpke: RFC 9180 base mode, DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM
 * 0x0002, single shot; and X25519 (RFC 7748) public keys.
 */
#ifndef CRYPTO_HPKE_H
#define CRYPTO_HPKE_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define HPKE_KEY_BYTES 32
#define HPKE_TAG_BYTES 16

/* The public key of an X25519 secret key. */
void hpke_public(const uint8_t sk[HPKE_KEY_BYTES], uint8_t pk[HPKE_KEY_BYTES]);

/* A new random key pair.  Return 0 or -ERR_IO. */
int hpke_generate(uint8_t sk[HPKE_KEY_BYTES], uint8_t pk[HPKE_KEY_BYTES], struct err *err);

/* RFC 9180 7.1.3 DeriveKeyPair; stores the secret key. */
void hpke_derive_key(const void *ikm, size_t ikm_len, uint8_t sk[HPKE_KEY_BYTES]);

/**
 * hpke_seal(sk_e, pk_r, info, info_len, aad, aad_len, pt, pt_len, enc, ct, err):
 * Seal to ${pk_r} with the given ephemeral secret key; store enc (32 bytes) and ct (pt_len + 16).
 * Return 0 or -ERR_CORRUPT (a public key of low order).
 */
int hpke_seal(const uint8_t sk_e[HPKE_KEY_BYTES], const uint8_t pk_r[HPKE_KEY_BYTES],
	const void *info, size_t info_len, const void *aad, size_t aad_len, const void *pt,
	size_t pt_len, uint8_t enc[HPKE_KEY_BYTES], uint8_t *ct, struct err *err);

/**
 * hpke_open(sk_r, enc, info, info_len, aad, aad_len, ct, ct_len, pt, err):
 * Store ct_len - 16 bytes.  Return 0 or -ERR_CORRUPT.
 */
int hpke_open(const uint8_t sk_r[HPKE_KEY_BYTES], const uint8_t enc[HPKE_KEY_BYTES],
	const void *info, size_t info_len, const void *aad, size_t aad_len, const void *ct,
	size_t ct_len, uint8_t *pt, struct err *err);

#endif
