#include "vault/vault_header.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) Every byte is under the HMAC.
 * (2) The major version is looked at before anything that another major could lay out otherwise.
 */

/* docs/FORMAT.md section 7 */
#define GENERATION_AT 8
#define VAULT_AT 12
#define INCOMPAT_AT 28
#define RO_COMPAT_AT 36
#define COMPAT_AT 44
#define SUITES_AT 52
#define EPOCH_AT 56
#define HMAC_AT 60

/* What to do about a header that we cannot read. */
#define VAULT_HEADER_NEWER "a newer holdfast wrote it: install that one here; nothing was changed"

static const char magic[4] = { 'H', 'F', 'V', 'H' };

static void header_hmac(
	const uint8_t data[HMAC_AT], const uint8_t k_vault[32], uint8_t out[HMAC_BYTES])
{
	uint8_t key[32];
	hmac_kdf(k_vault, 32, data + VAULT_AT, 16, "hf1/vh", data + EPOCH_AT, 4, key, sizeof(key));
	const struct hmac_part part = { data, HMAC_AT };
	hmac_sha256(key, sizeof(key), &part, 1, out);
	secret_wipe(key, sizeof(key));
}

void vault_header_encode(
	const struct vault_header *h, const uint8_t k_vault[32], uint8_t out[VAULT_HEADER_BYTES])
{
	memcpy(out, magic, sizeof(magic));
	bytes_put16(out + 4, h->major);
	bytes_put16(out + 6, h->minor);
	bytes_put32(out + GENERATION_AT, h->generation);
	memcpy(out + VAULT_AT, h->vault_id, 16);
	bytes_put64(out + INCOMPAT_AT, h->incompat);
	bytes_put64(out + RO_COMPAT_AT, h->ro_compat);
	bytes_put64(out + COMPAT_AT, h->compat);
	bytes_put32(out + SUITES_AT, h->suites);
	bytes_put32(out + EPOCH_AT, h->kv_epoch);
	header_hmac(out, k_vault, out + HMAC_AT);
}

static int check_form(const uint8_t *data, size_t len, struct err *err)
{
	if (len < GENERATION_AT || memcmp(data, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a vault header");
	if (bytes_get16(data + 4) != VAULT_HEADER_MAJOR) {
		err_set(err, ERR_UNSUPPORTED, "vault has format version %u, we know %d",
			bytes_get16(data + 4), VAULT_HEADER_MAJOR);
		return err_hint(err, VAULT_HEADER_NEWER);
	}
	if (len != VAULT_HEADER_BYTES)
		return err_set(err, ERR_CORRUPT, "vault header is %zu bytes long, not %d", len,
			VAULT_HEADER_BYTES);
	return 0;
}

int vault_header_decode(const uint8_t *data, size_t len, struct vault_header *out, struct err *err)
{
	int rc = check_form(data, len, err);
	if (rc != 0)
		return rc;
	uint64_t incompat = bytes_get64(data + INCOMPAT_AT);
	uint32_t suites = bytes_get32(data + SUITES_AT);
	if ((incompat & ~(uint64_t)VAULT_HEADER_KNOWN) != 0) {
		err_set(err, ERR_UNSUPPORTED, "vault needs features %016llx",
			(unsigned long long)incompat);
		return err_hint(err, VAULT_HEADER_NEWER);
	}
	if (bytes_get32(data + GENERATION_AT) == 0 || suites == 0)
		return err_set(err, ERR_CORRUPT, "vault header without a generation or a suite");
	if ((suites & (VAULT_HEADER_SUITE_1 | VAULT_HEADER_SUITE_2)) == 0)
		return err_set(err, ERR_UNSUPPORTED, "vault allows only suites %08x", suites);
	*out = (struct vault_header){
		.major = bytes_get16(data + 4),
		.minor = bytes_get16(data + 6),
		.generation = bytes_get32(data + GENERATION_AT),
		.incompat = incompat,
		.ro_compat = bytes_get64(data + RO_COMPAT_AT),
		.compat = bytes_get64(data + COMPAT_AT),
		.suites = suites,
		.kv_epoch = bytes_get32(data + EPOCH_AT),
	};
	memcpy(out->vault_id, data + VAULT_AT, 16);
	return 0;
}

int vault_header_verify(const uint8_t *data, size_t len, const uint8_t k_vault[32], struct err *err)
{
	int rc = check_form(data, len, err);
	if (rc != 0)
		return rc;
	uint8_t hmac[HMAC_BYTES];
	header_hmac(data, k_vault, hmac);
	if (!hash_is_equal(hmac, data + HMAC_AT, sizeof(hmac)))
		return err_set(err, ERR_CORRUPT, "vault header is not what the vault key signed");
	return 0;
}
