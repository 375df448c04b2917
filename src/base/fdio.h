/*
 * fdio: whole reads and small whole files through descriptors.
 */
#ifndef BASE_FDIO_H
#define BASE_FDIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* Read until ${len} bytes or end of file.  Return the bytes read, or -1 and errno. */
ssize_t fdio_read_full(int fd, void *out, size_t len);

/* The same at ${offset}. */
ssize_t fdio_pread_full(int fd, void *out, size_t len, off_t offset);

/**
 * fdio_read_all(fd, out, err):
 * Append everything up to end of file.  Return 0, -ERR_LIMIT (more than ${out}'s max) or -ERR_IO.
 */
int fdio_read_all(int fd, struct buf *out, struct err *err);

/**
 * fdio_read_file(dirfd, path, out, err):
 * Append the whole regular file ${path} (relative to ${dirfd} or AT_FDCWD).  Return 0,
 * -ERR_NOT_FOUND, -ERR_LIMIT or -ERR_IO.
 */
int fdio_read_file(int dirfd, const char *path, struct buf *out, struct err *err);

#endif
