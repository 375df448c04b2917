#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cryptolib_internal.h"

/*
 * INVARIANTS
 * (1) ctx is always initialised: hash_new() and hash_end() leave it at the begin of a message.
 */
struct hash {
	EVP_MD_CTX *ctx; /* owned */
};

static void begin(EVP_MD_CTX *ctx)
{
	if (EVP_DigestInit_ex2(ctx, cryptolib_sha256(), NULL) != 1)
		cryptolib_die("beginning SHA-256");
}

static void add(EVP_MD_CTX *ctx, const void *data, size_t len)
{
	if (len > 0 && EVP_DigestUpdate(ctx, data, len) != 1)
		cryptolib_die("SHA-256");
}

static void end(EVP_MD_CTX *ctx, uint8_t out[HASH_BYTES])
{
	if (EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		cryptolib_die("ending SHA-256");
}

static EVP_MD_CTX *new_ctx(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		cryptolib_die("making a digest context");
	return ctx;
}

void hash_sha256(const void *data, size_t len, uint8_t out[HASH_BYTES])
{
	EVP_MD_CTX *ctx = new_ctx();
	begin(ctx);
	add(ctx, data, len);
	end(ctx, out);
	EVP_MD_CTX_free(ctx);
}

void hash_parts(const struct hash_part *parts, size_t count, uint8_t out[HASH_BYTES])
{
	EVP_MD_CTX *ctx = new_ctx();
	begin(ctx);
	for (size_t i = 0; i < count; i++)
		add(ctx, parts[i].data, parts[i].len);
	end(ctx, out);
	EVP_MD_CTX_free(ctx);
}

struct hash *hash_new(void)
{
	struct hash *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL) {
		free(h);
		return NULL;
	}
	begin(h->ctx);
	return h;
}

void hash_add(struct hash *h, const void *data, size_t len)
{
	add(h->ctx, data, len);
}

void hash_end(struct hash *h, uint8_t out[HASH_BYTES])
{
	end(h->ctx, out);
	begin(h->ctx);
}

void hash_free(struct hash *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

/* node = SHA-256(01 || left || right); node may be left or right. */
static void merge(EVP_MD_CTX *ctx, const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES],
	uint8_t node[HASH_BYTES])
{
	static const uint8_t inner = 0x01;
	begin(ctx);
	add(ctx, &inner, 1);
	add(ctx, left, HASH_BYTES);
	add(ctx, right, HASH_BYTES);
	end(ctx, node);
}

/*
 * The whole subtrees of the leaves seen so far have the sizes of the one bits in their count:
 * done[] holds their heads, largest first.  Adding a leaf carries like adding one; at the end the
 * heads are folded from the right, which is RFC 6962's split at the largest power of two.
 */
void hash_merkle(const uint8_t (*leaves)[HASH_BYTES], size_t count, uint8_t out[HASH_BYTES])
{
	static const uint8_t leaf = 0x00;
	if (count == 0) {
		hash_sha256(NULL, 0, out);
		return;
	}
	uint8_t done[sizeof(size_t) * 8][HASH_BYTES];
	size_t depth = 0;
	EVP_MD_CTX *ctx = new_ctx();
	for (size_t i = 0; i < count; i++) {
		begin(ctx);
		add(ctx, &leaf, 1);
		add(ctx, leaves[i], HASH_BYTES);
		end(ctx, done[depth]);
		for (size_t carry = i; (carry & 1) != 0; carry >>= 1) {
			merge(ctx, done[depth - 1], done[depth], done[depth - 1]);
			depth--;
		}
		depth++;
	}
	while (depth > 1) {
		merge(ctx, done[depth - 2], done[depth - 1], done[depth - 2]);
		depth--;
	}
	memcpy(out, done[0], HASH_BYTES);
	EVP_MD_CTX_free(ctx);
}

int hash_is_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
