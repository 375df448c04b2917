/*
 * record_reader: opens records that somebody brings by id: near from packs (fetch), far from a
 * read port.  Keeps a bounded cache of opened ones and, where the store is shared, opens what a
 * walk of a tree will need next on one thread a processor.  Checks everything; trusts nobody.
 * Threading: one thread at a time.
 */
#ifndef VAULT_RECORD_READER_H
#define VAULT_RECORD_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vault/record_io.h"

struct err;
struct record_reader;

#define RECORD_RUN_MAX 16
#define RECORD_RUN_BYTES ((size_t)2 << 20) /* read at once, if one record is not longer */

/* Records that were read at once. */
struct record_run {
	struct buf span; /* owned; buf_done() ends it */
	size_t count;
	struct record_run_item {
		uint8_t header[RECORD_HEADER_BYTES];
		const uint8_t *body; /* in span */
		size_t body_len;
	} at[RECORD_RUN_MAX];
};

/* Who brings records. */
struct record_store {
	void *self;
	/* Append the whole record of ${id}; the reader checks its hash.  -ERR_NOT_FOUND, .. */
	int (*get)(void *self, const uint8_t id[32], struct buf *cr, struct err *err);
	/* OPTIONAL: the first of ${count} records, and those behind it that lie beside it and can
	 * be had with it, at most RECORD_RUN_MAX; their SHA-256 compared with the ids.  After an
	 * error each has to be asked for alone. */
	int (*get_run)(void *self, const uint8_t *const *ids, size_t count, struct record_run *out,
		struct err *err);
	/* OPTIONAL hint: these will be asked for soon, in this order (the refs of a node that was
	 * just opened). */
	void (*expect)(void *self, const uint8_t (*ids)[32], size_t count);
	/* OPTIONAL: the enum record_type of an id as an index has it, or 0. */
	int (*type)(void *self, const uint8_t id[32]);
	bool is_shared;  /* get, get_run and type may be called by several threads at once */
	bool is_checked; /* get has compared the SHA-256 of what it brings with the id */
};

/* ${store} is borrowed until free.  Return 0 or -ERR_NOMEM. */
int record_reader_new(
	const struct record_store *store, struct record_reader **out, struct err *err);
void record_reader_free(struct record_reader *r);
/* Borrowed until free. */
const struct record_source *record_reader_source(struct record_reader *r);

#endif
