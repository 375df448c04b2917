/*
 * record_reader: opens records that somebody brings by id: near from packs (fetch), far from a
 * read port.  Keeps a bounded cache of opened ones.  Checks everything; trusts nobody.
 */
#ifndef VAULT_RECORD_READER_H
#define VAULT_RECORD_READER_H

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
};

/* ${store} is borrowed until free.  Return 0 or -ERR_NOMEM. */
int record_reader_new(
	const struct record_store *store, struct record_reader **out, struct err *err);
void record_reader_free(struct record_reader *r);
/* Borrowed until free. */
const struct record_source *record_reader_source(struct record_reader *r);

#endif
