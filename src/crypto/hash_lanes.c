#include "crypto/hash_lanes.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

/*
 * INVARIANTS
 * (1) A lane has an item, and run_blocks > 0 whole blocks of it at run, or none.
 * (2) state[j][i] is word j of lane i's state: all lanes lie side by side, as the widest form wants
 *     them.
 * (3) A message with a chain begins with its state, and an open one ends at a whole block, which
 * goes back there unpadded. (4) A form is compiled for its own instructions alone, function by
 * function, and is reached only after the processor was asked.
 */

void hash_lanes_run(struct hash_lanes_item *items, size_t count)
{
	size_t best = 0;
	/* a chain is always of the same form */
	while ((count > 1 || (count == 1 && items[0].chain != NULL)) &&
		hash_lanes_form(best + 1) != NULL)
		best++;
	hash_lanes_run_in(best, items, count);
}

/* In the form of the library, one after another. */
static void run_alone(struct hash_lanes_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct hash_lanes_item *item = &items[i];
		if (item->chain == NULL) {
			hash_parts(item->parts, item->count, item->out);
			continue;
		}
		for (size_t k = 0; k < item->count; k++)
			hash_add(item->chain->hash, item->parts[k].data, item->parts[k].len);
		if (!item->is_open)
			hash_end(item->chain->hash, item->out);
	}
}

#ifdef __x86_64__

#define BLOCK_BYTES ((size_t)HASH_LANES_STEP_BYTES)
#define WIDE_FROM 11 /* lanes from which on sixteen at once are faster than pairs */

#define SHANI __attribute__((target("sha,sse4.1")))
#define AVX512 __attribute__((target("avx512f,avx512bw")))

/* FIPS 180-4, 4.2.2 and 5.3.3 */
static const uint32_t rounds[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };
static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* How far a message is. */
struct lane {
	struct hash_lanes_item *item; /* NULL: none */
	size_t part, at;              /* the next byte: in which piece, and where */
	uint64_t bytes;               /* taken so far */
	bool is_last;                 /* the run ends with the padding */
	const uint8_t *run;
	size_t run_blocks;
	uint8_t edge[2 * BLOCK_BYTES]; /* a run that lies in no piece as a whole */
};

struct lanes {
	uint32_t state[8][HASH_LANES_MAX];
	struct lane lane[HASH_LANES_MAX];
	struct hash_lanes_item *next, *end; /* items that have no lane yet */
	size_t width;
};

/* ---- what a lane reads ------------------------------------------------------------------------
 */

/* Fill a block from pieces that end in it; at the end of all, pad. */
static void take_edge(struct lane *l)
{
	size_t len = 0;
	while (len < BLOCK_BYTES && l->part < l->item->count) {
		const struct hash_part *p = &l->item->parts[l->part];
		size_t n = p->len - l->at;
		if (n > BLOCK_BYTES - len)
			n = BLOCK_BYTES - len;
		if (n > 0)
			memcpy(l->edge + len, (const uint8_t *)p->data + l->at, n);
		len += n;
		l->at += n;
		if (l->at == p->len) {
			l->part++;
			l->at = 0;
		}
	}
	if (len == 0 && l->item->is_open) {
		l->is_last = true; /* without a run */
		return;
	}
	l->bytes += len;
	l->run = l->edge;
	l->run_blocks = 1;
	if (len == BLOCK_BYTES)
		return;
	assert(!l->item->is_open);
	size_t total = len + 9 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
	l->edge[len] = 0x80;
	memset(l->edge + len + 1, 0, total - len - 1);
	for (unsigned i = 0; i < 8; i++)
		l->edge[total - 1 - i] = (uint8_t)(l->bytes * 8 >> (8 * i));
	l->run_blocks = total / BLOCK_BYTES;
	l->is_last = true;
}

/* The next blocks of the lane's message: as they lie in a piece, or put together. */
static void take_run(struct lane *l)
{
	const struct hash_part *p = l->item->parts + l->part;
	while (l->part < l->item->count && p->len == l->at) {
		l->part++;
		l->at = 0;
		p++;
	}
	if (l->part == l->item->count || p->len - l->at < BLOCK_BYTES) {
		take_edge(l);
		return;
	}
	l->run = (const uint8_t *)p->data + l->at;
	l->run_blocks = (p->len - l->at) / BLOCK_BYTES;
	l->at += l->run_blocks * BLOCK_BYTES;
	l->bytes += l->run_blocks * BLOCK_BYTES;
}

static void begin_item(struct lanes *s, size_t i)
{
	struct lane *l = &s->lane[i];
	l->item = s->next++;
	l->part = 0;
	l->at = 0;
	l->is_last = false;
	l->run_blocks = 0;
	const struct hash_lanes_chain *chain = l->item->chain;
	l->bytes = chain != NULL ? chain->bytes : 0;
	for (size_t j = 0; j < 8; j++)
		s->state[j][i] = l->bytes > 0 ? chain->state[j] : initial[j];
}

static void end_item(struct lanes *s, size_t i)
{
	struct hash_lanes_item *item = s->lane[i].item;
	for (size_t j = 0; j < 8; j++) {
		const uint32_t word = __builtin_bswap32(s->state[j][i]);
		if (item->is_open)
			item->chain->state[j] = s->state[j][i];
		else
			memcpy(item->out + 4 * j, &word, sizeof(word));
	}
	if (item->is_open)
		item->chain->bytes = s->lane[i].bytes;
	s->lane[i].item = NULL;
}

/* Give every lane without blocks the next ones, or the next message.  Return how many have some. */
static size_t fill(struct lanes *s)
{
	size_t active = 0;
	for (size_t i = 0; i < s->width; i++) {
		struct lane *l = &s->lane[i];
		while (l->run_blocks == 0 && (l->item != NULL || s->next != s->end)) {
			if (l->item != NULL && l->is_last)
				end_item(s, i);
			else if (l->item == NULL)
				begin_item(s, i);
			else
				take_run(l);
		}
		active += l->item != NULL;
	}
	return active;
}

/* ---- two lanes, SHA instructions --------------------------------------------------------------
 */

/* Words of a lane as the instructions want them: A B E F, C D G H from the highest down. */
SHANI static void load_state(const struct lanes *s, size_t i, __m128i *abef, __m128i *cdgh)
{
	const uint32_t(*w)[HASH_LANES_MAX] = s->state;
	*abef = _mm_set_epi32((int)w[0][i], (int)w[1][i], (int)w[4][i], (int)w[5][i]);
	*cdgh = _mm_set_epi32((int)w[2][i], (int)w[3][i], (int)w[6][i], (int)w[7][i]);
}

SHANI static void store_state(struct lanes *s, size_t i, __m128i abef, __m128i cdgh)
{
	uint32_t(*w)[HASH_LANES_MAX] = s->state;
	w[0][i] = (uint32_t)_mm_extract_epi32(abef, 3);
	w[1][i] = (uint32_t)_mm_extract_epi32(abef, 2);
	w[4][i] = (uint32_t)_mm_extract_epi32(abef, 1);
	w[5][i] = (uint32_t)_mm_extract_epi32(abef, 0);
	w[2][i] = (uint32_t)_mm_extract_epi32(cdgh, 3);
	w[3][i] = (uint32_t)_mm_extract_epi32(cdgh, 2);
	w[6][i] = (uint32_t)_mm_extract_epi32(cdgh, 1);
	w[7][i] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

/* ${blocks} blocks of the lanes i[0] and, with ${n} 2, i[1]; inlined for each ${n}. */
SHANI static inline __attribute__((always_inline)) void step_shani(
	struct lanes *s, const size_t *i, unsigned n, size_t blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i abef[2], cdgh[2], m[2][4];
	const uint8_t *at[2];
	for (unsigned k = 0; k < n; k++) {
		load_state(s, i[k], &abef[k], &cdgh[k]);
		at[k] = s->lane[i[k]].run;
	}
	for (size_t b = 0; b < blocks; b++) {
		__m128i abef_before[2], cdgh_before[2];
		for (unsigned k = 0; k < n; k++) {
			abef_before[k] = abef[k];
			cdgh_before[k] = cdgh[k];
			for (unsigned q = 0; q < 4; q++)
				m[k][q] = _mm_shuffle_epi8(
					_mm_loadu_si128((const __m128i *)(at[k] + 16 * q)), swap);
			at[k] += BLOCK_BYTES;
		}
#pragma GCC unroll 16
		for (unsigned q = 0; q < 16; q++) {
			const __m128i c = _mm_loadu_si128((const __m128i *)(rounds + 4 * q));
#pragma GCC unroll 2
			for (unsigned k = 0; k < n; k++) {
				__m128i w = _mm_add_epi32(m[k][q & 3], c);
				cdgh[k] = _mm_sha256rnds2_epu32(cdgh[k], abef[k], w);
				w = _mm_shuffle_epi32(w, 0x0e);
				abef[k] = _mm_sha256rnds2_epu32(abef[k], cdgh[k], w);
				if (q >= 12)
					continue;
				w = _mm_sha256msg1_epu32(m[k][q & 3], m[k][(q + 1) & 3]);
				w = _mm_add_epi32(w,
					_mm_alignr_epi8(m[k][(q + 3) & 3], m[k][(q + 2) & 3], 4));
				m[k][q & 3] = _mm_sha256msg2_epu32(w, m[k][(q + 3) & 3]);
			}
		}
		for (unsigned k = 0; k < n; k++) {
			abef[k] = _mm_add_epi32(abef[k], abef_before[k]);
			cdgh[k] = _mm_add_epi32(cdgh[k], cdgh_before[k]);
		}
	}
	for (unsigned k = 0; k < n; k++)
		store_state(s, i[k], abef[k], cdgh[k]);
}

SHANI static void step_one(struct lanes *s, const size_t *i, size_t blocks)
{
	step_shani(s, i, 1, blocks);
}

SHANI static void step_pair(struct lanes *s, const size_t *i, size_t blocks)
{
	step_shani(s, i, 2, blocks);
}

/* ---- sixteen lanes -----------------------------------------------------------------------------
 */

/* The words of one block of each lane, word j of all of them in w[j]. */
AVX512 static inline __attribute__((always_inline)) void load_words(
	const uint8_t *const at[HASH_LANES_MAX], __m512i w[16])
{
	const __m512i swap =
		_mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
	__m512i r[16], t[16];
#pragma GCC unroll 16
	for (unsigned i = 0; i < 16; i++)
		r[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(at[i]), swap);
#pragma GCC unroll 8
	for (unsigned i = 0; i < 16; i += 2) {
		t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
		r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
		r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
		r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
	}
#pragma GCC unroll 4
	for (unsigned k = 0; k < 4; k++) {
		const __m512i a = _mm512_shuffle_i32x4(r[k], r[4 + k], 0x88);
		const __m512i b = _mm512_shuffle_i32x4(r[k], r[4 + k], 0xdd);
		const __m512i c = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0x88);
		const __m512i d = _mm512_shuffle_i32x4(r[8 + k], r[12 + k], 0xdd);
		w[k] = _mm512_shuffle_i32x4(a, c, 0x88);
		w[4 + k] = _mm512_shuffle_i32x4(b, d, 0x88);
		w[8 + k] = _mm512_shuffle_i32x4(a, c, 0xdd);
		w[12 + k] = _mm512_shuffle_i32x4(b, d, 0xdd);
	}
}

#define XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define ROR(x, n) _mm512_ror_epi32(x, n)
#define ADD(a, b) _mm512_add_epi32(a, b)

/* Sixty-four rounds; v is a to h. */
AVX512 static inline __attribute__((always_inline)) void mix_words(__m512i v[8], __m512i w[16])
{
#pragma GCC unroll 64
	for (unsigned t = 0; t < 64; t++) {
		const __m512i a = v[(64 - t) & 7], b = v[(65 - t) & 7], c = v[(66 - t) & 7];
		const __m512i e = v[(68 - t) & 7], f = v[(69 - t) & 7], g = v[(70 - t) & 7];
		__m512i x = w[t & 15];
		if (t >= 16) {
			const __m512i x2 = w[(t + 14) & 15], x15 = w[(t + 1) & 15];
			const __m512i s0 =
				XOR3(ROR(x15, 7), ROR(x15, 18), _mm512_srli_epi32(x15, 3));
			const __m512i s1 =
				XOR3(ROR(x2, 17), ROR(x2, 19), _mm512_srli_epi32(x2, 10));
			x = ADD(ADD(x, s0), ADD(w[(t + 9) & 15], s1));
			w[t & 15] = x;
		}
		x = ADD(ADD(v[(71 - t) & 7], x), _mm512_set1_epi32((int)rounds[t]));
		x = ADD(x, ADD(XOR3(ROR(e, 6), ROR(e, 11), ROR(e, 25)),
				   _mm512_ternarylogic_epi32(e, f, g, 0xca)));
		v[(67 - t) & 7] = ADD(v[(67 - t) & 7], x);
		v[(71 - t) & 7] = ADD(x, ADD(XOR3(ROR(a, 2), ROR(a, 13), ROR(a, 22)),
						 _mm512_ternarylogic_epi32(a, b, c, 0xe8)));
	}
}

/* ${blocks} blocks of all lanes; one that has none reads another's, and its state is junk then. */
AVX512 static void step_wide(struct lanes *s, size_t blocks)
{
	const uint8_t *at[HASH_LANES_MAX];
	const uint8_t *any = NULL;
	__m512i v[8], before[8], w[16];
	for (size_t i = 0; i < HASH_LANES_MAX; i++) {
		at[i] = s->lane[i].item != NULL ? s->lane[i].run : NULL;
		any = at[i] != NULL ? at[i] : any;
	}
	for (size_t i = 0; i < HASH_LANES_MAX; i++)
		at[i] = at[i] != NULL ? at[i] : any;
	for (size_t j = 0; j < 8; j++)
		v[j] = _mm512_loadu_si512(s->state[j]);
	for (size_t b = 0; b < blocks; b++) {
		load_words(at, w);
		for (size_t j = 0; j < 8; j++)
			before[j] = v[j];
		mix_words(v, w);
		for (size_t j = 0; j < 8; j++)
			v[j] = ADD(v[j], before[j]);
		for (size_t i = 0; i < HASH_LANES_MAX; i++)
			at[i] += BLOCK_BYTES;
	}
	for (size_t j = 0; j < 8; j++)
		_mm512_storeu_si512(s->state[j], v[j]);
}

/* ---- the run -----------------------------------------------------------------------------------
 */

/* As many blocks as all of the lanes ${i} have. */
static size_t common_blocks(const struct lanes *s, const size_t *i, size_t count)
{
	size_t blocks = SIZE_MAX;
	for (size_t k = 0; k < count; k++) {
		if (s->lane[i[k]].run_blocks < blocks)
			blocks = s->lane[i[k]].run_blocks;
	}
	return blocks;
}

static void advance(struct lanes *s, const size_t *i, size_t count, size_t blocks)
{
	for (size_t k = 0; k < count; k++) {
		s->lane[i[k]].run += blocks * BLOCK_BYTES;
		s->lane[i[k]].run_blocks -= blocks;
	}
}

static void run_lanes(struct lanes *s)
{
	size_t active;
	while ((active = fill(s)) > 0) {
		size_t on[HASH_LANES_MAX] = { 0 };
		size_t count = 0;
		for (size_t i = 0; i < s->width; i++) {
			if (s->lane[i].item != NULL)
				on[count++] = i;
		}
		const bool is_wide = active >= WIDE_FROM;
		if (!is_wide && count > 2)
			count = 2; /* the others keep their blocks for later */
		size_t blocks = common_blocks(s, on, count);
		if (is_wide)
			step_wide(s, blocks);
		else if (count == 2)
			step_pair(s, on, blocks);
		else
			step_one(s, on, blocks);
		advance(s, on, count, blocks);
	}
}

static const struct {
	const char *name;
	size_t width;
} forms[] = { { "library", 1 }, { "sha", 2 }, { "avx512", HASH_LANES_MAX } };

/* How many of the table run here.  A processor with one of them has all before it. */
static size_t ask_processor(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;
	size_t count = 1;
	__builtin_cpu_init();
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0 &&
		__builtin_cpu_supports("sse4.1"))
		count++;
	if (count == 2)
		count += __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
	return count;
}

/* Asked once: a virtual machine leaves for its host to answer, which takes as long as it takes to
 * hash some 80 KiB. */
static size_t usable(void)
{
	static _Atomic size_t known;
	size_t count = atomic_load_explicit(&known, memory_order_relaxed);
	if (count == 0) {
		count = ask_processor();
		atomic_store_explicit(&known, count, memory_order_relaxed);
	}
	return count;
}

const char *hash_lanes_form(size_t form)
{
	return form < usable() ? forms[form].name : NULL;
}

void hash_lanes_run_in(size_t form, struct hash_lanes_item *items, size_t count)
{
	if (form == 0) {
		run_alone(items, count);
		return;
	}
	struct lanes s = { .next = items, .end = items + count, .width = forms[form].width };
	run_lanes(&s);
}

#else

const char *hash_lanes_form(size_t form)
{
	return form == 0 ? "library" : NULL;
}

void hash_lanes_run_in(size_t form, struct hash_lanes_item *items, size_t count)
{
	(void)form;
	run_alone(items, count);
}

#endif
