#include "vault/chunker_kernel.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/*
 * INVARIANTS
 * (1) h(t) = sum of w[i] * g(b[t-i]), w = 1,3,5,15,3,9,15,45, is three doubling steps with odd
 *     factors: e(t) = g(t) + 3 g(t-1);  d(t) = e(t) + 5 e(t-2);  h(t) = d(t) + 3 d(t-4).
 *     They look 7 bytes back: a form that begins 16 bytes or more before its first position with
 *     anything in its registers is right from there on.
 * (2) A vector form is compiled for its own instructions alone, function by function, and is
 * reached through the table only after the processor was asked.
 */

#define BLOCK CHUNKER_KERNEL_BLOCK_BYTES

/* ---- portable: plain byte loops of fixed length, which a compiler turns into vector code ------
 */

#define TILE 1024
#define BACK 16 /* bytes before the tile that warm the steps up */

/* Fill h[0..TILE) for the positions from ${at} on; ${len} of them exist, the rest is junk. */
static void hash_tile(
	const struct chunker_kernel_key *key, const uint8_t *at, size_t len, uint8_t h[TILE])
{
	uint8_t u[BACK + TILE], e[BACK + TILE], d[BACK + TILE];
	const uint8_t *from = at - BACK;

	if (len < TILE)
		memset(u + BACK + len, 0, TILE - len);
	for (size_t i = 0; i < BACK + len; i += 4) { /* len is whole blocks */
		u[i] = key->g[from[i]];
		u[i + 1] = key->g[from[i + 1]];
		u[i + 2] = key->g[from[i + 2]];
		u[i + 3] = key->g[from[i + 3]];
	}
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

static void mark_portable(
	const struct chunker_kernel_key *key, const uint8_t *at, size_t blocks, uint64_t *marks)
{
	uint8_t h[TILE];
	memset(marks, 0, blocks * sizeof(*marks));
	for (size_t from = 0; from < blocks * BLOCK; from += TILE) {
		size_t len = blocks * BLOCK - from < TILE ? blocks * BLOCK - from : TILE;
		hash_tile(key, at + from, len, h);
		const uint8_t *hit = memchr(h, key->k, len);
		while (hit != NULL) {
			size_t i = (size_t)(hit - h);
			marks[(from + i) / BLOCK] |= UINT64_C(1) << (i % BLOCK);
			hit = memchr(hit + 1, key->k, len - i - 1);
		}
	}
}

/* ---- vectors: one step takes 16, 32 or 64 positions; the vectors before stand in for t - i -----
 */

#ifdef __x86_64__

#define SSSE3 __attribute__((target("ssse3")))
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))

struct step16 {
	__m128i low, high, nibble, k;
	__m128i g, e, d; /* of the 16 positions before */
};

/* h = K, a byte each, for the 16 positions at ${p}. */
SSSE3 static __m128i step_ssse3(struct step16 *s, const uint8_t *p)
{
	__m128i x = _mm_loadu_si128((const __m128i *)p);
	__m128i g = _mm_xor_si128(_mm_shuffle_epi8(s->low, _mm_and_si128(x, s->nibble)),
		_mm_shuffle_epi8(s->high, _mm_and_si128(_mm_srli_epi16(x, 4), s->nibble)));
	__m128i q = _mm_alignr_epi8(g, s->g, 15);
	__m128i e = _mm_add_epi8(_mm_add_epi8(g, q), _mm_add_epi8(q, q));
	q = _mm_alignr_epi8(e, s->e, 14);
	__m128i twice = _mm_add_epi8(q, q);
	__m128i d = _mm_add_epi8(_mm_add_epi8(e, q), _mm_add_epi8(twice, twice));
	q = _mm_alignr_epi8(d, s->d, 12);
	__m128i h = _mm_add_epi8(_mm_add_epi8(d, q), _mm_add_epi8(q, q));
	s->g = g;
	s->e = e;
	s->d = d;
	return _mm_cmpeq_epi8(h, s->k);
}

SSSE3 static void mark_ssse3(
	const struct chunker_kernel_key *key, const uint8_t *at, size_t blocks, uint64_t *marks)
{
	__m128i zero = _mm_setzero_si128();
	struct step16 s = { .low = _mm_loadu_si128((const __m128i *)key->low),
		.high = _mm_loadu_si128((const __m128i *)key->high),
		.nibble = _mm_set1_epi8(15),
		.k = _mm_set1_epi8((char)key->k),
		.g = zero,
		.e = zero,
		.d = zero };
	(void)step_ssse3(&s, at - 16); /* warms up: what it says is junk */
	for (size_t b = 0; b < blocks; b++, at += BLOCK) {
		uint64_t word = 0;
		for (unsigned i = 0; i < 4; i++) {
			__m128i is_k = step_ssse3(&s, at + (size_t)16 * i);
			word |= (uint64_t)(unsigned)_mm_movemask_epi8(is_k) << (16 * i);
		}
		marks[b] = word;
	}
}

struct step32 {
	__m256i low, high, nibble, k;
	__m256i g, e, d;
};

/* The vector that begins ${n} bytes before ${v}, with ${before} in front of it.  A macro, since n
 * must be a constant of the instruction; it shifts within halves, so the halves are paired first.
 */
#define BEHIND32(v, before, n)                                                                     \
	_mm256_alignr_epi8(v, _mm256_permute2x128_si256(before, v, 0x21), 16 - (n))

AVX2 static __m256i step_avx2(struct step32 *s, const uint8_t *p)
{
	__m256i x = _mm256_loadu_si256((const __m256i *)p);
	__m256i g = _mm256_xor_si256(_mm256_shuffle_epi8(s->low, _mm256_and_si256(x, s->nibble)),
		_mm256_shuffle_epi8(s->high, _mm256_and_si256(_mm256_srli_epi16(x, 4), s->nibble)));
	__m256i q = BEHIND32(g, s->g, 1);
	__m256i e = _mm256_add_epi8(_mm256_add_epi8(g, q), _mm256_add_epi8(q, q));
	q = BEHIND32(e, s->e, 2);
	__m256i twice = _mm256_add_epi8(q, q);
	__m256i d = _mm256_add_epi8(_mm256_add_epi8(e, q), _mm256_add_epi8(twice, twice));
	q = BEHIND32(d, s->d, 4);
	__m256i h = _mm256_add_epi8(_mm256_add_epi8(d, q), _mm256_add_epi8(q, q));
	s->g = g;
	s->e = e;
	s->d = d;
	return _mm256_cmpeq_epi8(h, s->k);
}

AVX2 static void mark_avx2(
	const struct chunker_kernel_key *key, const uint8_t *at, size_t blocks, uint64_t *marks)
{
	__m256i zero = _mm256_setzero_si256();
	struct step32 s = { .low = _mm256_broadcastsi128_si256(
				    _mm_loadu_si128((const __m128i *)key->low)),
		.high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)key->high)),
		.nibble = _mm256_set1_epi8(15),
		.k = _mm256_set1_epi8((char)key->k),
		.g = zero,
		.e = zero,
		.d = zero };
	(void)step_avx2(&s, at - 32); /* warms up: what it says is junk */
	for (size_t b = 0; b < blocks; b++, at += BLOCK) {
		__m256i first = step_avx2(&s, at);
		__m256i second = step_avx2(&s, at + 32);
		marks[b] = (uint64_t)(uint32_t)_mm256_movemask_epi8(first) |
			   (uint64_t)(uint32_t)_mm256_movemask_epi8(second) << 32;
	}
}

struct step64 {
	__m512i low, high, nibble, k;
	__m512i g, e, d;
};

/* As BEHIND32(); the quarters of the vector are paired first. */
#define BEHIND64(v, before, n) _mm512_alignr_epi8(v, _mm512_alignr_epi32(v, before, 12), 16 - (n))

AVX512 static uint64_t step_avx512(struct step64 *s, const uint8_t *p)
{
	__m512i x = _mm512_loadu_si512(p);
	__m512i g = _mm512_xor_si512(_mm512_shuffle_epi8(s->low, _mm512_and_si512(x, s->nibble)),
		_mm512_shuffle_epi8(s->high, _mm512_and_si512(_mm512_srli_epi16(x, 4), s->nibble)));
	__m512i q = BEHIND64(g, s->g, 1);
	__m512i e = _mm512_add_epi8(_mm512_add_epi8(g, q), _mm512_add_epi8(q, q));
	q = BEHIND64(e, s->e, 2);
	__m512i twice = _mm512_add_epi8(q, q);
	__m512i d = _mm512_add_epi8(_mm512_add_epi8(e, q), _mm512_add_epi8(twice, twice));
	q = _mm512_alignr_epi32(d, s->d, 15); /* four bytes back is one whole word */
	__m512i h = _mm512_add_epi8(_mm512_add_epi8(d, q), _mm512_add_epi8(q, q));
	s->g = g;
	s->e = e;
	s->d = d;
	return _mm512_cmpeq_epi8_mask(h, s->k);
}

AVX512 static void mark_avx512(
	const struct chunker_kernel_key *key, const uint8_t *at, size_t blocks, uint64_t *marks)
{
	__m512i zero = _mm512_setzero_si512();
	struct step64 s = { .low = _mm512_broadcast_i32x4(
				    _mm_loadu_si128((const __m128i *)key->low)),
		.high = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)key->high)),
		.nibble = _mm512_set1_epi8(15),
		.k = _mm512_set1_epi8((char)key->k),
		.g = zero,
		.e = zero,
		.d = zero };
	(void)step_avx512(&s, at - 64); /* warms up: what it says is junk */
	for (size_t b = 0; b < blocks; b++, at += BLOCK)
		marks[b] = step_avx512(&s, at);
}

#endif

/* ---- which of them run here -------------------------------------------------------------------
 */

static const struct chunker_kernel kernels[] = {
	{ "portable", mark_portable },
#ifdef __x86_64__
	{ "ssse3", mark_ssse3 },
	{ "avx2", mark_avx2 },
	{ "avx512", mark_avx512 },
#endif
};

/* How many of the table run here.  A processor with one of them has all before it. */
static size_t usable(void)
{
	size_t count = 1;
#ifdef __x86_64__
	/* the compiler's library asks cpuid, and xgetbv for the registers the system saves */
	__builtin_cpu_init();
	count += __builtin_cpu_supports("ssse3") != 0;
	if (count == 2)
		count += __builtin_cpu_supports("avx2") != 0;
	if (count == 3)
		count += __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
#endif
	return count;
}

const struct chunker_kernel *chunker_kernel_at(size_t i)
{
	return i < usable() ? &kernels[i] : NULL;
}

const struct chunker_kernel *chunker_kernel_best(void)
{
	return &kernels[usable() - 1];
}
