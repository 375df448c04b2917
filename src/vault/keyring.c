#include "vault/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) From the recovery key and the vault id everything of stand-alone use follows, so that a
 *     writer can be made anew with dedup and chain intact.
 * (2) A writer key file with one changed byte is refused: a wrong key would make backups that
 *     nothing can find again.
 */

/* docs/FORMAT.md section 1: the writer key file */
#define WRITER_VERSION 1
#define WRITER_SUM_AT (KEYRING_WRITER_BYTES - HASH_BYTES)
#define DRILL_MAX_BYTES 256
#define PASSPHRASE_RANDOM_BYTES 16
#define PASSPHRASE_GROUP 4

static const char writer_magic[4] = { 'H', 'F', 'W', 'K' };
static const char drill_word[] = "holdfast-drill-key ";

void keyring_root_derive(
	const uint8_t rk_sk[32], const uint8_t vault_id[16], struct keyring_root *out)
{
	memcpy(out->rk_sk, rk_sk, 32);
	hpke_public(rk_sk, out->rk_pk);
	hmac_kdf(rk_sk, 32, vault_id, 16, "hf1/kdom", "", 0, out->k_dom, 32);
	hmac_kdf(rk_sk, 32, vault_id, 16, "hf1/domain", "", 0, out->domain_id, 16);
	hmac_kdf(rk_sk, 32, vault_id, 16, "hf1/agent", "", 0, out->agent_id, 16);
	hmac_kdf(rk_sk, 32, vault_id, 16, "hf1/officer", "", 0, out->officer_seed, 32);
	ed25519_public(out->officer_seed, out->officer_pk);
}

void keyring_epoch_keys(const uint8_t k_dom[32], const uint8_t domain_id[16], uint32_t epoch,
	uint8_t k_mle[32], uint8_t k_cdc[32])
{
	uint8_t e[4];
	bytes_put32(e, epoch);
	hmac_kdf(k_dom, 32, domain_id, 16, "hf1/mle", e, sizeof(e), k_mle, 32);
	hmac_kdf(k_dom, 32, domain_id, 16, "hf1/cdc", e, sizeof(e), k_cdc, 32);
}

void keyring_cut_keys(const uint8_t k_cdc[32], const uint8_t domain_id[16], uint32_t epoch,
	uint8_t chunker[32], uint8_t k_tree[16])
{
	uint8_t e[4];
	bytes_put32(e, epoch);
	hmac_kdf(k_cdc, 32, domain_id, 16, "hf1/vcdc1", e, sizeof(e), chunker, 32);
	hmac_kdf(k_cdc, 32, domain_id, 16, "hf1/tree", e, sizeof(e), k_tree, 16);
}

void keyring_source_id(
	const uint8_t domain_id[16], const uint8_t agent_id[16], const char *name, uint8_t out[16])
{
	static const char label[] = "hf1/source"; /* with its 00 */
	uint8_t digest[HASH_BYTES];
	const struct hash_part parts[] = { { label, sizeof(label) }, { domain_id, 16 },
		{ agent_id, 16 }, { name, strlen(name) } };
	hash_parts(parts, 4, digest);
	memcpy(out, digest, 16);
}

/* ---- the writer key file --------------------------------------------------------------------- */

/* One run of bytes in the file and where it is in the struct. */
struct field {
	size_t at;
	size_t len;
};

#define FIELD(name)                                                                                \
	{                                                                                          \
		offsetof(struct keyring_writer, name), sizeof(((struct keyring_writer *)0)->name)  \
	}

/* in file order; the two epochs lie between the third and the fourth */
static const struct field id_fields[] = { FIELD(vault_id), FIELD(domain_id), FIELD(agent_id) };
static const struct field key_fields[] = { FIELD(k_vault), FIELD(k_mle), FIELD(k_cdc),
	FIELD(ik_seed), FIELD(rk_pk), FIELD(officer_pk), FIELD(k_fp) };

static uint8_t *put_fields(
	uint8_t *at, const struct keyring_writer *w, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		memcpy(at, (const uint8_t *)w + fields[i].at, fields[i].len);
		at += fields[i].len;
	}
	return at;
}

static const uint8_t *get_fields(
	const uint8_t *at, struct keyring_writer *w, const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		memcpy((uint8_t *)w + fields[i].at, at, fields[i].len);
		at += fields[i].len;
	}
	return at;
}

int keyring_writer_encode(const struct keyring_writer *w, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, KEYRING_WRITER_BYTES, err);
	if (rc != 0)
		return rc;
	uint8_t *file = out->data + out->len;
	memset(file, 0, 8);
	memcpy(file, writer_magic, sizeof(writer_magic));
	file[4] = WRITER_VERSION;
	uint8_t *at = put_fields(file + 8, w, id_fields, 3);
	bytes_put32(at, w->kv_epoch);
	bytes_put32(at + 4, w->config_epoch);
	at = put_fields(at + 8, w, key_fields, 7);
	hash_sha256(file, WRITER_SUM_AT, at);
	out->len += KEYRING_WRITER_BYTES;
	return 0;
}

int keyring_writer_decode(
	const uint8_t *data, size_t len, struct keyring_writer *out, struct err *err)
{
	if (len < 8 || memcmp(data, writer_magic, sizeof(writer_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a writer key file");
	if (data[4] != WRITER_VERSION)
		return err_set(
			err, ERR_UNSUPPORTED, "writer key file of unknown version %u", data[4]);
	if (len != KEYRING_WRITER_BYTES)
		return err_set(err, ERR_CORRUPT, "writer key file is %zu bytes long, not %d", len,
			KEYRING_WRITER_BYTES);
	uint8_t sum[HASH_BYTES];
	hash_sha256(data, WRITER_SUM_AT, sum);
	if (memcmp(sum, data + WRITER_SUM_AT, sizeof(sum)) != 0)
		return err_set(err, ERR_CORRUPT, "writer key file is damaged");
	if ((data[5] | data[6] | data[7]) != 0)
		return err_set(err, ERR_CORRUPT, "writer key file has reserved bytes set");
	const uint8_t *at = get_fields(data + 8, out, id_fields, 3);
	out->kv_epoch = bytes_get32(at);
	out->config_epoch = bytes_get32(at + 4);
	(void)get_fields(at + 8, out, key_fields, 7); /* ends at the sum */
	return 0;
}

/* ---- the drill key file ---------------------------------------------------------------------- */

static bool is_group(const char *name, size_t len)
{
	if (len == 0 || len >= KEYRING_GROUP_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

int keyring_drill_encode(
	const char *group, const uint8_t dk_sk[32], struct buf *out, struct err *err)
{
	if (!is_group(group, strnlen(group, KEYRING_GROUP_BYTES)))
		return err_set(err, ERR_USAGE, "drill group name '%.*s' is not [a-z0-9-]+",
			KEYRING_GROUP_BYTES, group);
	size_t before = out->len;
	int rc = buf_addf(out, err, "%s%s ", drill_word, group);
	if (rc == 0)
		rc = text_base64(dk_sk, 32, out, err);
	if (rc == 0)
		rc = buf_add8(out, '\n', err);
	if (rc != 0)
		out->len = before;
	return rc;
}

int keyring_drill_decode(const uint8_t *data, size_t len, char group[KEYRING_GROUP_BYTES],
	uint8_t dk_sk[32], struct err *err)
{
	const size_t word = sizeof(drill_word) - 1;
	const char *text = (const char *)data;
	if (len > DRILL_MAX_BYTES || len <= word || memcmp(text, drill_word, word) != 0 ||
		text[len - 1] != '\n')
		return err_set(err, ERR_CORRUPT, "not a drill key file");
	const char *name = text + word;
	const char *blank = memchr(name, ' ', len - word);
	if (blank == NULL || !is_group(name, (size_t)(blank - name)))
		return err_set(err, ERR_CORRUPT, "drill key file with a wrong group name");
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(DRILL_MAX_BYTES);
	const char *key_text = blank + 1;
	int rc = text_unbase64(key_text, (size_t)(text + len - 1 - key_text), &key, err);
	if (rc != 0 || key.len != 32)
		return err_set(err, ERR_CORRUPT, "drill key file with a wrong key");
	memcpy(group, name, (size_t)(blank - name));
	group[blank - name] = '\0';
	memcpy(dk_sk, key.data, 32);
	return 0;
}

int keyring_passphrase(char out[KEYRING_PASSPHRASE_BYTES], struct err *err)
{
	uint8_t random[PASSPHRASE_RANDOM_BYTES];
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(64);
	int rc = env_random(random, sizeof(random), err);
	if (rc == 0)
		rc = text_base32(random, sizeof(random), &text, err);
	secret_wipe(random, sizeof(random));
	if (rc != 0)
		return rc;
	size_t at = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (i > 0 && i % PASSPHRASE_GROUP == 0)
			out[at++] = '-';
		out[at++] = (char)text.data[i];
	}
	out[at] = '\0';
	return 0;
}
