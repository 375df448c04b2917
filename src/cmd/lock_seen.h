/*
 * lock_seen: how this host last saw that the objects of a vault are to be locked.  The note about
 * it in the store is signed by nobody: one that asks for less than was seen is not gone by.
 * Hides: the file "lock" in the directory of what this host remembers of the store.
 */
#ifndef CMD_LOCK_SEEN_H
#define CMD_LOCK_SEEN_H

#include <stdbool.h>

#include "store/store_lock.h"

struct console;
struct err;
struct store;

struct lock_seen {
	struct store_lock noted, seen; /* in the store; here, before */
	struct store_lock kept;        /* what holds, and is remembered from now on */
	bool is_less;                  /* noted is less than seen */
	bool is_more;                  /* it is more than what was seen, for the first time */
};

/**
 * lock_seen_hold(dir, s, out, err):
 * Let ${s} lock at least as ${dir} remembers, and remember what it locks by.  Where the place of
 * the store says how objects are locked, or it locks none, ${out} tells nothing.
 * Return 0, -ERR_CORRUPT (the memory is damaged: nothing of it was used), or an error of writing it
 * (${s} and ${out} are right all the same).
 */
int lock_seen_hold(const char *dir, struct store *s, struct lock_seen *out, struct err *err);

/* The owner said so: remember ${lock}, whatever was before.  ${dir} is made.  Return 0 or an error
 * (the memory is then as before). */
int lock_seen_set(const char *dir, const struct store_lock *lock, struct err *err);

/**
 * lock_seen_use(c, dir, s):
 * lock_seen_hold() for a verb, which warns of what is less, and once of what is more; ${c} NULL: it
 * is logged.  A host that can remember nothing goes by what is noted.  Return true if it warned.
 */
bool lock_seen_use(struct console *c, const char *dir, struct store *s);

#endif
