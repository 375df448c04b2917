#include "conf/conf_scan.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/conf_problems.h"

static struct conf_problems problems;

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
}

static void teardown(void)
{
	conf_problems_done(&problems);
}

TestSuite(conf_scan, .init = setup, .fini = teardown);

static bool scan(const char *s)
{
	conf_problems_done(&problems);
	return conf_scan_check(s, strlen(s), &problems);
}

Test(conf_scan, ordinary_text_passes)
{
	cr_expect(scan("# one\n// two\n/* three \"\n*/ a = 1; b : \"x \\\" } /* \"; c-2 = [ -3, "
		       "0x7FFFFFFF, 5L, 1.5, 1e9, 1.0e-5 ];\r\n"));
	cr_expect(eq(sz, problems.errors, 0));
}

Test(conf_scan, included_files_are_refused_wherever_the_line_stands)
{
	cr_expect(not(scan("a = 1;\n \t@include \"/etc/passwd\"\n")));
	cr_assert(eq(sz, problems.errors, 1));
	cr_expect(eq(int, problems.items[0].line, 2));
	cr_expect(not(scan("@INCLUDE \"x\"")));
	cr_expect(not(scan("/*\n@include \"x\"\n*/")));
	cr_expect(not(scan("a = \"\n@include \";")));
	cr_expect(scan("a = \"mail@include\";"));
}

Test(conf_scan, a_comment_without_an_end_is_told_at_its_beginning)
{
	cr_expect(not(scan("a = 1;\n/* the rest\nb = 2;\n")));
	cr_assert(eq(sz, problems.errors, 1));
	cr_expect(eq(int, problems.items[0].line, 2));
}

Test(conf_scan, a_text_without_an_end_is_told_at_its_beginning)
{
	cr_expect(not(scan("a = 1;\nb = \"x\nc = 2;\n")));
	cr_assert(eq(sz, problems.errors, 1));
	cr_expect(eq(int, problems.items[0].line, 2));
	cr_expect(not(scan("b = \"x\\")));
	cr_expect(not(scan("b = \"x\\\"")));
}

Test(conf_scan, numbers_that_would_wrap_around_are_told)
{
	cr_expect(scan("a = 2147483647; b = -2147483648; c = 9223372036854775807L;"));
	cr_expect(eq(sz, problems.errors, 0));
	cr_expect(scan("a = 2147483648;\nb = -2147483649;\nc = 9223372036854775808L;\n"
		       "d = 0x80000000;\ne = 99999999999999999999999999999999999999999999999;\n"));
	cr_assert(eq(sz, problems.errors, 5));
	for (int i = 0; i < 5; i++)
		cr_expect(eq(int, problems.items[i].line, i + 1));
}

Test(conf_scan, a_number_with_something_behind_it_is_refused)
{
	cr_expect(not(scan("a = 10m;")));
	cr_expect(not(scan("a = 9999999999e = 5;")));
	cr_expect(not(scan("a = 0xZZ;")));
	cr_expect(not(scan("a = 1_000;")));
	cr_expect(not(scan("a = 1.2.3.4;")));
}

Test(conf_scan, bytes_that_cannot_be_seen_are_refused)
{
	cr_expect(not(scan("a = \"x\x1b[0m\";")));
	cr_expect(not(scan("a = \"x\x7f\";")));
	cr_expect(not(scan("a = \"x\xff\";")));
	cr_expect(not(scan("a = \"x\\x00y\";")));
	conf_problems_done(&problems);
	cr_expect(not(conf_scan_check("a\0b", 3, &problems)));
	cr_expect(eq(sz, problems.errors, 1));
}

Test(conf_scan, nesting_and_number_of_parts_are_limited)
{
	cr_expect(scan("a=((((((((((((((((1))))))))))))))));"));
	cr_expect(not(scan("a=(((((((((((((((((1)))))))))))))))));")));
	cr_expect(eq(sz, problems.errors, 1));

	size_t len = 2 * (CONF_SCAN_MAX_PARTS + 1);
	CLEANUP(cleanup_free_p) char *many = malloc(len + 1);
	cr_assert(ne(ptr, many, NULL));
	for (size_t i = 0; i < len; i += 2)
		memcpy(many + i, "1,", 2);
	many[len] = '\0';
	cr_expect(not(scan(many)));
	cr_expect(eq(sz, problems.errors, 1));
	many[len - 2] = '\0';
	cr_expect(scan(many));
}

Test(conf_scan, a_text_only_stands_where_a_value_can)
{
	static const char *const wrong[] = { "\"x\"", "a \"x\"", "a=1 \"x\"", "a={\"x\"}",
		"a=1, \"x\"", "a=[1 \"x\"]", "a={b=1} \"x\"", "a=(1);\"x\"" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		cr_expect(not(scan(wrong[i])), "%s", wrong[i]);
		cr_expect(eq(sz, problems.errors, 1));
	}
	cr_expect(scan("a=\"x\" # c\n\"y\"; b=(\"x\", {c:\"z\"}, [\"u\",\"v\"], \"w\");"));
}

Test(conf_scan, closing_more_than_was_opened_does_not_confuse_it)
{
	cr_expect(scan(")))}}}]]] a = 1;"));
	cr_expect(scan(""));
	cr_expect(scan("/"));
	cr_expect(scan("-"));
}
