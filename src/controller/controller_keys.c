#include "controller/controller_keys.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) A file with one changed byte is refused: wrong keys would make backups that nobody opens.
 * (2) Nothing of an officer's key is left behind here, nor told in an error.
 */

#define VERSION 1
#define IDS_AT 8
#define EPOCH_AT 56
#define KEYS_AT 64
#define RESERVED_AT 192
#define SUM_AT (CONTROLLER_KEYS_BYTES - HASH_BYTES)
#define OFFICER_MAX_BYTES 128

static const char magic[4] = { 'H', 'F', 'C', 'K' };
static const char officer_word[] = "holdfast-officer-key ed25519 ";

int controller_keys_encode(const struct controller_keys *k, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, CONTROLLER_KEYS_BYTES, err);
	if (rc != 0)
		return rc;
	uint8_t *file = out->data + out->len;
	memset(file, 0, CONTROLLER_KEYS_BYTES);
	memcpy(file, magic, sizeof(magic));
	file[4] = VERSION;
	memcpy(file + IDS_AT, k->vault_id, 16);
	memcpy(file + IDS_AT + 16, k->domain_id, 16);
	memcpy(file + IDS_AT + 32, k->gateway, 16);
	bytes_put32(file + EPOCH_AT, k->kv_epoch);
	memcpy(file + KEYS_AT, k->k_vault, 32);
	memcpy(file + KEYS_AT + 32, k->k_dom, 32);
	memcpy(file + KEYS_AT + 64, k->rk_pk, 32);
	memcpy(file + KEYS_AT + 96, k->officer_pk, 32);
	hash_sha256(file, SUM_AT, file + SUM_AT);
	out->len += CONTROLLER_KEYS_BYTES;
	return 0;
}

static int has_reserved_set(const uint8_t *file)
{
	uint8_t any = file[5] | file[6] | file[7];
	for (size_t i = EPOCH_AT + 4; i < KEYS_AT; i++)
		any |= file[i];
	for (size_t i = RESERVED_AT; i < SUM_AT; i++)
		any |= file[i];
	return any != 0;
}

static int check_form(const uint8_t *file, size_t len, struct err *err)
{
	if (len < 5 || memcmp(file, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a controller key file");
	if (len == CONTROLLER_KEYS_BYTES) {
		uint8_t sum[HASH_BYTES];
		hash_sha256(file, SUM_AT, sum);
		if (memcmp(sum, file + SUM_AT, sizeof(sum)) != 0) {
			(void)err_set(err, ERR_CORRUPT, "controller key file is damaged");
			return err_hint(err, "put it back from its copy");
		}
	}
	if (file[4] != VERSION)
		return err_set(
			err, ERR_UNSUPPORTED, "controller key file of unknown version %u", file[4]);
	if (len != CONTROLLER_KEYS_BYTES)
		return err_set(err, ERR_CORRUPT, "controller key file is %zu bytes long, not %d",
			len, CONTROLLER_KEYS_BYTES);
	if (has_reserved_set(file))
		return err_set(err, ERR_CORRUPT, "controller key file has reserved bytes set");
	return 0;
}

int controller_keys_decode(
	const void *data, size_t len, struct controller_keys *out, struct err *err)
{
	const uint8_t *file = data;
	int rc = check_form(file, len, err);
	if (rc != 0)
		return rc;
	memcpy(out->vault_id, file + IDS_AT, 16);
	memcpy(out->domain_id, file + IDS_AT + 16, 16);
	memcpy(out->gateway, file + IDS_AT + 32, 16);
	out->kv_epoch = bytes_get32(file + EPOCH_AT);
	memcpy(out->k_vault, file + KEYS_AT, 32);
	memcpy(out->k_dom, file + KEYS_AT + 32, 32);
	memcpy(out->rk_pk, file + KEYS_AT + 64, 32);
	memcpy(out->officer_pk, file + KEYS_AT + 96, 32);
	return 0;
}

/* ---- the officer's key --------------------------------------------------------------------------
 */

int controller_keys_officer_format(const uint8_t seed[32], struct buf *out, struct err *err)
{
	size_t before = out->len;
	int rc = buf_addf(out, err, "%s", officer_word);
	if (rc == 0)
		rc = text_base64(seed, 32, out, err);
	if (rc == 0)
		rc = buf_add8(out, '\n', err);
	if (rc != 0) {
		secret_wipe(out->data + before, out->len - before);
		out->len = before;
	}
	return rc;
}

int controller_keys_officer_parse(const void *data, size_t len, uint8_t seed[32], struct err *err)
{
	const size_t word = sizeof(officer_word) - 1;
	const char *text = data;
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > OFFICER_MAX_BYTES || len <= word || memcmp(text, officer_word, word) != 0) {
		(void)err_set(err, ERR_CORRUPT, "not an officer key file");
		return err_hint(err, "it is one line that begins with '%s'", officer_word);
	}
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(OFFICER_MAX_BYTES);
	int rc = text_unbase64(text + word, len - word, &key, NULL);
	if (rc != 0 || key.len != 32)
		return err_set(err, ERR_CORRUPT, "officer key file with a wrong key");
	memcpy(seed, key.data, 32);
	return 0;
}
