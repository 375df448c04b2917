#include "crypto/hmac.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/cryptolib_internal.h"

/*
 * INVARIANTS
 * (1) Derived keys that stay on the stack are wiped before return.
 */
#define HMAC_EXPAND_MAX_BYTES (255 * HMAC_BYTES)
#define KDF_LABEL_MAX_BYTES 64
#define KDF_CTX_MAX_BYTES 256

void hmac_sha256(const void *key, size_t key_len, const struct hmac_part *parts, size_t count,
	uint8_t out[HMAC_BYTES])
{
	static const uint8_t zeros[HMAC_BYTES];
	/* The library takes "no key" for "the key you have".  HMAC fills a short key up with zero
	 * bytes, so that 32 of them are the empty key. */
	if (key_len == 0) {
		key = zeros;
		key_len = sizeof(zeros);
	}
	EVP_MAC_CTX *ctx = cryptolib_hmac();
	if (EVP_MAC_init(ctx, key, key_len, NULL) != 1)
		cryptolib_die("HMAC: taking a key");
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > 0 && EVP_MAC_update(ctx, parts[i].data, parts[i].len) != 1)
			cryptolib_die("HMAC");
	}
	if (EVP_MAC_final(ctx, out, NULL, HMAC_BYTES) != 1)
		cryptolib_die("ending HMAC");
	EVP_MAC_CTX_free(ctx);
}

void hmac_extract(
	const void *salt, size_t salt_len, const void *ikm, size_t ikm_len, uint8_t prk[HMAC_BYTES])
{
	const struct hmac_part part = { ikm, ikm_len };
	hmac_sha256(salt, salt_len, &part, 1, prk);
}

void hmac_expand(
	const uint8_t prk[HMAC_BYTES], const void *info, size_t info_len, uint8_t *out, size_t len)
{
	assert(len <= HMAC_EXPAND_MAX_BYTES);
	uint8_t block[HMAC_BYTES];
	uint8_t number = 0;
	size_t at = 0;
	while (at < len) {
		const struct hmac_part parts[] = {
			{ block, number == 0 ? 0 : sizeof(block) },
			{ info, info_len },
			{ &number, 1 },
		};
		number++;
		uint8_t next[HMAC_BYTES];
		hmac_sha256(prk, HMAC_BYTES, parts, 3, next);
		memcpy(block, next, sizeof(block));
		OPENSSL_cleanse(next, sizeof(next));
		size_t n = len - at < sizeof(block) ? len - at : sizeof(block);
		memcpy(out + at, block, n);
		at += n;
	}
	OPENSSL_cleanse(block, sizeof(block));
}

void hmac_kdf(const void *ikm, size_t ikm_len, const void *salt, size_t salt_len, const char *label,
	const void *ctx, size_t ctx_len, uint8_t *out, size_t len)
{
	uint8_t info[KDF_LABEL_MAX_BYTES + 1 + KDF_CTX_MAX_BYTES];
	size_t label_len = strlen(label);
	assert(label_len <= KDF_LABEL_MAX_BYTES && ctx_len <= KDF_CTX_MAX_BYTES);
	memcpy(info, label, label_len + 1);
	if (ctx_len > 0)
		memcpy(info + label_len + 1, ctx, ctx_len);

	uint8_t prk[HMAC_BYTES];
	hmac_extract(salt, salt_len, ikm, ikm_len, prk);
	hmac_expand(prk, info, label_len + 1 + ctx_len, out, len);
	OPENSSL_cleanse(prk, sizeof(prk));
}
