/*
 * epoch: the vault keys of earlier epochs, which open what was sealed then (docs/FORMAT.md
 * section 7, "Rotation").
 */
#ifndef VAULT_EPOCH_H
#define VAULT_EPOCH_H

#include <stdint.h>

struct err;
struct sealed_key;
struct store;
struct vault_keys;

/**
 * epoch_load(store, keys, newest, err):
 * Fill newest->older with the keys of all epochs before ${newest}: those that ${keys} brings, else
 * what the HFKP slots on the store open, one from the other.  A link that is damaged or missing
 * ends the chain: what was sealed before it cannot be opened then.  Owned by ${newest} until
 * epoch_forget().  Return 0, -ERR_NOMEM or why the store cannot be listed.
 */
int epoch_load(struct store *store, const struct vault_keys *keys, struct sealed_key *newest,
	struct err *err);
void epoch_forget(struct sealed_key *newest);

/* Make ${k_vault} of the next epoch the newest key; the one before becomes its older one. */
int epoch_push(struct sealed_key *newest, const uint8_t k_vault[32], struct err *err);

#endif
