#include "vault/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/slot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Every key of a chain is one epoch older than the key that leads to it.
 */

#define LINKS_MAX (4 * VAULT_MAX_EPOCHS) /* broken-off rotations leave some */

struct links {
	struct store *store;
	uint8_t at[LINKS_MAX][SLOT_HFKP_BYTES];
	size_t count;
};

static int see_link(void *arg, const char *name, uint64_t size)
{
	struct links *l = arg;
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	if (size != SLOT_HFKP_BYTES || l->count == LINKS_MAX)
		return 0;
	if (vault_get_hashed(l->store, name, &raw, &why) != 0 || raw.len != SLOT_HFKP_BYTES) {
		log_debug("epoch.load", "slot=%s error=%s, continuing", name, why.msg);
		return 0; /* verify names it */
	}
	memcpy(l->at[l->count++], raw.data, SLOT_HFKP_BYTES);
	return 0;
}

/* The K_vault of the epoch before ${k}.  True and ${out}, or false. */
static bool find_before(const struct links *l, const struct vault_keys *keys,
	const struct sealed_key *k, uint8_t out[32])
{
	for (size_t i = 0; i < keys->older_count; i++) {
		if (keys->older[i].epoch == k->kv_epoch - 1) {
			memcpy(out, keys->older[i].k_vault, 32);
			return true;
		}
	}
	for (size_t i = 0; i < l->count; i++) {
		if (slot_hfkp_epoch(l->at[i]) == k->kv_epoch &&
			slot_hfkp_open(
				l->at[i], SLOT_HFKP_BYTES, k->vault_id, k->k_vault, out, NULL) == 0)
			return true;
	}
	return false;
}

int epoch_load(struct store *store, const struct vault_keys *keys, struct sealed_key *newest,
	struct err *err)
{
	if (newest->kv_epoch < 2)
		return 0;
	CLEANUP(cleanup_free_p) struct links *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->store = store;
	int rc = store_list(store, "ks/", see_link, l, err);
	struct sealed_key *at = newest;
	uint8_t k_vault[32];
	while (rc == 0 && at->kv_epoch > 1 && find_before(l, keys, at, k_vault)) {
		struct sealed_key *k = calloc(1, sizeof(*k));
		if (k == NULL) {
			rc = err_set(err, ERR_NOMEM, "out of memory");
			break;
		}
		sealed_key_init(k, at->vault_id, at->kv_epoch - 1, k_vault);
		at->older = k;
		at = k;
	}
	secret_wipe(k_vault, sizeof(k_vault));
	if (rc == 0 && at->kv_epoch > 1)
		log_warn("epoch.load", "the vault key of epoch %u cannot be found, continuing",
			at->kv_epoch - 1);
	return rc;
}

void epoch_forget(struct sealed_key *newest)
{
	struct sealed_key *k = (struct sealed_key *)(uintptr_t)newest->older; /* ours */
	while (k != NULL) {
		struct sealed_key *next = (struct sealed_key *)(uintptr_t)k->older; /* ours */
		secret_wipe(k, sizeof(*k));
		free(k);
		k = next;
	}
	newest->older = NULL;
}

int epoch_push(struct sealed_key *newest, const uint8_t k_vault[32], struct err *err)
{
	struct sealed_key *k = malloc(sizeof(*k));
	if (k == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*k = *newest;
	sealed_key_init(newest, k->vault_id, k->kv_epoch + 1, k_vault);
	newest->older = k;
	return 0;
}
