/*
 * rotate: a new epoch of the vault key and of the domain's keys, for stand-alone use
 * (docs/FORMAT.md section 7, "Rotation").
 */
#ifndef VAULT_ROTATE_H
#define VAULT_ROTATE_H

struct err;
struct keyring_root;
struct keyring_writer;
struct vault;

/**
 * rotate_vault(v, root, writer, err):
 * Begin the next epoch: slots for every recovery key, the header, and a config in which every
 * writer key made before is revoked and a new one stands; ${v} is at the new epoch then.
 * ${writer} is the new writer key.  Broken off at any point the vault is whole at the old epoch or
 * at the new one, and the call may be repeated.
 * Return 0, -ERR_AUTH (a recovery key that was retired), -ERR_UNSUPPORTED (the vault is written
 * to through a controller), -ERR_CORRUPT (no readable config, or a slot reads back different),
 * -ERR_LIMIT (VAULT_MAX_EPOCHS), as vault_check_writable() or as the store.
 */
int rotate_vault(struct vault *v, const struct keyring_root *root, struct keyring_writer *writer,
	struct err *err);

#endif
