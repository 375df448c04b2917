/*
 * local_tree: the directory tree below a store's root, walked by descriptors.
 * Knows: that a symbolic link inside a store is never followed, and which files are objects.
 * Hides: the opening of directories one component at a time.  Thread-safe: no state.
 */
#ifndef STORE_LOCAL_LOCAL_TREE_H
#define STORE_LOCAL_LOCAL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;

/* The files that wait for a barrier live here; no object name begins with it. */
#define LOCAL_TREE_TMP "tmp"

/**
 * local_tree_open_dir(root, dir, len, can_create, out_fd, err):
 * Open the directory named by the first ${len} bytes of ${dir} ("" = the root itself); with
 * ${can_create} missing directories are made, mode 0700.  On success the caller owns ${*out_fd}.
 * Return 0, -ERR_NOT_FOUND, -ERR_CORRUPT (something else is in its place) or -ERR_IO.
 */
int local_tree_open_dir(
	int root, const char *dir, size_t len, bool can_create, int *out_fd, struct err *err);

/* The length of the directory part of ${name}, without its '/'; 0 for the root. */
size_t local_tree_dir_len(const char *name);

/* The last component of ${name}, borrowed from it. */
const char *local_tree_leaf(const char *name);

/**
 * local_tree_open_object(root, name, out_fd, out_size, err):
 * Open an object for reading; the caller owns ${*out_fd}.  Return 0, -ERR_NOT_FOUND (also for a
 * directory), -ERR_CORRUPT (a symbolic link or a device is in its place) or -ERR_IO.
 */
int local_tree_open_object(
	int root, const char *name, int *out_fd, uint64_t *out_size, struct err *err);

/**
 * local_tree_stat(root, name, out_size, err):
 * The size of an object, without opening it.  Return as local_tree_open_object().
 */
int local_tree_stat(int root, const char *name, uint64_t *out_size, struct err *err);

/**
 * local_tree_list(root, prefix, fn, arg, err):
 * Call ${fn} for each object whose name begins with ${prefix}.  Files that no object can be (a name
 * outside the grammar, a symbolic link, a device) are passed over; a directory that cannot be read
 * is an error, never an empty one.  Return 0, what ${fn} returned, or -ERR_IO.
 */
int local_tree_list(int root, const char *prefix, store_list_fn fn, void *arg, struct err *err);

/* Sync the directory named by the first ${len} bytes of ${dir}; a missing one needs no sync. */
int local_tree_sync_dir(int root, const char *dir, size_t len, struct err *err);

#endif
