/*
 * tree_walk: everything below a directory in the order of names, by descriptor: no link is ever
 * followed, so a restored tree cannot lead its reader elsewhere.
 * Hides: reading and sorting of directories.  No state; thread-safe.
 */
#ifndef RESTORE_TREE_WALK_H
#define RESTORE_TREE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct buf;
struct err;

#define TREE_WALK_DEPTH 128
#define TREE_WALK_MAX_NAMES ((size_t)2000000) /* in one directory */
#define TREE_WALK_PATH_BYTES 65536

struct tree_walk_item {
	const char *path; /* relative to the start, '/' between components */
	int dirfd;        /* of the directory it is in */
	const char *name; /* in that directory */
	const struct stat *st;
};

/* Called for everything but the start, a directory before what is in it.  A value other than 0
 * ends the walk and is returned. */
typedef int (*tree_walk_fn)(void *arg, const struct tree_walk_item *item, struct err *err);

/**
 * tree_walk_run(dirfd, fn, arg, err):
 * Walk what is below ${dirfd} (borrowed).  Return 0, what ${fn} returned, -ERR_LIMIT or -ERR_IO.
 */
int tree_walk_run(int dirfd, tree_walk_fn fn, void *arg, struct err *err);

/* Open the regular file of ${item} for reading; -1 and errno.  The caller closes it. */
int tree_walk_open(const struct tree_walk_item *item);

/**
 * tree_walk_open_path(dirfd, path, flags):
 * Open ${path} (relative, '/' between components) below ${dirfd} without following any link.
 * Return a descriptor, or -1 and errno.
 */
int tree_walk_open_path(int dirfd, const char *path, int flags);

/* True if ${path} ends with ${suffix}, capitals or not. */
bool tree_walk_has_suffix(const char *path, const char *suffix);

#endif
