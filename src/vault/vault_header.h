/*
 * vault_header: the vault's version and features (docs/FORMAT.md section 7).
 */
#ifndef VAULT_VAULT_HEADER_H
#define VAULT_VAULT_HEADER_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define VAULT_HEADER_BYTES 92
#define VAULT_HEADER_MAJOR 1
#define VAULT_HEADER_MINOR 0

struct vault_header {
	uint16_t major, minor;
	uint32_t generation;
	uint8_t vault_id[16];
	uint64_t incompat, ro_compat, compat;
	uint32_t suites;
	uint32_t kv_epoch;
};

void vault_header_encode(
	const struct vault_header *h, const uint8_t k_vault[32], uint8_t out[VAULT_HEADER_BYTES]);
/* Form without a key.  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED (major, incompat). */
int vault_header_decode(const uint8_t *data, size_t len, struct vault_header *out, struct err *err);
/* Check the HMAC.  Return 0 or -ERR_CORRUPT. */
int vault_header_verify(
	const uint8_t *data, size_t len, const uint8_t k_vault[32], struct err *err);

#endif
