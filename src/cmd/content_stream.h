/*
 * content_stream: the content of one file of a snapshot, in order, holes as zeros, compared with
 * the digest taken at backup.
 */
#ifndef CMD_CONTENT_STREAM_H
#define CMD_CONTENT_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct entry;
struct err;
struct record_source;
struct tree_reader;

/* Takes ${len} bytes; a value other than 0 stops and is returned. */
typedef int (*content_stream_fn)(void *arg, const void *data, size_t len, struct err *err);

/**
 * content_stream_run(source, r, e, fn, arg, err):
 * Give the content of ${e}, the entry ${r} stands at, to ${fn}.  Return 0 when every byte was what
 * it must be, -ERR_CORRUPT (known only after bytes were given), -ERR_INTERRUPTED or what the
 * source or ${fn} says.
 */
int content_stream_run(const struct record_source *source, struct tree_reader *r,
	const struct entry *e, content_stream_fn fn, void *arg, struct err *err);

#endif
