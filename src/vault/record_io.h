/*
 * record_io: where sealed content goes and comes from.  The tree and the pipeline write to a sink
 * and read from a source; they never know whether a vault is near or far.
 */
#ifndef VAULT_RECORD_IO_H
#define VAULT_RECORD_IO_H

#include <stddef.h>

#include "vault/record.h"

struct buf;
struct err;

#define RECORD_KEEP_MAX 64

struct record_sink {
	void *self;
	/* Seal ${len} raw bytes, send them unless the vault has them, note the reference
	 * (post-order: what a node uses is noted before the node), fill *${ref}. */
	int (*put)(void *self, enum record_type type, enum record_class class, const void *raw,
		size_t len, struct ref *ref, struct err *err);
	/* Note a reference to a record that an earlier snapshot of this source holds. */
	int (*use)(void *self, const struct ref *ref, struct err *err);
};

struct record_source {
	void *self;
	/* Append the raw bytes of ${ref}, opened and checked.  -ERR_NOT_FOUND, -ERR_CORRUPT. */
	int (*get)(void *self, const struct ref *ref, enum record_type type, struct buf *raw,
		struct err *err);
	/* OPTIONAL.  The same, not copied: *${raw}, ${ref}->raw_len bytes, is borrowed until the
	 * next borrow (but keep) or rest. */
	int (*borrow)(void *self, const struct ref *ref, enum record_type type, const uint8_t **raw,
		struct err *err);
	/* OPTIONAL, with borrow.  What was borrowed stays until ${bytes} raw bytes, or
	 * RECORD_KEEP_MAX records, were borrowed behind it, or until rest; 0 = as it begins. */
	void (*keep)(void *self, size_t bytes);
	/* OPTIONAL.  End what is opened ahead on other threads, until something is asked for again:
	 * whoever has walked a tree calls it. */
	void (*rest)(void *self);
};

#endif
