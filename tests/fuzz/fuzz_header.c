/*
 * fuzz_header: the vault header, its HMAC made right here (docs/FORMAT.md section 7).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hmac.h"
#include "fuzz/fuzz.h"
#include "vault/vault_header.h"

static const uint8_t k_vault[32] = { 2 };

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct vault_header h;
	uint8_t again[VAULT_HEADER_BYTES];
	int rc = vault_header_decode(data, len, &h, &err);
	fuzz_verdict(rc, &err);
	err_clear(&err);
	fuzz_verdict(vault_header_verify(data, len, k_vault, &err), &err);
	if (rc != 0)
		return;
	vault_header_encode(&h, k_vault, again);
	FUZZ_CHECK(memcmp(again, data, VAULT_HEADER_BYTES - 32) == 0);
	FUZZ_CHECK(vault_header_verify(again, sizeof(again), k_vault, &err) == 0);
}

static void seeds(void)
{
	struct vault_header h = { .major = 1,
		.generation = 1,
		.vault_id = { 7 },
		.compat = 1,
		.suites = VAULT_HEADER_SUITE_1,
		.kv_epoch = 1 };
	uint8_t out[VAULT_HEADER_BYTES];
	vault_header_encode(&h, k_vault, out);
	fuzz_seed(out, sizeof(out));
}

const struct fuzz_target fuzz_header = { "header", run, seeds };
