/*
 * remove_tree: remove a directory of our own with everything in it, following no link.
 */
#ifndef CMD_REMOVE_TREE_H
#define CMD_REMOVE_TREE_H

struct err;

#define REMOVE_TREE_DEPTH 64

/**
 * remove_tree_at(dirfd, name, err):
 * Remove ${name} in ${dirfd} (or AT_FDCWD).  A missing one is fine.  Return 0, -ERR_LIMIT (deeper
 * than REMOVE_TREE_DEPTH) or -ERR_IO.
 */
int remove_tree_at(int dirfd, const char *name, struct err *err);

#endif
