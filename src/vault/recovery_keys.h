/*
 * recovery_keys: more than one recovery key of a vault: what stand-alone use derives from the first
 * found by a further one, a further one made, one retired (docs/FORMAT.md section 1).
 */
#ifndef VAULT_RECOVERY_KEYS_H
#define VAULT_RECOVERY_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct keyring_root;
struct store;
struct vault;

/**
 * recovery_keys_root(store, vault_id, rk_sk, root, is_unsure, err):
 * Fill ${root} from the HFKR slot of this key, or when it has none derive it: it is the first.
 * *${is_unsure}: none opened, and one that may be this key's cannot be read: what was derived is
 * the vault's only if this is the first.  Return 0 or why the store cannot be listed.
 */
int recovery_keys_root(struct store *store, const uint8_t vault_id[16], const uint8_t rk_sk[32],
	struct keyring_root *root, bool *is_unsure, struct err *err);

/**
 * recovery_keys_add(v, root, rk_sk, err):
 * Make ${rk_sk} a recovery key of the vault: slots, then the config, signed by ${root}.  Snapshots
 * that are there get their envelopes by rewrap_run().  Broken off, it may be repeated with the same
 * key.  Return 0, -ERR_EXISTS (it is one already), -ERR_LIMIT, -ERR_AUTH (${root} may not sign) or
 * as vault_sign_config().
 */
int recovery_keys_add(
	struct vault *v, const struct keyring_root *root, const uint8_t rk_sk[32], struct err *err);

/**
 * recovery_keys_retire(v, root, rkid, err):
 * Take the key whose id is ${rkid} out of the config.  Return 0, -ERR_NOT_FOUND (the config has no
 * such key), -ERR_USAGE (it is the one that signs), -ERR_FAILED (a snapshot has no envelope for
 * another one, or cannot be asked) or as vault_sign_config().
 */
int recovery_keys_retire(
	struct vault *v, const struct keyring_root *root, const uint8_t rkid[32], struct err *err);

#endif
