/*
 * chunker: vcdc1, keyed content-defined chunking (docs/FORMAT.md section 4.2).
 * The same bytes give the same cuts on every machine.  A struct chunker is read-only after init.
 */
#ifndef VAULT_CHUNKER_H
#define VAULT_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/chunker_kernel.h"

struct chunker {
	struct chunker_kernel_key key;
	const struct chunker_kernel *kernel; /* any of this machine's finds the same cuts */
	uint64_t k0, k1, m0, m1;
	size_t min, norm, max; /* bytes */
	uint64_t q1, q2;
};

#define CHUNKER_AVERAGE_BYTES (1u << 20)

/* ${average}: a power of two, 2^14..2^20 bytes (tests use small ones; the format 2^18..2^20).
 * Takes the best kernel of this machine. */
void chunker_init(struct chunker *c, const uint8_t key[32], size_t average);

/**
 * chunker_cut(c, data, len, is_end):
 * Return the length of the next chunk at ${data}, of which ${len} bytes are there.  ${len} must be
 * at least c->max unless ${is_end} says that the stream ends after them.
 * The 64 bytes before ${data} are not looked at: the first cut possible is at c->min > 64.
 */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool is_end);

/* The search for the end of one chunk whose bytes come little by little. */
struct chunker_search {
	size_t seen;     /* positions before it were judged */
	size_t last;     /* the candidate before, or where counting begins */
	uint64_t last_v; /* its number */
	size_t best_len; /* the chunk that ends with the best candidate; 0 = none yet */
	uint64_t best_v;
};

void chunker_search_begin(const struct chunker *c, struct chunker_search *s);

/**
 * chunker_search_next(c, s, data, len, is_end):
 * Go on with ${s} now that ${len} bytes of the stream from the chunk's first at ${data} are there:
 * those of the call before and any number more (they may have moved).  Return the length of the
 * chunk, the one chunker_cut() finds, or 0 when it takes more bytes to tell; never 0 once ${len}
 * reaches c->max or ${is_end} says that the stream ends (unless it is empty).
 */
size_t chunker_search_next(const struct chunker *c, struct chunker_search *s, const uint8_t *data,
	size_t len, bool is_end);

#endif
