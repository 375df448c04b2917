#include "vault/chunker.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/hmac.h"
#include "crypto/siphash.h"

/*
 * INVARIANTS
 * (1) A candidate depends on the 64 bytes that end at it, on nothing before: any code that visits
 *     all positions in order finds the same cuts, in how many calls soever.
 * (2) A position tested is at least min - 1 > 63 bytes into the chunk, so the window is inside it,
 *     and so is what a kernel reads before its first position.
 */

#define CHUNKER_KEY_STREAM_BYTES (17 * HMAC_BYTES)
#define CHUNKER_WINDOW_BYTES 64
#define CHUNKER_MEMO_BYTES 256
#define BLOCK CHUNKER_KERNEL_BLOCK_BYTES
#define BACK CHUNKER_KERNEL_BACK_BYTES
#define TILE_BYTES 4096 /* what a kernel marks at a time */

void chunker_init(struct chunker *c, const uint8_t key[32], size_t average)
{
	uint8_t stream[CHUNKER_KEY_STREAM_BYTES];
	uint8_t p[256];

	assert(average >= 1u << 14 && average <= 1u << 20 && (average & (average - 1)) == 0);
	for (unsigned i = 0; i < 17; i++) {
		uint8_t n = (uint8_t)i;
		struct hmac_part parts[] = { { "vcdc1", 5 }, { &n, 1 } };
		hmac_sha256(key, 32, parts, 2, stream + (size_t)i * HMAC_BYTES);
	}
	c->k0 = bytes_le64(stream);
	c->k1 = bytes_le64(stream + 8);
	for (unsigned i = 0; i < 256; i++)
		p[i] = (uint8_t)i;
	const uint8_t *q = stream + 16;
	for (unsigned i = 255; i >= 1; i--, q += 2) {
		unsigned j = bytes_le16(q) % (i + 1);
		uint8_t swapped = p[i];
		p[i] = p[j];
		p[j] = swapped;
	}
	memcpy(c->key.low, p, 16);
	memcpy(c->key.high, p + 16, 16);
	for (unsigned b = 0; b < 256; b++)
		c->key.g[b] = p[b & 15] ^ p[16 + (b >> 4)];
	c->key.k = q[0] | 1;
	c->kernel = chunker_kernel_best();
	c->m0 = bytes_le64(q + 1);
	c->m1 = bytes_le64(q + 9);
	c->min = average / 4;
	c->norm = average / 16 * 13;
	c->max = average * 4;
	c->q1 = (UINT64_C(1) << 46) / average;
	c->q2 = (UINT64_C(1) << 50) / average;
	explicit_bzero(stream, sizeof(stream));
	explicit_bzero(p, sizeof(p));
}

/* Mark the positions of a tile at ${at}, of which ${len} exist. */
static void mark(const struct chunker *c, const uint8_t *at, size_t len, uint64_t *marks)
{
	size_t blocks = len / BLOCK, rest = len % BLOCK;
	if (blocks > 0)
		c->kernel->mark(&c->key, at, blocks, marks);
	if (rest == 0)
		return;
	/* a kernel reads whole blocks, but the stream may end here */
	uint8_t padded[BACK + BLOCK] = { 0 };
	memcpy(padded, at + blocks * BLOCK - BACK, BACK + rest);
	c->kernel->mark(&c->key, padded + BACK, 1, &marks[blocks]);
	marks[blocks] &= (UINT64_C(1) << rest) - 1;
}

/* Judge position ${t}, where h is K.  Return true if the chunk ends with it. */
static bool is_cut(const struct chunker *c, const uint8_t *data, size_t t, struct chunker_search *s)
{
	uint64_t x0 = bytes_le64(data + t - 15), x1 = bytes_le64(data + t - 7);

	if (((x0 ^ c->m0) * (x1 ^ c->m1)) >> 59 != 0)
		return false;
	const uint8_t *window = data + t - (CHUNKER_WINDOW_BYTES - 1);
	uint64_t distance = t - s->last, v;
	/* periodic data brings the same window again and again: the number is the same */
	if (s->best_len != 0 && distance <= CHUNKER_MEMO_BYTES &&
		memcmp(window, window - distance, CHUNKER_WINDOW_BYTES) == 0)
		v = s->last_v;
	else
		v = siphash_24(c->k0, c->k1, window, CHUNKER_WINDOW_BYTES) >> 16;
	s->last = t;
	s->last_v = v;
	if (v < (t + 1 < c->norm ? c->q1 : c->q2) * distance)
		return true;
	if (s->best_len == 0 || v < s->best_v) {
		s->best_v = v;
		s->best_len = t + 1;
	}
	return false;
}

/* Visit the candidates from s->seen to ${len}.  Return the length of the chunk, 0 if none ends it.
 */
static size_t search(
	const struct chunker *c, struct chunker_search *s, const uint8_t *data, size_t len)
{
	uint64_t marks[TILE_BYTES / BLOCK] = { 0 };

	while (s->seen < len) {
		size_t at = s->seen;
		size_t n = len - at < TILE_BYTES ? len - at : TILE_BYTES;
		mark(c, data + at, n, marks);
		for (size_t b = 0; b * BLOCK < n; b++) {
			for (uint64_t m = marks[b]; m != 0; m &= m - 1) {
				size_t t = at + b * BLOCK + (unsigned)__builtin_ctzll(m);
				if (is_cut(c, data, t, s))
					return t + 1;
			}
		}
		s->seen = at + n;
	}
	return 0;
}

void chunker_search_begin(const struct chunker *c, struct chunker_search *s)
{
	*s = (struct chunker_search){ .seen = c->min - 1, .last = c->min - 2 };
}

size_t chunker_search_next(const struct chunker *c, struct chunker_search *s, const uint8_t *data,
	size_t len, bool is_end)
{
	bool is_full = len >= c->max;
	if (is_full)
		len = c->max;
	size_t found = len > c->min ? search(c, s, data, len) : 0;
	if (found != 0)
		return found;
	if (is_full && s->best_len != 0)
		return s->best_len;
	return is_full || is_end ? len : 0;
}

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool is_end)
{
	struct chunker_search s;

	assert(is_end || len >= c->max);
	chunker_search_begin(c, &s);
	return chunker_search_next(c, &s, data, len, is_end);
}
