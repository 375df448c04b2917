/*
 * header_loss: what can be said of a vault whose header cannot be had (docs/FORMAT.md section 7):
 * reading needs nothing that only the header tells.
 */
#ifndef VAULT_HEADER_LOSS_H
#define VAULT_HEADER_LOSS_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store;
struct vault;

/* True if ${rc}, of finding or reading the header, is its loss, and no answer about the vault. */
bool header_loss_is(int rc);

/**
 * header_loss_id(store, out, err):
 * The vault's id from the key slots.  Return 0, or -ERR_NOT_FOUND: there is no snapshot on the
 * store (an init that broke off looks the same), no whole slot, or slots of several vaults.
 */
int header_loss_id(struct store *store, uint8_t out[16], struct err *err);

/* Do the vault's keys open something else of it: its config, or a snapshot object?  Return 0,
 * -ERR_NOT_FOUND, or why the store cannot be listed. */
int header_loss_prove(struct vault *v, struct err *err);

#endif
