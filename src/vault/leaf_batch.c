#include "vault/leaf_batch.h"

#include <stdlib.h>

#include "base/err.h"
#include "crypto/hash_lanes.h"
#include "vault/digest.h"

/*
 * INVARIANTS
 * (1) The digest stands at a block's begin, or is_through and has the first fill bytes of the open
 *     block; what was added and is not in it is in ends[], in order, and then in the pieces of the
 *     open block, which begin at open with its 00.
 */

#define PARTS 512
#define ENDS 64 /* whole blocks, and runs of zeros */
#define ZERO_BYTES ((size_t)65536)

struct leaf_batch {
	struct digest *digest; /* borrowed */
	struct hash_lanes_item items[HASH_LANES_MAX];
	struct hash_part parts[PARTS];
	uint64_t ends[ENDS]; /* bytes of zeros; 0: the next item */
	size_t item_count, part_count, end_count;
	size_t open, fill; /* the open block: its first part, its bytes so far */
	bool is_through;
};

static const uint8_t leaf_prefix = 0;
static const uint8_t zeros[ZERO_BYTES];

int leaf_batch_new(struct leaf_batch **out, struct err *err)
{
	struct leaf_batch *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = b;
	return 0;
}

void leaf_batch_free(struct leaf_batch *b)
{
	free(b);
}

void leaf_batch_begin(struct leaf_batch *b, struct digest *d)
{
	b->digest = d;
	b->item_count = 0;
	b->part_count = 0;
	b->end_count = 0;
	b->fill = 0;
	b->is_through = false;
}

void leaf_batch_flush(struct leaf_batch *b)
{
	size_t item = 0;
	hash_lanes_run(b->items, b->item_count);
	for (size_t i = 0; i < b->end_count; i++) {
		if (b->ends[i] > 0)
			digest_add_zeros(b->digest, b->ends[i]);
		else
			digest_add_leaf(b->digest, b->items[item++].out, DIGEST_BLOCK_BYTES);
	}
	if (b->fill > 0 && !b->is_through) {
		for (size_t i = b->open + 1; i < b->part_count; i++) /* it knows of the 00 itself */
			digest_add(b->digest, b->parts[i].data, b->parts[i].len);
		b->is_through = true;
	}
	b->item_count = 0;
	b->part_count = 0;
	b->end_count = 0;
}

static void end_block(struct leaf_batch *b)
{
	b->fill = 0;
	if (b->is_through) {
		b->is_through = false;
		return;
	}
	b->items[b->item_count++] = (struct hash_lanes_item){ .parts = b->parts + b->open,
		.count = b->part_count - b->open };
	b->ends[b->end_count++] = 0;
}

bool leaf_batch_add(struct leaf_batch *b, const void *data, size_t len)
{
	const uint8_t *p = data;
	bool is_flushed = false;
	while (len > 0) {
		const size_t room = DIGEST_BLOCK_BYTES - b->fill;
		const size_t n = len < room ? len : room;
		if (b->item_count == HASH_LANES_MAX || b->end_count == ENDS ||
			b->part_count + 2 > PARTS) {
			leaf_batch_flush(b);
			is_flushed = true;
		}
		if (b->is_through) {
			digest_add(b->digest, p, n);
		} else {
			if (b->fill == 0) {
				b->open = b->part_count;
				b->parts[b->part_count++] = (struct hash_part){ &leaf_prefix, 1 };
			}
			b->parts[b->part_count++] = (struct hash_part){ p, n };
		}
		b->fill += n;
		p += n;
		len -= n;
		if (b->fill == DIGEST_BLOCK_BYTES)
			end_block(b);
	}
	if (b->item_count == HASH_LANES_MAX) {
		leaf_batch_flush(b);
		is_flushed = true;
	}
	return is_flushed;
}

void leaf_batch_add_zeros(struct leaf_batch *b, uint64_t len)
{
	while (len > 0) {
		if (b->fill == 0 && len >= DIGEST_BLOCK_BYTES) {
			const uint64_t whole = len / DIGEST_BLOCK_BYTES * DIGEST_BLOCK_BYTES;
			if (b->end_count == ENDS)
				leaf_batch_flush(b);
			b->ends[b->end_count++] = whole;
			len -= whole;
			continue;
		}
		const size_t room = DIGEST_BLOCK_BYTES - b->fill;
		size_t n = len < room ? (size_t)len : room;
		if (n > ZERO_BYTES)
			n = ZERO_BYTES;
		(void)leaf_batch_add(b, zeros, n); /* they stay for ever */
		len -= n;
	}
}
