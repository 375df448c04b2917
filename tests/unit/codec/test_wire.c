#include "codec/wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define WIRE(bytes)                                                                                \
	{                                                                                          \
		.p = (const uint8_t *)(bytes), .left = sizeof(bytes) - 1                           \
	}

Test(wire, takes_big_endian_integers_and_then_ends)
{
	struct wire w = WIRE("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f");
	uint8_t a = 0;
	uint16_t b = 0;
	uint32_t c = 0;
	uint64_t d = 0;
	struct err err = ERR_INIT;

	cr_assert(eq(int, wire_take8(&w, &a, NULL), 0));
	cr_assert(eq(int, wire_take16(&w, &b, NULL), 0));
	cr_expect(eq(int, wire_end(&w, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "12 bytes too many at the end"));
	cr_assert(eq(int, wire_take32(&w, &c, NULL), 0));
	cr_assert(eq(int, wire_take64(&w, &d, NULL), 0));
	cr_expect(eq(int, wire_end(&w, NULL), 0));

	cr_expect(eq(u8, a, 0x01));
	cr_expect(eq(u16, b, 0x0203));
	cr_expect(eq(u32, c, 0x04050607));
	cr_expect(eq(u64, d, UINT64_C(0x08090a0b0c0d0e0f)));
}

Test(wire, a_take_past_the_end_fails_and_moves_nothing)
{
	struct wire w = WIRE("\x01\x02\x03\x04\x05\x06\x07");
	const struct wire before = w;
	const uint8_t *p = NULL;
	uint64_t v = 42;
	struct err err = ERR_INIT;

	cr_expect(eq(int, wire_take64(&w, &v, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "bytes are cut short"));
	cr_expect(eq(int, wire_take(&w, SIZE_MAX, &p, &err), -ERR_CORRUPT));
	cr_expect(eq(u64, v, 42));
	cr_expect(eq(ptr, (void *)w.p, (void *)before.p));
	cr_expect(eq(sz, w.left, before.left));
	cr_expect(eq(int, wire_take(&w, 7, &p, NULL), 0));
	cr_expect(eq(ptr, (void *)p, (void *)before.p));

	uint8_t one = 0;
	uint16_t two = 0;
	uint32_t four = 0;
	cr_expect(eq(int, wire_take8(&w, &one, NULL), -ERR_CORRUPT));
	cr_expect(eq(int, wire_take16(&w, &two, NULL), -ERR_CORRUPT));
	cr_expect(eq(int, wire_take32(&w, &four, NULL), -ERR_CORRUPT));
	cr_expect(eq(int, wire_take_varint(&w, &v, NULL), -ERR_CORRUPT));
}

Test(wire, varints_have_their_known_bytes)
{
	static const struct {
		uint64_t v;
		const char *bytes;
		size_t len;
	} known[] = {
		{ 0, "\x00", 1 },
		{ 1, "\x01", 1 },
		{ 127, "\x7f", 1 },
		{ 128, "\x80\x01", 2 },
		{ 624485, "\xe5\x8e\x26", 3 },
		{ UINT32_MAX, "\xff\xff\xff\xff\x0f", 5 },
		{ UINT64_C(1) << 63, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10 },
		{ UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		CLEANUP(buf_done) struct buf b = BUF_INIT(16);
		cr_assert(eq(int, wire_add_varint(&b, known[i].v, NULL), 0));
		cr_assert(eq(sz, b.len, known[i].len));
		cr_expect_arr_eq(b.data, known[i].bytes, b.len);
		cr_expect(eq(sz, wire_varint_len(known[i].v), known[i].len));
	}
}

Test(wire, varints_come_back_at_every_bit_length_and_no_cut_is_taken)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int minus = 0; minus < 2; minus++) {
			CLEANUP(buf_done) struct buf b = BUF_INIT(16);
			uint64_t v = (UINT64_C(1) << bit) - (uint64_t)minus;
			uint64_t back = 0;
			cr_assert(eq(int, wire_add_varint(&b, v, NULL), 0));
			cr_assert(eq(sz, wire_varint_len(v), b.len));
			struct wire w = { b.data, b.len };
			cr_assert(eq(int, wire_take_varint(&w, &back, NULL), 0));
			cr_assert(eq(u64, back, v));
			cr_assert(eq(sz, w.left, 0));
			for (size_t len = 0; len < b.len; len++) {
				w = (struct wire){ b.data, len };
				cr_assert(eq(int, wire_take_varint(&w, &back, NULL), -ERR_CORRUPT));
				cr_assert(eq(sz, w.left, len));
			}
		}
	}
}

static const char *varint_error(const char *bytes, size_t len)
{
	static struct err err;
	struct wire w = { (const uint8_t *)bytes, len };
	uint64_t v = 7;
	cr_expect(eq(int, wire_take_varint(&w, &v, &err), -ERR_CORRUPT));
	cr_expect(eq(u64, v, 7));
	cr_expect(eq(sz, w.left, len));
	return err.msg;
}

Test(wire, varints_that_are_not_minimal_or_too_large_are_refused)
{
	cr_expect_str_eq(varint_error("\x80\x00", 2), "number is not in its shortest form");
	cr_expect_str_eq(varint_error("\xff\x00", 2), "number is not in its shortest form");
	cr_expect_str_eq(varint_error("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10),
		"number is not in its shortest form");
	cr_expect_str_eq(varint_error("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10),
		"number has over 64 bits");
	cr_expect_str_eq(varint_error("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11),
		"number has over 64 bits");
}

Test(wire, tlvs_come_back_in_order)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	uint8_t big[200] = { 9 };
	cr_assert(eq(int, wire_add_tlv(&b, 1, "a", 1, NULL), 0));
	cr_assert(eq(int, wire_add_tlv(&b, 16, NULL, 0, NULL), 0));
	cr_assert(eq(int, wire_add_tlv(&b, 16, big, sizeof(big), NULL), 0));
	cr_assert(eq(int, wire_add_tlv(&b, 255, "z", 1, NULL), 0));
	cr_expect_arr_eq(b.data,
		"\x01\x01"
		"a\x10\x00\x10\xc8\x01\x09",
		9);

	struct wire w = { b.data, b.len };
	static const uint8_t tags[] = { 1, 16, 16, 255 };
	static const size_t lens[] = { 1, 0, 200, 1 };
	uint8_t last = 0;
	uint8_t tag = 0;
	struct wire value = { NULL, 0 };
	for (int i = 0; i < 4; i++) {
		cr_assert(eq(int, wire_next_tlv(&w, &last, &tag, &value, NULL), 1));
		cr_expect(eq(u8, tag, tags[i]));
		cr_expect(eq(sz, value.left, lens[i]));
	}
	cr_expect(eq(u8, *value.p, 'z'));
	cr_expect(eq(int, wire_next_tlv(&w, &last, &tag, &value, NULL), 0));
}

Test(wire, tlvs_that_descend_or_are_cut_are_refused_and_move_nothing)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} bad[] = {
		{ "\x04\x00", 2, "tag 4 comes after tag 5" },
		{ "\x06", 1, "bytes are cut short" },
		{ "\x06\x80", 2, "bytes are cut short" },
		{ "\x06\x80\x00", 3, "number is not in its shortest form" },
		{ "\x06\x02x", 3, "bytes are cut short" },
		{ "\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12, "bytes are cut short" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire w = { (const uint8_t *)bad[i].bytes, bad[i].len };
		uint8_t last = 5;
		uint8_t tag = 99;
		struct wire value = { NULL, 77 };
		struct err err = ERR_INIT;
		cr_expect(eq(int, wire_next_tlv(&w, &last, &tag, &value, &err), -ERR_CORRUPT));
		cr_expect(eq(str, err.msg, (char *)bad[i].text));
		cr_expect(eq(u8, last, 5));
		cr_expect(eq(u8, tag, 99));
		cr_expect(eq(sz, value.left, 77));
		cr_expect(eq(sz, w.left, bad[i].len));
	}
}

Test(wire, a_tlv_that_does_not_fit_adds_nothing)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(4);
	struct err err = ERR_INIT;

	cr_expect(eq(int, wire_add_tlv(&b, 1, "abc", 3, &err), -ERR_LIMIT));
	cr_expect(eq(sz, b.len, 0));
	cr_expect(eq(int, wire_add_tlv(&b, 1, "ab", 2, &err), 0));
	cr_expect(eq(int, wire_add_varint(&b, 1, &err), -ERR_LIMIT));
	cr_expect(eq(sz, b.len, 4));
}
