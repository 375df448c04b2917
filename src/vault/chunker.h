/*
 * chunker: vcdc1, keyed content-defined chunking (docs/FORMAT.md section 4), portable form.
 * The same bytes give the same cuts on every machine.  A struct chunker is read-only after init.
 */
#ifndef VAULT_CHUNKER_H
#define VAULT_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chunker {
	uint8_t g[256]; /* keyed nibble tables joined: g(b) */
	uint8_t k;
	uint64_t k0, k1, m0, m1;
	size_t min, norm, max; /* bytes */
	uint64_t q1, q2;
};

#define CHUNKER_AVERAGE_BYTES (1u << 20)

/* ${average}: a power of two, 2^14..2^20 bytes (tests use small ones; the format 2^18..2^20). */
void chunker_init(struct chunker *c, const uint8_t key[32], size_t average);

/**
 * chunker_cut(c, data, len, is_end):
 * Return the length of the next chunk at ${data}, of which ${len} bytes are there.  ${len} must be
 * at least c->max unless ${is_end} says that the stream ends after them.
 * The 64 bytes before ${data} are not looked at: the first cut possible is at c->min > 64.
 */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool is_end);

#endif
