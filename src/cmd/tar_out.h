/*
 * tar_out: entries of a snapshot as a pax tar stream with all their metadata: nanoseconds, owners,
 * hard links, extended attributes, access lists, device numbers.
 * Hides: libarchive.  Not thread-safe.
 */
#ifndef CMD_TAR_OUT_H
#define CMD_TAR_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/content_stream.h"

struct entry;
struct err;
struct record_source;
struct tar_out;
struct tree_reader;

/* Give the stream to ${fn}, whose errors come back as they are. */
int tar_out_new(content_stream_fn fn, void *arg, struct tar_out **out, struct err *err);

/**
 * tar_out_add(t, source, r, key, key_len, e, err):
 * Append the entry ${r} stands at.  Return 0, -ERR_CORRUPT (the stream is then useless),
 * -ERR_INTERRUPTED or -ERR_IO.
 */
int tar_out_add(struct tar_out *t, const struct record_source *source, struct tree_reader *r,
	const uint8_t *key, size_t key_len, const struct entry *e, struct err *err);

/* Write the end of the archive.  Return 0 or -ERR_IO. */
int tar_out_finish(struct tar_out *t, struct err *err);

/* NULL is fine; without finish the archive has no end. */
void tar_out_free(struct tar_out *t);

#endif
