#include "restore/report.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/escape.h"

static struct report *r;

static void setup(void)
{
	r = report_new();
	cr_assert(ne(ptr, r, NULL));
}

static void teardown(void)
{
	report_free(r);
}

TestSuite(report, .init = setup, .fini = teardown);

Test(report, an_empty_report_has_no_numbers_and_no_words)
{
	cr_expect(eq(i64, r->exercise.t_declared, REPORT_NONE));
	cr_expect(eq(i64, r->plan.version, REPORT_NONE));
	cr_expect(eq(i64, r->environment.canary.connections_seen, REPORT_NONE));
	cr_expect(eq(i64, r->cleanup.processes_left, REPORT_NONE));
	cr_expect(eq(int, (int)r->verdict.overall, 0));
	cr_expect(eq(ptr, (void *)r->plan.title, NULL));
	cr_expect(eq(int, (int)r->log, REPORT_LOG_NONE));
}

Test(report, a_new_system_has_measured_times_and_nothing_else)
{
	struct report_system *s = report_add_system(r);
	cr_assert(ne(ptr, s, NULL));
	cr_expect(eq(int, (int)s->result.rta_basis, REPORT_RTA_MEASURED));
	cr_expect(eq(i64, s->timings.t_clean, REPORT_NONE));
	cr_expect(eq(i64, s->result.rpa_ms, REPORT_NONE));
	cr_expect(eq(i64, s->recovery_point.data_as_of, REPORT_NONE));
	cr_expect(eq(int, (int)report_add_isolation_check(r)->expected, REPORT_UNREACHABLE));
}

Test(report, items_stay_where_they_are_while_their_list_grows)
{
	struct report_finding *first = report_add_finding(r);
	cr_assert(ne(ptr, first, NULL));
	first->id = report_text(r, "F1");
	for (int i = 1; i < 100; i++)
		cr_assert(ne(ptr, report_add_finding(r), NULL));
	cr_expect(eq(sz, r->findings_count, (size_t)100));
	cr_expect(eq(ptr, r->findings[0], first));
	cr_expect(eq(str, (char *)r->findings[0]->id, "F1"));
	for (size_t i = 1; i < r->findings_count; i++)
		cr_expect(ne(ptr, r->findings[i], r->findings[i - 1]));
}

Test(report, a_list_ends_at_its_limit_and_marks_the_report)
{
	for (int i = 0; i < REPORT_ITEMS_MAX; i++)
		cr_assert(ne(ptr, report_add_evidence(r), NULL));
	cr_expect(not(r->has_failed));
	cr_expect(eq(ptr, report_add_evidence(r), NULL));
	cr_expect(r->has_failed);
	cr_expect(eq(sz, r->evidence_count, (size_t)REPORT_ITEMS_MAX));
}

Test(report, texts_are_copied_and_empty_ones_are_absent)
{
	char text[] = "hist3";
	const char *copy = report_text(r, text);
	text[0] = 'X';
	cr_expect(eq(str, (char *)copy, "hist3"));
	cr_expect(eq(ptr, (void *)report_text(r, ""), NULL));
	cr_expect(eq(ptr, (void *)report_text(r, NULL), NULL));
	report_add_text(r, &r->cleanup.residue, "");
	cr_expect(eq(sz, r->cleanup.residue.count, (size_t)0));
	cr_expect(not(r->has_failed));
}

Test(report, bytes_that_are_not_utf8_are_escaped)
{
	cr_expect(eq(str,
		(char *)report_text(r, "a\xff"
				       "b"),
		"a\\xffb"));
	cr_expect(eq(str, (char *)report_textf(r, "%s-%d", "\xc3\xa9", 7), "\xc3\xa9-7"));
}

Test(report, long_texts_are_cut_at_a_whole_character)
{
	char text[REPORT_TEXT_MAX * 2 + 1];
	for (size_t i = 0; i < sizeof(text) - 1; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[sizeof(text) - 1] = '\0';
	for (size_t skip = 0; skip < 2; skip++) {
		text[skip] = 'x';
		const char *copy = report_text(r, text + skip);
		size_t len = strlen(copy);
		cr_expect(le(sz, len, (size_t)REPORT_TEXT_MAX));
		cr_expect(eq(str, (char *)copy + len - 5, "[cut]"));
		cr_expect(escape_is_utf8(copy, len));
	}
}

Test(report, long_texts_of_other_bytes_stay_below_the_limit_too)
{
	char text[REPORT_TEXT_MAX * 2];
	memset(text, 0xfe, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	const char *copy = report_text(r, text);
	cr_expect(le(sz, strlen(copy), (size_t)REPORT_TEXT_MAX));
	cr_expect(eq(str, (char *)copy + strlen(copy) - 5, "[cut]"));
}

Test(report, a_text_of_just_the_limit_is_whole)
{
	char text[REPORT_TEXT_MAX + 1];
	memset(text, 'x', sizeof(text));
	text[REPORT_TEXT_MAX] = '\0';
	cr_expect(eq(str, (char *)report_text(r, text), text));
}

Test(report, nanoseconds_become_milliseconds_rounded_down)
{
	cr_expect(eq(i64, report_ms(1999999), 1));
	cr_expect(eq(i64, report_ms(2000000), 2));
	cr_expect(eq(i64, report_ms(-1), -1));
	cr_expect(eq(i64, report_ms(-1000000), -1));
}

Test(report, freeing_nothing_is_fine)
{
	report_free(NULL);
}
