/*
 * atomic_file: replace a file so that readers see the old bytes or the new
 * bytes, never a mixture, across crash and power loss.
 * Hides: the temporary name, the fsync order, the rename.
 */
#ifndef BASE_ATOMIC_FILE_H
#define BASE_ATOMIC_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct err;

/**
 * atomic_file_write(dirfd, name, mode, data, len, err):
 * Replace or create ${name} inside ${dirfd} (or AT_FDCWD, then ${name} may be a path) with the
 * ${len} bytes and permission ${mode}.  Return 0 when the new bytes are durable, -ERR_LIMIT (name
 * too long) or -ERR_IO / -ERR_NOSPACE (the old file is whole, or the new one is).
 */
int atomic_file_write(
	int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *err);

/**
 * atomic_file_create(dirfd, name, mode, data, len, err):
 * The same, but never replace: -ERR_EXISTS when ${name} is there already.
 */
int atomic_file_create(
	int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *err);

#endif
