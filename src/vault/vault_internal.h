/*
 * vault_internal: what the doors of an opened vault share.  Never leaves src/vault.
 */
#ifndef VAULT_VAULT_INTERNAL_H
#define VAULT_VAULT_INTERNAL_H

#include "base/err.h"
#include "vault/vault.h"
#include "vault/vault_header.h"

struct buf;
struct rewrap;

#define VAULT_NAME_BYTES 128

struct vault {
	struct store *store;      /* borrowed */
	struct sealed_key key;    /* its older ones are owned: epoch.h */
	struct vault_header head; /* as it was read, or put last */
	struct domain domain;     /* epoch 0 = no config was readable */
	struct err header;        /* why the header cannot be had; code 0 = it is whole */
	uint64_t ro_compat;       /* of the header: a bit we do not know forbids writing */
	char *cache_dir;          /* owned; NULL = nothing is kept on this host */
	struct rewrap *rewrap;    /* owned; what rw/ holds, when somebody asked */
};

/* May this version write to the vault?  Return 0, -ERR_UNSUPPORTED (the header asks for a newer
 * version to write) or -ERR_CORRUPT (without a header nobody knows what it asks for). */
int vault_check_writable(const struct vault *v, struct err *err);

/* Give the config in memory a new drill group; errors as vault_add_group(). */
int vault_make_group(struct vault *v, const char *name, uint8_t dk_sk[32], struct err *err);

/* Put v->head as the vault's header, durably. */
int vault_put_header(struct vault *v, struct err *err);

/* Put a key slot as ks/<hash>; its name goes to ${name}. */
int vault_put_slot(struct store *store, const void *slot, size_t len, char name[VAULT_NAME_BYTES],
	struct err *err);
/* The same, durably, and read back: -ERR_CORRUPT when other bytes come. */
int vault_put_slot_checked(struct store *store, const uint8_t *slot, size_t len, struct err *err);

/* May this recovery key change anything: does the config in memory list it?  Return 0 or -ERR_AUTH.
 */
int vault_check_signer(const struct vault *v, const struct keyring_root *root, struct err *err);

/* Sign the config in memory as the next epoch, by the recovery key ${root}, and make it durable.
 * Return 0, -ERR_AUTH (the key was retired, or is no officer's), as vault_check_writable() or as
 * the store. */
int vault_sign_config(struct vault *v, const struct keyring_root *root, struct err *err);

/* Does the object's name begin with ${prefix}, a class or a text? */
bool vault_name_is_of(const char *name, const char *prefix);

/* Does ${rc} speak of the one object that was asked for, so that others may still be good? */
bool vault_is_object_loss(int rc);

/* Get one object whose name ends in its SHA-256, and check it.  ${out} is appended to; its limit
 * is that of the kind: a longer object is -ERR_CORRUPT. */
int vault_get_hashed(struct store *store, const char *name, struct buf *out, struct err *err);

/* The same from the medium: store_get_anew(). */
int vault_get_hashed_anew(struct store *store, const char *name, struct buf *out, struct err *err);

/* Get, check and unseal a hash-named object; append its body. */
int vault_get_sealed(struct vault *v, enum sealed_kind kind, const char *name, struct buf *body,
	struct err *err);

/* Seal and put an object as <prefix><hex>; store its name in ${name} and hash in ${hash} (may be
 * NULL). */
int vault_put_sealed(struct store *store, const struct sealed_key *key, enum sealed_kind kind,
	const char *prefix, const void *body, size_t len, char name[VAULT_NAME_BYTES],
	uint8_t hash[32], struct err *err);

#endif
