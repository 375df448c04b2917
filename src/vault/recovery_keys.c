#include "vault/recovery_keys.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/slot.h"
#include "vault/snaprec.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * slots of every epoch | HFKR | config, each durable before the next
 *
 * INVARIANTS
 * (1) No config lists a recovery key before the slots are on the store with which it opens the
 *     vault.
 * (2) No config is without a recovery key that a live snapshot had, unless it has another one.
 */

struct search {
	struct store *store;
	const uint8_t *vault_id, *rk_sk;
	struct keyring_root *root;
	bool is_found, is_bad;
};

static int try_slot(void *arg, const char *name, uint64_t size)
{
	struct search *s = arg;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	if (size != SLOT_HFKR_BYTES || s->is_found)
		return 0;
	int rc = vault_get_hashed(s->store, name, &raw, NULL);
	if (rc == 0)
		rc = slot_hfkr_open(raw.data, raw.len, s->vault_id, s->rk_sk, s->root, NULL);
	s->is_found = rc == 0;
	s->is_bad = s->is_bad || (rc != 0 && rc != -ERR_AUTH);
	return 0;
}

int recovery_keys_root(struct store *store, const uint8_t vault_id[16], const uint8_t rk_sk[32],
	struct keyring_root *root, bool *is_unsure, struct err *err)
{
	struct search s = { .store = store, .vault_id = vault_id, .rk_sk = rk_sk, .root = root };
	int rc = store_list(store, "ks/", try_slot, &s, err);
	if (rc != 0)
		return rc;
	if (!s.is_found)
		keyring_root_derive(rk_sk, vault_id, root);
	*is_unsure = !s.is_found && s.is_bad;
	return 0;
}

static int put_slots(const struct vault *v, const struct keyring_root *root,
	const uint8_t rk_sk[32], const uint8_t rk_pk[32], struct err *err)
{
	uint8_t hfkv[SLOT_HFKV_BYTES];
	uint8_t hfkr[SLOT_HFKR_BYTES];
	int rc = 0;
	for (const struct sealed_key *k = &v->key; rc == 0 && k != NULL; k = k->older) {
		rc = slot_hfkv_seal(k->vault_id, k->kv_epoch, k->k_vault, rk_pk, hfkv, err);
		if (rc == 0)
			rc = vault_put_slot_checked(v->store, hfkv, sizeof(hfkv), err);
	}
	if (rc == 0)
		rc = slot_hfkr_seal(v->key.vault_id, rk_sk, root, hfkr, err);
	return rc != 0 ? rc : vault_put_slot_checked(v->store, hfkr, sizeof(hfkr), err);
}

static bool is_officer(const struct domain *d, const uint8_t pk[32])
{
	for (size_t i = 0; i < d->officer_count; i++) {
		if (memcmp(d->officer_pk[i], pk, 32) == 0)
			return true;
	}
	return false;
}

static size_t find_key(const struct domain *d, const uint8_t rkid[32])
{
	uint8_t id[32];
	for (size_t i = 0; i < d->recovery_count; i++) {
		snaprec_rkid(d->recovery_pk[i], id);
		if (memcmp(id, rkid, sizeof(id)) == 0)
			return i;
	}
	return SIZE_MAX;
}

static int check_signer(const struct vault *v, const struct keyring_root *root, struct err *err)
{
	if (v->domain.epoch == 0)
		return err_set(err, ERR_CORRUPT,
			"the vault has no readable config: put its cf/ object back first");
	if (is_officer(&v->domain, root->officer_pk))
		return vault_check_signer(v, root, err);
	return err_set(err, ERR_AUTH,
		"this recovery key leads to no officer of the vault: a key slot in ks/ is missing "
		"or damaged");
}

int recovery_keys_add(
	struct vault *v, const struct keyring_root *root, const uint8_t rk_sk[32], struct err *err)
{
	struct domain *d = &v->domain;
	uint8_t rk_pk[32];
	uint8_t rkid[32];
	hpke_public(rk_sk, rk_pk);
	snaprec_rkid(rk_pk, rkid);
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = check_signer(v, root, err);
	if (rc == 0 && find_key(d, rkid) != SIZE_MAX)
		rc = err_set(err, ERR_EXISTS, "this is a recovery key of the vault already");
	if (rc == 0 && d->group_count + d->recovery_count >= DOMAIN_MAX_KEYS)
		rc = err_set(err, ERR_LIMIT,
			"a vault has at most %d recovery and drill keys together", DOMAIN_MAX_KEYS);
	if (rc == 0)
		rc = put_slots(v, root, rk_sk, rk_pk, err);
	if (rc != 0)
		return rc;
	memcpy(d->recovery_pk[d->recovery_count++], rk_pk, 32);
	return vault_sign_config(v, root, err);
}

/* Invariant 2: with the config in memory as it will be. */
static int check_envelopes(struct vault *v, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct err why = ERR_INIT;
	size_t without = 0;
	int rc = snapshot_list(v, NULL, NULL, &list, &why);
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		without += snapshot_check_envelopes(v, &list.at[i], NULL) != 0;
	snapshot_list_done(&list);
	if (rc != 0)
		err_set(err, ERR_FAILED, "not every snapshot can be asked for its envelopes: %s",
			why.msg);
	else if (without > 0)
		err_set(err, ERR_FAILED,
			"%zu snapshot%s no envelope for another recovery key and could not be "
			"opened any more",
			without, without == 1 ? " has" : "s have");
	else
		return 0;
	return err_hint(err, "run 'holdfast key rewrap' first; 'holdfast verify' names what is "
			     "damaged");
}

int recovery_keys_retire(
	struct vault *v, const struct keyring_root *root, const uint8_t rkid[32], struct err *err)
{
	struct domain *d = &v->domain;
	size_t at = find_key(d, rkid);
	uint8_t rk_pk[32];
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = check_signer(v, root, err);
	if (rc == 0 && at == SIZE_MAX)
		rc = err_set(err, ERR_NOT_FOUND, "the vault has no such recovery key");
	if (rc == 0 && memcmp(d->recovery_pk[at], root->rk_pk, 32) == 0) {
		err_set(err, ERR_USAGE, "a recovery key does not retire itself");
		rc = err_hint(err, "open the vault with the one that stays: --recovery-file");
	}
	if (rc != 0)
		return rc;
	memcpy(rk_pk, d->recovery_pk[at], 32);
	d->recovery_count--;
	memmove(d->recovery_pk[at], d->recovery_pk[at + 1], (d->recovery_count - at) * 32);
	rc = check_envelopes(v, err);
	if (rc == 0)
		return vault_sign_config(v, root, err);
	memmove(d->recovery_pk[at + 1], d->recovery_pk[at], (d->recovery_count - at) * 32);
	memcpy(d->recovery_pk[at], rk_pk, 32); /* as it was */
	d->recovery_count++;
	return rc;
}
