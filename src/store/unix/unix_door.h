/*
 * unix_door: a store's owner lets other users of the host read it and add to it through a socket,
 * and nothing else (unix_wire.h has no word for more).
 * Knows: who calls, by the kernel's word; how many at once; that a slow or silent caller holds up
 * nobody else.  Hides: a thread for each caller, with a store opened for it alone.
 * Threading: one thread opens, runs and frees; callbacks come on the callers' threads.
 */
#ifndef STORE_UNIX_UNIX_DOOR_H
#define STORE_UNIX_UNIX_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct store;
struct unix_door;

#define UNIX_DOOR_MAX_UIDS 64
#define UNIX_DOOR_PER_UID 8 /* connections; more are answered with busy */
/* Who put something and asks for nothing more for so long goes: what it put holds room and open
 * files.  A backup may look through what it knows for many minutes between two packs. */
#define UNIX_DOOR_STAGED_S 3600
#define UNIX_DOOR_TELL_S 10

struct unix_door_opts {
	const char *path;  /* of the socket; what was left there by a door before is replaced */
	const uid_t *uids; /* who may come in; borrowed */
	size_t uid_count;
	/* A store of its own for a caller. */
	int (*open_store)(void *arg, struct store **out, struct err *err);
	/* What one caller may put: memory of it, from its coming to its going. */
	int (*rule_new)(void *arg, void **rule, struct err *err);
	void (*rule_free)(void *rule);
	/* May this be put?  *${is_hashed}: its name ends with the SHA-256 of its bytes, which is
	 * compared.  Return 0 or why not. */
	int (*may_put)(void *rule, struct store *s, const char *name, uint64_t len, bool *is_hashed,
		struct err *err);
	/* OPTIONAL.  ${len} bytes more of what may be put are about to be written: may they? */
	int (*may_add)(void *rule, size_t len, struct err *err);
	/* OPTIONAL.  A put that may_put allowed is over, well or not. */
	void (*put_over)(void *rule);
	/* OPTIONAL, both or none.  Is an object of this name kept in memory until all of it is
	 * there, and shown before it is put?  may_put limits its length. */
	bool (*is_shown)(const char *name);
	int (*may_keep)(
		void *rule, const char *name, const void *data, size_t len, struct err *err);
	/* OPTIONAL.  A caller came (rc 0), was not let in, or went.  Of those that are not let in
	 * at most one in UNIX_DOOR_TELL_S is told of. */
	void (*on_caller)(void *arg, uid_t uid, pid_t pid, int rc, const char *what);
	bool (*is_stopped)(void *arg);
	void *arg;
	unsigned staged_ms; /* instead of UNIX_DOOR_STAGED_S; 0 = that */
};

/* Listen: everybody may connect, who may come in is looked at then.  Return 0, -ERR_USAGE (nobody
 * may come in, or the path is too long), -ERR_EXISTS (another door is kept there, or it is no
 * socket) or -ERR_IO. */
int unix_door_open(const struct unix_door_opts *opts, struct unix_door **out, struct err *err);
/* Until ${is_stopped}; who is in is put out then.  Return 0 or -ERR_IO. */
int unix_door_run(struct unix_door *d, struct err *err);
/* The socket goes, too.  NULL is fine. */
void unix_door_free(struct unix_door *d);

#endif
