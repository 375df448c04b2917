#include "vault/block_memo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) cap is 0 or a power of two, and count at most half of it: a search always ends.
 */

#define FIRST_CAP ((size_t)256)

struct slot {
	uint8_t key[HASH_BYTES];
	uint8_t leaf[HASH_BYTES];
};

struct block_memo {
	struct slot *slots; /* owned; a key of zeros is a free slot */
	size_t cap, count;
};

static const uint8_t no_key[HASH_BYTES];

int block_memo_new(struct block_memo **out, struct err *err)
{
	struct block_memo *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = m;
	return 0;
}

void block_memo_free(struct block_memo *m)
{
	if (m == NULL)
		return;
	free(m->slots);
	free(m);
}

void block_memo_key(const struct extent *pieces, size_t count, uint8_t key[32])
{
	struct hash *h = hash_new();
	memset(key, 0, HASH_BYTES);
	if (h == NULL)
		return; /* a key of zeros is never found and never kept */
	for (size_t i = 0; i < count; i++) {
		const struct extent *x = &pieces[i];
		uint8_t bytes[1 + REF_BYTES + 16] = { x->is_hole };
		if (!x->is_hole) {
			ref_encode(&x->ref, bytes + 1);
			bytes_put64(bytes + 1 + REF_BYTES, x->offset);
		}
		bytes_put64(bytes + 1 + REF_BYTES + 8, x->length);
		hash_add(h, bytes, sizeof(bytes));
		explicit_bzero(bytes, sizeof(bytes));
	}
	hash_end(h, key);
	hash_free(h);
}

static bool is_none(const uint8_t key[32])
{
	return memcmp(key, no_key, sizeof(no_key)) == 0;
}

/* Where the key is, or is to be.  The table is not empty. */
static struct slot *place_of(const struct block_memo *m, const uint8_t key[32])
{
	size_t i = bytes_get32(key) & (m->cap - 1);
	while (!is_none(m->slots[i].key) && memcmp(m->slots[i].key, key, HASH_BYTES) != 0)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

const uint8_t *block_memo_find(const struct block_memo *m, const uint8_t key[32])
{
	if (m->cap == 0 || is_none(key))
		return NULL;
	const struct slot *s = place_of(m, key);
	return is_none(s->key) ? NULL : s->leaf;
}

static bool grow(struct block_memo *m)
{
	struct block_memo larger = { .cap = m->cap == 0 ? FIRST_CAP : m->cap * 2 };
	larger.slots = calloc(larger.cap, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return false;
	for (size_t i = 0; i < m->cap; i++) {
		if (!is_none(m->slots[i].key))
			*place_of(&larger, m->slots[i].key) = m->slots[i];
	}
	larger.count = m->count;
	free(m->slots);
	*m = larger;
	return true;
}

void block_memo_add(struct block_memo *m, const uint8_t key[32], const uint8_t leaf[32])
{
	if (m->count >= BLOCK_MEMO_MAX_BLOCKS || is_none(key))
		return;
	if (m->count + 1 > m->cap / 2 && !grow(m))
		return;
	struct slot *s = place_of(m, key);
	m->count += is_none(s->key);
	memcpy(s->key, key, HASH_BYTES);
	memcpy(s->leaf, leaf, HASH_BYTES);
}

size_t block_memo_count(const struct block_memo *m)
{
	return m->count;
}
