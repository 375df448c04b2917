/*
 * parity_cover: parity for what a vault holds: groups made for objects that are in none, and made
 * anew where members went (docs/FORMAT.md section 10.3).  New parity is durable before old goes.
 * Threading: one thread; backups, collections and other runs may be under way.
 */
#ifndef VAULT_PARITY_COVER_H
#define VAULT_PARITY_COVER_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct vault;

#define PARITY_COVER_PACKS 10  /* members of a group of packs */
#define PARITY_COVER_OTHERS 32 /* of a group of other objects */

struct parity_cover_opts {
	unsigned rows; /* 1 or 2: how many members of a group may be lost; 0 = as many as the vault
			* has, 1 where it has none */
	bool is_dry_run;
	bool drops_held; /* repair has done what can be done: no group stays for it */
	void *arg;
	/* OPTIONAL progress: bytes read of bytes to be read. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total);
	/* OPTIONAL: return true to stop early (-ERR_INTERRUPTED). */
	bool (*is_stopped)(void *arg);
};

struct parity_cover_result {
	unsigned rows;                          /* of each group */
	uint64_t groups, members, member_bytes; /* after the run (dry run: as it would be) */
	uint64_t parity_objects, parity_bytes;
	uint64_t made, dropped; /* groups */
	uint64_t damaged;       /* objects that are not what their names say: in no new group */
	uint64_t held;          /* groups that stay because a repair may need them */
	uint64_t too_long;      /* objects that are longer than parity takes */
};

/**
 * parity_cover_run(v, opts, out, err):
 * Bring the vault's parity up to date.  Broken off at any point, the next run carries on.
 * Return 0, -ERR_USAGE (rows), -ERR_READONLY, -ERR_CORRUPT (a list of collection or a parity object
 * is damaged) or a store's error.
 */
int parity_cover_run(struct vault *v, const struct parity_cover_opts *opts,
	struct parity_cover_result *out, struct err *err);

/* Before what is dead goes for good: no group may need it any more.  Nothing happens in a vault
 * without parity.  Return as parity_cover_run(), or -ERR_CORRUPT when a damaged object may need
 * what is about to go. */
int parity_cover_tend(struct vault *v, struct err *err);

#endif
