#include "crypto/hpke.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <string.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/cryptolib_internal.h"
#include "crypto/hmac.h"
#include "crypto/hpke_internal.h"

/*
 * INVARIANTS
 * (1) A shared secret of 32 zero bytes (a public key of low order) never becomes a key.
 * (2) Every secret on the stack is wiped before return.
 * (3) Nothing expanded is longer than one HMAC, so Expand is its first block.
 */

/* suite_id of the KEM (RFC 9180 section 4.1). */
static const uint8_t kem_suite[] = { 'K', 'E', 'M', 0x00, 0x20 };

#define VERSION_LABEL "HPKE-v1"
#define HPKE_SUITE_BYTES 10
#define MODE_BASE 0x00

/* A label as C string together with the suite it is bound to. */
struct suite {
	const uint8_t *id;
	size_t len;
};

static void labeled_extract(struct suite suite, const void *salt, size_t salt_len,
	const char *label, const void *ikm, size_t ikm_len, uint8_t prk[HMAC_BYTES])
{
	const struct hmac_part parts[] = {
		{ VERSION_LABEL, strlen(VERSION_LABEL) },
		{ suite.id, suite.len },
		{ label, strlen(label) },
		{ ikm, ikm_len },
	};
	hmac_sha256(salt, salt_len, parts, 4, prk);
}

static void labeled_expand(struct suite suite, const uint8_t prk[HMAC_BYTES], const char *label,
	const struct hmac_part *info, size_t count, uint8_t *out, size_t len)
{
	static const uint8_t first = 0x01;
	assert(len <= HMAC_BYTES && count <= 2);
	uint8_t len_be[2];
	bytes_put16(len_be, (uint16_t)len);
	struct hmac_part parts[7] = {
		{ len_be, sizeof(len_be) },
		{ VERSION_LABEL, strlen(VERSION_LABEL) },
		{ suite.id, suite.len },
		{ label, strlen(label) },
	};
	size_t n = 4;
	for (size_t i = 0; i < count; i++)
		parts[n++] = info[i];
	parts[n++] = (struct hmac_part){ &first, 1 };
	uint8_t block[HMAC_BYTES];
	hmac_sha256(prk, HMAC_BYTES, parts, n, block);
	memcpy(out, block, len);
	OPENSSL_cleanse(block, sizeof(block));
}

static EVP_PKEY *load_secret(const uint8_t sk[HPKE_KEY_BYTES])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, sk, HPKE_KEY_BYTES);
	if (key == NULL)
		cryptolib_die("loading an X25519 key");
	return key;
}

void hpke_public(const uint8_t sk[HPKE_KEY_BYTES], uint8_t pk[HPKE_KEY_BYTES])
{
	EVP_PKEY *key = load_secret(sk);
	size_t len = HPKE_KEY_BYTES;
	if (EVP_PKEY_get_raw_public_key(key, pk, &len) != 1 || len != HPKE_KEY_BYTES)
		cryptolib_die("making an X25519 public key");
	EVP_PKEY_free(key);
}

int hpke_generate(uint8_t sk[HPKE_KEY_BYTES], uint8_t pk[HPKE_KEY_BYTES], struct err *err)
{
	uint8_t fresh[HPKE_KEY_BYTES];
	int rc = env_random(fresh, sizeof(fresh), err);
	if (rc != 0)
		return rc;
	memcpy(sk, fresh, sizeof(fresh));
	OPENSSL_cleanse(fresh, sizeof(fresh));
	hpke_public(sk, pk);
	return 0;
}

int hpke_dh(const uint8_t sk[HPKE_KEY_BYTES], const uint8_t pk[HPKE_KEY_BYTES],
	uint8_t out[HPKE_KEY_BYTES], struct err *err)
{
	static const uint8_t zero[HPKE_KEY_BYTES];
	EVP_PKEY *mine = load_secret(sk);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, pk, HPKE_KEY_BYTES);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, mine, NULL);
	if (peer == NULL || ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 ||
		EVP_PKEY_derive_set_peer(ctx, peer) != 1)
		cryptolib_die("preparing X25519");

	uint8_t shared[HPKE_KEY_BYTES] = { 0 };
	size_t len = sizeof(shared);
	/* the library refuses a zero result by itself; its answer is not told from others */
	int ok = EVP_PKEY_derive(ctx, shared, &len) == 1 && len == sizeof(shared) &&
		 CRYPTO_memcmp(shared, zero, sizeof(zero)) != 0;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(mine);
	if (!ok) {
		ERR_clear_error();
		return err_set(err, ERR_CORRUPT, "public key is of low order");
	}
	memcpy(out, shared, sizeof(shared));
	OPENSSL_cleanse(shared, sizeof(shared));
	return 0;
}

void hpke_derive_key(const void *ikm, size_t ikm_len, uint8_t sk[HPKE_KEY_BYTES])
{
	const struct suite kem = { kem_suite, sizeof(kem_suite) };
	uint8_t prk[HMAC_BYTES];
	labeled_extract(kem, NULL, 0, "dkp_prk", ikm, ikm_len, prk);
	labeled_expand(kem, prk, "sk", NULL, 0, sk, HPKE_KEY_BYTES);
	OPENSSL_cleanse(prk, sizeof(prk));
}

/* ExtractAndExpand of the KEM: the shared secret, bound to both public keys. */
static void shared_secret(const uint8_t dh[HPKE_KEY_BYTES], const uint8_t enc[HPKE_KEY_BYTES],
	const uint8_t pk_r[HPKE_KEY_BYTES], uint8_t out[HPKE_KEY_BYTES])
{
	const struct suite kem = { kem_suite, sizeof(kem_suite) };
	const struct hmac_part context[] = {
		{ enc, HPKE_KEY_BYTES },
		{ pk_r, HPKE_KEY_BYTES },
	};
	uint8_t prk[HMAC_BYTES];
	labeled_extract(kem, NULL, 0, "eae_prk", dh, HPKE_KEY_BYTES, prk);
	labeled_expand(kem, prk, "shared_secret", context, 2, out, HPKE_KEY_BYTES);
	OPENSSL_cleanse(prk, sizeof(prk));
}

int hpke_encap(const uint8_t sk_e[HPKE_KEY_BYTES], const uint8_t pk_r[HPKE_KEY_BYTES],
	uint8_t shared[HPKE_KEY_BYTES], uint8_t enc[HPKE_KEY_BYTES], struct err *err)
{
	uint8_t dh[HPKE_KEY_BYTES];
	int rc = hpke_dh(sk_e, pk_r, dh, err);
	if (rc != 0)
		return rc;
	hpke_public(sk_e, enc);
	shared_secret(dh, enc, pk_r, shared);
	OPENSSL_cleanse(dh, sizeof(dh));
	return 0;
}

int hpke_decap(const uint8_t sk_r[HPKE_KEY_BYTES], const uint8_t enc[HPKE_KEY_BYTES],
	uint8_t shared[HPKE_KEY_BYTES], struct err *err)
{
	uint8_t dh[HPKE_KEY_BYTES];
	int rc = hpke_dh(sk_r, enc, dh, err);
	if (rc != 0)
		return rc;
	uint8_t pk_r[HPKE_KEY_BYTES];
	hpke_public(sk_r, pk_r);
	shared_secret(dh, enc, pk_r, shared);
	OPENSSL_cleanse(dh, sizeof(dh));
	return 0;
}

void hpke_schedule(const uint8_t shared[HPKE_KEY_BYTES], const void *info, size_t info_len,
	uint16_t aead_id, uint8_t *key, size_t key_len, uint8_t nonce[HPKE_NONCE_BYTES])
{
	uint8_t id[HPKE_SUITE_BYTES] = { 'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01 };
	bytes_put16(id + 8, aead_id);
	const struct suite suite = { id, sizeof(id) };

	uint8_t context[1 + 2 * HMAC_BYTES] = { MODE_BASE };
	labeled_extract(suite, NULL, 0, "psk_id_hash", NULL, 0, context + 1);
	labeled_extract(suite, NULL, 0, "info_hash", info, info_len, context + 1 + HMAC_BYTES);
	const struct hmac_part part = { context, sizeof(context) };

	uint8_t secret[HMAC_BYTES];
	labeled_extract(suite, shared, HPKE_KEY_BYTES, "secret", NULL, 0, secret);
	labeled_expand(suite, secret, "key", &part, 1, key, key_len);
	labeled_expand(suite, secret, "base_nonce", &part, 1, nonce, HPKE_NONCE_BYTES);
	OPENSSL_cleanse(secret, sizeof(secret));
}

int hpke_seal(const uint8_t sk_e[HPKE_KEY_BYTES], const uint8_t pk_r[HPKE_KEY_BYTES],
	const void *info, size_t info_len, const void *aad, size_t aad_len, const void *pt,
	size_t pt_len, uint8_t enc[HPKE_KEY_BYTES], uint8_t *ct, struct err *err)
{
	uint8_t shared[HPKE_KEY_BYTES];
	uint8_t key[AEAD_KEY_BYTES];
	uint8_t nonce[HPKE_NONCE_BYTES];
	int rc = hpke_encap(sk_e, pk_r, shared, enc, err);
	if (rc != 0)
		return rc;
	hpke_schedule(shared, info, info_len, HPKE_AEAD_AES256GCM, key, sizeof(key), nonce);
	rc = aead_seal(AEAD_AES256GCM, key, nonce, aad, aad_len, pt, pt_len, ct, err);
	OPENSSL_cleanse(shared, sizeof(shared));
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}

int hpke_open(const uint8_t sk_r[HPKE_KEY_BYTES], const uint8_t enc[HPKE_KEY_BYTES],
	const void *info, size_t info_len, const void *aad, size_t aad_len, const void *ct,
	size_t ct_len, uint8_t *pt, struct err *err)
{
	uint8_t shared[HPKE_KEY_BYTES];
	uint8_t key[AEAD_KEY_BYTES];
	uint8_t nonce[HPKE_NONCE_BYTES];
	int rc = hpke_decap(sk_r, enc, shared, err);
	if (rc != 0)
		return rc;
	hpke_schedule(shared, info, info_len, HPKE_AEAD_AES256GCM, key, sizeof(key), nonce);
	rc = aead_open(AEAD_AES256GCM, key, nonce, aad, aad_len, ct, ct_len, pt, err);
	OPENSSL_cleanse(shared, sizeof(shared));
	OPENSSL_cleanse(key, sizeof(key));
	return rc;
}
