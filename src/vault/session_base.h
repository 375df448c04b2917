/*
 * session_base: what a session builds on: the newest snapshot of its source, also when objects of
 * snapshots cannot be read (docs/FORMAT.md section 8, "Snapshots that cannot be read").
 */
#ifndef VAULT_SESSION_BASE_H
#define VAULT_SESSION_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include "vault/snapshot.h"

struct err;
struct id_set;
struct vault;

/* What the host of the session remembers of the source's newest snapshot; seq 0 = nothing. */
struct session_base_memory {
	uint64_t seq;
	uint8_t hash[32];
};

/* The sn/ objects as they were seen once. */
struct session_base_sight {
	struct snapshot_list list; /* those that can be read; owned */
	struct id_set *names;      /* SHA-256 of the name of every object, readable or not; owned */
	uint64_t unreadable;
};

struct session_base {
	bool is_there;
	uint64_t seq;
	uint8_t hash[32];
	const struct snapshot
		*snapshot; /* borrowed from the sight; NULL: cannot be read, or none */
};

/* Look at every sn/ object.  Return 0, -ERR_ROLLBACK (a snapshot knows a newer config than the
 * store), or an error that is no object's own. */
int session_base_look(struct vault *v, struct session_base_sight *out, struct err *err);
void session_base_forget(struct session_base_sight *s);

/**
 * session_base_find(v, sight, agent_id, source_id, memory, out, err):
 * The source's newest snapshot: the newest that can be read, or the remembered one when it is newer
 * and among the objects that cannot.  Return 0, -ERR_FORK (two carry the newest number) or
 * -ERR_ROLLBACK (the store shows less than is remembered, or its newest is one that nobody here
 * can name).
 */
int session_base_find(struct vault *v, const struct session_base_sight *sight,
	const uint8_t agent_id[16], const uint8_t source_id[16],
	const struct session_base_memory *memory, struct session_base *out, struct err *err);

/* Look again: did a snapshot of the source come behind ${base} since ${sight}?  Return 0 or
 * -ERR_BUSY. */
int session_base_check(struct vault *v, const struct session_base_sight *sight,
	const struct session_base *base, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct err *err);

#endif
