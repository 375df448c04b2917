#include "msg/msg_json_internal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

static int number(const char *text, int64_t *out)
{
	struct msg_json_in in;
	msg_json_open(&in, text, strlen(text), 1000, "t", NULL);
	msg_json_number(&in, "n", -5, 5, out);
	return msg_json_close(&in);
}

Test(msg_json, numbers_are_whole_and_in_range)
{
	static const char *const bad[] = { "{\"n\":6}", "{\"n\":-6}", "{\"n\":1.0}",
		"{\"n\":\"1\"}", "{\"n\":true}", "{\"n\":null}", "{}", "[]", "1", "",
		"{\"n\":99999999999999999999}", "{\"n\":1}x", "{\"n\":1,\"n\":1}" };
	int64_t n = 77;
	cr_expect(eq(int, number("{\"n\":-5}", &n), 0));
	cr_expect(eq(i64, n, -5));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, number(bad[i], &n), -ERR_CORRUPT), "%s", bad[i]);
	cr_expect(eq(i64, n, -5));
}

static int fixed(const char *text)
{
	struct msg_json_in in;
	uint8_t out[4];
	msg_json_open(&in, text, strlen(text), 1000, "t", NULL);
	msg_json_fixed(&in, "b", out, sizeof(out));
	return msg_json_close(&in);
}

Test(msg_json, base64_is_canonical_and_of_the_right_length)
{
	static const char *const bad[] = { "{\"b\":\"AAAA\"}", "{\"b\":\"AAAAAAA=\"}",
		"{\"b\":\"AAAAAB==\"}", "{\"b\":\"AAAAAA\"}", "{\"b\":\"AAA AAA=\"}",
		"{\"b\":\"\"}", "{\"b\":\"A-AAAA==\"}" };
	cr_expect(eq(int, fixed("{\"b\":\"AAAAAA==\"}"), 0));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, fixed(bad[i]), -ERR_CORRUPT), "%s", bad[i]);
}

Test(msg_json, ids_are_lower_case_and_whole)
{
	static const char *const bad[] = { "{\"i\":\"0123456789ABCDEF0123456789abcdef\"}",
		"{\"i\":\"0123456789abcdef0123456789abcde\"}",
		"{\"i\":\"0123456789abcdef0123456789abcdef0\"}",
		"{\"i\":\"0123456789abcdef0123456789abcdeg\"}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct msg_json_in in;
		char id[33] = "";
		msg_json_open(&in, bad[i], strlen(bad[i]), 1000, "t", NULL);
		msg_json_id(&in, "i", id);
		cr_expect(eq(int, msg_json_close(&in), -ERR_CORRUPT), "%s", bad[i]);
	}
}

Test(msg_json, texts_that_do_not_fit_or_hold_control_characters_are_refused)
{
	static const char *const bad[] = { "{\"t\":\"12345678\"}", "{\"t\":\"a\\u0000b\"}",
		"{\"t\":\"a\\nb\"}", "{\"t\":\"\\u009b1m\"}", "{\"t\":\"\\u007f\"}", "{\"t\":7}" };
	struct msg_json_in in;
	char out[8] = "";
	static const char good[] = "{\"t\":\"1234567\"}";
	msg_json_open(&in, good, strlen(good), 1000, "t", NULL);
	msg_json_text(&in, "t", MSG_JSON_LINE, out, sizeof(out));
	cr_expect(eq(int, msg_json_close(&in), 0));
	cr_expect_str_eq(out, "1234567");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		msg_json_open(&in, bad[i], strlen(bad[i]), 1000, "t", NULL);
		msg_json_text(&in, "t", MSG_JSON_LINE, out, sizeof(out));
		cr_expect(eq(int, msg_json_close(&in), -ERR_CORRUPT), "%s", bad[i]);
	}
}

Test(msg_json, the_first_error_is_the_one_that_is_told)
{
	struct err err = ERR_INIT;
	struct msg_json_in in;
	char out[8] = "";
	int64_t n = 0;
	static const char text[] = "{\"t\":7,\"n\":\"x\"}";
	msg_json_open(&in, text, strlen(text), 1000, "thing", &err);
	msg_json_text(&in, "t", MSG_JSON_LINE, out, sizeof(out));
	msg_json_number(&in, "n", 0, 9, &n);
	cr_expect(eq(int, msg_json_close(&in), -ERR_CORRUPT));
	cr_expect_str_eq(err.msg, "thing: 't' is not a text");
}

Test(msg_json, what_is_longer_than_its_message_may_be_is_not_parsed)
{
	struct msg_json_in in;
	msg_json_open(&in, "{}", 2, 1, "t", NULL);
	cr_expect(eq(int, msg_json_close(&in), -ERR_LIMIT));
}
