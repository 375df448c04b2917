/*
 * extent_bytes: the bytes of the extents of files, out of a record source, copied only where the
 * source cannot lend.  Not thread-safe.
 */
#ifndef VAULT_EXTENT_BYTES_H
#define VAULT_EXTENT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vault/entry.h"
#include "vault/record_io.h"

struct err;

/* Embedded. */
struct extent_bytes {
	const struct record_source *source; /* borrowed */
	struct buf raw;                     /* of a source that does not lend */
};

void extent_bytes_init(struct extent_bytes *b, const struct record_source *source);
/* Ends also what the source opens ahead. */
void extent_bytes_done(struct extent_bytes *b);

/* What is given from now on stays until ${bytes} raw bytes of records, or RECORD_KEEP_MAX records,
 * were asked for behind it.  Return false if the source cannot: then it stays as without. */
bool extent_bytes_keep(struct extent_bytes *b, size_t bytes);

/**
 * extent_bytes_get(b, x, out, err):
 * Give the ${x}->length bytes of an extent that is no hole, borrowed until the next call
 * (but extent_bytes_keep()).  Return
 * 0, -ERR_CORRUPT (also: the extent lies outside its record) or what the source says.
 */
int extent_bytes_get(
	struct extent_bytes *b, const struct extent *x, const uint8_t **out, struct err *err);

#endif
