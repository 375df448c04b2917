#include "crypto/aead.h"

#include <limits.h>
#include <openssl/crypto.h>

#include "base/err.h"
#include "crypto/cryptolib_internal.h"

/*
 * INVARIANTS
 * (1) Plaintext leaves aead_open() only after the tag was right; else the output is wiped.
 */

/* The library counts in int; a multiple of both block sizes (16, 64) keeps pieces exact. */
#define PIECE_BYTES ((size_t)1 << 30)

static const uint8_t zero_nonce[AEAD_NONCE_BYTES];

/* Run ${len} bytes through; ${out} NULL = they are additional data. */
static void update(EVP_CIPHER_CTX *ctx, const uint8_t *in, size_t len, uint8_t *out)
{
	for (size_t at = 0; at < len;) {
		size_t piece = len - at < PIECE_BYTES ? len - at : PIECE_BYTES;
		int done = 0;
		if (EVP_CipherUpdate(
			    ctx, out == NULL ? NULL : out + at, &done, in + at, (int)piece) != 1 ||
			done != (int)piece)
			cryptolib_die("a cipher");
		at += piece;
	}
}

/* A context with key, nonce and additional data; NULL when ${suite} is unknown. */
static EVP_CIPHER_CTX *begin(int suite, int encrypt, const uint8_t key[AEAD_KEY_BYTES],
	const uint8_t *nonce, const void *aad, size_t aad_len)
{
	const EVP_CIPHER *cipher = cryptolib_cipher(suite);
	if (cipher == NULL)
		return NULL;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL)
		cryptolib_die("making a cipher context");
	/* both ciphers have a nonce of twelve bytes unless told otherwise */
	if (EVP_CipherInit_ex2(
		    ctx, cipher, key, nonce == NULL ? zero_nonce : nonce, encrypt, NULL) != 1)
		cryptolib_die("taking a cipher key");
	update(ctx, aad, aad_len, NULL);
	return ctx;
}

static int unknown_suite(int suite, struct err *err)
{
	return err_set(err, ERR_UNSUPPORTED, "unknown cipher suite %d", suite);
}

int aead_seal(int suite, const uint8_t key[AEAD_KEY_BYTES], const uint8_t *nonce, const void *aad,
	size_t aad_len, const void *in, size_t in_len, uint8_t *out, struct err *err)
{
	EVP_CIPHER_CTX *ctx = begin(suite, 1, key, nonce, aad, aad_len);
	if (ctx == NULL)
		return unknown_suite(suite, err);
	update(ctx, in, in_len, out);
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int done = 0;
	if (EVP_CipherFinal_ex(ctx, none, &done) != 1 || done != 0)
		cryptolib_die("ending a cipher");
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + in_len) != 1)
		cryptolib_die("making a tag");
	EVP_CIPHER_CTX_free(ctx);
	return 0;
}

int aead_open(int suite, const uint8_t key[AEAD_KEY_BYTES], const uint8_t *nonce, const void *aad,
	size_t aad_len, const void *in, size_t in_len, uint8_t *out, struct err *err)
{
	if (cryptolib_cipher(suite) == NULL)
		return unknown_suite(suite, err);
	if (in_len < AEAD_TAG_BYTES)
		return err_set(err, ERR_CORRUPT, "sealed bytes are cut short: no room for a tag");
	size_t len = in_len - AEAD_TAG_BYTES;
	uint8_t tag[AEAD_TAG_BYTES];
	for (size_t i = 0; i < sizeof(tag); i++)
		tag[i] = ((const uint8_t *)in)[len + i];

	EVP_CIPHER_CTX *ctx = begin(suite, 0, key, nonce, aad, aad_len);
	if (ctx == NULL || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1)
		cryptolib_die("taking a tag");
	update(ctx, in, len, out);
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int done = 0;
	int ok = EVP_CipherFinal_ex(ctx, none, &done);
	EVP_CIPHER_CTX_free(ctx);
	if (ok != 1) {
		OPENSSL_cleanse(out, len);
		return err_set(err, ERR_CORRUPT, "authentication tag differs");
	}
	return 0;
}
