#include "web/api_body.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

static json_t *body;
static struct err err = ERR_INIT;

static void setup(void)
{
	body = json_loads("{\"text\": \"anna\", \"empty\": \"\", \"number\": 7, \"real\": 1.5,"
			  " \"word\": \"1h\", \"less\": -1, \"odd\": \"A b\", \"none\": null}",
		0, NULL);
	cr_assert(ne(ptr, body, NULL));
}

static void teardown(void)
{
	json_decref(body);
}

TestSuite(api_body, .init = setup, .fini = teardown);

Test(api_body, a_text_that_is_needed_is_there_and_says_something)
{
	const char *text = NULL;
	cr_expect(eq(int, api_body_need(body, "text", &text, &err), 0));
	cr_expect(eq(str, (char *)text, "anna"));
	static const char *const bad[] = { "empty", "number", "none", "nothing" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(eq(int, api_body_need(body, bad[i], &text, &err), -ERR_USAGE), "%s",
			bad[i]);
		cr_expect(ne(ptr, strstr(err.msg, bad[i]), NULL), "%s", err.msg);
	}
	cr_expect(eq(int, api_body_need(NULL, "text", &text, &err), -ERR_USAGE));
}

Test(api_body, a_name_may_be_absent_and_is_never_something_else)
{
	const char *text = NULL;
	cr_expect(eq(int, api_body_name(body, "nothing", &text, &err), 0));
	cr_expect(eq(str, (char *)text, ""));
	cr_expect(eq(int, api_body_name(body, "text", &text, &err), 0));
	cr_expect(eq(int, api_body_name(body, "odd", &text, &err), -ERR_USAGE));
	cr_expect(eq(int, api_body_name(body, "number", &text, &err), -ERR_USAGE));
}

Test(api_body, a_number_that_is_none_is_no_default)
{
	/* a token's end, given as "1h", must not become "never" */
	static const char *const bad[] = { "word", "real", "less", "none", "text" };
	int64_t n = 1;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(eq(int, api_body_number(body, bad[i], 100, &n, &err), -ERR_USAGE), "%s",
			bad[i]);
		cr_expect(ne(ptr, strstr(err.msg, "from 0 to 100"), NULL), "%s", err.msg);
	}
	cr_expect(eq(i64, n, 1)); /* untouched */
	cr_expect(eq(int, api_body_number(body, "number", 6, &n, &err), -ERR_USAGE));
	cr_expect(eq(int, api_body_number(body, "number", 7, &n, &err), 0));
	cr_expect(eq(i64, n, 7));
	cr_expect(eq(int, api_body_number(body, "nothing", 7, &n, &err), 0));
	cr_expect(eq(i64, n, 0));
}

Test(api_body, a_query_is_cut_to_its_most_and_refused_when_it_is_no_number)
{
	static const char *const bad[] = { "", "0", "-1", "+1", " 1", "1x", "x",
		"9999999999999999" };
	int64_t n = 0;
	cr_expect(eq(int, api_body_query("limit", NULL, 50, 1000, &n, &err), 0));
	cr_expect(eq(i64, n, 50));
	cr_expect(eq(int, api_body_query("limit", "7", 50, 1000, &n, &err), 0));
	cr_expect(eq(i64, n, 7));
	cr_expect(eq(int, api_body_query("limit", "999999999999999", 50, 1000, &n, &err), 0));
	cr_expect(eq(i64, n, 1000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, api_body_query("limit", bad[i], 50, 1000, &n, &err), -ERR_USAGE),
			"'%s'", bad[i]);
	cr_expect(eq(i64, n, 1000));
}
