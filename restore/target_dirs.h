/*
 * target_dirs: the directories a restore writes to, held by descriptor and never by path.
 * Knows: how to walk down one component at a time without ever following a link, and which inode
 * each directory had when it was first entered, so that another one in its place is noticed.
 * Hides: how many descriptors stay open (few, however deep the tree).  Not thread-safe.
 */
#ifndef RESTORE_TARGET_DIRS_H
#define RESTORE_TARGET_DIRS_H

#include <stddef.h>
#include <stdint.h>

#include "restore/id_map.h"

struct target_dirs;
struct buf;
struct entry;
struct err;

#define TARGET_DIRS_MAX_OPEN 64
#define TARGET_DIRS_MAX ((size_t)1 << 26)

/* One directory; owned by the target_dirs, never moved. */
struct target_dir {
	struct target_dir *parent; /* NULL: the root */
	uint64_t dev, ino;
	struct entry *meta; /* owned (one block), set by the writer; NULL = leave as it is */
	char *name;         /* owned: as it is on the target */
	uint32_t depth;     /* 0: the root */
	size_t component_len;
	char component[]; /* as it is in the key */
};

/**
 * target_dirs_new(root_fd, out, err):
 * Start with ${root_fd} (borrowed for the call; duplicated) as the only directory.  Store an owned
 * handle in *${out}.  Return 0, -ERR_NOMEM or -ERR_IO.
 */
int target_dirs_new(int root_fd, struct target_dirs **out, struct err *err);

/* NULL is fine. */
void target_dirs_free(struct target_dirs *d);

/**
 * target_dirs_leave(d, key, len):
 * Go up until the directory at hand holds the entry ${key} or an ancestor of it.  Return how many
 * bytes of ${key} the way to it takes, its 00 included.
 */
size_t target_dirs_leave(struct target_dirs *d, const uint8_t *key, size_t len);

/**
 * target_dirs_enter(d, name, component, component_len, err):
 * Go down to the directory ${name} of the one at hand, for the key component ${component}.  Return
 * 0, -ERR_NOMEM, -ERR_LIMIT, or -ERR_IO (it is no directory, or a link).
 */
int target_dirs_enter(struct target_dirs *d, const char *name, const uint8_t *component,
	size_t component_len, struct err *err);

/**
 * target_dirs_go(d, to, err):
 * Make ${to}, a directory entered before, the one at hand; target_dirs_leave() must not be called
 * any more.  Return 0, or -ERR_FAILED when another directory is in its place, or -ERR_IO.
 */
int target_dirs_go(struct target_dirs *d, struct target_dir *to, struct err *err);

/**
 * target_dirs_fd(d, fd, err):
 * Give the descriptor (O_PATH, borrowed until the next call on ${d}) of the directory at hand.
 * Return 0, or as target_dirs_go().
 */
int target_dirs_fd(struct target_dirs *d, int *fd, struct err *err);

/**
 * target_dirs_open(d, dir, fd, err):
 * Open ${dir} (O_PATH) without leaving the one at hand; *${fd} is the caller's.  Return 0, or as
 * target_dirs_go().
 */
int target_dirs_open(struct target_dirs *d, const struct target_dir *dir, int *fd, struct err *err);

/* Return the directory at hand, or the root; borrowed from ${d}. */
struct target_dir *target_dirs_top(const struct target_dirs *d);
struct target_dir *target_dirs_root(const struct target_dirs *d);

/* Return the inodes made in the directory at hand; borrowed until it is left. */
struct id_map *target_dirs_made(struct target_dirs *d);

/* Return how many directories were entered (the root is not counted), and the i-th of them. */
size_t target_dirs_count(const struct target_dirs *d);
struct target_dir *target_dirs_at(const struct target_dirs *d, size_t i);

/* Append the key of ${dir}.  Return as buf_add(). */
int target_dirs_key(const struct target_dir *dir, struct buf *out, struct err *err);

#endif
