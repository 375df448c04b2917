/*
 * local_dirs: the directories that have changed since the last barrier, each with all directories
 * above it, because a directory that another process has just made may not be durable yet.
 * One thread at a time.
 */
#ifndef STORE_LOCAL_LOCAL_DIRS_H
#define STORE_LOCAL_LOCAL_DIRS_H

#include <stddef.h>

struct err;

struct local_dirs {
	char **names; /* owned, sorted, none twice; "" is the root */
	size_t count;
	size_t cap;
};

/* Add the directory of the object ${name} and every one above.  Return 0 or -ERR_NOMEM. */
int local_dirs_add(struct local_dirs *d, const char *name, struct err *err);

/* Sync all, the deepest first.  Return 0, or -ERR_IO of the first that failed. */
int local_dirs_sync(const struct local_dirs *d, int root, struct err *err);

/* Forget all names, keep the memory. */
void local_dirs_clear(struct local_dirs *d);

void local_dirs_done(struct local_dirs *d);

#endif
