/*
 * lock_seen: how this host knows that the objects of a place are to be locked.  The note about it
 * in the store is signed by nobody, so this host believes it once, when it first writes there, and
 * from then on itself, until the owner says otherwise: as ssh does with the keys of hosts. Hides: a
 * file for each place, whatever is in it: nothing there says which file is looked at.
 */
#ifndef CMD_LOCK_SEEN_H
#define CMD_LOCK_SEEN_H

#include <stdbool.h>

#include "store/store_lock.h"

struct console;
struct err;
struct store;

struct lock_seen {
	struct store_lock noted; /* in the store */
	struct store_lock seen;  /* what this host goes by */
	bool is_other;           /* they differ */
};

/**
 * lock_seen_hold(location, may_remember, s, out, err):
 * Let ${s}, which is at ${location}, lock as this host remembers.  When it remembers nothing and
 * ${may_remember}, remember what is noted.  Where the location itself says how objects are locked,
 * or the store locks none, ${out} tells nothing.
 * Return 0, -ERR_CORRUPT (the memory is damaged: nothing of it was used), or an error of reading or
 * writing it (${s} goes by the note).
 */
int lock_seen_hold(const char *location, bool may_remember, struct store *s, struct lock_seen *out,
	struct err *err);

/* The owner said so: remember ${lock}, whatever was before.  Return 0 or an error (the memory is
 * then as before). */
int lock_seen_set(const char *location, const struct store_lock *lock, struct err *err);

/* lock_seen_set() for a verb, which warns when it fails. */
void lock_seen_tell(struct console *c, const char *location, const struct store_lock *lock);

/**
 * lock_seen_use(c, location, may_remember, s):
 * lock_seen_hold() for a verb, which warns of a note that differs; ${c} NULL: it is logged.  A host
 * that can remember nothing goes by what is noted.  Return true if it warned.
 */
bool lock_seen_use(struct console *c, const char *location, bool may_remember, struct store *s);

#endif
