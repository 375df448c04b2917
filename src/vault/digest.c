#include "vault/digest.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) ENTRY_DIGEST_BLOCKS: inner holds the prefix and fill < DIGEST_BLOCK_BYTES bytes of the open
 *     block.  The size comes first in the outer message but is known only at the end, so the
 *     leaves (32 bytes a MiB) are kept and hashed in digest_end(); unless is_expected: then outer
 *     holds the size and the leaves so far.
 */

#define ZERO_STEP_BYTES 65536

struct digest {
	enum entry_digest kind;
	struct hash *inner; /* plain content, or the open block with its 00 prefix */
	struct hash *outer; /* over the leaves */
	uint64_t size;
	size_t fill;
	uint8_t zero_leaf[HASH_BYTES];
	bool has_zero_leaf;
	uint8_t *leaves; /* owned */
	size_t leaf_count, leaf_cap;
	bool is_short; /* a leaf found no memory */
	bool is_expected;
};

static const uint8_t zeros[ZERO_STEP_BYTES];

enum entry_digest digest_kind(uint64_t size)
{
	return size <= DIGEST_PLAIN_MAX_BYTES ? ENTRY_DIGEST_SHA256 : ENTRY_DIGEST_BLOCKS;
}

static void begin_block(struct digest *d)
{
	static const uint8_t prefix = 0;
	d->fill = 0;
	if (d->kind == ENTRY_DIGEST_BLOCKS)
		hash_add(d->inner, &prefix, 1);
}

DEFINE_CLEANUP(struct digest *, digest_free)

int digest_new(enum entry_digest kind, struct digest **out, struct err *err)
{
	CLEANUP(digest_free_p) struct digest *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->kind = kind;
	d->inner = hash_new();
	d->outer = hash_new();
	if (d->inner == NULL || d->outer == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	begin_block(d);
	*out = TAKE(d);
	return 0;
}

void digest_begin(struct digest *d, enum entry_digest kind)
{
	if (d->kind == kind)
		return; /* it was ended, or is new */
	uint8_t unused[HASH_BYTES];
	hash_end(d->inner, unused); /* the prefix of a block, if it has one */
	d->kind = kind;
	begin_block(d);
}

void digest_free(struct digest *d)
{
	if (d == NULL)
		return;
	hash_free(d->inner);
	hash_free(d->outer);
	free(d->leaves);
	free(d);
}

static void begin_outer(struct digest *d, uint64_t size)
{
	uint8_t head[9] = { 1 };
	bytes_put64(head + 1, size);
	hash_add(d->outer, head, sizeof(head));
}

void digest_expect(struct digest *d, uint64_t size)
{
	assert(d->size == 0 && !d->is_expected);
	if (d->kind != ENTRY_DIGEST_BLOCKS)
		return;
	begin_outer(d, size);
	d->is_expected = true;
}

static void add_leaf(struct digest *d, const uint8_t leaf[HASH_BYTES])
{
	if (d->is_expected) {
		hash_add(d->outer, leaf, HASH_BYTES);
		return;
	}
	if (d->leaf_count == d->leaf_cap) {
		size_t cap = d->leaf_cap == 0 ? 64 : d->leaf_cap * 2;
		uint8_t *grown = reallocarray(d->leaves, cap, HASH_BYTES);
		if (grown == NULL) {
			d->is_short = true;
			return;
		}
		d->leaves = grown;
		d->leaf_cap = cap;
	}
	memcpy(d->leaves + d->leaf_count++ * HASH_BYTES, leaf, HASH_BYTES);
}

/* The leaf of a block of zeros, made when the first one comes; the open block is empty. */
static const uint8_t *zero_leaf(struct digest *d)
{
	if (!d->has_zero_leaf) {
		for (size_t n = 0; n < DIGEST_BLOCK_BYTES; n += ZERO_STEP_BYTES)
			hash_add(d->inner, zeros, ZERO_STEP_BYTES);
		hash_end(d->inner, d->zero_leaf);
		begin_block(d);
		d->has_zero_leaf = true;
	}
	return d->zero_leaf;
}

static void end_block(struct digest *d)
{
	uint8_t leaf[HASH_BYTES];
	hash_end(d->inner, leaf);
	add_leaf(d, leaf);
	begin_block(d);
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	const uint8_t *p = data;
	d->size += len;
	if (d->kind != ENTRY_DIGEST_BLOCKS) {
		hash_add(d->inner, p, len);
		return;
	}
	while (len > 0) {
		size_t room = DIGEST_BLOCK_BYTES - d->fill;
		size_t n = len < room ? len : room;
		hash_add(d->inner, p, n);
		d->fill += n;
		p += n;
		len -= n;
		if (d->fill == DIGEST_BLOCK_BYTES)
			end_block(d);
	}
}

void digest_add_zeros(struct digest *d, uint64_t len)
{
	while (len > 0) {
		if (d->kind == ENTRY_DIGEST_BLOCKS && d->fill == 0 && len >= DIGEST_BLOCK_BYTES) {
			add_leaf(d, zero_leaf(d));
			d->size += DIGEST_BLOCK_BYTES;
			len -= DIGEST_BLOCK_BYTES;
			continue;
		}
		uint64_t room = d->kind == ENTRY_DIGEST_BLOCKS ? DIGEST_BLOCK_BYTES - d->fill : len;
		uint64_t n = len < room ? len : room;
		if (n > ZERO_STEP_BYTES)
			n = ZERO_STEP_BYTES;
		digest_add(d, zeros, (size_t)n);
		len -= n;
	}
}

void digest_add_leaf(struct digest *d, const uint8_t leaf[32], size_t len)
{
	assert(d->kind == ENTRY_DIGEST_BLOCKS && d->fill == 0);
	assert(d->size % DIGEST_BLOCK_BYTES == 0 && len <= DIGEST_BLOCK_BYTES);
	add_leaf(d, leaf);
	d->size += len;
}

int digest_end(struct digest *d, uint8_t out[32], struct err *err)
{
	bool is_short = false;
	if (d->kind == ENTRY_DIGEST_BLOCKS) {
		if (d->fill > 0)
			end_block(d);
		is_short = d->is_short;
		if (!d->is_expected)
			begin_outer(d, d->size);
		hash_add(d->outer, d->leaves, d->leaf_count * HASH_BYTES);
		hash_end(d->outer, out);
		d->leaf_count = 0;
		d->is_expected = false;
	} else {
		hash_end(d->inner, out);
	}
	d->size = 0; /* the open block, if any, holds its prefix only: it is begun anew already */
	d->is_short = false;
	return is_short ? err_set(err, ERR_NOMEM, "out of memory for a digest of blocks") : 0;
}
