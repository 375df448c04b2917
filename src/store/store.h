/*
 * store: named write-once objects, and the policy in front of every driver: name grammar, size
 * limits, retries, the read-only guard, error texts.
 * Hides: which driver it is.  Callers ask features, never types.
 * Threading: one thread at a time per struct store (drivers may use threads inside), but
 * store_get_range() on any number of them, beside it and each other: what it reads is not being
 * written or removed meanwhile by the same struct store.
 *
 * VISIBILITY: an object put is readable and listed no later than the end of the next successful
 * store_barrier(); a name that is visible on the local driver has durable content.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store_lock.h"

struct buf;
struct store;

#define STORE_MAX_OBJECT_BYTES (64u << 20)
#define STORE_MAX_NAME_BYTES 200

enum store_feature {
	STORE_HAS_RANGE = 1 << 0,
	STORE_HAS_IF_ABSENT = 1 << 1,   /* put of a taken name fails, it never replaces */
	STORE_HAS_VERSIONS = 1 << 2,    /* what is removed or replaced stays, and can be told */
	STORE_HAS_OBJECT_LOCK = 1 << 3, /* a version can be locked, and is kept then */
	STORE_NEEDS_BARRIER = 1 << 4,   /* objects are durable and visible only after the barrier;
					 * without it any of them may be, from its put on */
};

/* Called for each object; return 0 to go on, another value to stop (store_list returns it). */
typedef int (*store_list_fn)(void *arg, const char *name, uint64_t size);

/* Called for each fact about a store, a name and a value for people and programs; return as above.
 */
typedef int (*store_fact_fn)(void *arg, const char *name, const char *value);

/* One version of a name, or the marker that it was removed.  Borrowed for the call. */
struct store_version {
	const char *name, *id;
	const char *tag; /* two of one name that have the same have the same bytes; "" = not told */
	uint64_t size;
	int64_t at_ns; /* since when it is there, wall clock of this host; 0 = not told */
	bool is_marker, is_current;
};
/* Return 0 to go on, or a negative error code. */
typedef int (*store_version_fn)(void *arg, const struct store_version *v, struct err *err);

#define STORE_ITEMS_MAX 256

/* A version that something is to be done with; texts are borrowed. */
struct store_item {
	const char *name;
	const char *id; /* NULL = the current one */
	enum store_lock_mode mode;
	int64_t until_ns; /* of the lock, wall clock of this host; 0 = none */
	bool is_seen;     /* store_see_locks() saw the lock that it has */
	int rc;           /* what became of it, with the words */
	struct err why;
};

/* What a driver gives.  Slots marked OPTIONAL may be NULL. */
struct store_driver {
	const char *name; /* "local" */
	unsigned features;
	/* OPTIONAL.  Where the store is and what it can.  Asks nobody.  Return 0 or what ${fn} did.
	 */
	int (*facts)(void *self, store_fact_fn fn, void *arg);
	/* OPTIONAL.  As store_prove(). */
	int (*prove)(void *self, store_fact_fn fn, void *arg, bool *is_kept, struct err *err);
	/* Write a new object.  A taken name: success if the content is the same, else -ERR_EXISTS.
	 * -ERR_NOSPACE when full.  Nothing of a failed put is ever visible under the name. */
	int (*put)(void *self, const char *name, const void *data, size_t len, struct err *err);
	/* Append the whole object to ${out}.  -ERR_NOT_FOUND, -ERR_LIMIT (longer than out's max).
	 */
	int (*get)(void *self, const char *name, struct buf *out, struct err *err);
	/* OPTIONAL.  As get, from the medium itself and not from what this host keeps of it in
	 * memory, as far as that can be had: to compare what was just written. */
	int (*get_anew)(void *self, const char *name, struct buf *out, struct err *err);
	/* Append exactly ${len} bytes at ${offset}.  -ERR_CORRUPT when the object ends before. */
	int (*get_range)(void *self, const char *name, uint64_t offset, size_t len, struct buf *out,
		struct err *err);
	/* Every visible object whose name begins with ${prefix}, in any order. */
	int (*list)(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err);
	/* -ERR_NOT_FOUND. */
	int (*stat)(void *self, const char *name, uint64_t *size, struct err *err);
	/* Removing a missing object is success.  A staged object of the name is dropped. */
	int (*remove)(void *self, const char *name, struct err *err);
	/* OPTIONAL.  Everything put before is durable and visible when this returns 0.  After a
	 * failure none of the objects staged since the last barrier may become visible later,
	 * unless the driver makes them visible one by one (it does not say STORE_NEEDS_BARRIER);
	 * half of one never does. */
	int (*barrier)(void *self, struct err *err);
	/* OPTIONAL, all four or none: an object in pieces, as store_draft_*(); a driver without
	 * them gets the whole by put.  draft_put takes ${take_draft}, also on failure. */
	int (*draft_new)(void *self, void **draft, struct err *err);
	int (*draft_add)(void *self, void *draft, const void *data, size_t len, struct err *err);
	int (*draft_put)(void *self, void *take_draft, const char *name, struct err *err);
	void (*draft_free)(void *self, void *draft);
	/* OPTIONAL: of stores that lock.  How objects are locked that are put from now on; and note
	 * another way, for everybody who opens the store. */
	void (*lock)(void *self, struct store_lock *out);
	int (*set_lock)(void *self, const struct store_lock *lock, struct err *err);
	/* OPTIONAL.  As store_hold_lock(); it may change the features and the slots below. */
	bool (*hold_lock)(void *self, const struct store_lock *lock);
	/* OPTIONAL: of stores that keep versions; as store_versions() and so on. */
	int (*versions)(
		void *self, const char *prefix, store_version_fn fn, void *arg, struct err *err);
	int (*read_version)(
		void *self, const char *name, const char *id, struct buf *out, struct err *err);
	int (*bring_back)(void *self, const char *name, const char *id, struct err *err);
	int (*purge)(void *self, struct store_item *at, size_t count, struct err *err);
	int (*see_locks)(void *self, struct store_item *at, size_t count, struct err *err);
	int (*extend)(void *self, struct store_item *at, size_t count, struct err *err);
	/* End the driver; staged objects vanish. */
	void (*free)(void *self);
};

struct store_opts {
	bool is_read_only;
	/* Further tries of get, get_range, list and stat after a retryable failure; 0 = none.
	 * Writes are never retried here: after a failed barrier only the caller knows what was in
	 * it. */
	unsigned retries;
	void (*sleep_ms)(unsigned ms); /* between tries; NULL = really sleep */
};

/**
 * store_new(driver, take_self, opts, out, err):
 * Take ${take_self} (also on failure) and put policy in front of it; ${driver} must live as long
 * as ${take_self}.  ${opts} may be NULL.  Return 0 or -ERR_NOMEM.
 */
int store_new(const struct store_driver *driver, void *take_self, const struct store_opts *opts,
	struct store **out, struct err *err);
void store_free(struct store *s);

/* From now on ask ${is_stopped} before each operation: when it is true the operation is not begun
 * and fails with -ERR_INTERRUPTED, so that whatever works on the store ends at its next step, as by
 * a crash between two.  It is called on the store's thread. */
void store_stop_when(struct store *s, bool (*is_stopped)(void *arg), void *arg);

unsigned store_features(const struct store *s);
const char *store_driver_name(const struct store *s);
bool store_is_read_only(const struct store *s);

/* What the driver knows about its store, none for some.  Return 0, or the first other value of
 * ${fn}. */
int store_facts(const struct store *s, store_fact_fn fn, void *arg);

/**
 * store_prove(s, fn, arg, is_kept, err):
 * Let the driver write an object of its own and do to it all that somebody with our rights could;
 * ${fn} is told of each trial.  *${is_kept}: its bytes can still be read.  A driver that knows of
 * no way to keep anything from whoever may write tries nothing and says false. Return 0,
 * -ERR_READONLY, what ${fn} returned, or what made it impossible.
 */
int store_prove(struct store *s, store_fact_fn fn, void *arg, bool *is_kept, struct err *err);

/* Return true if ${name} is in the grammar: components of [a-zA-Z0-9._-] joined by '/', none empty,
 * "." or "..", at most STORE_MAX_NAME_BYTES, and the first one not "tmp" (the drivers' own). */
bool store_is_valid_name(const char *name);

/* Each as the driver's slot; -ERR_USAGE for a name outside the grammar, -ERR_LIMIT for a size,
 * -ERR_READONLY by the guard (put, remove).  On failure ${out} and ${size} are as before.
 * store_list() takes NULL or "" for everything and names an object once: it is tried again only
 * while no name was delivered. */
int store_put(struct store *s, const char *name, const void *data, size_t len, struct err *err);
int store_get(struct store *s, const char *name, struct buf *out, struct err *err);
/* As store_get(), from the medium where the driver can tell it from memory. */
int store_get_anew(struct store *s, const char *name, struct buf *out, struct err *err);
int store_get_range(struct store *s, const char *name, uint64_t offset, size_t len, struct buf *out,
	struct err *err);
int store_list(struct store *s, const char *prefix, store_list_fn fn, void *arg, struct err *err);
/* Is there an object whose name begins with ${prefix}?  Return as store_list(). */
int store_has_any(struct store *s, const char *prefix, bool *out, struct err *err);
int store_stat(struct store *s, const char *name, uint64_t *size, struct err *err);
int store_remove(struct store *s, const char *name, struct err *err);
int store_barrier(struct store *s, struct err *err);

/*
 * Stores that keep versions, and lock them.  One that does not answers -ERR_UNSUPPORTED and says
 * so; ask store_features() first where that is no error.
 */

/* How what is put is locked; mode NONE when it is not. */
void store_locks_by(const struct store *s, struct store_lock *out);
/* Let it be done so from now on, by everybody who opens the store.  Return 0, -ERR_UNSUPPORTED,
 * -ERR_READONLY or as store_put(). */
int store_set_lock(struct store *s, const struct store_lock *lock, struct err *err);

/* Lock as ${lock} says, whatever is noted in the store, until store_set_lock().  Only what the
 * store was seen to do may be asked for.  Return false when nothing of it counts: the place says
 * how objects are locked, or the store knows no locks.  ${lock} NULL: only ask that. */
bool store_hold_lock(struct store *s, const struct store_lock *lock);

/* Every version whose name begins with ${prefix}, ascending by name, the newest of each first.
 * Keep nothing of it unless 0 is returned.  Return 0 or what ${fn} returned. */
int store_versions(
	struct store *s, const char *prefix, store_version_fn fn, void *arg, struct err *err);
/* Append a version's bytes.  As store_get(). */
int store_read_version(
	struct store *s, const char *name, const char *id, struct buf *out, struct err *err);
/* Let a version be what is read under its name again: what came over it is deleted, or where that
 * is refused its bytes are put over it once more.  Return 0, -ERR_NOT_FOUND or as store_put(). */
int store_bring_back(struct store *s, const char *name, const char *id, struct err *err);

/* Each of at most STORE_ITEMS_MAX versions: delete it for good; see its lock; lock it until
 * ${until_ns} in its ${mode}, never shorter than it is.  Return 0 when each was tried (item->rc: 0,
 * -ERR_NOT_FOUND, -ERR_AUTH: refused, or as the store), or what kept it from being tried. */
int store_purge(struct store *s, struct store_item *at, size_t count, struct err *err);
int store_see_locks(struct store *s, struct store_item *at, size_t count, struct err *err);
int store_extend(struct store *s, struct store_item *at, size_t count, struct err *err);

/*
 * An object that is written in pieces, before its name is known: it is the hash of its bytes.
 * Where the driver can, the pieces lie on the store and not in memory.  Until it is put it is no
 * object: nobody sees it, and nothing of it is left when it is freed.  ${s} is borrowed until then.
 */
struct store_draft;

int store_draft_new(struct store *s, struct store_draft **out, struct err *err);
/* Return 0, -ERR_LIMIT (STORE_MAX_OBJECT_BYTES in all) or as store_put(); after a failure only free
 * is left. */
int store_draft_add(struct store_draft *d, const void *data, size_t len, struct err *err);
/* As store_put() of all that was added; ${take_draft} is gone, also on failure. */
int store_draft_put(struct store_draft *take_draft, const char *name, struct err *err);
/* Drop it.  NULL is fine. */
void store_draft_free(struct store_draft *d);

#endif
