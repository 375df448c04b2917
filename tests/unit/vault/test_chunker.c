#include "vault/chunker.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "lib/chunker_cases.h"

#define MIB (1u << 20)
#define VECTOR_BYTES (64u * MIB)
#define SEED UINT64_C(88172645463325252)

static void put_le64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static void init(struct chunker *c, size_t average)
{
	uint8_t key[32];
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
	chunker_init(c, key, average);
}

/* ${first}: where the first cuts of the vector are, whichever kernel looks for them. */
static void expect_vector(const uint8_t *data, const size_t *first, size_t count, size_t in_all)
{
	struct chunker c;

	init(&c, MIB);
	for (size_t k = 0; chunker_kernel_at(k) != NULL; k++) {
		size_t at = 0, cuts = 0;
		c.kernel = chunker_kernel_at(k);
		while (at < VECTOR_BYTES) {
			at += chunker_cut(&c, data + at, VECTOR_BYTES - at, true);
			if (cuts < count)
				cr_expect(eq(sz, at, first[cuts]), "%s, cut %zu", c.kernel->name,
					cuts);
			cuts++;
		}
		cr_expect(eq(sz, cuts, in_all), "%s", c.kernel->name);
	}
}

static uint8_t *allocate(size_t len)
{
	uint8_t *data = malloc(len);
	cr_assert(data != NULL);
	return data;
}

Test(chunker, key_schedule_is_the_published_one)
{
	struct chunker c;
	init(&c, MIB);
	cr_expect(eq(u64, c.k0, UINT64_C(0xc618866f240b47a4)));
	cr_expect(eq(u64, c.k1, UINT64_C(0x9406e689f898ba98)));
	cr_expect(eq(u64, c.m0, UINT64_C(0xd64db99f593a95b8)));
	cr_expect(eq(u64, c.m1, UINT64_C(0x7f69a3a5dbe0bfd3)));
	cr_expect(eq(u8, c.key.k, 0xfd));
	cr_expect(eq(u8, c.key.g[0x00], 0x36 ^ 0xc0));
	cr_expect(eq(u8, c.key.g[0xff], 0xf5 ^ 0xbb));
	cr_expect(eq(u8, c.key.g[0x1e], 0xb6 ^ 0x91));
	cr_expect(eq(sz, c.min, 262144));
	cr_expect(eq(sz, c.norm, 851968));
	cr_expect(eq(sz, c.max, 4194304));
	cr_expect(eq(u64, c.q1, UINT64_C(1) << 26));
	cr_expect(eq(u64, c.q2, UINT64_C(1) << 30));
}

Test(chunker, random_bytes_are_cut_as_in_vector_a)
{
	static const size_t first[] = { 1702665, 2560841, 4137816, 5031364, 5736841, 6872981,
		9257710, 10136177, 11011481, 11960805, 12884882, 14053180, 14963056, 15886799,
		17018648, 17892767, 19287905, 19681027, 20001854, 20984467 };
	uint8_t *data = allocate(VECTOR_BYTES);
	uint64_t x = SEED;
	for (size_t i = 0; i < VECTOR_BYTES; i += 8)
		put_le64(data + i, chunker_cases_random(&x));
	expect_vector(data, first, 20, 63);
	free(data);
}

Test(chunker, eight_symbols_are_cut_as_in_vector_b)
{
	static const size_t first[] = { 1190780, 2339133, 3506591, 4465762, 5569246, 6707486,
		7705540, 8582237, 9188016, 10194721, 11281805, 12445012, 13578495, 15145837,
		16495324, 17038380, 17923496, 19183837, 20964616, 21630361 };
	uint8_t *data = allocate(VECTOR_BYTES);
	uint64_t x = SEED;
	for (size_t i = 0; i < VECTOR_BYTES; i++)
		data[i] = (uint8_t)('0' + (chunker_cases_random(&x) & 7));
	expect_vector(data, first, 20, 65);
	free(data);
}

Test(chunker, counting_records_are_cut_as_in_vector_c)
{
	static const size_t first[] = { 1054163, 1956911, 3266734, 4228324, 5101507, 5833416,
		7381190, 8635501, 9739926, 11574529, 12460163, 13803973, 14693439, 16172947,
		17117542, 18282505, 18919207, 19918008, 20227426, 21670085 };
	uint8_t *data = allocate(VECTOR_BYTES);
	for (size_t i = 0; i < VECTOR_BYTES / 16; i++) {
		put_le64(data + 16 * i, (uint32_t)i);
		put_le64(data + 16 * i + 8, i / 64);
	}
	expect_vector(data, first, 20, 63);
	free(data);
}

Test(chunker, periodic_bytes_without_candidates_are_cut_at_max)
{
	static const char period[] = "ABCDEFGHIJKLMNOPQRSTUVW";
	size_t all[16];
	uint8_t *data = allocate(VECTOR_BYTES);
	for (size_t i = 0; i < VECTOR_BYTES; i++)
		data[i] = (uint8_t)period[i % 23];
	for (size_t i = 0; i < 16; i++)
		all[i] = (i + 1) * 4194304;
	expect_vector(data, all, 16, 16);
	free(data);
}

/* Buffers that are random, periodic, poor in symbols, or change their kind in the middle. */
static void fill_adversarial(uint8_t *data, size_t len, unsigned kind, uint64_t *x)
{
	size_t period = 1 + chunker_cases_random(x) % 300;
	unsigned symbols = 1 + (unsigned)(chunker_cases_random(x) % 4);
	for (size_t i = 0; i < len; i++) {
		if (kind % 4 == 0)
			data[i] = (uint8_t)chunker_cases_random(x);
		else if (kind % 4 == 1)
			data[i] = i < period ? (uint8_t)chunker_cases_random(x) : data[i - period];
		else if (kind % 4 == 2)
			data[i] = (uint8_t)(chunker_cases_random(x) % symbols);
		else
			data[i] = i % 5000 < 2500 ? (uint8_t)(i / 256)
						  : (uint8_t)chunker_cases_random(x);
	}
}

Test(chunker, tiles_and_plain_rule_cut_the_same)
{
	size_t len = 300000, compared = 0;
	uint8_t *data = allocate(len);
	uint64_t x = SEED;

	for (unsigned round = 0; round < 60; round++) {
		struct chunker c;
		uint8_t key[32];
		for (size_t i = 0; i < 32; i++)
			key[i] = (uint8_t)chunker_cases_random(&x);
		chunker_init(&c, key, (size_t)1 << (14 + round % 3));
		fill_adversarial(data, len, round, &x);
		for (size_t at = 0; at < len;) {
			size_t got = chunker_cut(&c, data + at, len - at, true);
			cr_assert(eq(sz, got, chunker_cases_plain(&c, data + at, len - at)),
				"round %u at %zu", round, at);
			at += got;
			compared++;
		}
	}
	cr_expect(ge(sz, compared, 400));
	free(data);
}

Test(chunker, a_window_that_repeats_makes_candidates_and_is_cut_the_same)
{
	size_t len = 200000, hits = 0;
	uint8_t *data = allocate(len);
	uint64_t x = SEED;

	/* search periods whose window is a candidate, so that the memory of windows is used */
	for (unsigned round = 0; round < 3000 && hits < 5; round++) {
		struct chunker c;
		init(&c, 1u << 14);
		size_t period = 5 + round % 60;
		for (size_t i = 0; i < len; i++)
			data[i] = i < period ? (uint8_t)chunker_cases_random(&x) : data[i - period];
		size_t got = chunker_cut(&c, data, len, true);
		cr_assert(eq(sz, got, chunker_cases_plain(&c, data, len)));
		hits += got != c.max;
	}
	cr_expect(eq(sz, hits, 5));
	free(data);
}

Test(chunker, a_stream_cut_through_a_window_of_max_is_cut_the_same)
{
	size_t len = 500000;
	uint8_t *data = allocate(len);
	uint64_t x = SEED;
	struct chunker c;

	init(&c, 1u << 14);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)chunker_cases_random(&x);
	for (size_t at = 0; at < len;) {
		size_t left = len - at, whole = chunker_cut(&c, data + at, left, true);
		size_t seen = left > c.max ? c.max : left;
		cr_assert(eq(sz, chunker_cut(&c, data + at, seen, seen == left), whole));
		at += whole;
	}
	free(data);
}

Test(chunker, a_search_split_at_any_offset_finds_the_same_cut)
{
	size_t len = 70000, ends = 0;
	uint8_t *data = allocate(len), *moved = allocate(len);
	uint64_t x = SEED;
	struct chunker c;

	init(&c, 1u << 14);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)chunker_cases_random(&x);
	size_t want = chunker_cut(&c, data, len, true);
	cr_assert(ge(sz, want, c.min + 1));
	for (size_t k = 0; chunker_kernel_at(k) != NULL; k++) {
		c.kernel = chunker_kernel_at(k);
		for (size_t split = 0; split <= want + 70; split++) {
			struct chunker_search s;
			chunker_search_begin(&c, &s);
			size_t got = chunker_search_next(&c, &s, data, split, false);
			cr_assert(eq(sz, got, split < want ? 0 : want), "%s at %zu", c.kernel->name,
				split);
			ends += got == 0;
			if (got == 0 && split % 64 == 0) { /* the bytes may lie elsewhere by then */
				memcpy(moved, data, len);
				got = chunker_search_next(&c, &s, moved, len, true);
			} else if (got == 0) {
				got = chunker_search_next(&c, &s, data, len, true);
			}
			cr_assert(eq(sz, got, want), "%s at %zu", c.kernel->name, split);
		}
	}
	cr_expect(ge(sz, ends, want));
	free(data);
	free(moved);
}

Test(chunker, a_search_waits_for_max_or_the_end_when_no_candidate_cuts)
{
	struct chunker_search s;
	struct chunker c;
	uint8_t *data = calloc(1, 65537);
	uint64_t x = SEED;
	size_t at = 40000;

	init(&c, 1u << 14);
	cr_assert(data != NULL && chunker_cases_plant(&c, data + at, &x));
	c.q1 = c.q2 = 0; /* candidates, but none cuts by itself */
	for (size_t k = 0; chunker_kernel_at(k) != NULL; k++) {
		c.kernel = chunker_kernel_at(k);
		chunker_search_begin(&c, &s);
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, 0, false), 0));
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, c.min, false), 0));
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, c.max - 1, false), 0));
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, c.max - 1, true), c.max - 1));
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, c.max, false), at));
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, c.max + 1, false), at));
		chunker_search_begin(&c, &s);
		cr_expect(eq(sz, chunker_search_next(&c, &s, data, 100, true), 100));
	}
	free(data);
}

Test(chunker, short_streams_are_one_chunk)
{
	struct chunker c;
	uint8_t *data = allocate(262144);
	init(&c, MIB);
	memset(data, 7, 262144);
	cr_expect(eq(sz, chunker_cut(&c, data, 0, true), 0));
	cr_expect(eq(sz, chunker_cut(&c, data, 1, true), 1));
	cr_expect(eq(sz, chunker_cut(&c, data, c.min, true), c.min));
	free(data);
}

Test(chunker, an_insertion_changes_the_chunks_around_it_only)
{
	size_t len = 1000000, same = 0, cuts = 0;
	uint8_t *data = allocate(len + 1);
	uint8_t *ends = calloc(1, len + 2);
	uint64_t x = SEED;
	struct chunker c;

	init(&c, 1u << 14);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)chunker_cases_random(&x);
	for (size_t at = 0; at < len;) {
		at += chunker_cut(&c, data + at, len - at, true);
		ends[at] = 1;
	}
	memmove(data + 500001, data + 500000, len - 500000);
	data[500000] = 42;
	for (size_t at = 0; at < len + 1; cuts++) {
		at += chunker_cut(&c, data + at, len + 1 - at, true);
		same += at <= 500000 ? ends[at] : ends[at - 1];
	}
	cr_expect(ge(sz, cuts, 40));
	cr_expect(ge(sz, same, cuts - 4));
	free(data);
	free(ends);
}
