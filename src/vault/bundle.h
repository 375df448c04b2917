/*
 * bundle: the contents of small files joined in key order (docs/FORMAT.md section 4).  Where a
 * bundle ends depends on keys and lengths only, so that a change leaves its neighbours alone.
 * Pure: the caller puts the bytes.
 */
#ifndef VAULT_BUNDLE_H
#define VAULT_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct err;

#define BUNDLE_FILE_BYTES (256u << 10) /* shorter files are bundled */
#define BUNDLE_MIN_BYTES (256u << 10)
#define BUNDLE_MAX_BYTES (1u << 20)

struct bundle {
	uint8_t k_tree[16];
	uint64_t ordinal; /* of this bundle, from 1 */
	struct buf bytes;
};

void bundle_init(struct bundle *b, const uint8_t k_tree[16]);
void bundle_done(struct bundle *b);

/* True if a file of ${len} bytes does not go into this bundle: put it, clear it, then add. */
bool bundle_must_close_before(const struct bundle *b, size_t len);

/**
 * bundle_add(b, data, len, offset, err):
 * Append the content of one file; *${offset} is where it begins in the bundle.
 * Return 0, -ERR_LIMIT (empty, not a small file, or the bundle is full) or -ERR_NOMEM.
 */
int bundle_add(struct bundle *b, const void *data, size_t len, size_t *offset, struct err *err);

/* True if the bundle ends behind the file just added, which has this key. */
bool bundle_should_close_after(const struct bundle *b, const uint8_t *key, size_t key_len);

/* Begin the next bundle. */
void bundle_clear(struct bundle *b);

#endif
