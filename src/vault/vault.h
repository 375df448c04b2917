/*
 * vault: an opened hf1 vault: header, config, index and snapshots of one store.
 * Knows: read order, names on the store, which objects a snapshot needs.  No network, no agent.
 * Threading: one thread.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/domain.h"
#include "vault/keyring.h"
#include "vault/record_io.h"
#include "vault/sealed.h"
#include "vault/snaprec.h"

struct err;
struct store;
struct vault;

struct vault_init_opts {
	const void *pass; /* passphrase of the recovery file */
	size_t pass_len;
	bool put_recovery_on_store; /* HFBG into ks/ */
	unsigned scrypt_log2n;      /* SLOT_SCRYPT_LOG2N; tests use less */
	const char *drill_group;    /* NULL = no drill group */
};

struct vault_init_result {
	struct keyring_writer writer;
	uint8_t hfbg[121]; /* the recovery file */
	uint8_t dk_sk[32]; /* set when a drill group was asked for */
};

/**
 * vault_init(store, opts, out, err):
 * Make a vault in an empty store: README.txt, FORMAT.txt, HFKV slot (re-read and recomputed before
 * this returns), header, config epoch 1.  Probes the store for read-after-write of put, get, list.
 * Return 0 or -ERR_EXISTS (there is a vault, or foreign objects, already).
 */
int vault_init(struct store *store, const struct vault_init_opts *opts,
	struct vault_init_result *out, struct err *err);

/* True if the store holds a vault header; no keys needed. */
int vault_is_there(struct store *store, bool *out, struct err *err);

/* What a caller may know of the vault's keys. */
struct vault_keys {
	uint8_t vault_id[16];
	uint32_t kv_epoch;
	uint8_t k_vault[32];
	bool has_officer; /* then configs must be signed by it */
	uint8_t officer_pk[32];
};

void vault_keys_of_writer(const struct keyring_writer *w, struct vault_keys *out);

/**
 * vault_keys_of_recovery(store, rk_sk, root, out, err):
 * Find the HFKV slot of the recovery key on the store and open it.  Return 0, -ERR_NOT_FOUND (no
 * vault), -ERR_AUTH (no slot for this key) or -ERR_CORRUPT.
 */
int vault_keys_of_recovery(struct store *store, const uint8_t rk_sk[32], struct keyring_root *root,
	struct vault_keys *out, struct err *err);

/**
 * vault_open(store, keys, out, err):
 * ${store} is borrowed until vault_close().  Checks header HMAC, newest config, and that nothing
 * is newer than we understand.  The index is loaded at first use.
 * Return 0, -ERR_NOT_FOUND (no vault here), -ERR_AUTH (keys of another vault), -ERR_CORRUPT,
 * -ERR_ROLLBACK or -ERR_UNSUPPORTED.
 */
int vault_open(
	struct store *store, const struct vault_keys *keys, struct vault **out, struct err *err);
void vault_close(struct vault *v);

struct store *vault_store(struct vault *v);
const struct sealed_key *vault_sealed_key(const struct vault *v);
const struct domain *vault_domain(const struct vault *v);
const uint8_t *vault_id(const struct vault *v); /* 16 bytes */

/* A snapshot as listed: verified record (signature by a known identity), receipt, label. */
struct vault_snapshot {
	char object[128]; /* name on the store */
	uint8_t raw[SNAPREC_BYTES];
	struct snaprec record;
	uint8_t hash[32]; /* snap_hash; its hex is the snapshot's id for people */
	int64_t receipt_ns;
	uint8_t session[16];
	char ev_object[128];
	/* label (docs/FORMAT.md section 5); empty strings when absent */
	char source[256];
	char host[256];
	char **paths;                            /* NULL-terminated, owned by the list */
	char **tags;                             /* NULL-terminated, owned by the list */
	uint64_t files, dirs, others, new_bytes; /* counts at capture; new_bytes = sealed, stored */
	uint8_t label_hash[32];
	uint32_t segment_count;
	void *segments; /* internal */
	bool is_forked; /* another snapshot has the same seq */
};

struct vault_snapshots {
	struct vault_snapshot *at; /* ascending by receipt time, then seq */
	size_t count;
};

/* List all snapshots; each damaged one stops with -ERR_CORRUPT and its name. */
int vault_snapshots(struct vault *v, struct vault_snapshots *out, struct err *err);
void vault_snapshots_done(struct vault_snapshots *s);

/* Reload the index (after a 404). Loaded by itself at first use otherwise. */
int vault_load_index(struct vault *v, struct err *err);

/**
 * vault_get_record(v, id, cr, err):
 * Append the whole record, its SHA-256 checked against ${id}; tries every place.  Keeps the packs'
 * parts it read in a bounded cache.  Return 0, -ERR_NOT_FOUND or -ERR_CORRUPT.
 */
int vault_get_record(struct vault *v, const uint8_t id[32], struct buf *cr, struct err *err);

/* A record source over the vault (opens records; needs refs, no key).  Borrowed until close. */
const struct record_source *vault_source(struct vault *v);

/* An opened snapshot: envelopes checked, root read. */
struct vault_opened {
	struct ref root_ref;
	struct root *root;        /* owned */
	int recipient;            /* enum snaprec_recipient of the key that opened it */
	size_t envelopes;         /* how many there are */
	bool recovery_recomputed; /* the recovery envelope was recomputed and is equal */
};

/**
 * vault_snapshot_open(v, snap, sk, out, err):
 * Open the envelope of ${sk} (recovery or drill secret key), recompute every other envelope whose
 * public key the config knows, check root_commit, read the root, check the label.
 * Return 0, -ERR_AUTH (no envelope for this key), -ERR_CORRUPT.
 */
int vault_snapshot_open(struct vault *v, const struct vault_snapshot *snap, const uint8_t sk[32],
	struct vault_opened *out, struct err *err);
void vault_opened_done(struct vault_opened *o);

/* Walk the reference list of a snapshot (segments checked against the record). */
int vault_snapshot_refs(struct vault *v, const struct vault_snapshot *snap, snaprec_ref_fn fn,
	void *arg, struct err *err);

#endif
