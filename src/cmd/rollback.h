/*
 * rollback: what this host has seen in a vault: the newest snapshot of every source.  A store that
 * shows less than that went back: replaced by an older copy, or cut.
 * Hides: the file "seen" in the vault's state directory.  Several processes may use it at once.
 *
 * The memory is loaded before the snapshots are listed: what it holds then was in the store before
 * the listing began, so that another process that makes a snapshot meanwhile, and remembers it, is
 * no store that went back.
 */
#ifndef CMD_ROLLBACK_H
#define CMD_ROLLBACK_H

#include "vault/snapshot.h"

struct err;

#define ROLLBACK_MAX_SOURCES 65536

struct rollback;

/**
 * rollback_load(dir, out, err):
 * Take what ${dir} remembers now; nothing remembered is fine.  Return 0, -ERR_CORRUPT (the memory
 * is damaged), -ERR_IO or -ERR_NOMEM.
 */
int rollback_load(const char *dir, struct rollback **out, struct err *err);
/* NULL is fine. */
void rollback_free(struct rollback *r);

/**
 * rollback_check(r, list, unreadable, err):
 * Compare a list that was made after rollback_load().  Up to ${unreadable} of the newest snapshots
 * may be missing from it, over all sources: as many objects cannot be read.
 * Return 0 or -ERR_ROLLBACK.
 */
int rollback_check(const struct rollback *r, const struct snapshot_list *list, uint64_t unreadable,
	struct err *err);

/* What ${dir} remembers of one source: *${seq} (0 = nothing) and its hash.  Return as
 * rollback_load(). */
int rollback_newest(const char *dir, const uint8_t agent_id[16], const uint8_t source_id[16],
	uint64_t *seq, uint8_t hash[32], struct err *err);

/**
 * rollback_update(dir, list, is_all, err):
 * Remember the newest of every source in ${list}; ${dir} is made.  With ${is_all} what is not in
 * the list is forgotten, else it stays.  Return 0 or an error (the memory is then as before).
 */
int rollback_update(
	const char *dir, const struct snapshot_list *list, bool is_all, struct err *err);

#endif
