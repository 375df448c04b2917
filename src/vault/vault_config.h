/*
 * vault_config: the signed domain config as bytes: read off a vault, and a next epoch put on it by
 * who does not hold the officer's key (a controller).
 */
#ifndef VAULT_VAULT_CONFIG_H
#define VAULT_VAULT_CONFIG_H

#include <stddef.h>

struct buf;
struct err;
struct vault;

/* Append the newest config's signed body.  Return 0 or -ERR_NOT_FOUND (none is readable). */
int vault_config_get(struct vault *v, struct buf *out, struct err *err);

/**
 * vault_config_put(v, body, len, err):
 * Make ${body} durable as the newest config; vault_domain() is it from then on.  It must be the
 * next epoch of this domain, signed by an officer of the config before.  Return 0, -ERR_CORRUPT,
 * -ERR_AUTH (the signer), -ERR_BUSY (not the next epoch: another came first) or as store_put().
 */
int vault_config_put(struct vault *v, const void *body, size_t len, struct err *err);

#endif
