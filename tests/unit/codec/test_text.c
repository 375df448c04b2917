#include "codec/text.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* RFC 4648 section 10 */
static const struct {
	const char *plain;
	const char *base64;
	const char *base32;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "MY" },
	{ "fo", "Zm8=", "MZXQ" },
	{ "foo", "Zm9v", "MZXW6" },
	{ "foob", "Zm9vYg==", "MZXW6YQ" },
	{ "fooba", "Zm9vYmE=", "MZXW6YTB" },
	{ "foobar", "Zm9vYmFy", "MZXW6YTBOI" },
};

Test(text, rfc4648_vectors)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		CLEANUP(buf_done) struct buf b64 = BUF_INIT(100);
		CLEANUP(buf_done) struct buf b32 = BUF_INIT(100);
		CLEANUP(buf_done) struct buf back = BUF_INIT(100);
		const char *plain = vectors[i].plain;
		cr_assert(eq(int, text_base64(plain, strlen(plain), &b64, NULL), 0));
		cr_assert(eq(int, text_base32(plain, strlen(plain), &b32, NULL), 0));
		cr_assert(eq(int,
			text_unbase64(vectors[i].base64, strlen(vectors[i].base64), &back, NULL),
			0));
		cr_expect_str_eq(buf_cstr(&b64), vectors[i].base64);
		cr_expect_str_eq(buf_cstr(&b32), vectors[i].base32);
		cr_expect_str_eq(buf_cstr(&back), plain);
		CLEANUP(buf_done) struct buf again = BUF_INIT(100);
		cr_assert(eq(int,
			text_unbase32(vectors[i].base32, strlen(vectors[i].base32), &again, NULL),
			0));
		cr_expect_str_eq(buf_cstr(&again), plain);
	}
}

Test(text, base64_carries_every_byte_and_appends)
{
	CLEANUP(buf_done) struct buf b64 = BUF_INIT(1000);
	CLEANUP(buf_done) struct buf back = BUF_INIT(1000);
	uint8_t all[256];
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	cr_assert(eq(int, text_base64(all, 256, &b64, NULL), 0));
	cr_assert(eq(int, buf_add(&back, "x", 1, NULL), 0));

	cr_assert(eq(int, text_unbase64((char *)b64.data, b64.len, &back, NULL), 0));

	cr_assert(eq(sz, back.len, 257));
	cr_expect_arr_eq(back.data + 1, all, 256);
	cr_expect(ne(ptr, memchr(b64.data, '+', b64.len), NULL));
	cr_expect(ne(ptr, memchr(b64.data, '/', b64.len), NULL));
}

Test(text, base64_that_is_not_canonical_is_refused_and_adds_nothing)
{
	static const char *const bad[] = {
		"Z",
		"Zg",
		"Zg=",
		"Zh==",
		"Zm9=",
		"Zm8",
		"Z===",
		"====",
		"Zg==Zg==",
		"Zm=v",
		"Zm9v\n",
		"Zm 9",
		"Zm9-",
		"Zm9_",
		"=Zg=",
		"Zm9vZ===",
		"\xc3\xa4Zg",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(100);
		struct err err = ERR_INIT;
		cr_assert(eq(int, buf_add(&out, "kept", 4, NULL), 0));
		cr_expect(eq(int, text_unbase64(bad[i], strlen(bad[i]), &out, &err), -ERR_CORRUPT),
			"'%s'", bad[i]);
		cr_expect(eq(sz, out.len, 4));
	}
}

Test(text, one_spelling_only_for_every_group_of_one_or_two_bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned taken = 0;
	for (int i = 0; i < 64; i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(100);
		const char one[4] = { 'A', digits[i], '=', '=' };
		const char two[4] = { 'A', 'A', digits[i], '=' };
		taken += text_unbase64(one, 4, &out, NULL) == 0;
		taken += text_unbase64(two, 4, &out, NULL) == 0;
	}
	cr_expect(eq(uint, taken, 4 + 16));
}

Test(text, encoders_keep_to_the_cap_of_the_buffer)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(7);
	struct err err = ERR_INIT;

	cr_expect(eq(int, text_base64("foob", 4, &out, &err), -ERR_LIMIT));
	cr_expect(eq(int, text_base32("fooba", 5, &out, &err), -ERR_LIMIT));
	cr_expect(eq(int, text_unbase64("Zm9vZm9vZm9v", 12, &out, &err), -ERR_LIMIT));
	cr_expect(eq(sz, out.len, 0));
}

Test(text, hex_there_and_back)
{
	const uint8_t bytes[] = { 0x00, 0x1f, 0xa0, 0xff };
	uint8_t back[4];
	char hex[9];

	text_hex(bytes, 4, hex);

	cr_expect(eq(str, hex, "001fa0ff"));
	cr_assert(eq(int, text_unhex(hex, 4, back), 0));
	cr_expect_arr_eq(back, bytes, 4);
	text_hex(NULL, 0, hex);
	cr_expect(eq(str, hex, ""));
}

Test(text, unhex_takes_lower_case_digits_only_and_touches_nothing_else)
{
	static const char *const bad[] = { "001F", "00 1", "0x11", "001", "", "00g0", "-100" };
	uint8_t out[2] = { 7, 7 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, text_unhex(bad[i], 2, out), -1), "'%s'", bad[i]);
	cr_expect(eq(u8, out[0], 7));
	cr_expect(eq(u8, out[1], 7));
	cr_expect(eq(int, text_unhex("0aff77", 2, out), 0), "what follows is the caller's");
}

Test(text, base32_that_is_not_canonical_is_refused_and_leaves_nothing)
{
	static const char *const bad[] = { "M", "MZ2", "MZXW7", "my", "MY======", "M1", "MZXW6YTBO",
		"M Y" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEANUP(buf_done) struct buf out = BUF_INIT(100);
		cr_expect(eq(int, text_unbase32(bad[i], strlen(bad[i]), &out, NULL), -ERR_CORRUPT),
			"%s", bad[i]);
		cr_expect(eq(sz, out.len, 0));
	}
}
