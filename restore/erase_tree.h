/*
 * erase_tree: remove a directory with everything below it, by descriptor and without following any
 * link.  Knows: that a restored directory may forbid its own emptying (mode, inode flags).
 * No state; thread-safe.
 */
#ifndef RESTORE_ERASE_TREE_H
#define RESTORE_ERASE_TREE_H

#include <stddef.h>
#include <stdint.h>

struct err;

/**
 * erase_tree_run(dirfd, name, left, err):
 * Remove ${name} inside ${dirfd} and what is below it; nothing there is success.  Everything is
 * tried; *${left} (may be NULL) counts what could not be removed.  Return 0, or -ERR_IO with the
 * first that could not.
 */
int erase_tree_run(int dirfd, const char *name, uint64_t *left, struct err *err);

#endif
