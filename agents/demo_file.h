/*
 * demo_file: small files of the demo plant, with the time stamps a plant's files would have.
 */
#ifndef AGENTS_DEMO_FILE_H
#define AGENTS_DEMO_FILE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/**
 * demo_file_write(dirfd, path, content, mtime_ms, err):
 * Write ${content} to ${path} (relative), made with its directories or replaced, and set its
 * modification time.  Return 0 or -ERR_IO.
 */
int demo_file_write(
	int dirfd, const char *path, const struct buf *content, int64_t mtime_ms, struct err *err);

/* Append ${content} to the existing file ${path}.  Return 0 or -ERR_IO. */
int demo_file_append(int dirfd, const char *path, const struct buf *content, struct err *err);

/* RFC 3339 UTC to the second, of ms since 1970, into 21 bytes.  Return ${out}. */
#define DEMO_FILE_TIME_BYTES 24
const char *demo_file_time(char out[DEMO_FILE_TIME_BYTES], int64_t ms);

#endif
