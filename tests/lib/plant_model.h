/*
 * plant_model: a plant of some files that change, its vault, and what must be true of it: an
 * in-memory model of every snapshot that was acknowledged or may have been made.
 * Steps: backup, prune, collect, restore; between them the model is compared with the vault, which
 * is opened with nothing but the recovery key.
 * Clock and randomness are fakes that depend on the seed alone.  One plant at a time.
 */
#ifndef TESTS_LIB_PLANT_MODEL_H
#define TESTS_LIB_PLANT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_sights.h"

#define PLANT_FILES 12
#define PLANT_SNAPSHOTS 24
#define PLANT_MAYBES 16

struct plant_file {
	bool is_there;
	uint32_t from, len; /* bytes of the pool */
	uint32_t hole;
	int64_t mtime_s;
};

struct plant_state {
	struct plant_file at[PLANT_FILES];
};

struct plant_snapshot {
	uint8_t hash[32];
	struct plant_state state;
	bool is_going; /* a prune that did not succeed may have taken it */
};

struct plant_model {
	struct vault_fixture f;                       /* store, keys, host memory */
	struct plant_state now;                       /* the files */
	struct plant_snapshot snaps[PLANT_SNAPSHOTS]; /* acknowledged, oldest first */
	size_t snap_count;
	struct plant_state maybes[PLANT_MAYBES]; /* backups that failed: perhaps there */
	size_t maybe_count;
	uint64_t adopted; /* of those: were there */
	struct collect_sights sights;
	int64_t fence_ns, grace_ns; /* of collections; 0: no patience */
	uint64_t row;               /* of the changes */
	uint64_t max_bytes;         /* of a file */
};

/* Begin faking the clock and randomness by ${seed}; the operations, for who puts more on top. */
const struct env_ops *plant_model_env(uint64_t seed);
/* Let ${ns} pass. */
void plant_model_pass(int64_t ns);

/* Make a vault in ${store} (borrowed).  Ends the program when that fails. */
void plant_model_init(struct plant_model *p, uint64_t seed, struct store *store);
void plant_model_done(struct plant_model *p);
/* Go on with the vault in another store, as another process would: nothing is remembered. */
void plant_model_move(struct plant_model *p, struct store *store);

/* Change, add or remove some files. */
void plant_model_change(struct plant_model *p);

/* Each returns what the vault says, and keeps the model. */
int plant_model_backup(struct plant_model *p, struct err *err);
/* All but the newest ${keep}. */
int plant_model_prune(struct plant_model *p, size_t keep, struct err *err);
/* What is not needed goes at once when there is no grace and no patience. */
int plant_model_collect(struct plant_model *p, struct err *err);
/* The newest snapshot into the directory ${dirfd}.  -ERR_FAILED when some of it was left out,
 * -ERR_CORRUPT when it differs from the model without an error. */
int plant_model_restore(struct plant_model *p, int dirfd, struct err *err);

/* How closely the vault is looked at; together with '|'. */
enum plant_model_look {
	PLANT_MODEL_LISTED = 0,        /* what is there; the newest and the unknown are compared */
	PLANT_MODEL_COMPARED = 1 << 0, /* every snapshot is, to the byte */
	PLANT_MODEL_VERIFIED = 1 << 1, /* verify with content finds nothing */
};

/**
 * plant_model_check(p, store, look):
 * Compare ${store} with the model: it opens, every acknowledged snapshot is there, signed and
 * restores to the byte as far as ${look} says, what else is there is a backup that failed after its
 * commit point.  When ${store} is the plant's own, snapshots of failed backups that are there
 * become acknowledged ones, and those that a failed prune took are forgotten.  Return NULL or what
 * is wrong (until the next call).
 */
const char *plant_model_check(struct plant_model *p, struct store *store, unsigned look);

#endif
