#include "crypto/ed25519.h"

#include <openssl/err.h>

#include "crypto/cryptolib_internal.h"

/*
 * INVARIANTS
 * (1) Whatever the library answers but 1 to a verification is "not valid", and leaves nothing in
 *     its error queue.
 */

static EVP_PKEY *load_seed(const uint8_t seed[ED25519_KEY_BYTES])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, seed, ED25519_KEY_BYTES);
	if (key == NULL)
		cryptolib_die("loading an Ed25519 key");
	return key;
}

static EVP_MD_CTX *new_ctx(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		cryptolib_die("making a signature context");
	return ctx;
}

void ed25519_public(const uint8_t seed[ED25519_KEY_BYTES], uint8_t pk[ED25519_KEY_BYTES])
{
	EVP_PKEY *key = load_seed(seed);
	size_t len = ED25519_KEY_BYTES;
	if (EVP_PKEY_get_raw_public_key(key, pk, &len) != 1 || len != ED25519_KEY_BYTES)
		cryptolib_die("making an Ed25519 public key");
	EVP_PKEY_free(key);
}

void ed25519_sign(const uint8_t seed[ED25519_KEY_BYTES], const void *msg, size_t len,
	uint8_t sig[ED25519_SIG_BYTES])
{
	EVP_PKEY *key = load_seed(seed);
	EVP_MD_CTX *ctx = new_ctx();
	size_t sig_len = ED25519_SIG_BYTES;
	const void *bytes = len == 0 ? "" : msg;
	if (EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) != 1 ||
		EVP_DigestSign(ctx, sig, &sig_len, bytes, len) != 1 || sig_len != ED25519_SIG_BYTES)
		cryptolib_die("signing with Ed25519");
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

int ed25519_is_valid(const uint8_t pk[ED25519_KEY_BYTES], const void *msg, size_t len,
	const uint8_t sig[ED25519_SIG_BYTES])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, pk, ED25519_KEY_BYTES);
	if (key == NULL)
		cryptolib_die("loading an Ed25519 public key");
	EVP_MD_CTX *ctx = new_ctx();
	if (EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, key, NULL) != 1)
		cryptolib_die("preparing Ed25519");
	const void *bytes = len == 0 ? "" : msg;
	int ok = EVP_DigestVerify(ctx, sig, ED25519_SIG_BYTES, bytes, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}
