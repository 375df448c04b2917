#include "codec/jsonx.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

static void expect_name(const char *name, size_t len, const char *json)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	json_t *value = jsonx_name(name, len);
	cr_assert(ne(ptr, value, NULL));
	cr_assert(eq(int, jsonx_encode(value, &b, NULL), 0));
	cr_expect_str_eq(buf_cstr(&b), json);
	json_decref(value);
}

Test(jsonx, names_are_strings_where_json_can_carry_them)
{
	expect_name("", 0, "\"\"");
	expect_name("pumps.db", 8, "\"pumps.db\"");
	expect_name("K\xc3\xbchler", 7, "\"K\xc3\xbchler\"");
	expect_name("a\nb\"", 4, "\"a\\nb\\\"\"");
	expect_name("\xff\xfe", 2, "{\"base64\":\"//4=\"}");
	expect_name("a\0b", 3, "{\"base64\":\"YQBi\"}");
	expect_name("\xed\xa0\x80", 3, "{\"base64\":\"7aCA\"}");
}

Test(jsonx, encode_sorts_keys_and_leaves_no_blanks)
{
	CLEANUP(buf_done) struct buf a = BUF_INIT(1000);
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	json_t *x = json_pack(
		"{s:i, s:[b, n, s], s:{s:i, s:i}}", "z", 1, "a", 1, "t/u", "m", "d", 2, "c", 3);
	json_t *y = json_pack(
		"{s:{s:i, s:i}, s:[b, n, s], s:i}", "m", "c", 3, "d", 2, "a", 1, "t/u", "z", 1);
	cr_assert(eq(int, jsonx_encode(x, &a, NULL), 0));
	cr_assert(eq(int, jsonx_encode(y, &b, NULL), 0));

	cr_expect_str_eq(
		buf_cstr(&a), "{\"a\":[true,null,\"t/u\"],\"m\":{\"c\":3,\"d\":2},\"z\":1}");
	cr_expect_str_eq(buf_cstr(&b), buf_cstr(&a));
	json_decref(x);
	json_decref(y);
}

Test(jsonx, encode_that_does_not_fit_adds_nothing)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(8);
	struct err err = ERR_INIT;
	json_t *x = json_pack("{s:s}", "key", "value");
	cr_assert(eq(int, buf_add(&b, "kept", 4, NULL), 0));

	cr_expect(eq(int, jsonx_encode(x, &b, &err), -ERR_LIMIT));

	cr_expect(eq(sz, b.len, 4));
	json_decref(x);
}

Test(jsonx, parse_gives_back_what_was_encoded)
{
	static const char text[] = "{\"a\":[true,null,\"t\"],\"n\":-9007199254740993}";
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	json_t *value = NULL;
	struct err err = ERR_INIT;
	cr_assert(
		eq(int, jsonx_parse(text, strlen(text), "report", &value, &err), 0), "%s", err.msg);
	cr_assert(eq(int, jsonx_encode(value, &b, NULL), 0));
	cr_expect_str_eq(buf_cstr(&b), text);
	json_decref(value);
	cr_assert(eq(int, jsonx_parse(" 7\n", 3, "number", &value, &err), 0));
	cr_expect(eq(i64, json_integer_value(value), 7));
	json_decref(value);
}

static void expect_error(const char *text, size_t len, const char *start)
{
	json_t *value = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, jsonx_parse(text, len, "plan 'x'", &value, &err), -ERR_CORRUPT));
	cr_expect(eq(ptr, value, NULL));
	cr_expect(eq(int, strncmp(err.msg, start, strlen(start)), 0), "%s", err.msg);
}

Test(jsonx, parse_errors_say_line_and_column)
{
	expect_error("{\"a\":1,\n\"b\":x}", 14, "plan 'x': line 2, column 5: ");
	expect_error("{\"a\":1,\"a\":2}", 13, "plan 'x': line 1, column 10: duplicate object key");
	expect_error("", 0, "plan 'x': line 1, column 0: ");
	expect_error(NULL, 0, "plan 'x': line 1, column 0: ");
	expect_error("{} x", 4, "plan 'x': line 1, column 4: end of file expected");
	expect_error("\"\xff\"", 3, "plan 'x': line 1, ");
	expect_error("[99999999999999999999]", 22, "plan 'x': line 1, ");
}

Test(jsonx, parse_errors_carry_no_control_characters)
{
	json_t *value = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, jsonx_parse("[\x1b[31m]", 7, "x", &value, &err), -ERR_CORRUPT));
	cr_expect(eq(ptr, strchr(err.msg, 0x1b), NULL));
}

Test(jsonx, nesting_without_end_is_an_error_not_a_crash)
{
	static char deep[100000];
	json_t *value = NULL;
	memset(deep, '[', sizeof(deep));
	cr_expect(eq(int, jsonx_parse(deep, sizeof(deep), "x", &value, NULL), -ERR_CORRUPT));
}
