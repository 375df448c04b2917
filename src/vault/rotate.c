#include "vault/rotate.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/epoch.h"
#include "vault/slot.h"
#include "vault/vault_header.h"
#include "vault/vault_internal.h"

/*
 * slots | BARRIER | read back | header | BARRIER | config | BARRIER
 *
 * INVARIANTS
 * (1) No header tells an epoch before the slots of every recovery key, and the slot that leads to
 *     the epoch before, are on the store and open.
 */

/* A writer of a controller's vault would go on with keys that are not made here. */
static int check_stand_alone(
	const struct vault *v, const struct keyring_root *root, struct err *err)
{
	const struct domain *d = &v->domain;
	if (d->epoch == 0)
		return err_set(err, ERR_CORRUPT,
			"the vault has no readable config: put its cf/ object back first");
	bool is_alone =
		d->officer_count == 1 && memcmp(d->officer_pk[0], root->officer_pk, 32) == 0;
	for (size_t i = 0; i < d->agent_count; i++)
		is_alone &= d->agents[i].is_revoked ||
			    memcmp(d->agents[i].agent_id, root->agent_id, 16) == 0;
	if (is_alone)
		return 0;
	err_set(err, ERR_UNSUPPORTED,
		"agents of a controller write to this vault: its keys are not changed here");
	return err_hint(err, "revoke single agents with 'holdfast agent revoke'; a new vault gets "
			     "new keys");
}

struct search {
	const struct vault *v;
	const struct keyring_root *root;
	uint8_t *k_vault;
	bool is_found;
};

/* The key of a rotation that broke off before its header serves the next one. */
static int see_slot(void *arg, const char *name, uint64_t size)
{
	struct search *s = arg;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	uint8_t id[16];
	uint8_t k[32];
	uint32_t epoch;
	if (size != SLOT_HFKV_BYTES || s->is_found ||
		vault_get_hashed(s->v->store, name, &raw, NULL) != 0 ||
		slot_hfkv_open(raw.data, raw.len, s->root->rk_sk, id, &epoch, k, NULL) != 0)
		return 0;
	if (epoch == s->v->key.kv_epoch + 1 && memcmp(id, s->v->key.vault_id, sizeof(id)) == 0) {
		memcpy(s->k_vault, k, sizeof(k));
		s->is_found = true;
	}
	secret_wipe(k, sizeof(k));
	return 0;
}

static int choose_key(const struct vault *v, const struct keyring_root *root, uint8_t k_vault[32],
	struct err *err)
{
	struct search s = { .v = v, .root = root, .k_vault = k_vault };
	int rc = store_list(v->store, "ks/", see_slot, &s, err);
	return rc != 0 || s.is_found ? rc : env_random(k_vault, 32, err);
}

static int put_slots(const struct vault *v, const uint8_t k_vault[32], struct err *err)
{
	const struct sealed_key *k = &v->key;
	uint8_t hfkp[SLOT_HFKP_BYTES];
	uint8_t hfkv[SLOT_HFKV_BYTES];
	int rc = 0;
	/* invariant 1; first what a next try goes on with: choose_key() */
	for (size_t i = 0; rc == 0 && i < v->domain.recovery_count; i++) {
		rc = slot_hfkv_seal(
			k->vault_id, k->kv_epoch + 1, k_vault, v->domain.recovery_pk[i], hfkv, err);
		if (rc == 0)
			rc = vault_put_slot_checked(v->store, hfkv, sizeof(hfkv), err);
	}
	if (rc == 0)
		rc = slot_hfkp_seal(k->vault_id, k->kv_epoch + 1, k_vault, k->k_vault, hfkp, err);
	return rc != 0 ? rc : vault_put_slot_checked(v->store, hfkp, sizeof(hfkp), err);
}

int rotate_vault(struct vault *v, const struct keyring_root *root, struct keyring_writer *writer,
	struct err *err)
{
	uint8_t k_vault[32];
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = check_stand_alone(v, root, err);
	if (rc == 0) /* now: when the header is put it is too late */
		rc = vault_check_signer(v, root, err);
	if (rc == 0 && v->key.kv_epoch >= VAULT_MAX_EPOCHS)
		rc = err_set(err, ERR_LIMIT, "a vault has at most %d key epochs", VAULT_MAX_EPOCHS);
	if (rc == 0)
		rc = choose_key(v, root, k_vault, err);
	if (rc == 0)
		rc = put_slots(v, k_vault, err);
	if (rc == 0)
		rc = epoch_push(&v->key, k_vault, err);
	if (rc == 0) {
		v->head.generation++;
		v->head.kv_epoch = v->key.kv_epoch;
		v->head.incompat |= VAULT_HEADER_EPOCHS;
		rc = vault_put_header(v, err);
	}
	secret_wipe(k_vault, sizeof(k_vault));
	for (size_t i = 0; rc == 0 && i < v->domain.agent_count; i++)
		v->domain.agents[i].is_revoked = true;
	return rc != 0 ? rc : vault_add_writer(v, root, writer, err);
}
