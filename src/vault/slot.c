#include "vault/slot.h"

#include <string.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/hpke.h"
#include "crypto/scrypt.h"
#include "crypto/secret.h"
#include "vault/keyring.h"
#include "vault/snaprec.h"

/*
 * INVARIANTS
 * (1) HFBG: the commitment is compared before the ciphertext is touched, so that no ciphertext can
 *     be made that opens under two passphrases.
 * (2) HFKV: one slot exists for (vault, epoch, K_vault, recovery key).  Whoever opens one makes it
 *     again and compares, so a slot that opens is also the slot that init wrote.
 */

/* docs/FORMAT.md section 7: HFBG */
#define BG_VERSION 1
#define BG_KDF_SCRYPT 1
#define BG_SALT_AT 9
#define BG_COMMIT_AT 41
#define BG_CT_AT 73
#define BG_MAX_LOG2N 20
#define BG_MAX_R 16
#define BG_MAX_P 4
#define SCRYPT_R 8
#define SCRYPT_P 1
/* HFKV */
#define KV_SUITE 1
#define KV_VERSION 1
#define KV_VAULT_AT 8
#define KV_EPOCH_AT 24
#define KV_RKID_AT 28
#define KV_ENC_AT 60
#define KV_CT_AT 92

static const char bg_magic[4] = { 'H', 'F', 'B', 'G' };
static const char kv_magic[4] = { 'H', 'F', 'K', 'V' };
static const char kv_label[] = "hf1/kv"; /* with its 00 */

int slot_hfbg_seal(const uint8_t rk_sk[32], const void *pass, size_t pass_len, unsigned log2n,
	const uint8_t *salt, uint8_t out[SLOT_HFBG_BYTES], struct err *err)
{
	uint8_t slot[SLOT_HFBG_BYTES];
	if (log2n == 0 || log2n > BG_MAX_LOG2N)
		return err_set(err, ERR_LIMIT, "scrypt with N = 2^%u is out of bounds", log2n);
	memcpy(slot, bg_magic, sizeof(bg_magic));
	slot[4] = BG_VERSION;
	slot[5] = BG_KDF_SCRYPT;
	slot[6] = (uint8_t)log2n;
	slot[7] = SCRYPT_R;
	slot[8] = SCRYPT_P;
	if (salt != NULL)
		memcpy(slot + BG_SALT_AT, salt, 32);
	int rc = salt == NULL ? env_random(slot + BG_SALT_AT, 32, err) : 0;
	if (rc != 0)
		return rc;

	uint8_t derived[64];
	rc = scrypt_derive(pass, pass_len, slot + BG_SALT_AT, 32, log2n, SCRYPT_R, SCRYPT_P,
		derived, sizeof(derived), err);
	if (rc == 0) {
		memcpy(slot + BG_COMMIT_AT, derived + 32, 32);
		rc = aead_seal(AEAD_AES256GCM, derived, NULL, slot, BG_CT_AT, rk_sk, 32,
			slot + BG_CT_AT, err);
	}
	secret_wipe(derived, sizeof(derived));
	if (rc == 0)
		memcpy(out, slot, sizeof(slot));
	return rc;
}

static int check_hfbg(const uint8_t *slot, size_t len, struct err *err)
{
	if (len < 6 || memcmp(slot, bg_magic, sizeof(bg_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a recovery key slot");
	if (slot[4] != BG_VERSION || slot[5] != BG_KDF_SCRYPT)
		return err_set(err, ERR_UNSUPPORTED,
			"recovery key slot of unknown version %u or method %u", slot[4], slot[5]);
	if (len != SLOT_HFBG_BYTES)
		return err_set(err, ERR_CORRUPT, "recovery key slot is %zu bytes long, not %d", len,
			SLOT_HFBG_BYTES);
	if (slot[6] == 0 || slot[7] == 0 || slot[8] == 0)
		return err_set(err, ERR_CORRUPT, "recovery key slot with a work factor of 0");
	if (slot[6] > BG_MAX_LOG2N || slot[7] > BG_MAX_R || slot[8] > BG_MAX_P)
		return err_set(err, ERR_LIMIT,
			"recovery key slot asks for more work than allowed (2^%u, %u, %u)", slot[6],
			slot[7], slot[8]);
	return 0;
}

int slot_hfbg_open(const uint8_t *slot, size_t len, const void *pass, size_t pass_len,
	uint8_t rk_sk[32], struct err *err)
{
	int rc = check_hfbg(slot, len, err);
	if (rc != 0)
		return rc;
	uint8_t derived[64];
	uint8_t opened[32];
	rc = scrypt_derive(pass, pass_len, slot + BG_SALT_AT, 32, slot[6], slot[7], slot[8],
		derived, sizeof(derived), err);
	if (rc == 0 && !hash_is_equal(derived + 32, slot + BG_COMMIT_AT, 32))
		rc = err_set(err, ERR_AUTH, "wrong passphrase");
	if (rc == 0) {
		rc = aead_open(AEAD_AES256GCM, derived, NULL, slot, BG_CT_AT, slot + BG_CT_AT,
			sizeof(opened) + AEAD_TAG_BYTES, opened, err);
		if (rc != 0)
			rc = err_set(err, ERR_CORRUPT, "recovery key slot is damaged");
	}
	if (rc == 0)
		memcpy(rk_sk, opened, sizeof(opened));
	secret_wipe(derived, sizeof(derived));
	secret_wipe(opened, sizeof(opened));
	return rc;
}

/* "hf1/kv\0" || vault_id || rkid */
static void kv_info(const uint8_t *slot, uint8_t out[sizeof(kv_label) + 48])
{
	memcpy(out, kv_label, sizeof(kv_label));
	memcpy(out + sizeof(kv_label), slot + KV_VAULT_AT, 16);
	memcpy(out + sizeof(kv_label) + 16, slot + KV_RKID_AT, 32);
}

int slot_hfkv_seal(const uint8_t vault_id[16], uint32_t kv_epoch, const uint8_t k_vault[32],
	const uint8_t rk_pk[32], uint8_t out[SLOT_HFKV_BYTES], struct err *err)
{
	uint8_t slot[SLOT_HFKV_BYTES] = { 0 };
	memcpy(slot, kv_magic, sizeof(kv_magic));
	slot[4] = KV_SUITE;
	slot[5] = KV_VERSION;
	memcpy(slot + KV_VAULT_AT, vault_id, 16);
	bytes_put32(slot + KV_EPOCH_AT, kv_epoch);
	snaprec_rkid(rk_pk, slot + KV_RKID_AT);

	/* epoch and rkid lie side by side, as the context wants them */
	uint8_t ikm[32];
	uint8_t sk_e[HPKE_KEY_BYTES];
	uint8_t enc[HPKE_KEY_BYTES];
	hmac_kdf(k_vault, 32, vault_id, 16, "hf1/kv-eph", slot + KV_EPOCH_AT, 36, ikm, sizeof(ikm));
	hpke_derive_key(ikm, sizeof(ikm), sk_e);
	/* the aad holds enc, so enc must be there before sealing: it is the ephemeral public key */
	hpke_public(sk_e, slot + KV_ENC_AT);
	uint8_t info[sizeof(kv_label) + 48];
	kv_info(slot, info);
	int rc = hpke_seal(sk_e, rk_pk, info, sizeof(info), slot, KV_CT_AT, k_vault, 32, enc,
		slot + KV_CT_AT, err);
	secret_wipe(ikm, sizeof(ikm));
	secret_wipe(sk_e, sizeof(sk_e));
	if (rc == 0)
		memcpy(out, slot, sizeof(slot));
	return rc;
}

static int check_hfkv(const uint8_t *slot, size_t len, struct err *err)
{
	if (len < 6 || memcmp(slot, kv_magic, sizeof(kv_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a vault key slot");
	if (slot[4] != KV_SUITE || slot[5] != KV_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			"vault key slot of unknown suite %u or version %u", slot[4], slot[5]);
	if (len != SLOT_HFKV_BYTES)
		return err_set(err, ERR_CORRUPT, "vault key slot is %zu bytes long, not %d", len,
			SLOT_HFKV_BYTES);
	if (bytes_get16(slot + 6) != 0)
		return err_set(err, ERR_CORRUPT, "vault key slot has reserved bytes set");
	return 0;
}

int slot_hfkv_open(const uint8_t *slot, size_t len, const uint8_t rk_sk[32], uint8_t vault_id[16],
	uint32_t *kv_epoch, uint8_t k_vault[32], struct err *err)
{
	int rc = check_hfkv(slot, len, err);
	if (rc != 0)
		return rc;
	uint8_t rk_pk[32];
	uint8_t rkid[32];
	hpke_public(rk_sk, rk_pk);
	snaprec_rkid(rk_pk, rkid);
	if (memcmp(rkid, slot + KV_RKID_AT, sizeof(rkid)) != 0)
		return err_set(err, ERR_AUTH, "vault key slot is for another recovery key");

	uint8_t info[sizeof(kv_label) + 48];
	kv_info(slot, info);
	uint8_t opened[32];
	uint8_t again[SLOT_HFKV_BYTES];
	uint32_t epoch = bytes_get32(slot + KV_EPOCH_AT);
	rc = hpke_open(rk_sk, slot + KV_ENC_AT, info, sizeof(info), slot, KV_CT_AT, slot + KV_CT_AT,
		sizeof(opened) + HPKE_TAG_BYTES, opened, err);
	if (rc == 0)
		rc = slot_hfkv_seal(slot + KV_VAULT_AT, epoch, opened, rk_pk, again, err);
	if (rc == 0 && memcmp(again, slot, sizeof(again)) != 0)
		rc = err_set(err, ERR_CORRUPT, "vault key slot is not the one its key makes");
	if (rc == 0) {
		memcpy(vault_id, slot + KV_VAULT_AT, 16);
		*kv_epoch = epoch;
		memcpy(k_vault, opened, sizeof(opened));
	}
	secret_wipe(opened, sizeof(opened));
	return rc;
}

/* ---- HFKP ---------------------------------------------------------------------------------- */

#define KP_EPOCH_AT 24
#define KP_CT_AT 28

static const char kp_magic[4] = { 'H', 'F', 'K', 'P' };

static void kp_key(const uint8_t *slot, const uint8_t k_vault[32], uint8_t key[AEAD_KEY_BYTES])
{
	hmac_kdf(k_vault, 32, slot + KV_VAULT_AT, 16, "hf1/kv-prev", slot + KP_EPOCH_AT, 4, key,
		AEAD_KEY_BYTES);
}

int slot_hfkp_seal(const uint8_t vault_id[16], uint32_t kv_epoch, const uint8_t k_vault[32],
	const uint8_t before[32], uint8_t out[SLOT_HFKP_BYTES], struct err *err)
{
	uint8_t slot[SLOT_HFKP_BYTES] = { 0 };
	uint8_t key[AEAD_KEY_BYTES];
	memcpy(slot, kp_magic, sizeof(kp_magic));
	slot[4] = KV_SUITE;
	slot[5] = KV_VERSION;
	memcpy(slot + KV_VAULT_AT, vault_id, 16);
	bytes_put32(slot + KP_EPOCH_AT, kv_epoch);
	kp_key(slot, k_vault, key);
	int rc = aead_seal(
		AEAD_AES256GCM, key, NULL, slot, KP_CT_AT, before, 32, slot + KP_CT_AT, err);
	secret_wipe(key, sizeof(key));
	if (rc == 0)
		memcpy(out, slot, sizeof(slot));
	return rc;
}

uint32_t slot_hfkp_epoch(const uint8_t slot[SLOT_HFKP_BYTES])
{
	return memcmp(slot, kp_magic, sizeof(kp_magic)) == 0 ? bytes_get32(slot + KP_EPOCH_AT) : 0;
}

int slot_hfkp_open(const uint8_t *slot, size_t len, const uint8_t vault_id[16],
	const uint8_t k_vault[32], uint8_t before[32], struct err *err)
{
	uint8_t key[AEAD_KEY_BYTES];
	uint8_t opened[32];
	if (len < 6 || memcmp(slot, kp_magic, sizeof(kp_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a slot of the vault key before");
	if (slot[4] != KV_SUITE || slot[5] != KV_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			"slot of the vault key before of unknown suite %u or version %u", slot[4],
			slot[5]);
	if (len != SLOT_HFKP_BYTES || bytes_get16(slot + 6) != 0 ||
		bytes_get32(slot + KP_EPOCH_AT) < 2)
		return err_set(err, ERR_CORRUPT, "slot of the vault key before has a wrong form");
	if (memcmp(slot + KV_VAULT_AT, vault_id, 16) != 0)
		return err_set(err, ERR_AUTH, "slot of the vault key before of another vault");
	kp_key(slot, k_vault, key);
	int rc = aead_open(AEAD_AES256GCM, key, NULL, slot, KP_CT_AT, slot + KP_CT_AT,
		SLOT_HFKP_BYTES - KP_CT_AT, opened, err);
	secret_wipe(key, sizeof(key));
	if (rc == 0)
		memcpy(before, opened, sizeof(opened));
	secret_wipe(opened, sizeof(opened));
	return rc;
}

/* ---- HFKR ---------------------------------------------------------------------------------- */

#define KR_RKID_AT 24
#define KR_CT_AT 56
#define KR_PLAIN_BYTES 96

static const char kr_magic[4] = { 'H', 'F', 'K', 'R' };

/* Vault and recovery key of the slot's head, and the key that seals it. */
static void kr_begin(const uint8_t vault_id[16], const uint8_t rk_sk[32], uint8_t head[KR_CT_AT],
	uint8_t key[AEAD_KEY_BYTES])
{
	uint8_t rk_pk[32];
	hpke_public(rk_sk, rk_pk);
	memset(head, 0, KR_CT_AT);
	memcpy(head, kr_magic, sizeof(kr_magic));
	head[4] = KV_SUITE;
	head[5] = KV_VERSION;
	memcpy(head + KV_VAULT_AT, vault_id, 16);
	snaprec_rkid(rk_pk, head + KR_RKID_AT);
	hmac_kdf(rk_sk, 32, vault_id, 16, "hf1/root", head + KR_RKID_AT, 32, key, AEAD_KEY_BYTES);
}

int slot_hfkr_seal(const uint8_t vault_id[16], const uint8_t rk_sk[32],
	const struct keyring_root *root, uint8_t out[SLOT_HFKR_BYTES], struct err *err)
{
	uint8_t slot[SLOT_HFKR_BYTES];
	uint8_t key[AEAD_KEY_BYTES];
	uint8_t plain[KR_PLAIN_BYTES];
	kr_begin(vault_id, rk_sk, slot, key);
	memcpy(plain, root->k_dom, 32);
	memcpy(plain + 32, root->domain_id, 16);
	memcpy(plain + 48, root->agent_id, 16);
	memcpy(plain + 64, root->officer_seed, 32);
	int rc = aead_seal(AEAD_AES256GCM, key, NULL, slot, KR_CT_AT, plain, sizeof(plain),
		slot + KR_CT_AT, err);
	secret_wipe(key, sizeof(key));
	secret_wipe(plain, sizeof(plain));
	if (rc == 0)
		memcpy(out, slot, sizeof(slot));
	return rc;
}

const uint8_t *slot_hfkr_rkid(const uint8_t *slot, size_t len)
{
	return len == SLOT_HFKR_BYTES && memcmp(slot, kr_magic, sizeof(kr_magic)) == 0
		       ? slot + KR_RKID_AT
		       : NULL;
}

int slot_hfkr_open(const uint8_t *slot, size_t len, const uint8_t vault_id[16],
	const uint8_t rk_sk[32], struct keyring_root *root, struct err *err)
{
	uint8_t head[KR_CT_AT];
	uint8_t key[AEAD_KEY_BYTES];
	uint8_t plain[KR_PLAIN_BYTES];
	if (len < 6 || memcmp(slot, kr_magic, sizeof(kr_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a slot of derived keys");
	if (slot[4] != KV_SUITE || slot[5] != KV_VERSION)
		return err_set(err, ERR_UNSUPPORTED,
			"slot of derived keys of unknown suite %u or version %u", slot[4], slot[5]);
	if (len != SLOT_HFKR_BYTES || bytes_get16(slot + 6) != 0)
		return err_set(err, ERR_CORRUPT, "slot of derived keys has a wrong form");
	kr_begin(vault_id, rk_sk, head, key);
	int rc = memcmp(slot, head, sizeof(head)) != 0
			 ? err_set(err, ERR_AUTH,
				   "slot of derived keys for another vault or recovery key")
			 : aead_open(AEAD_AES256GCM, key, NULL, slot, KR_CT_AT, slot + KR_CT_AT,
				   SLOT_HFKR_BYTES - KR_CT_AT, plain, err);
	secret_wipe(key, sizeof(key));
	if (rc != 0)
		return rc;
	memcpy(root->rk_sk, rk_sk, 32);
	hpke_public(rk_sk, root->rk_pk);
	memcpy(root->k_dom, plain, 32);
	memcpy(root->domain_id, plain + 32, 16);
	memcpy(root->agent_id, plain + 48, 16);
	memcpy(root->officer_seed, plain + 64, 32);
	ed25519_public(root->officer_seed, root->officer_pk);
	secret_wipe(plain, sizeof(plain));
	return 0;
}
