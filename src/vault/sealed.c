#include "vault/sealed.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) A key seals one message: it is derived from a salt over the plaintext and fresh randomness,
 *     so a repeated random number repeats a key only for the identical message.
 * (2) The length of an object is sealed_padded() of what it must hold, exactly.
 */

/* docs/FORMAT.md section 6 */
#define HEADER_BYTES 48
#define SALT_AT 16
#define LENGTH_BYTES 4
#define RANDOM_BYTES 16
#define SMALL_STEP 4096u
#define LARGE_STEP 65536u
#define SMALL_MAX (1u << 20)

static const char magic[4] = { 'H', 'F', 'O', '1' };

size_t sealed_padded(size_t len)
{
	size_t step = len <= SMALL_MAX ? SMALL_STEP : LARGE_STEP;
	return (len + step - 1) / step * step;
}

void sealed_key_init(struct sealed_key *k, const uint8_t vault_id[16], uint32_t kv_epoch,
	const uint8_t k_vault[32])
{
	uint8_t epoch[4];
	bytes_put32(epoch, kv_epoch);
	memcpy(k->vault_id, vault_id, sizeof(k->vault_id));
	k->kv_epoch = kv_epoch;
	memcpy(k->k_vault, k_vault, sizeof(k->k_vault));
	k->older = NULL;
	hmac_kdf(k_vault, 32, vault_id, 16, "hf1/seal-salt", epoch, sizeof(epoch), k->k_ss,
		sizeof(k->k_ss));
}

const struct sealed_key *sealed_key_of(const struct sealed_key *k, uint32_t epoch)
{
	while (k != NULL && k->kv_epoch != epoch)
		k = k->older;
	return k;
}

static void object_key(const struct sealed_key *k, uint8_t kind, const uint8_t salt[32],
	uint8_t out[AEAD_KEY_BYTES])
{
	uint8_t ctx[17];
	memcpy(ctx, k->vault_id, 16);
	ctx[16] = kind;
	hmac_kdf(k->k_vault, sizeof(k->k_vault), salt, 32, "hf1/sealed", ctx, sizeof(ctx), out,
		AEAD_KEY_BYTES);
}

int sealed_seal(const struct sealed_key *k, enum sealed_kind kind, const void *body, size_t len,
	const uint8_t *random, struct buf *out, char hex[SEALED_NAME_BYTES], struct err *err)
{
	const size_t fixed = HEADER_BYTES + LENGTH_BYTES + AEAD_TAG_BYTES;
	if (len > SEALED_MAX_BYTES - fixed)
		return err_set(err, ERR_LIMIT, "%zu bytes do not fit into a sealed object", len);
	const size_t total = sealed_padded(fixed + len);
	const size_t plain_len = total - HEADER_BYTES - AEAD_TAG_BYTES;

	uint8_t fresh[RANDOM_BYTES];
	int rc = random == NULL ? env_random(fresh, sizeof(fresh), err) : 0;
	if (rc == 0)
		rc = buf_reserve(out, total, err);
	if (rc != 0)
		return rc;

	uint8_t *header = out->data + out->len;
	uint8_t *plain = header + HEADER_BYTES;
	memcpy(header, magic, sizeof(magic));
	header[4] = AEAD_AES256GCM;
	header[5] = (uint8_t)kind;
	bytes_put16(header + 6, 0);
	bytes_put32(header + 8, k->kv_epoch);
	bytes_put32(header + 12, (uint32_t)plain_len);
	bytes_put32(plain, (uint32_t)len);
	if (len > 0)
		memcpy(plain + LENGTH_BYTES, body, len);
	memset(plain + LENGTH_BYTES + len, 0, plain_len - LENGTH_BYTES - len);

	const struct hmac_part parts[] = { { header + 5, 1 },
		{ random == NULL ? fresh : random, RANDOM_BYTES }, { plain, plain_len } };
	hmac_sha256(k->k_ss, sizeof(k->k_ss), parts, 3, header + SALT_AT);
	uint8_t key[AEAD_KEY_BYTES];
	object_key(k, header[5], header + SALT_AT, key);
	rc = aead_seal(header[4], key, NULL, header, HEADER_BYTES, plain, plain_len, plain, err);
	secret_wipe(key, sizeof(key));
	if (rc != 0)
		return rc;

	uint8_t name[HASH_BYTES];
	hash_sha256(header, total, name);
	text_hex(name, sizeof(name), hex);
	out->len += total;
	return 0;
}

/* Everything that can be said of an object before its key is used. */
static int check_header(enum sealed_kind kind, const uint8_t *object, size_t len, struct err *err)
{
	if (len < SMALL_STEP || len > SEALED_MAX_BYTES || sealed_padded(len) != len)
		return err_set(err, ERR_CORRUPT, "a sealed object is never %zu bytes long", len);
	if (memcmp(object, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a sealed object");
	if (object[4] != AEAD_AES256GCM && object[4] != AEAD_CHACHA20)
		return err_set(
			err, ERR_UNSUPPORTED, "sealed object of unknown suite %u", object[4]);
	if (object[5] != (uint8_t)kind)
		return err_set(err, ERR_CORRUPT, "sealed object is of kind %u, not %d", object[5],
			(int)kind);
	if (bytes_get16(object + 6) != 0)
		return err_set(err, ERR_CORRUPT, "sealed object has reserved bytes set");
	if (bytes_get32(object + 12) != len - HEADER_BYTES - AEAD_TAG_BYTES)
		return err_set(err, ERR_CORRUPT, "sealed object has another length than it says");
	return 0;
}

/* Check the inside of an object of ${total} bytes; on success *${body_len} bytes follow. */
static int check_plain(
	const uint8_t *plain, size_t plain_len, size_t total, size_t *body_len, struct err *err)
{
	size_t len = bytes_get32(plain);
	if (len > plain_len - LENGTH_BYTES ||
		sealed_padded(HEADER_BYTES + LENGTH_BYTES + len + AEAD_TAG_BYTES) != total)
		return err_set(err, ERR_CORRUPT, "sealed object has a wrong body length");
	for (size_t i = LENGTH_BYTES + len; i < plain_len; i++) {
		if (plain[i] != 0)
			return err_set(err, ERR_CORRUPT, "sealed object has padding that is not 0");
	}
	*body_len = len;
	return 0;
}

int sealed_open(const struct sealed_key *k, enum sealed_kind kind, const void *object, size_t len,
	struct buf *body, struct err *err)
{
	const uint8_t *header = object;
	int rc = check_header(kind, header, len, err);
	if (rc != 0)
		return rc;
	const uint32_t epoch = bytes_get32(header + 8);
	const struct sealed_key *own = sealed_key_of(k, epoch);
	if (own == NULL)
		return err_set(err, ERR_AUTH, "sealed object is of vault key epoch %u, ours is %u",
			epoch, k->kv_epoch);

	const size_t plain_len = len - HEADER_BYTES - AEAD_TAG_BYTES;
	CLEANUP(buf_wipe) struct buf plain = BUF_INIT(SEALED_MAX_BYTES);
	rc = buf_reserve(&plain, plain_len, err);
	if (rc != 0)
		return rc;
	uint8_t key[AEAD_KEY_BYTES];
	object_key(own, header[5], header + SALT_AT, key);
	rc = aead_open(header[4], key, NULL, header, HEADER_BYTES, header + HEADER_BYTES,
		len - HEADER_BYTES, plain.data, err);
	secret_wipe(key, sizeof(key));
	if (rc != 0)
		return err_wrap(err, "sealed object of kind %d", (int)kind);

	size_t body_len = 0;
	rc = check_plain(plain.data, plain_len, len, &body_len, err);
	if (rc != 0)
		return rc;
	return buf_add(body, plain.data + LENGTH_BYTES, body_len, err);
}
