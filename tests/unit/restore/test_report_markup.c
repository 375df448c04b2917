#include "restore/report_markup.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/err.h"

TestSuite(report_markup);

Test(report_markup, text_never_becomes_markup_or_a_control_character)
{
	struct buf out = BUF_INIT(1000);
	struct report_markup m = { .out = &out };
	report_markup_text(&m, "<script>alert(\"1\" & '2')</script>\x1b[31m\n\xff\xe2\x80\xae!");
	cr_expect(eq(int, m.rc, 0));
	cr_expect(eq(str, (char *)buf_cstr(&out),
		"&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\\x1b[31m\\n"
		"\\xff\\xe2\\x80\\xae!"));
	buf_done(&out);
}

Test(report_markup, an_element_closes_its_tag_without_the_attributes)
{
	struct buf out = BUF_INIT(1000);
	struct report_markup m = { .out = &out };
	report_markup_element(&m, "td class=\"n\"", "<7>");
	report_markup_text(&m, NULL);
	report_markup_rawf(&m, "<br>%d", 7);
	cr_expect(eq(str, (char *)buf_cstr(&out), "<td class=\"n\">&lt;7&gt;</td>\n<br>7"));
	buf_done(&out);
}

Test(report_markup, the_first_failure_sticks)
{
	struct buf out = BUF_INIT(8);
	struct err err = ERR_INIT;
	struct report_markup m = { .out = &out, .err = &err };
	report_markup_raw(&m, "<p>");
	report_markup_text(&m, "0123456789");
	cr_expect(eq(int, m.rc, -ERR_LIMIT));
	report_markup_raw(&m, "x");
	report_markup_rawf(&m, "%d", 1);
	report_markup_text(&m, "x");
	cr_expect(eq(sz, out.len, (size_t)3));
	cr_expect(eq(int, err.code, ERR_LIMIT));
	buf_done(&out);
}
