/*
 * vault_init: make a vault in an empty store.
 */
#ifndef VAULT_VAULT_INIT_H
#define VAULT_VAULT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/keyring.h"
#include "vault/slot.h"

struct err;
struct store;

#define VAULT_INIT_PROBE "tmp-probe" /* the object that vault_init_probe() puts and takes away */

struct vault_init_opts {
	const void *pass; /* passphrase of the recovery file */
	size_t pass_len;
	bool is_recovery_on_store; /* HFBG into ks/ too */
	unsigned scrypt_log2n;     /* SLOT_SCRYPT_LOG2N; tests use less */
	const char *drill_group;   /* NULL = no drill group */
};

struct vault_init_result {
	struct keyring_writer writer;
	uint8_t recovery[SLOT_HFBG_BYTES]; /* the recovery file */
	uint8_t dk_sk[32];                 /* set when a drill group was asked for */
};

/**
 * vault_init(store, opts, out, err):
 * Write README.txt, FORMAT.txt, the HFKV slot (read back and recomputed before this returns), the
 * header and config epoch 1.  Probes the store for read-after-write of put, get and list.
 * Return 0, or -ERR_EXISTS when the store holds a vault or anything else, also where it only keeps
 * what somebody deleted of one.
 */
int vault_init(struct store *store, const struct vault_init_opts *opts,
	struct vault_init_result *out, struct err *err);

/* Take a vault away that vault_init() just made and that holds nothing yet, the header first. Where
 * the store keeps versions those go that this made, and none that lay under the names before.  What
 * cannot be taken away stays: the next init says so. */
void vault_init_undo(struct store *store);

/* Does the store give read-after-write for put, get and list (docs/FORMAT.md section 8)?  Return 0,
 * -ERR_FAILED (it does not) or as the store; what was put for it is taken away again. */
int vault_init_probe(struct store *store, struct err *err);

/* Put README.txt and FORMAT.txt, or find them there as they are. */
int vault_init_texts(struct store *store, struct err *err);

#endif
