/*
 * kat: known answers in hex.
 */
#ifndef TESTS_UNIT_CRYPTO_KAT_H
#define TESTS_UNIT_CRYPTO_KAT_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdint.h>
#include <string.h>

#include "codec/text.h"

#define KAT_MAX_BYTES 2048

/* Bytes from hex; *${len} may be NULL. */
static inline const uint8_t *kat_bytes(const char *hex, uint8_t *out, size_t *len)
{
	size_t n = strlen(hex) / 2;
	cr_assert(n <= KAT_MAX_BYTES && text_unhex(hex, n, out) == 0, "bad hex in a test: %s", hex);
	if (len != NULL)
		*len = n;
	return out;
}

/* Bytes first, first + 1, .. */
static inline void kat_range(uint8_t first, size_t len, uint8_t *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(first + i);
}

#define kat_expect(data_, len_, hex_)                                                              \
	do {                                                                                       \
		char got_[2 * KAT_MAX_BYTES + 1];                                                  \
		text_hex((data_), (len_), got_);                                                   \
		cr_expect_str_eq(got_, (hex_));                                                    \
	} while (0)

#endif
