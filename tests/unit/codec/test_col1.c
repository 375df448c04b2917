#include "codec/col1.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "codec/zcodec.h"
#include "crypto/hash.h"

#define CHUNK_BYTES 131072
#define DATA_BYTES (4 * CHUNK_BYTES)

static uint8_t data[DATA_BYTES + 256];
static uint8_t filtered[DATA_BYTES];
static uint8_t packed[DATA_BYTES * 2];
static struct zcodec *z;
static uint64_t state;

static void setup(void)
{
	state = UINT64_C(88172645463325252);
	cr_assert(eq(int, zcodec_new(&z, NULL), 0));
}

static void teardown(void)
{
	zcodec_free(z);
}

TestSuite(col1, .init = setup, .fini = teardown);

/* The generator of the vectors: 64-bit xorshift 13, 7, 17. */
static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void put_le(uint8_t *p, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void put_be(uint8_t *p, uint64_t v, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		p[width - 1 - i] = (uint8_t)(v >> (8 * i));
}

/* Random bytes: the words of next(), little-endian. */
static void fill_random(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i += 8) {
		uint8_t word[8];
		put_le(word, next(), 8);
		memcpy(out + i, word, len - i < 8 ? len - i : 8);
	}
}

/* One sample of a historian: 50 tags, a value that often stays, time that goes on in steps. */
struct sample {
	uint64_t number;
	uint64_t ms;
	uint32_t tag;
	uint64_t value; /* the bits of a double */
};

static void next_sample(struct sample *s, uint64_t values[50])
{
	s->number++;
	s->ms += next() % 20;
	s->tag = (uint32_t)(next() % 50);
	if (values[s->tag] == 0 || next() % 4 == 0) {
		double v = 20.0 + s->tag + (double)(next() % 1000) / 100.0;
		memcpy(&values[s->tag], &v, sizeof(v));
	}
	s->value = values[s->tag];
}

enum layout { HISTORIAN_16, NETWORK_16, ROWS_24, ROWS_32, HEAP_56 };

static const unsigned sizes[] = { 16, 16, 24, 32, 56 };

static void put_record(enum layout layout, const struct sample *s, uint8_t *p)
{
	memset(p, 0, sizes[layout]);
	switch (layout) {
	case HISTORIAN_16:
		put_le(p, s->ms, 8);
		put_le(p + 8, s->value, 8);
		break;
	case NETWORK_16:
		put_be(p, s->ms, 8);
		put_be(p + 8, s->value, 8);
		break;
	case ROWS_24:
		put_le(p, 1000 + s->tag, 4);
		put_le(p + 4, 192, 4);
		put_le(p + 8, s->ms, 8);
		put_le(p + 16, s->value, 8);
		break;
	case ROWS_32:
		put_le(p, s->number, 4);
		put_le(p + 4, s->tag, 4);
		put_le(p + 8, s->ms, 8);
		put_le(p + 16, s->value, 8);
		put_le(p + 24, 192, 4);
		break;
	case HEAP_56:
		put_le(p, 5000 + s->number / 1000, 4);
		put_le(p + 12, s->number / 140, 4);
		put_le(p + 16, s->number % 140, 2);
		put_le(p + 20, 6, 2);
		put_le(p + 22, 24, 2);
		put_le(p + 24, s->tag, 4);
		put_le(p + 32, s->value, 8);
		put_le(p + 40, 192, 4);
		put_le(p + 48, s->ms, 8);
		break;
	}
}

static void fill_records(enum layout layout)
{
	struct sample s = { .ms = UINT64_C(1700000000000) };
	uint64_t values[50] = { 0 };
	for (size_t at = 0; at + sizes[layout] <= sizeof(data); at += sizes[layout]) {
		next_sample(&s, values);
		put_record(layout, &s, data + at);
	}
}

/* ---- transform ---- */

static void expect_forward(const struct col1 *f, size_t len, const char *hex)
{
	uint8_t in[64];
	uint8_t out[64];
	uint8_t back[64];
	char got[129];
	state = UINT64_C(88172645463325252);
	fill_random(in, len);

	col1_forward(f, in, out, len);
	col1_inverse(f, out, back, len);

	text_hex(out, len, got);
	cr_expect_str_eq(got, hex);
	cr_expect_arr_eq(back, in, len);
}

/* Input: the first bytes of fill_random().  The outputs are from an independent implementation. */
Test(col1, forward_vectors)
{
	expect_forward(&(struct col1){ .stride = 16, .phase = 3, .mode = { 2, 1 } }, 61,
		"fb2c007504990907f86986ed79b6419b4958c5c67a2cfd4aae431857f834733d"
		"bb33090a2ae4f7d0b2719a87c3521621b015de4bcd7bb961b77cc7d85e");
	expect_forward(&(struct col1){ .stride = 12, .phase = 5, .mode = { 0, 1, 2 } }, 50,
		"0969799b9a52277a3d09e4b2c510872cef16ae2f2757e51373187e33f7b22a18"
		"2ed02845b015defb7506751834bb0af771c3");
	expect_forward(&(struct col1){ .stride = 24, .phase = 7, .mode = { 1, 0, 2 } }, 7,
		"b015defb750969");
	expect_forward(&(struct col1){ .stride = 4, .phase = 0, .mode = { 2 } }, 18,
		"b0c526bc15f3bcadde8ac306fb7d347cd09a");
}

Test(col1, forward_vector_of_sixteen_columns)
{
	struct col1 f = { .stride = 128, .phase = 100 };
	uint8_t digest[HASH_BYTES];
	char got[65];
	for (unsigned i = 0; i < 16; i++)
		f.mode[i] = (uint8_t)(i % 3);
	fill_random(data, 1000);

	col1_forward(&f, data, filtered, 1000);

	hash_sha256(filtered, 1000, digest);
	text_hex(digest, sizeof(digest), got);
	cr_expect_str_eq(got, "5c052ebebebada254c74eb995ee60113ba30ba670cb6bb38850324f5bd52c172");
}

static unsigned columns_of(unsigned stride)
{
	return stride / (stride % 8 == 0 ? 8 : 4);
}

/* The filter as docs/FORMAT.md has it, a byte at a time. */
static void plain_forward(const struct col1 *f, const uint8_t *in, uint8_t *out, size_t len)
{
	size_t head = f->phase < len ? f->phase : len, rows = (len - head) / f->stride, at = 0;
	unsigned u = f->stride % 8 == 0 ? 8 : 4;
	for (unsigned c = 0; c < f->stride / u; c++) {
		for (size_t n = 0; n < rows * u; n++) {
			size_t row = f->mode[c] == 0 ? n / u : n % rows;
			unsigned byte = (unsigned)(f->mode[c] == 0 ? n % u : n / rows);
			const uint8_t *word = in + head + row * f->stride + c * u;
			unsigned borrow = 0, v = word[0];
			for (unsigned b = 0; f->mode[c] == 2 && b <= byte; b++) {
				int d = word[b] - (row == 0 ? 0 : word[(int)b - f->stride]) -
					(int)borrow;
				borrow = d < 0;
				v = (unsigned)d & 255;
			}
			out[at++] = f->mode[c] == 2 ? (uint8_t)v : word[byte];
		}
	}
	memcpy(out + at, in, head);
	memcpy(out + at + head, in + head + rows * f->stride, len - head - rows * f->stride);
}

Test(col1, forward_is_the_definition_for_every_stride_and_number_of_rows)
{
	static uint8_t in[6000], want[6000], got[6000];
	for (unsigned stride = 4; stride <= 128; stride += 4) {
		for (size_t rows = 0; rows <= 40 && columns_of(stride) <= COL1_MAX_COLUMNS;
			rows++) {
			struct col1 f = { .stride = (uint8_t)stride };
			f.phase = (uint8_t)(next() % stride);
			for (unsigned c = 0; c < columns_of(stride); c++)
				f.mode[c] = (uint8_t)(next() % 3);
			size_t len = f.phase + rows * stride + next() % stride;
			fill_random(in, len);
			plain_forward(&f, in, want, len);
			col1_forward(&f, in, got, len);
			cr_assert(eq(int, memcmp(got, want, len), 0), "stride %u, %zu rows", stride,
				rows);
		}
	}
}

/* Every allowed stride with random phase, modes and length; buffers of the exact size, so that a
 * byte too far is found by the sanitizer. */
Test(col1, inverse_undoes_forward_for_every_stride)
{
	for (unsigned stride = 4; stride <= 128; stride += 4) {
		for (int i = 0; i < 40 && columns_of(stride) <= COL1_MAX_COLUMNS; i++) {
			size_t len = next() % (i < 20 ? 300 : 20000);
			struct col1 f = { .stride = (uint8_t)stride };
			f.phase = (uint8_t)(next() % stride);
			for (unsigned c = 0; c < columns_of(stride); c++)
				f.mode[c] = (uint8_t)(next() % 3);
			CLEANUP(cleanup_free_p) uint8_t *in = malloc(len);
			CLEANUP(cleanup_free_p) uint8_t *out = malloc(len);
			CLEANUP(cleanup_free_p) uint8_t *back = malloc(len);
			fill_random(in, len);
			col1_forward(&f, in, out, len);
			col1_inverse(&f, out, back, len);
			cr_assert(eq(int, memcmp(in, back, len), 0),
				"stride %u phase %u length %zu", stride, f.phase, len);
		}
	}
}

/* ---- parameters ---- */

Test(col1, parameters_have_their_known_bytes_and_come_back)
{
	const struct col1 f = { .stride = 56, .phase = 51, .mode = { 1, 0, 2, 2, 0, 1, 1 } };
	uint8_t raw[COL1_MAX_PARAM_BYTES];
	struct col1 back;
	size_t used = 0;

	cr_assert(eq(sz, col1_encode(&f, raw), 4));
	cr_expect_arr_eq(raw, "\x38\x33\xa1\x14", 4);
	cr_assert(eq(int, col1_decode(raw, 4, &back, &used, NULL), 0));
	cr_expect(eq(sz, used, 4));
	cr_expect(eq(int, memcmp(&back, &f, sizeof(f)), 0));
}

Test(col1, parameters_of_every_stride_come_back_and_no_cut_is_taken)
{
	for (unsigned stride = 0; stride < 256; stride++) {
		struct col1 f = { .stride = (uint8_t)stride };
		struct col1 back;
		size_t used = 0;
		bool is_allowed =
			stride >= 4 && stride <= 128 && stride % 4 == 0 && columns_of(stride) <= 16;
		uint8_t raw[COL1_MAX_PARAM_BYTES] = { (uint8_t)stride };
		if (!is_allowed) {
			cr_expect(eq(int, col1_decode(raw, sizeof(raw), &back, &used, NULL),
				-ERR_CORRUPT));
			continue;
		}
		f.phase = (uint8_t)(stride - 1);
		for (unsigned c = 0; c < columns_of(stride); c++)
			f.mode[c] = (uint8_t)((c + 1) % 3);
		size_t len = col1_encode(&f, raw);
		cr_assert(eq(sz, len, 2 + (columns_of(stride) + 3) / 4));
		cr_assert(eq(int, col1_decode(raw, sizeof(raw), &back, &used, NULL), 0));
		cr_expect(eq(sz, used, len));
		cr_expect(eq(int, memcmp(&back, &f, sizeof(f)), 0));
		for (size_t cut = 0; cut < len; cut++)
			cr_expect(eq(int, col1_decode(raw, cut, &back, &used, NULL), -ERR_CORRUPT));
	}
}

Test(col1, phases_modes_and_padding_outside_the_format_are_refused)
{
	static const struct {
		const char *raw;
		const char *text;
	} bad[] = {
		{ "\x10\x10\x00", "record filter has phase 16 at stride 16" },
		{ "\x10\x00\x03", "record filter has mode 3 in column 0" },
		{ "\x10\x00\x0c", "record filter has mode 3 in column 1" },
		{ "\x10\x00\x10", "record filter has mode 1 in column 2" },
		{ "\x10\x00\x80", "record filter has mode 2 in column 3" },
		{ "\x44\x00\x00", "record filter has stride 68" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct col1 f = { .stride = 77 };
		size_t used = 99;
		struct err err = ERR_INIT;
		cr_expect(eq(int, col1_decode((const uint8_t *)bad[i].raw, 3, &f, &used, &err),
			-ERR_CORRUPT));
		cr_expect_str_eq(err.msg, bad[i].text);
		cr_expect(eq(u8, f.stride, 77));
		cr_expect(eq(sz, used, 99));
	}
}

/* ---- choice ---- */

/* Wherever a chunk begins, the columns begin where fields begin. */
static void expect_found_at_every_cut(enum layout layout)
{
	unsigned stride = sizes[layout];
	fill_records(layout);
	for (unsigned cut = 0; cut < stride; cut++) {
		struct col1 f = { .stride = 0 };
		size_t len = CHUNK_BYTES + 7 * cut;
		cr_assert(eq(int, col1_choose(z, data + cut, len, &f), 1), "cut %u", cut);
		cr_expect(eq(uint, f.stride, stride), "cut %u", cut);
		cr_expect(eq(uint, f.phase, (stride - cut) % 8), "cut %u", cut);
	}
}

Test(col1, finds_historian_records_at_every_cut)
{
	expect_found_at_every_cut(HISTORIAN_16);
}

Test(col1, finds_big_endian_records_at_every_cut)
{
	expect_found_at_every_cut(NETWORK_16);
}

Test(col1, finds_rows_of_24_bytes_at_every_cut)
{
	expect_found_at_every_cut(ROWS_24);
}

Test(col1, finds_rows_of_32_bytes_at_every_cut)
{
	expect_found_at_every_cut(ROWS_32);
}

Test(col1, finds_heap_tuples_of_56_bytes_at_every_cut)
{
	expect_found_at_every_cut(HEAP_56);
}

Test(col1, historian_records_shrink_by_more_than_a_tenth_and_come_back)
{
	static const enum layout layouts[] = { HISTORIAN_16, NETWORK_16, ROWS_24, ROWS_32,
		HEAP_56 };
	for (size_t i = 0; i < 5; i++) {
		static uint8_t back[DATA_BYTES];
		struct col1 f;
		fill_records(layouts[i]);
		cr_assert(eq(int, col1_choose(z, data + 5, DATA_BYTES, &f), 1));
		col1_forward(&f, data + 5, filtered, DATA_BYTES);
		size_t plain = zcodec_compress(
			z, ZCODEC_MIDDLE, data + 5, DATA_BYTES, packed, sizeof(packed));
		size_t with = zcodec_compress(
			z, ZCODEC_MIDDLE, filtered, DATA_BYTES, packed, sizeof(packed));
		cr_expect(lt(sz, with * 10, plain * 9), "layout %zu: %zu of %zu", i, with, plain);
		col1_inverse(&f, filtered, back, DATA_BYTES);
		cr_expect(eq(int, memcmp(back, data + 5, DATA_BYTES), 0));
	}
}

Test(col1, the_choice_is_a_function_of_the_bytes_alone)
{
	struct col1 first;
	struct col1 second;
	memset(&first, 0x11, sizeof(first));
	memset(&second, 0x22, sizeof(second));
	fill_records(ROWS_24);
	cr_assert(eq(int, col1_choose(z, data + 8, CHUNK_BYTES, &first), 1));

	/* elsewhere in memory, in a buffer of just that size, after other work */
	CLEANUP(cleanup_free_p) uint8_t *memory = malloc(CHUNK_BYTES + 3);
	memcpy(memory + 3, data + 8, CHUNK_BYTES);
	cr_assert(ge(sz, zcodec_compress(z, ZCODEC_HIGH, data, 5000, packed, sizeof(packed)), 1));
	cr_assert(eq(int, col1_choose(z, memory + 3, CHUNK_BYTES, &second), 1));

	cr_expect(eq(int, memcmp(&first, &second, sizeof(first)), 0));
}

static void expect_plain(const uint8_t *bytes, size_t len)
{
	struct col1 f = { .stride = 99 };
	cr_expect(eq(int, col1_choose(z, bytes, len, &f), 0));
	cr_expect(eq(u8, f.stride, 99));
}

Test(col1, random_and_constant_bytes_stay_plain)
{
	fill_random(data, DATA_BYTES);
	for (size_t i = 0; i < 16; i++)
		expect_plain(data + i * 1000, CHUNK_BYTES);
	memset(data, 0x5a, DATA_BYTES);
	expect_plain(data, DATA_BYTES);
}

Test(col1, text_stays_plain)
{
	static const char *const words[] = { "<value tag=\"", "PT-", "</value>\n", "batch ",
		"pump ", "valve opened ", "2026-11-24T02:19:53Z ", "0.25 ", "alarm " };
	size_t len = 0;
	while (len < DATA_BYTES) {
		const char *word = words[next() % 9];
		for (; *word != '\0' && len < DATA_BYTES; word++)
			data[len++] = (uint8_t)*word;
	}
	for (size_t i = 0; i < 16; i++)
		expect_plain(data + i * 1001, CHUNK_BYTES);
}

Test(col1, records_of_more_than_sixteen_columns_stay_plain)
{
	for (size_t at = 0; at + 68 <= sizeof(data); at += 68) {
		for (unsigned i = 0; i < 68; i++)
			data[at + i] = (uint8_t)(i * 37);
		put_le(data + at + 40, next(), 8);
	}
	expect_plain(data, CHUNK_BYTES);
}

Test(col1, chunks_below_64_kib_stay_plain)
{
	struct col1 f;
	fill_records(HISTORIAN_16);

	expect_plain(data, 65535);
	expect_plain(data, 0);
	cr_expect(eq(int, col1_choose(z, data, 65536, &f), 1));
}
