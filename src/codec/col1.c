#include "codec/col1.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/zcodec.h"

/*
 * INVARIANTS
 * (1) A struct col1 that reaches a transform has an allowed stride, phase < stride, modes <= 2.
 * (2) The output of a chunk of n bytes, r = (n - phase) / stride rows, is: column 0 (r * width
 *     bytes), column 1, ..., the first phase bytes, the last n - phase - r * stride bytes.
 * (3) Stride, phase and modes come from the chunk's bytes, its length alone.
 *
 * Every number below is part of the format in this sense: another value gives other records for
 * the same data, which then do not deduplicate.
 */
enum { MODE_WORDS = 0, MODE_PLANES = 1, MODE_DELTA = 2 };

#define STRIDE_STEP 4
#define STRIDE_MAX 128
#define STRIDES (STRIDE_MAX / STRIDE_STEP)

#define CHOOSE_MIN_BYTES 65536
#define WINDOWS 4
#define WINDOW_BYTES 2048
#define WINDOW_LEAD_BYTES 1024 /* before the first window: room for the longest lag */
#define SAMPLED_BYTES (WINDOWS * WINDOW_BYTES)
#define BACKGROUND_RANK 10 /* the 11th smallest count */
#define ODD_LAGS 5

#define TRIAL_BYTES 131072
#define TRIAL_SHORT_STRIDE 32 /* up to here half of them tell enough */

/* The width of a column: 8 when that divides the stride, else 4. */
static unsigned width_of(unsigned stride)
{
	return stride % 8 == 0 ? 8 : 4;
}

static bool is_allowed(unsigned stride)
{
	return stride >= STRIDE_STEP && stride <= STRIDE_MAX && stride % STRIDE_STEP == 0 &&
	       stride / width_of(stride) <= COL1_MAX_COLUMNS;
}

static uint64_t to_little(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* Little-endian word of ${width} bytes, 8 or 4. */
static inline uint64_t load(const uint8_t *p, unsigned width)
{
	uint64_t v = 0;
	memcpy(&v, p, width);
	return to_little(v);
}

static inline void store(uint8_t *p, uint64_t v, unsigned width)
{
	v = to_little(v);
	memcpy(p, &v, width);
}

/* ---- transform ---------------------------------------------------------------------------- */

/* One column seen from both sides: words in records, and the bytes of the column. */
struct column {
	size_t rows;
	unsigned stride;
	unsigned width;
	unsigned mode;
};

static void forward_words(const struct column *c, const uint8_t *in, uint8_t *out)
{
	if (c->width == 8) {
		for (size_t i = 0; i < c->rows; i++)
			memcpy(out + 8 * i, in + i * c->stride, 8);
	} else {
		for (size_t i = 0; i < c->rows; i++)
			memcpy(out + 4 * i, in + i * c->stride, 4);
	}
}

static void inverse_words(const struct column *c, const uint8_t *in, uint8_t *out)
{
	if (c->width == 8) {
		for (size_t i = 0; i < c->rows; i++)
			memcpy(out + i * c->stride, in + 8 * i, 8);
	} else {
		for (size_t i = 0; i < c->rows; i++)
			memcpy(out + i * c->stride, in + 4 * i, 4);
	}
}

/* Turn the square of 8 x 8 bytes: byte b of word i goes to byte i of word b.  */
#ifdef __SSE2__ /* part of every x86-64: bytes, pairs and fours of the words are interleaved */
static inline void transpose(uint64_t w[8])
{
	__m128i pair[4], four[4];
	for (unsigned i = 0; i < 4; i++)
		pair[i] = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(w + 2 * i)),
			_mm_loadl_epi64((const __m128i *)(w + 2 * i + 1)));
	for (unsigned i = 0; i < 2; i++) {
		four[i] = _mm_unpacklo_epi16(pair[2 * i], pair[2 * i + 1]);
		four[2 + i] = _mm_unpackhi_epi16(pair[2 * i], pair[2 * i + 1]);
	}
	for (unsigned i = 0; i < 2; i++) {
		_mm_storeu_si128(
			(__m128i *)(w + 4 * i), _mm_unpacklo_epi32(four[2 * i], four[2 * i + 1]));
		_mm_storeu_si128((__m128i *)(w + 4 * i + 2),
			_mm_unpackhi_epi32(four[2 * i], four[2 * i + 1]));
	}
}
#else /* halves, quarters and bytes of the words change places across the diagonal */
static inline void transpose(uint64_t w[8])
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t t = (w[i] >> 32 ^ w[i + 4]) & UINT64_C(0xffffffff);
		w[i + 4] ^= t;
		w[i] ^= t << 32;
	}
	for (unsigned n = 0; n < 4; n++) {
		unsigned i = n / 2 * 4 + n % 2;
		uint64_t t = (w[i] >> 16 ^ w[i + 2]) & UINT64_C(0x0000ffff0000ffff);
		w[i + 2] ^= t;
		w[i] ^= t << 16;
	}
	for (unsigned i = 0; i < 8; i += 2) {
		uint64_t t = (w[i] >> 8 ^ w[i + 1]) & UINT64_C(0x00ff00ff00ff00ff);
		w[i + 1] ^= t;
		w[i] ^= t << 8;
	}
}
#endif

/* Sixteen bytes; the compiler makes one instruction of each of these, where the machine has it. */
typedef uint8_t lanes __attribute__((vector_size(16)));
typedef uint16_t lanes16 __attribute__((vector_size(16)));
typedef uint32_t lanes32 __attribute__((vector_size(16)));
typedef uint64_t lanes64 __attribute__((vector_size(16)));

static inline lanes low_bytes(lanes a, lanes b)
{
	return __builtin_shufflevector(
		a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline lanes high_bytes(lanes a, lanes b)
{
	return __builtin_shufflevector(
		a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* Sixteen rows of eight bytes, as they lie in memory, to eight planes of sixteen: each round puts
 * bytes of rows side by side that are 8, 4, 2, 1 rows apart. */
static inline void planes_of_rows(const uint64_t rows[16], lanes plane[8])
{
	lanes a[8], b[8];
#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++) {
		const lanes64 first = { rows[i], 0 }, second = { rows[i + 8], 0 };
		a[i] = low_bytes((lanes)first, (lanes)second);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < 4; i++) { /* b: i of bytes 0..3, then of 4..7 */
		b[i] = low_bytes(a[i], a[i + 4]);
		b[i + 4] = high_bytes(a[i], a[i + 4]);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < 8; i++) { /* a: two rows of bytes 0 1, 2 3, 4 5, 6 7 */
		const unsigned half = i / 4 * 4, row = i % 2;
		a[i] = i % 4 < 2 ? low_bytes(b[half + row], b[half + row + 2])
				 : high_bytes(b[half + row], b[half + row + 2]);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < 4; i++) {
		plane[2 * i] = low_bytes(a[2 * i], a[2 * i + 1]);
		plane[2 * i + 1] = high_bytes(a[2 * i], a[2 * i + 1]);
	}
}

/* The other way: bytes, pairs and fours of a row's come together. */
static inline void rows_of_planes(const lanes plane[8], uint64_t rows[16])
{
	lanes two[8], four[8];
#pragma GCC unroll 8
	for (unsigned i = 0; i < 4; i++) { /* of rows 0..7, then of 8..15 */
		two[i] = low_bytes(plane[2 * i], plane[2 * i + 1]);
		two[i + 4] = high_bytes(plane[2 * i], plane[2 * i + 1]);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < 4; i++) {
		const lanes16 x = (lanes16)two[i / 2 * 4 + i % 2 * 2];
		const lanes16 y = (lanes16)two[i / 2 * 4 + i % 2 * 2 + 1];
		four[2 * i] = (lanes)__builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
		four[2 * i + 1] = (lanes)__builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < 4; i++) { /* rows 0..3, 4..7, 8..11, 12..15 */
		const lanes32 x = (lanes32)four[i / 2 * 4 + i % 2];
		const lanes32 y = (lanes32)four[i / 2 * 4 + i % 2 + 2];
		const lanes32 low = __builtin_shufflevector(x, y, 0, 4, 1, 5);
		const lanes32 high = __builtin_shufflevector(x, y, 2, 6, 3, 7);
		memcpy(&rows[4 * i], &low, sizeof(low));
		memcpy(&rows[4 * i + 2], &high, sizeof(high));
	}
}

/* Sixteen rows at a time as vectors, or eight through transpose(), the last ones byte by byte.
 * Words of 4 bytes may carry garbage above them here: only their own bytes are written. */
static inline void planes_of(
	const struct column *c, unsigned width, const uint8_t *in, uint8_t *out)
{
	uint64_t before = 0, word;
	size_t at = 0;
	for (; width == 8 && at + 16 <= c->rows; at += 16) {
		uint64_t rows[16];
		lanes plane[8];
		for (unsigned i = 0; i < 16; i++) {
			word = load(in + (at + i) * c->stride, 8);
			rows[i] = to_little(c->mode == MODE_DELTA ? word - before : word);
			before = word;
		}
		planes_of_rows(rows, plane);
		for (unsigned b = 0; b < 8; b++)
			memcpy(out + b * c->rows + at, &plane[b], sizeof(plane[b]));
	}
	for (; at + 8 <= c->rows; at += 8) {
		uint64_t w[8];
		for (unsigned i = 0; i < 8; i++) {
			word = load(in + (at + i) * c->stride, width);
			w[i] = c->mode == MODE_DELTA ? word - before : word;
			before = word;
		}
		transpose(w);
		for (unsigned b = 0; b < width; b++)
			store(out + b * c->rows + at, w[b], 8);
	}
	for (; at < c->rows; at++) {
		word = load(in + at * c->stride, width);
		uint64_t v = c->mode == MODE_DELTA ? word - before : word;
		before = word;
		for (unsigned b = 0; b < width; b++)
			out[b * c->rows + at] = (uint8_t)(v >> (8 * b));
	}
}

static void forward_planes(const struct column *c, const uint8_t *in, uint8_t *out)
{
	if (c->width == 8)
		planes_of(c, 8, in, out);
	else
		planes_of(c, 4, in, out);
}

/* As planes_of(), the other way. */
static inline void words_of(const struct column *c, unsigned width, const uint8_t *in, uint8_t *out)
{
	uint64_t sum = 0, word;
	size_t at = 0;
	for (; width == 8 && at + 16 <= c->rows; at += 16) {
		uint64_t rows[16];
		lanes plane[8];
		for (unsigned b = 0; b < 8; b++)
			memcpy(&plane[b], in + b * c->rows + at, sizeof(plane[b]));
		rows_of_planes(plane, rows);
		for (unsigned i = 0; i < 16; i++) {
			word = to_little(rows[i]);
			sum = c->mode == MODE_DELTA ? sum + word : word;
			store(out + (at + i) * c->stride, sum, 8);
		}
	}
	for (; at + 8 <= c->rows; at += 8) {
		uint64_t w[8] = { 0 };
		for (unsigned b = 0; b < width; b++)
			w[b] = bytes_le64(in + b * c->rows + at);
		transpose(w);
		for (unsigned i = 0; i < 8; i++) {
			sum = c->mode == MODE_DELTA ? sum + w[i] : w[i];
			store(out + (at + i) * c->stride, sum, width);
		}
	}
	for (; at < c->rows; at++) {
		word = 0;
		for (unsigned b = 0; b < width; b++)
			word |= (uint64_t)in[b * c->rows + at] << (8 * b);
		sum = c->mode == MODE_DELTA ? sum + word : word;
		store(out + at * c->stride, sum, width);
	}
}

static void inverse_planes(const struct column *c, const uint8_t *in, uint8_t *out)
{
	if (c->width == 8)
		words_of(c, 8, in, out);
	else
		words_of(c, 4, in, out);
}

static void forward_column(const struct column *c, const uint8_t *in, uint8_t *out)
{
	if (c->mode == MODE_WORDS)
		forward_words(c, in, out);
	else
		forward_planes(c, in, out);
}

/* How a chunk divides into head, rows and tail. */
struct layout {
	size_t head;
	size_t rows;
	size_t body; /* rows * stride */
	size_t tail;
	unsigned width;
	unsigned columns;
};

static struct layout layout_of(const struct col1 *f, size_t len)
{
	struct layout l = { .head = f->phase < len ? f->phase : len };
	l.rows = (len - l.head) / f->stride;
	l.body = l.rows * f->stride;
	l.tail = len - l.head - l.body;
	l.width = width_of(f->stride);
	l.columns = f->stride / l.width;
	return l;
}

/* memcpy() that takes NULL for nothing. */
static void copy(uint8_t *out, const uint8_t *in, size_t len)
{
	if (len > 0)
		memcpy(out, in, len);
}

void col1_forward(const struct col1 *f, const uint8_t *in, uint8_t *out, size_t len)
{
	struct layout l = layout_of(f, len);
	for (unsigned i = 0; i < l.columns && l.rows > 0; i++) {
		struct column c = { l.rows, f->stride, l.width, f->mode[i] };
		forward_column(&c, in + l.head + i * l.width, out + i * l.width * l.rows);
	}
	copy(out + l.body, in, l.head);
	copy(out + l.body + l.head, in + l.head + l.body, l.tail);
}

void col1_inverse(const struct col1 *f, const uint8_t *in, uint8_t *out, size_t len)
{
	struct layout l = layout_of(f, len);
	for (unsigned i = 0; i < l.columns && l.rows > 0; i++) {
		struct column c = { l.rows, f->stride, l.width, f->mode[i] };
		const uint8_t *column = in + i * l.width * l.rows;
		uint8_t *first = out + l.head + i * l.width;
		if (c.mode == MODE_WORDS)
			inverse_words(&c, column, first);
		else
			inverse_planes(&c, column, first);
	}
	copy(out, in + l.body, l.head);
	copy(out + l.head + l.body, in + l.body + l.head, l.tail);
}

/* ---- parameters (docs/FORMAT.md section 3) --------------------------------------------------- */

size_t col1_encode(const struct col1 *f, uint8_t out[COL1_MAX_PARAM_BYTES])
{
	unsigned columns = f->stride / width_of(f->stride);
	size_t len = 2 + (columns + 3) / 4;
	memset(out, 0, len);
	out[0] = f->stride;
	out[1] = f->phase;
	for (unsigned i = 0; i < columns; i++)
		out[2 + i / 4] |= (uint8_t)(f->mode[i] << (2 * (i % 4)));
	return len;
}

int col1_decode(const uint8_t *data, size_t len, struct col1 *out, size_t *used, struct err *err)
{
	if (len < 2)
		return err_set(err, ERR_CORRUPT, "record filter is cut short");
	unsigned stride = data[0];
	if (!is_allowed(stride))
		return err_set(err, ERR_CORRUPT, "record filter has stride %u", stride);
	if (data[1] >= stride)
		return err_set(err, ERR_CORRUPT, "record filter has phase %u at stride %u", data[1],
			stride);
	unsigned columns = stride / width_of(stride);
	size_t mode_bytes = (columns + 3) / 4;
	if (len - 2 < mode_bytes)
		return err_set(err, ERR_CORRUPT, "record filter is cut short");

	struct col1 f = { .stride = data[0], .phase = data[1] };
	for (unsigned i = 0; i < 4 * mode_bytes; i++) {
		unsigned mode = data[2 + i / 4] >> (2 * (i % 4)) & 3;
		if (mode > MODE_DELTA || (i >= columns && mode != 0))
			return err_set(err, ERR_CORRUPT, "record filter has mode %u in column %u",
				mode, i);
		if (i < columns)
			f.mode[i] = (uint8_t)mode;
	}
	*out = f;
	*used = 2 + mode_bytes;
	return 0;
}

/* ---- detector ---------------------------------------------------------------------------------
 */

static const uint8_t *window_at(const uint8_t *data, size_t len, unsigned w)
{
	return data + (len - WINDOWS * WINDOW_LEAD_BYTES) / WINDOWS * w + WINDOW_LEAD_BYTES;
}

/* How many of WINDOW_BYTES bytes at ${p} equal the byte ${lag} before: eight a step, one count in
 * each byte of a word. */
static unsigned count_in_window(const uint8_t *p, unsigned lag)
{
	const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const size_t batch = 128 * 8; /* a count never passes 128 */
	unsigned total = 0;
	for (size_t at = 0; at < WINDOW_BYTES; at += batch) {
		uint64_t counts = 0;
		for (size_t i = at; i < at + batch; i += 8) {
			uint64_t x = bytes_le64(p + i) ^ bytes_le64(p + i - lag);
			counts += ~(((x & low7) + low7) | x | low7) >> 7;
		}
		/* a sum of eight counts needs more than a byte: add neighbours, then all four */
		const uint64_t even = UINT64_C(0x00ff00ff00ff00ff);
		uint64_t pairs = (counts & even) + (counts >> 8 & even);
		total += (unsigned)((pairs * (ones & even)) >> 48);
	}
	return total;
}

static unsigned count_equal(const uint8_t *data, size_t len, unsigned lag)
{
	unsigned total = 0;
	for (unsigned w = 0; w < WINDOWS; w++)
		total += count_in_window(window_at(data, len, w), lag);
	return total;
}

static int compare_unsigned(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a;
	unsigned y = *(const unsigned *)b;
	return (x > y) - (x < y);
}

/* What equality any lag would show: the lower of two guesses. */
static unsigned background(const uint8_t *data, size_t len, const unsigned counts[STRIDES])
{
	static const unsigned lags[ODD_LAGS] = { 5, 9, 13, 19, 27 };
	unsigned odd[ODD_LAGS];
	for (unsigned i = 0; i < ODD_LAGS; i++)
		odd[i] = count_equal(data, len, lags[i]);
	qsort(odd, ODD_LAGS, sizeof(odd[0]), compare_unsigned);

	unsigned sorted[STRIDES];
	memcpy(sorted, counts, sizeof(sorted));
	qsort(sorted, STRIDES, sizeof(sorted[0]), compare_unsigned);
	unsigned median = odd[ODD_LAGS / 2];
	return sorted[BACKGROUND_RANK] < median ? sorted[BACKGROUND_RANK] : median;
}

/* The smallest allowed stride whose bytes repeat nearly as often as the best one's; 0 = none. */
static unsigned detect_stride(const uint8_t *data, size_t len)
{
	unsigned counts[STRIDES];
	unsigned best = 0;
	for (unsigned i = 0; i < STRIDES; i++) {
		unsigned stride = STRIDE_STEP * (i + 1);
		counts[i] = count_equal(data, len, stride);
		if (is_allowed(stride) && counts[i] > best)
			best = counts[i];
	}
	unsigned ground = background(data, len, counts);
	if (best * 5 < SAMPLED_BYTES || best < ground + SAMPLED_BYTES / 10)
		return 0;
	unsigned enough = ground + (best - ground) * 85 / 100;
	for (unsigned i = 0; i < STRIDES; i++) {
		unsigned stride = STRIDE_STEP * (i + 1);
		if (is_allowed(stride) && counts[i] >= enough)
			return stride;
	}
	return 0;
}

/* ---- phase ------------------------------------------------------------------------------------
 */

/* The bytes that the signed difference of two words of ${width} bytes needs; 0 for 0. */
static unsigned bytes_needed(uint64_t word, uint64_t before, unsigned width)
{
	uint64_t d = word - before;
	if (width == 4)
		d = (uint64_t)(int64_t)(int32_t)(uint32_t)d;
	if (d == 0)
		return 0;
	uint64_t magnitude = (d >> 63) != 0 ? ~d : d;
	unsigned bits = magnitude == 0 ? 0 : 64 - (unsigned)__builtin_clzll(magnitude);
	return bits / 8 + 1;
}

static uint64_t swap(uint64_t word, unsigned width)
{
	return width == 8 ? __builtin_bswap64(word) : __builtin_bswap32((uint32_t)word);
}

/*
 * Rows are the same records whichever of their bytes they begin with, so only where columns begin
 * matters: phase mod width.  In the right place a difference to the row before is short (the low
 * bytes of a number change, the high ones stay) and a changed field changes one word, not two.  So:
 * the phase below width with the fewest bytes of differences over all words of the windows, the
 * lowest when equal.  Words are read as little-endian, or as big-endian where that needs over an
 * eighth fewer: little-endian fields seen in the wrong place look big-endian by about as much.
 */
static unsigned detect_phase(const uint8_t *data, size_t len, unsigned stride)
{
	unsigned width = width_of(stride);
	unsigned little[8] = { 0 };
	unsigned big[8] = { 0 };
	for (unsigned w = 0; w < WINDOWS; w++) {
		const uint8_t *p = window_at(data, len, w);
		size_t begin = (size_t)(p - data);
		for (size_t i = 0; i + width <= WINDOW_BYTES; i++) {
			uint64_t word = load(p + i, width);
			uint64_t before = load(p + i - stride, width);
			size_t h = (begin + i) % width;
			little[h] += bytes_needed(word, before, width);
			big[h] += bytes_needed(swap(word, width), swap(before, width), width);
		}
	}
	unsigned best = 0;
	unsigned best_cost = UINT_MAX;
	for (unsigned h = 0; h < width; h++) {
		unsigned as_big = big[h] + big[h] / 8;
		unsigned cost = little[h] < as_big ? little[h] : as_big;
		if (cost < best_cost) {
			best = h;
			best_cost = cost;
		}
	}
	return best;
}

/* ---- trial ------------------------------------------------------------------------------------
 */

struct trial {
	struct zcodec *z;
	uint8_t *column; /* room for one, TRIAL_BYTES */
};

/* The cost of one column in its best mode, stored in *${mode}; 0 when out of memory. */
static size_t try_column(const struct trial *t, struct column c, const uint8_t *in, uint8_t *mode)
{
	size_t best = 0;
	for (unsigned m = MODE_WORDS; m <= MODE_DELTA; m++) {
		c.mode = m;
		forward_column(&c, in, t->column);
		size_t cost = zcodec_size(t->z, ZCODEC_LOW, t->column, c.rows * c.width);
		if (cost == 0)
			return 0;
		if (m == MODE_PLANES)
			cost += cost / 50;
		if (m == MODE_DELTA)
			cost += cost / 33;
		if (m == MODE_WORDS || cost < best) {
			best = cost;
			*mode = (uint8_t)m;
		}
	}
	return best;
}

/* Choose modes on whole rows in the chunk's middle.  Return true when the filter wins there. */
static bool try_filter(const struct trial *t, const uint8_t *data, size_t len, struct col1 *f)
{
	size_t body = len - f->phase;
	size_t most = f->stride <= TRIAL_SHORT_STRIDE ? TRIAL_BYTES / 2 : TRIAL_BYTES;
	size_t sample = body < most ? body : most;
	const uint8_t *first = data + f->phase + (body - sample) / 2 / f->stride * f->stride;
	size_t rows = sample / f->stride;
	unsigned width = width_of(f->stride);

	/* plain first: most wrong guesses show in the first columns, and a sum only grows */
	size_t plain = zcodec_size(t->z, ZCODEC_LOW, first, rows * f->stride);
	size_t filtered = 0;
	for (unsigned i = 0; i < f->stride / width; i++) {
		struct column c = { rows, f->stride, width, MODE_WORDS };
		size_t cost = try_column(t, c, first + i * width, &f->mode[i]);
		filtered += cost;
		if (cost == 0 || filtered * 100 >= plain * 93)
			return false;
	}
	return true;
}

int col1_choose(struct zcodec *z, const uint8_t *data, size_t len, struct col1 *out)
{
	if (len < CHOOSE_MIN_BYTES)
		return 0;
	unsigned stride = detect_stride(data, len);
	if (stride == 0)
		return 0;
	struct col1 f = { .stride = (uint8_t)stride };
	f.phase = (uint8_t)detect_phase(data, len, stride);

	CLEANUP(cleanup_free_p) uint8_t *column = malloc(TRIAL_BYTES);
	if (column == NULL)
		return 0; /* plain is never wrong */
	const struct trial t = { z, column };
	if (!try_filter(&t, data, len, &f))
		return 0;
	*out = f;
	return 1;
}
