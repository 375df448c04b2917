/*
 * siphash: SipHash-2-4 with 64-bit output (Aumasson, Bernstein 2012), for keyed cut decisions.
 */
#ifndef CRYPTO_SIPHASH_H
#define CRYPTO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* ${k0}, ${k1}: the key's two halves, little-endian as in the paper. */
uint64_t siphash_24(uint64_t k0, uint64_t k1, const void *data, size_t len);

/* The same with a 16-byte key. */
uint64_t siphash_key(const uint8_t key[16], const void *data, size_t len);

#endif
