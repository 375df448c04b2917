/*
 * collect_view: what the collection's objects on a store say: which packs count as absent, which
 * sessions are fenced, which snapshots are void (docs/FORMAT.md section 10.2).
 */
#ifndef VAULT_COLLECT_VIEW_H
#define VAULT_COLLECT_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/collect_list.h"

struct err;
struct vault;

struct collect_view_entry {
	char name[COLLECT_LIST_NAME_BYTES];
	uint8_t hash[32]; /* the end of the name */
	bool is_readable;
	bool is_gone; /* it was there, and the last look did not list it */
	struct collect_list list;
};

struct collect_view {
	struct collect_view_entry *at; /* owned; gc/ before dd/ at each look */
	size_t count;
	uint64_t unreadable; /* entries without a list */
};

/* Told of an object that cannot be read. */
typedef void (*collect_view_bad_fn)(void *arg, const char *object, const struct err *why);

/**
 * collect_view_look(v, view, on_bad, arg, err):
 * List gc/, then dd/, and read what ${view} (zeroed at first) does not hold yet; nothing is
 * forgotten.  An object that went away between list and read is looked for again: it made way for
 * another.  One that cannot be read: told to ${on_bad} and counted, or with ${on_bad} NULL the call
 * ends with its error.  Return 0, -ERR_BUSY (it changes too fast) or such an error.
 */
int collect_view_look(struct vault *v, struct collect_view *view, collect_view_bad_fn on_bad,
	void *arg, struct err *err);
void collect_view_done(struct collect_view *view);

/* Is a pack condemned, to be deleted or dead, by any list that was there; with ${is_now} by one
 * that the last look still found? */
bool collect_view_is_absent(const struct collect_view *view, bool is_now, const uint8_t pack[32]);
/* Does a dd/ object name it? */
bool collect_view_is_dead(
	const struct collect_view *view, enum collect_list_class class, const uint8_t hash[32]);
/* Does a fence or a verdict name the session? */
bool collect_view_is_fenced(const struct collect_view *view, const uint8_t session[16]);
/* Is there a verdict on the session that does not name the snapshot? */
bool collect_view_is_void(
	const struct collect_view *view, const uint8_t session[16], const uint8_t snap_hash[32]);

#endif
