#include "restore/record_form.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

static const char pdf[] = "%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n"
			  "29\n%%EOF\n";

Test(record_form, a_whole_pdf_is_right_and_each_missing_part_is_told)
{
	char bad[sizeof(pdf)];
	cr_expect(eq(ptr, (void *)record_form_pdf(pdf, sizeof(pdf) - 1), NULL));
	cr_expect(eq(str, (char *)record_form_pdf("PDF", 3), "it has no PDF header"));
	cr_expect(eq(
		str, (char *)record_form_pdf(pdf, sizeof(pdf) - 8), "its end (%%EOF) is missing"));
	memcpy(bad, pdf, sizeof(pdf));
	memcpy(strstr(bad, "startxref"), "stortxref", 9);
	cr_expect(eq(str, (char *)record_form_pdf(bad, sizeof(bad) - 1),
		"it names no cross-reference table"));
	memcpy(bad, pdf, sizeof(pdf));
	memcpy(strstr(bad, "\n29\n") + 1, "99", 2);
	cr_expect(eq(str, (char *)record_form_pdf(bad, sizeof(bad) - 1),
		"its cross-reference table lies outside the file"));
	memcpy(strstr(bad, "\n99\n") + 1, "30", 2);
	cr_expect(eq(str, (char *)record_form_pdf(bad, sizeof(bad) - 1),
		"there is no cross-reference table where it says"));
}

Test(record_form, csv_rows_are_counted_and_must_be_as_wide_as_the_header)
{
	int64_t rows = 0;
	static const char good[] = "a,b\n1,\"x, \"\"y\"\"\n\"\n";
	cr_expect(eq(ptr, (void *)record_form_csv(good, strlen(good), &rows), NULL));
	cr_expect(eq(i64, rows, 2));
	cr_expect(eq(str, (char *)record_form_csv("", 0, &rows), "it is empty"));
	cr_expect(eq(str, (char *)record_form_csv("a,b\n1", 5, &rows), "its last row is cut"));
	cr_expect(eq(str, (char *)record_form_csv("a,b\n1\n", 6, &rows),
		"a row has another number of values than the header"));
	cr_expect(eq(
		str, (char *)record_form_csv("a\n\"x\n", 5, &rows), "a quoted value never ends"));
	cr_expect(eq(str, (char *)record_form_csv("a\0\n", 3, &rows), "it holds zero bytes"));
}

Test(record_form, a_finished_journal_must_end_and_a_running_one_need_not)
{
	int64_t events = 0;
	static const char whole[] = "2026-01-01T00:00:00Z\tx\n2026-01-01T00:00:01Z\tEnd Of BATCH\n";
	static const char open[] = "2026-01-01T00:00:00Z\tx\n2026-01-01T00:0";
	static const char back[] = "2026-01-01T00:00:01Z\tx\n2026-01-01T00:00:00Z\tEnd Of BATCH\n";
	cr_expect(eq(ptr, (void *)record_form_journal(whole, strlen(whole), false, &events), NULL));
	cr_expect(eq(i64, events, 2));
	cr_expect(eq(ptr, (void *)record_form_journal(open, strlen(open), true, &events), NULL));
	cr_expect(eq(str, (char *)record_form_journal(open, strlen(open), false, &events),
		"its last line is cut"));
	cr_expect(eq(str, (char *)record_form_journal(whole, 23, false, &events),
		"it does not end with \"End Of BATCH\""));
	cr_expect(eq(str, (char *)record_form_journal(back, strlen(back), false, &events),
		"its times go back"));
	cr_expect(eq(str, (char *)record_form_journal("x\n", 2, true, &events),
		"a line does not begin with a time"));
	cr_expect(eq(str, (char *)record_form_journal("", 0, true, &events), "it holds no event"));
}
