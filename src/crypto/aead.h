/*
 * aead: authenticated encryption of one message under a key used once, nonce twelve 00 bytes.
 * Suite 1 = AES-256-GCM, suite 2 = ChaCha20-Poly1305.  AEAD_HPKE messages carry their own nonce.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define AEAD_KEY_BYTES 32
#define AEAD_TAG_BYTES 16
#define AEAD_NONCE_BYTES 12

enum aead_suite { AEAD_AES256GCM = 1, AEAD_CHACHA20 = 2 };

/**
 * aead_seal(suite, key, nonce, aad, aad_len, in, in_len, out, err):
 * Write in_len + 16 bytes (ciphertext, tag) to ${out}; ${nonce} NULL = zeros.  ${out} may be ${in}.
 * Return 0 or -ERR_UNSUPPORTED (suite).
 */
int aead_seal(int suite, const uint8_t key[AEAD_KEY_BYTES], const uint8_t *nonce, const void *aad,
	size_t aad_len, const void *in, size_t in_len, uint8_t *out, struct err *err);

/**
 * aead_open(suite, key, nonce, aad, aad_len, in, in_len, out, err):
 * Check the tag (the last 16 of ${in_len} bytes) and write in_len - 16 bytes to ${out} (may be
 * ${in}).  Return 0, -ERR_CORRUPT (tag or length; nothing useful is in ${out}) or -ERR_UNSUPPORTED.
 */
int aead_open(int suite, const uint8_t key[AEAD_KEY_BYTES], const uint8_t *nonce, const void *aad,
	size_t aad_len, const void *in, size_t in_len, uint8_t *out, struct err *err);

#endif
