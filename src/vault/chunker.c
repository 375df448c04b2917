#include "vault/chunker.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/hmac.h"
#include "crypto/siphash.h"

/*
 * INVARIANTS
 * (1) A candidate depends on the 64 bytes that end at it, on nothing before: any code that visits
 *     all positions in order finds the same cuts.
 * (2) A position tested is at least min - 1 > 63 bytes into the chunk, so the window is inside it.
 *
 * h(t) = sum of w[i] * g(b[t-i]), w = 1,3,5,15,3,9,15,45, is three doubling steps with odd factors:
 * e(t) = g(t) + 3 g(t-1);  c(t) = e(t) + 5 e(t-2);  h(t) = c(t) + 3 c(t-4).  They are taken over a
 * tile at a time in plain byte loops of fixed length, which a compiler turns into vector code.
 */

#define CHUNKER_KEY_STREAM_BYTES (17 * HMAC_BYTES)
#define CHUNKER_WINDOW_BYTES 64
#define CHUNKER_MEMO_BYTES 256
#define TILE 4096
#define BACK 16 /* bytes before the tile that warm the steps up; 7 are needed */

/* The state of one search for a cut. */
struct search {
	size_t last; /* the candidate before, or where counting begins */
	uint64_t last_v;
	size_t best_len; /* 0 = no candidate yet */
	uint64_t best_v;
};

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
	for (unsigned b = 0; b < 256; b++)
		c->g[b] = p[b & 15] ^ p[16 + (b >> 4)];
	c->k = q[0] | 1;
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

/*
 * Fill h[0..TILE) for the positions from ${at} on; ${len} of them exist, the rest is junk.
 */
static void hash_tile(const struct chunker *c, const uint8_t *at, size_t len, uint8_t h[TILE])
{
	uint8_t u[BACK + TILE], e[BACK + TILE], d[BACK + TILE];
	const uint8_t *from = at - BACK;

	if (len < TILE)
		memset(u + BACK + len, 0, TILE - len);
	for (size_t i = 0; i < BACK + len; i++)
		u[i] = c->g[from[i]];
	memset(e, 0, BACK);
	memset(d, 0, BACK);
	for (size_t i = 0; i < 8; i++)
		e[8 + i] = (uint8_t)(u[8 + i] + 3 * u[7 + i]);
	for (size_t i = 0; i < TILE; i++)
		e[BACK + i] = (uint8_t)(u[BACK + i] + 3 * u[BACK - 1 + i]);
	for (size_t i = 0; i < 4; i++)
		d[12 + i] = (uint8_t)(e[12 + i] + 5 * e[10 + i]);
	for (size_t i = 0; i < TILE; i++)
		d[BACK + i] = (uint8_t)(e[BACK + i] + 5 * e[BACK - 2 + i]);
	for (size_t i = 0; i < TILE; i++)
		h[i] = (uint8_t)(d[BACK + i] + 3 * d[BACK - 4 + i]);
}

/* Judge position ${t}, where h is K.  Return true if the chunk ends with it. */
static bool is_cut(const struct chunker *c, const uint8_t *data, size_t t, struct search *s)
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

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len, bool is_end)
{
	struct search s = { .last = c->min - 2 };
	uint8_t h[TILE];

	assert(is_end || len >= c->max);
	if (len <= c->min)
		return len;
	bool is_full = len >= c->max;
	if (is_full)
		len = c->max;
	for (size_t tile = c->min - 1; tile < len; tile += TILE) {
		size_t n = len - tile < TILE ? len - tile : TILE;
		hash_tile(c, data + tile, n, h);
		for (size_t i = 0; i < n; i++) {
			const uint8_t *hit = memchr(h + i, c->k, n - i);
			if (hit == NULL)
				break;
			i = (size_t)(hit - h);
			if (is_cut(c, data, tile + i, &s))
				return tile + i + 1;
		}
	}
	return is_full && s.best_len != 0 ? s.best_len : len;
}
