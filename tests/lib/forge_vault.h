/*
 * forge_vault: a vault in memory with three snapshots, and the means to forge it: whoever has a key
 * can seal and sign with it, and anybody with the store can put and remove what he likes.
 */
#ifndef TESTS_LIB_FORGE_VAULT_H
#define TESTS_LIB_FORGE_VAULT_H

#include "tests/lib/plant_model.h"
#include "vault/sealed.h"
#include "vault/snapshot.h"

/* A copy of the vault that is forged now. */
struct forge_vault {
	struct plant_model plant; /* keys; host memory of the newest snapshot */
	struct store_mem *mem;
	struct store *store;
	struct sealed_key key; /* of K_vault */
	struct vault *vault;   /* opened before anything was forged */
	struct snapshot_list list;
	struct snapshot *newest;       /* of list */
	struct snapshot_opened opened; /* the newest, by who has the recovery key or wrote it */
	struct store_mem *before;      /* the store before the newest snapshot; borrowed */
};

/* Make the vault, once.  Ends the program on failure, as all that follows. */
void forge_vault_prepare(uint64_t seed);
void forge_vault_end(void);
/* A fresh copy. */
void forge_vault_begin(struct forge_vault *w);
void forge_vault_done(struct forge_vault *w);
/* A copy of the store as it was before the newest snapshot, with the same keys. */
void forge_vault_go_back(struct forge_vault *w);

void forge_vault_remove(struct forge_vault *w, const char *name);
/* Remove every object whose name begins with ${prefix}. */
void forge_vault_remove_all(struct forge_vault *w, const char *prefix);
void forge_vault_put(struct forge_vault *w, const char *name, const void *data, size_t len);
/* Put it as <prefix><SHA-256>. */
void forge_vault_put_hashed(
	struct forge_vault *w, const char *prefix, const void *data, size_t len, uint8_t hash[32]);
/* Seal with ${key} and put it as <prefix><SHA-256>. */
void forge_vault_seal(struct forge_vault *w, const struct sealed_key *key, enum sealed_kind kind,
	const char *prefix, const void *body, size_t len, uint8_t hash[32]);
/* The name of the first object with the prefix. */
void forge_vault_first(struct forge_vault *w, const char *prefix, char name[256]);

/* What is done to the newest snapshot. */
struct forge_vault_remake {
	/* change the record, or the body around it; either may be NULL */
	void (*record)(struct snaprec *r, const struct forge_vault *w);
	void (*body)(struct snapshot_body *b, const struct forge_vault *w);
	const uint8_t *ik_seed; /* sign with it; NULL: the old signature stays */
	bool has_new_envelopes; /* for the new record */
	const uint8_t *rk_pk;   /* whose recovery envelope; NULL: the vault's */
	bool is_drill_only;     /* no recovery envelope at all */
	const struct ref *root; /* what the envelopes hold; NULL: the true root */
	bool is_beside;         /* the old one stays */
	int64_t receipt_ms_off; /* of the name, to that of the body */
};
void forge_vault_remake(struct forge_vault *w, const struct forge_vault_remake *how);

#endif
