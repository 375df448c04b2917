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

#include "vault/record_io.h"

struct buf;
struct err;
struct record_reader;

/* Who brings records. */
struct record_store {
	void *self;
	/* Append the whole record of ${id}; the reader checks its hash.  -ERR_NOT_FOUND, .. */
	int (*get)(void *self, const uint8_t id[32], struct buf *cr, struct err *err);
	/* OPTIONAL hint: these will be asked for soon, in this order (the refs of a node that was
	 * just opened). */
	void (*expect)(void *self, const uint8_t (*ids)[32], size_t count);
	/* OPTIONAL: the enum record_type of an id as an index has it, or 0. */
	int (*type)(void *self, const uint8_t id[32]);
	bool is_shared;  /* get and type may be called by several threads at once */
	bool is_checked; /* get has compared the SHA-256 of what it brings with the id */
};

/* ${store} is borrowed until free.  Return 0 or -ERR_NOMEM. */
int record_reader_new(
	const struct record_store *store, struct record_reader **out, struct err *err);
void record_reader_free(struct record_reader *r);
/* Borrowed until free. */
const struct record_source *record_reader_source(struct record_reader *r);

#endif
