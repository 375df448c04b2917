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

/* Bits of vault_header.suites: suite n is bit n. */
enum vault_header_suite { VAULT_HEADER_SUITE_1 = 1 << 1, VAULT_HEADER_SUITE_2 = 1 << 2 };

/* Bits of vault_header.incompat. */
enum vault_header_incompat {
	VAULT_HEADER_EPOCHS = 1 << 0, /* objects of several vault key epochs, HFKP slots */
};
#define VAULT_HEADER_KNOWN VAULT_HEADER_EPOCHS

struct vault_header {
	uint16_t major, minor;
	uint32_t generation; /* from 1 */
	uint8_t vault_id[16];
	uint64_t incompat, ro_compat, compat; /* an ro_compat bit we do not know: only read */
	uint32_t suites;                      /* allowed, enum vault_header_suite */
	uint32_t kv_epoch;
};

void vault_header_encode(
	const struct vault_header *h, const uint8_t k_vault[32], uint8_t out[VAULT_HEADER_BYTES]);
/* Form without a key (verify first where there is one).  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED
 * (major, incompat, no suite that we know).  What ro_compat asks for is the caller's to obey. */
int vault_header_decode(const uint8_t *data, size_t len, struct vault_header *out, struct err *err);
/* Check the HMAC.  Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED (major). */
int vault_header_verify(
	const uint8_t *data, size_t len, const uint8_t k_vault[32], struct err *err);

#endif
