/*
 * ed25519: signatures (RFC 8032), keys as 32-byte seed and 32-byte public key.
 */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stddef.h>
#include <stdint.h>

#define ED25519_KEY_BYTES 32
#define ED25519_SIG_BYTES 64

void ed25519_public(const uint8_t seed[ED25519_KEY_BYTES], uint8_t pk[ED25519_KEY_BYTES]);

void ed25519_sign(const uint8_t seed[ED25519_KEY_BYTES], const void *msg, size_t len,
	uint8_t sig[ED25519_SIG_BYTES]);

/* Return 1 if ${sig} is ${pk}'s signature of the message, else 0. */
int ed25519_is_valid(const uint8_t pk[ED25519_KEY_BYTES], const void *msg, size_t len,
	const uint8_t sig[ED25519_SIG_BYTES]);

#endif
