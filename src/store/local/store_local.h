/*
 * store_local: a store in a directory of a local or mounted file system.
 * Knows: the driver contract of store/store.h.  Hides: files, staging, syncing.
 * One thread at a time; several processes may use one directory at once.
 */
#ifndef STORE_LOCAL_STORE_LOCAL_H
#define STORE_LOCAL_STORE_LOCAL_H

#include <stdbool.h>

#include "store/store.h"

struct err;
struct store_local;

/* The driver; its self is a struct store_local. */
extern const struct store_driver store_local_driver;

struct store_local_opts {
	bool create;       /* make the directory (mode 0700) when it is missing */
	bool is_read_only; /* change nothing, not even tmp/ */
};

/**
 * store_local_new(path, opts, out, err):
 * Open the store in the directory ${path}; ${opts} may be NULL.  Nothing inside it is made before
 * the first put.  Give ${*out} to store_new() or end it with store_local_driver.free().
 * Return 0, -ERR_NOT_FOUND (also when it is no directory), -ERR_EXISTS (it was to be made, and
 * something else has its name), -ERR_READONLY (it may be opened with is_read_only) or -ERR_IO.
 */
int store_local_new(const char *path, const struct store_local_opts *opts, struct store_local **out,
	struct err *err);

/**
 * store_local_open(path, opts, out, err):
 * store_local_new() and store_new() in one, with reads tried again up to STORE_LOCAL_RETRIES times.
 * Return as store_local_new().
 */
int store_local_open(
	const char *path, const struct store_local_opts *opts, struct store **out, struct err *err);

#define STORE_LOCAL_RETRIES 2

#endif
