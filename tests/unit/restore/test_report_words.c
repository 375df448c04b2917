#include "restore/report_words.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "restore/report.h"
#include "tests/lib/report_fixture.h"

TestSuite(report_words);

static void expect_duration(int64_t ms, const char *text)
{
	char out[REPORT_WORDS_BYTES];
	cr_expect(eq(str, (char *)report_words_duration(out, ms), (char *)text));
}

Test(report_words, durations_are_short_where_they_are_round)
{
	expect_duration(REPORT_NONE, "not measured");
	expect_duration(0, "0 ms");
	expect_duration(412, "412 ms");
	expect_duration(10000, "10 s");
	expect_duration(33150, "33.1 s");
	expect_duration(1800000, "30 min");
	expect_duration(360100, "6 min 00 s");
	expect_duration(12 * 3600000, "12 h");
	expect_duration(INT64_C(7) * 86400000, "7 d");
	expect_duration(REPORT_INT_MAX, "9007199254740991 ms");
}

Test(report_words, times_are_utc_and_say_so)
{
	char out[REPORT_WORDS_BYTES];
	cr_expect(eq(
		str, (char *)report_words_time(out, REPORT_FIXTURE_T0), "2026-11-24 02:39:53 UTC"));
	cr_expect(eq(str, (char *)report_words_time(out, REPORT_NONE), "not recorded"));
	cr_expect(eq(str, (char *)report_words_time(out, INT64_MAX), "not recorded"));
}

Test(report_words, every_value_has_a_word_and_others_have_none)
{
	cr_expect(eq(str, (char *)report_words_verdict(REPORT_FAIL), "Failed"));
	cr_expect(eq(str, (char *)report_words_verdict(REPORT_PASS), "Passed"));
	cr_expect(eq(str, (char *)report_words_verdict(REPORT_FAIL + 1), "?"));
	cr_expect(eq(str, (char *)report_words_verdict(0), "?"));
	cr_expect(eq(str, (char *)report_words_met(REPORT_MISSED), "missed"));
	cr_expect(eq(str, (char *)report_words_status(REPORT_STATUS_SKIPPED), "skipped"));
	cr_expect(eq(str, (char *)report_words_reach(REPORT_NOT_PROBED), "not probed"));
	cr_expect(eq(str, (char *)report_words_grade(REPORT_OBSERVATION), "observation"));
	cr_expect(eq(str, (char *)report_words_envelope(REPORT_ENVELOPE_GONE), "absent"));
	cr_expect(eq(str, (char *)report_words_consistency(REPORT_FUZZY), "fuzzy"));
	cr_expect(eq(str, (char *)report_words_phase(1), "begin"));
	cr_expect(eq(str, (char *)report_words_phase(REPORT_T_COUNT - 1), "cleanup"));
	cr_expect(eq(str, (char *)report_words_phase(REPORT_T_COUNT), "?"));
}
