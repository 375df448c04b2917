/*
 * hash_lanes: SHA-256 of many messages at once.  One message is a chain of steps that each wait for
 * the one before; several side by side keep the processor's units busy.  In every form that this
 * processor can run, each giving what hash_sha256() gives.
 * Threading: everything is constant; the items are the caller's.
 */
#ifndef CRYPTO_HASH_LANES_H
#define CRYPTO_HASH_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/hash.h"

#define HASH_LANES_MAX 16 /* messages that the widest form takes side by side */

/* How far a message is of which each run gets a part.  Embedded; its runs are all in one form. */
struct hash_lanes_chain {
	struct hash *hash; /* the caller's, nothing added; for a form that has its own state */
	uint32_t state[8]; /* 0 at the beginning, as bytes */
	uint64_t bytes;    /* so far */
};

#define HASH_LANES_STEP_BYTES 64

/* One message: ${count} pieces, one after the other, all borrowed. */
struct hash_lanes_item {
	const struct hash_part *parts;
	size_t count;
	struct hash_lanes_chain *chain; /* OPTIONAL: the pieces go on behind it; borrowed */
	bool is_open;            /* more will follow: the pieces are whole steps together, chain is
				  * brought up to date, and out is not set */
	uint8_t out[HASH_BYTES]; /* set by the run */
};

/* Hash ${count} messages of any lengths; it is fastest when their lengths are alike.  When any has
 * a chain, the first one has. */
void hash_lanes_run(struct hash_lanes_item *items, size_t count);

/* The same in form ${form} of those that run here, and its name; the last form is the one above.
 * Form 0 is the library's and takes the messages one after another. */
const char *hash_lanes_form(size_t form); /* NULL behind the last */
void hash_lanes_run_in(size_t form, struct hash_lanes_item *items, size_t count);

#endif
