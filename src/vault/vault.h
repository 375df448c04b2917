/*
 * vault: an opened hf1 vault: keys, header and config of one store.
 * The rest of an opened vault has doors of its own: fetch.h (records), snapshot.h (snapshots),
 * session.h (writing), verify.h.  No network, no agent.
 * Threading: one thread.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/domain.h"
#include "vault/keyring.h"
#include "vault/sealed.h"

struct err;
struct store;
struct vault;

/* True if the store holds a vault header; no keys needed. */
int vault_is_there(struct store *store, bool *out, struct err *err);

/**
 * vault_peek_id(store, out, err):
 * Read the vault's id from its header, or when that is lost from its key slots, unchecked: it only
 * says which keys to look for.
 * Return 0, -ERR_NOT_FOUND (no vault here), -ERR_CORRUPT or -ERR_UNSUPPORTED.
 */
int vault_peek_id(struct store *store, uint8_t out[16], struct err *err);

#define VAULT_MAX_EPOCHS 64 /* of the vault key */

/* What opens a vault. */
struct vault_keys {
	uint8_t vault_id[16];
	uint32_t kv_epoch;
	uint8_t k_vault[32];
	/* Of earlier epochs, as far as they are known; what is missing the store's HFKP slots give.
	 */
	struct {
		uint32_t epoch;
		uint8_t k_vault[32];
	} older[VAULT_MAX_EPOCHS];
	size_t older_count;
	bool has_officer;       /* then configs must be signed by it */
	bool is_officer_unsure; /* one that is signed by another is then as good as gone */
	uint8_t officer_pk[32];
};

void vault_keys_of_writer(const struct keyring_writer *w, struct vault_keys *out);

/**
 * vault_keys_of_recovery(store, rk_sk, root, out, err):
 * Open the HFKV slots of the recovery key on the store, take the one of the epoch that the header
 * tells (without a header: the newest), and fill ${root} as recovery_keys_root() does.  Return 0,
 * -ERR_NOT_FOUND (no vault), -ERR_AUTH (no slot for this key) or -ERR_CORRUPT.
 */
int vault_keys_of_recovery(struct store *store, const uint8_t rk_sk[32], struct keyring_root *root,
	struct vault_keys *out, struct err *err);

/**
 * vault_open(store, keys, out, err):
 * ${store} is borrowed until vault_close().  Checks the header's HMAC and the newest config.  A
 * damaged config object is passed over here (verify names it); without any the vault opens with
 * vault_domain()->epoch 0, so that a stranger can still restore.  A vault whose header is damaged
 * or gone opens for reading when the keys open anything else of it; see vault_no_header(). Return
 * 0, -ERR_NOT_FOUND (no vault here), -ERR_AUTH (keys of another vault, or of an epoch that is
 * over), -ERR_ROLLBACK (the store knows an older epoch only), -ERR_CORRUPT or -ERR_UNSUPPORTED.
 */
int vault_open(
	struct store *store, const struct vault_keys *keys, struct vault **out, struct err *err);
void vault_close(struct vault *v);

/* Why the vault's header cannot be had, or NULL when it is whole.  Without it nothing is written:
 * begin of a session and vault_add_*() answer -ERR_CORRUPT. */
const struct err *vault_no_header(const struct vault *v);

/* Keep the index in ${dir} (this vault's alone) from one run to the next: index_cache.h.  Return 0
 * or -ERR_NOMEM. */
int vault_set_cache(struct vault *v, const char *dir, struct err *err);

struct store *vault_store(struct vault *v);
const struct sealed_key *vault_sealed_key(const struct vault *v);
const struct domain *vault_domain(const struct vault *v);
const uint8_t *vault_id(const struct vault *v); /* 16 bytes */

/**
 * vault_add_writer(v, root, kv, out, err):
 * Make a new writer identity for stand-alone use: a new signing key under the derived agent id, in
 * a new config epoch signed by the officer key.  ${out} is the writer key file's content.
 */
int vault_add_writer(struct vault *v, const struct keyring_root *root, struct keyring_writer *out,
	struct err *err);

/**
 * vault_add_group(v, root, name, dk_sk, err):
 * Add a drill group [a-z0-9-]+ with a new key pair, in a new config epoch signed by the officer
 * key.  Snapshots made from now on can be opened with ${dk_sk}.
 * Return 0, -ERR_EXISTS (the name is taken), -ERR_USAGE (no such name possible) or -ERR_LIMIT.
 */
int vault_add_group(struct vault *v, const struct keyring_root *root, const char *name,
	uint8_t dk_sk[32], struct err *err);

/* Keep a recovery file (HFBG slot, ${len} bytes) in the vault as well.  Return as store_put(). */
int vault_add_recovery(struct vault *v, const void *slot, size_t len, struct err *err);

#endif
