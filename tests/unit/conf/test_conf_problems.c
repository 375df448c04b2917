#include "conf/conf_problems.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

static struct conf_problems p;

static void setup(void)
{
	p = (struct conf_problems)CONF_PROBLEMS_INIT;
}

static void teardown(void)
{
	conf_problems_done(&p);
}

TestSuite(conf_problems, .init = setup, .fini = teardown);

Test(conf_problems, sorts_by_line_and_keeps_the_order_within_one)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(4096);
	conf_problems_set_file(&p, "x.plan");
	conf_problems_add(&p, CONF_ERROR, 9, "nine");
	conf_problems_add(&p, CONF_WARNING, 2, "two, %s", "first");
	conf_problems_add(&p, CONF_ERROR, 2, "two, second");
	conf_problems_add(&p, CONF_ERROR, 0, "whole");
	conf_problems_sort(&p);
	cr_assert(eq(int, conf_problems_format(&p, &out, NULL), 0));
	cr_expect(eq(str, (char *)buf_cstr(&out),
		"x.plan: error: whole\nx.plan:2: warning: two, first\nx.plan:2: error: two, "
		"second\nx.plan:9: error: nine\n"));
}

Test(conf_problems, text_from_a_file_reaches_no_terminal_raw)
{
	conf_problems_add(&p, CONF_ERROR, 1, "key '%s'", "\x1b[2J\n\xff");
	cr_expect(eq(str, p.items[0].text, "key '\\x1b[2J\\n\\xff'"));
}

Test(conf_problems, what_cannot_be_kept_still_counts)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(1 << 20);
	for (int i = 0; i < CONF_PROBLEMS_MAX + 5; i++)
		conf_problems_add(&p, CONF_ERROR, i, "e");
	cr_expect(eq(sz, p.count, CONF_PROBLEMS_MAX));
	cr_expect(eq(sz, p.errors, CONF_PROBLEMS_MAX + 5));
	cr_assert(eq(int, conf_problems_format(&p, &out, NULL), 0));
	cr_expect(ne(ptr, strstr(buf_cstr(&out), "\nand 5 more\n"), NULL));
}

Test(conf_problems, warnings_alone_are_no_error)
{
	struct err err = ERR_INIT;
	conf_problems_add(&p, CONF_WARNING, 1, "hm");
	cr_expect(not(conf_problems_has_errors(&p)));
	cr_expect(eq(int, conf_problems_verdict(&p, "plan", &err), 0));
	conf_problems_set_file(&p, "x.plan");
	conf_problems_add(&p, CONF_ERROR, 3, "no");
	cr_expect(eq(int, conf_problems_verdict(&p, "plan", &err), -ERR_CONFIG));
	cr_expect(eq(str, err.msg, "unable to use plan 'x.plan': 1 error, first in line 3: no"));
}

Test(conf_problems, a_full_output_is_an_error)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(8);
	conf_problems_add(&p, CONF_ERROR, 1, "longer than eight bytes");
	cr_expect(eq(int, conf_problems_format(&p, &out, NULL), -ERR_LIMIT));
}

Test(conf_problems, print_writes_the_same_lines)
{
	char text[256] = "";
	conf_problems_set_file(&p, "x");
	conf_problems_add(&p, CONF_WARNING, 4, "w");
	CLEANUP(cleanup_fclose_p) FILE *f = fmemopen(text, sizeof(text), "w");
	cr_assert(ne(ptr, f, NULL));
	conf_problems_print(&p, f);
	cr_assert(eq(int, fflush(f), 0));
	cr_expect(eq(str, text, "x:4: warning: w\n"));
}
