#include "codec/zcodec.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <zstd.h>

#include "base/err.h"

#define TEXT_BYTES 300000

static struct zcodec *z;
static uint8_t text[TEXT_BYTES];
static uint8_t packed[TEXT_BYTES + 4096];
static uint8_t back[TEXT_BYTES];

static void setup(void)
{
	uint64_t x = UINT64_C(88172645463325252);
	cr_assert(eq(int, zcodec_new(&z, NULL), 0));
	for (size_t i = 0; i < sizeof(text); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[i] = (uint8_t)("pump valve tank"[x % 15]);
	}
}

static void teardown(void)
{
	zcodec_free(z);
}

TestSuite(zcodec, .init = setup, .fini = teardown);

static int unpack(size_t len, size_t out_len)
{
	struct err err = ERR_INIT;
	return zcodec_decompress(z, packed, len, back, out_len, &err);
}

Test(zcodec, what_goes_in_comes_out_at_every_effort_and_size)
{
	static const size_t sizes[] = { 0, 1, 100, 70000, TEXT_BYTES };
	for (size_t s = 0; s < 5; s++) {
		for (enum zcodec_effort e = ZCODEC_LOW; e < ZCODEC_EFFORTS; e++) {
			size_t n = zcodec_compress(z, e, text, sizes[s], packed, sizeof(packed));
			cr_assert(ge(sz, n, 1));
			memset(back, 0xee, sizeof(back));
			cr_assert(eq(int, unpack(n, sizes[s]), 0));
			cr_assert(eq(int, memcmp(back, text, sizes[s]), 0));
			cr_assert(sizes[s] == TEXT_BYTES || back[sizes[s]] == 0xee);
		}
	}
}

Test(zcodec, the_bytes_do_not_depend_on_the_room_or_on_what_was_before)
{
	static uint8_t tight[sizeof(packed)];
	size_t n = zcodec_compress(z, ZCODEC_MIDDLE, text, TEXT_BYTES, packed, sizeof(packed));
	cr_assert(ge(sz, n, 1));
	cr_assert(ge(sz, zcodec_compress(z, ZCODEC_LOW, text + 7, 5000, tight, sizeof(tight)), 1));

	cr_expect(eq(sz, zcodec_compress(z, ZCODEC_MIDDLE, text, TEXT_BYTES, tight, n), n));
	cr_expect(eq(sz, zcodec_size(z, ZCODEC_MIDDLE, text, TEXT_BYTES), n));
	cr_expect(eq(int, memcmp(tight, packed, n), 0));
	tight[0] = 0x77;
	cr_expect(eq(sz, zcodec_compress(z, ZCODEC_MIDDLE, text, TEXT_BYTES, tight, n - 1), 0));
	cr_expect(eq(u8, tight[0], 0x77));
	cr_expect(eq(sz, zcodec_size(z, ZCODEC_MIDDLE, text, 0),
		zcodec_compress(z, ZCODEC_MIDDLE, text, 0, tight, 100)));
}

Test(zcodec, below_a_limit_agrees_with_the_length_on_both_sides)
{
	static const size_t sizes[] = { 1, 100, 70000, 140000, TEXT_BYTES };
	for (size_t s = 0; s < 5; s++) {
		for (enum zcodec_effort e = ZCODEC_LOW; e < ZCODEC_EFFORTS; e++) {
			size_t n = zcodec_compress(z, e, text, sizes[s], packed, sizeof(packed));
			cr_expect(zcodec_is_below(z, e, text, sizes[s], n + 1));
			cr_expect(zcodec_is_below(z, e, text, sizes[s], 2 * sizes[s] + 100));
			cr_expect(not(zcodec_is_below(z, e, text, sizes[s], n)));
			cr_expect(not(zcodec_is_below(z, e, text, sizes[s], n / 2)));
			cr_expect(not(zcodec_is_below(z, e, text, sizes[s], 0)));
			/* what comes after is as if it had not been asked, also another effort */
			const enum zcodec_effort other = (e + 1) % ZCODEC_EFFORTS;
			cr_expect(ge(sz, zcodec_size(z, other, text, sizes[s]), 1));
			cr_expect(eq(sz, zcodec_compress(z, e, text, sizes[s], back, sizeof(back)),
				n <= sizeof(back) ? n : 0));
			cr_expect(eq(int, memcmp(back, packed, n), 0));
		}
	}
}

Test(zcodec, another_length_than_expected_is_corrupt_and_never_passes_the_end)
{
	size_t n = zcodec_compress(z, ZCODEC_LOW, text, 1000, packed, sizeof(packed));
	memset(back, 0xee, sizeof(back));

	cr_expect(eq(int, unpack(n, 999), -ERR_CORRUPT));
	cr_expect(eq(u8, back[999], 0xee));
	cr_expect(eq(int, unpack(n, 1001), -ERR_CORRUPT));
	cr_expect(eq(int, unpack(n, 0), -ERR_CORRUPT));
	cr_expect(eq(int, unpack(n, 1000), 0));
}

Test(zcodec, cuts_and_bytes_behind_the_frame_are_corrupt)
{
	size_t n = zcodec_compress(z, ZCODEC_LOW, text, 1000, packed, sizeof(packed));
	for (size_t len = 0; len < n; len++)
		cr_expect(eq(int, unpack(len, 1000), -ERR_CORRUPT), "length %zu", len);
	packed[n] = 0;
	cr_expect(eq(int, unpack(n + 1, 1000), -ERR_CORRUPT));
}

Test(zcodec, one_frame_only_and_no_skippable_one)
{
	size_t a = zcodec_compress(z, ZCODEC_LOW, text, 500, packed, sizeof(packed));
	size_t b = zcodec_compress(z, ZCODEC_LOW, text + 500, 500, packed + a, sizeof(packed) - a);
	cr_assert(ge(sz, b, 1));
	cr_expect(eq(int, unpack(a + b, 1000), -ERR_CORRUPT));

	static const uint8_t skip[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x' };
	memcpy(packed, skip, sizeof(skip));
	cr_expect(eq(int, unpack(sizeof(skip), 0), -ERR_CORRUPT));
	a = zcodec_compress(z, ZCODEC_LOW, text, 500, packed + 9, sizeof(packed) - 9);
	cr_expect(eq(int, unpack(9 + a, 500), -ERR_CORRUPT));
}

Test(zcodec, a_frame_that_claims_a_huge_size_allocates_nothing)
{
	/* single segment, content size of 8 bytes: 2^60 */
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10,
		0x01, 0, 0 };
	memcpy(packed, frame, sizeof(frame));
	cr_assert(eq(u64, ZSTD_getFrameContentSize(packed, sizeof(frame)), UINT64_C(1) << 60));

	cr_expect(eq(int, unpack(sizeof(frame), 1000), -ERR_CORRUPT));
}

Test(zcodec, a_damaged_frame_does_not_stop_the_next_one)
{
	size_t n = zcodec_compress(z, ZCODEC_LOW, text, 1000, packed, sizeof(packed));
	packed[4] ^= 0xff;
	cr_expect(eq(int, unpack(n, 1000), -ERR_CORRUPT));
	packed[4] ^= 0xff;
	cr_expect(eq(int, unpack(n, 1000), 0));
	cr_expect(eq(int, memcmp(back, text, 1000), 0));
}

Test(zcodec, what_a_long_trial_needed_can_be_given_back)
{
	size_t before = zcodec_size(z, ZCODEC_LOW, text, sizeof(text));
	cr_assert(ge(sz, before, 1));
	zcodec_trim(z, 100);
	cr_expect(eq(sz, zcodec_size(z, ZCODEC_LOW, text, sizeof(text)), before));
	zcodec_trim(z, 0);
	cr_expect(zcodec_is_below(z, ZCODEC_LOW, text, sizeof(text), before + 1));
	cr_expect(not(zcodec_is_below(z, ZCODEC_LOW, text, sizeof(text), before)));
}
