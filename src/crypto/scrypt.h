/*
 * scrypt: RFC 7914, for the recovery file only.
 */
#ifndef CRYPTO_SCRYPT_H
#define CRYPTO_SCRYPT_H

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * scrypt_derive(pass, pass_len, salt, salt_len, log2n, r, p, out, len, err):
 * Derive ${len} bytes with N = 2^log2n.  Memory: 128 * r * N bytes.  Return 0, -ERR_NOMEM or
 * -ERR_LIMIT (log2n > 20, r > 16 or p > 4).
 */
int scrypt_derive(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
	unsigned log2n, unsigned r, unsigned p, uint8_t *out, size_t len, struct err *err);

#endif
