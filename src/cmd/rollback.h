/*
 * rollback: what this host has seen in a vault: the newest snapshot of every source.  A store that
 * shows less than that went back: replaced by an older copy, or cut.
 * Hides: the file "seen" in the vault's state directory.  Several processes may use it at once.
 */
#ifndef CMD_ROLLBACK_H
#define CMD_ROLLBACK_H

#include "vault/snapshot.h"

struct err;

#define ROLLBACK_MAX_SOURCES 65536

/**
 * rollback_check(dir, list, unreadable, err):
 * Compare with what ${dir} remembers; nothing remembered is fine.  Up to ${unreadable} of the
 * newest snapshots may be missing from the list, over all sources: as many objects cannot be read.
 * Return 0, -ERR_ROLLBACK, -ERR_CORRUPT (the memory is damaged) or -ERR_IO.
 */
int rollback_check(
	const char *dir, const struct snapshot_list *list, uint64_t unreadable, struct err *err);

/* What ${dir} remembers of one source: *${seq} (0 = nothing) and its hash.  Return as above. */
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
