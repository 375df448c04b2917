/*
 * repair: damaged and lost objects of a store brought back: from parity, from another copy of the
 * store, made anew where they can be; and of packs beyond that the good records saved and the rest
 * named (docs/FORMAT.md section 10.4).  Without K_vault everything that hashes to its name is found
 * and parity and copies help; with it packs are salvaged, the index made anew and losses named.
 * Threading: one thread.  A collection that runs meanwhile must be held off (hold.h).
 */
#ifndef VAULT_REPAIR_H
#define VAULT_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;
struct vault;

#define REPAIR_WHY_BYTES 256

enum repair_state {
	REPAIR_OPEN, /* nothing helped: as it was */
	REPAIR_FROM_PARITY,
	REPAIR_FROM_COPY,
	REPAIR_REMADE,    /* a text, an index segment: made anew */
	REPAIR_SALVAGED,  /* a pack: good records saved, the rest set aside */
	REPAIR_SET_ASIDE, /* a parity object that nothing can make again */
	REPAIR_REPLACED,  /* a lost pack: what is needed of it is in other packs */
};

struct repair_object {
	char name[STORE_MAX_NAME_BYTES + 1];
	uint64_t size;   /* on the store */
	bool is_lost;    /* it is not there; false: it is there and damaged */
	bool is_covered; /* by parity */
	bool is_unread;  /* a pack: some of it could not be looked at this time; it stays */
	enum repair_state state;
	uint64_t saved, lost; /* records, of a pack that was salvaged */
	char why[REPAIR_WHY_BYTES];
};

/* What a snapshot lost. */
struct repair_loss {
	const char *object; /* name of its sn/ object */
	const uint8_t *snap_hash;
	const char *path; /* of a file, escaped; NULL: of the snapshot as a whole */
	const char *what;
};

struct repair_opts {
	struct store *const *copies; /* stores that may have the objects; read only */
	size_t copy_count;
	bool is_dry_run;
	bool gives_up;     /* parity that only waits for what cannot be repaired may go */
	const uint8_t *sk; /* recovery or drill key: name lost files; NULL = snapshots only */
	void *arg;
	/* Told once of each object that is damaged or lost, when its state is final. */
	void (*on_object)(void *arg, const struct repair_object *o);
	void (*on_loss)(void *arg, const struct repair_loss *l);
	/* OPTIONAL progress: bytes checked of bytes in all. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total);
	/* OPTIONAL: return true to stop early (-ERR_INTERRUPTED). */
	bool (*is_stopped)(void *arg);
};

struct repair_result {
	uint64_t objects, bytes; /* looked at */
	uint64_t resumed;        /* writes of an earlier run carried out */
	uint64_t damaged, lost;  /* objects */
	uint64_t from_parity, from_copy, remade, salvaged, set_aside, replaced, open;
	uint64_t records_saved, records_lost; /* of salvaged packs */
	uint64_t packs_listed;                /* that no index segment listed */
	uint64_t packs_fetched;               /* from a copy, for records that are nowhere else */
	uint64_t records_taken; /* out of packs that collection has condemned or buried */
	uint64_t snapshots_hurt, files_hurt;
	uint64_t parity_held; /* groups that stay for what cannot be repaired yet */
};

/**
 * repair_run(store, v, opts, out, err):
 * ${v} is a vault opened on ${store}, or NULL.  Broken off at any point, the next run carries on.
 * Return 0 when it could run to the end (look at out->open and out->snapshots_hurt), or an error
 * that stopped it.
 */
int repair_run(struct store *store, struct vault *v, const struct repair_opts *opts,
	struct repair_result *out, struct err *err);

#endif
