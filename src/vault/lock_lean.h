/*
 * lock_lean: the packs that a session leans on: they hold records that it put and that were there
 * already.  Perhaps no snapshot needed them until now, so that nobody saw to their locks: the
 * session does, before its snapshot is there.
 */
#ifndef VAULT_LOCK_LEAN_H
#define VAULT_LOCK_LEAN_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;
struct store;

/* Begins as zeros. */
struct lock_lean {
	struct id_set *set;   /* owned, as what follows */
	uint8_t (*packs)[32]; /* none twice */
	size_t count, cap;
};

/* Return 0 or -ERR_NOMEM.  Where ${s} locks nothing, nothing is kept. */
int lock_lean_add(
	struct lock_lean *l, const struct store *s, const uint8_t pack[32], struct err *err);
/* Lock what was added; a lock that cannot be is logged: a snapshot without is better than none. */
void lock_lean_keep(struct lock_lean *l, struct store *s);
void lock_lean_done(struct lock_lean *l);

#endif
