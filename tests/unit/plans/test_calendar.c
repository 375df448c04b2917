#include "plans/calendar.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "base/human.h"

static struct calendar *calendar;
static struct err err;

static void teardown(void)
{
	calendar_free(calendar);
}

TestSuite(calendar, .fini = teardown);

static int64_t ms(const char *text)
{
	int64_t ns = 0;
	cr_assert(eq(int, human_parse_time(text, &ns), 0), "%s", text);
	return ns / 1000000;
}

static void parse(const char *text, const char *zone)
{
	calendar_free(calendar);
	calendar = NULL;
	cr_assert(eq(int, calendar_parse(text, zone, &calendar, &err), 0), "%s", err.msg);
}

/* After ${from} it is due at each of ${dues} (NULL at the end), and looking back agrees. */
static void is_due(const char *from, const char *const *dues)
{
	int64_t at = ms(from);
	for (; *dues != NULL; dues++) {
		char text[HUMAN_BYTES];
		int64_t due = calendar_next(calendar, at);
		cr_expect(eq(i64, due, ms(*dues)), "%s, not %s", *dues,
			human_time_utc(text, due * 1000000));
		cr_expect(eq(i64, calendar_last(calendar, at, due), due));
		cr_expect(eq(i64, calendar_last(calendar, at, due - 1), INT64_MIN));
		at = due;
	}
}
#define IS_DUE(from, ...) is_due(from, (const char *const[]){ __VA_ARGS__, NULL })

Test(calendar, words_of_cadence_are_due_at_the_beginning_of_their_unit)
{
	parse("daily", NULL);
	IS_DUE("2026-11-26T12:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
	parse("weekly Europe/Berlin", NULL);
	IS_DUE("2026-11-26T12:00:00Z", "2026-11-29T23:00:00Z", "2026-12-06T23:00:00Z");
	parse("Quarterly", "UTC");
	IS_DUE("2026-11-26T12:00:00Z", "2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z");
}

Test(calendar, lists_ranges_and_steps_are_met)
{
	parse("Mon..Fri *-*-* 06,18:00", "Europe/Berlin");
	IS_DUE("2026-11-27T05:00:00Z", "2026-11-27T17:00:00Z", "2026-11-30T05:00:00Z");
	parse("Sat *-*-1..7 02:30:05", "UTC");
	IS_DUE("2026-11-08T00:00:00Z", "2026-12-05T02:30:05Z", "2027-01-02T02:30:05Z");
	parse("*:0/15", "UTC");
	IS_DUE("2026-11-08T00:50:00.5Z", "2026-11-08T01:00:00Z", "2026-11-08T01:15:00Z");
	parse("*-02~1", "UTC");
	IS_DUE("2027-01-01T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z");
	parse("Mon *-05~7/1", "UTC");
	IS_DUE("2026-01-01T00:00:00Z", "2026-05-25T00:00:00Z", "2027-05-31T00:00:00Z");
	parse("02-29 12:00", "UTC");
	IS_DUE("2096-03-01T00:00:00Z", "2104-02-29T12:00:00Z");
}

Test(calendar, a_time_that_is_left_out_is_due_at_the_next_one_there_is)
{
	parse("02:30", "Europe/Berlin"); /* 2026-03-29: 02:00 becomes 03:00 */
	IS_DUE("2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z");
	parse("*:0/15", "Europe/Berlin"); /* and those of an hour left out are one */
	IS_DUE("2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:15:00Z");
	parse("2011-12-30 06:00", "Pacific/Apia"); /* a day that was left out */
	IS_DUE("2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z");
}

Test(calendar, a_time_that_comes_twice_is_due_the_first_time)
{
	parse("02:30", "Europe/Berlin"); /* 2026-10-25: 03:00 becomes 02:00 */
	IS_DUE("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z");
	parse("*:0/30", "Europe/Berlin");
	IS_DUE("2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z");
	cr_expect(eq(i64, calendar_last(calendar, 0, ms("2026-10-25T01:10:00Z")),
		ms("2026-10-25T00:30:00Z")));
}

Test(calendar, the_rule_goes_on_behind_the_end_of_the_table)
{
	parse("02:30", "Europe/Berlin");
	IS_DUE("2150-03-28T12:00:00Z", "2150-03-29T01:00:00Z", "2150-03-30T00:30:00Z");
	IS_DUE("2150-10-24T12:00:00Z", "2150-10-25T00:30:00Z", "2150-10-26T01:30:00Z");
}

Test(calendar, calendar_months_keep_the_day_or_end_with_the_month)
{
	parse("3 calendar_months from 2026-01-31 06:00", "Europe/Berlin");
	IS_DUE("2026-01-01T00:00:00Z", "2026-04-30T04:00:00Z", "2026-07-31T04:00:00Z",
		"2026-10-31T05:00:00Z", "2027-01-31T05:00:00Z");
	parse("15 calendar_months", "UTC");
	IS_DUE("2026-11-30T07:08:09Z", "2028-02-29T07:08:09Z", "2029-05-29T07:08:09Z");
}

Test(calendar, what_is_over_is_not_due_again)
{
	parse("2026-01-01", "UTC");
	cr_expect(eq(i64, calendar_next(calendar, ms("2026-01-01T00:00:00Z")), INT64_MAX));
	cr_expect(eq(i64, calendar_next(calendar, INT64_MAX), INT64_MAX));
	cr_expect(eq(i64, calendar_next(calendar, INT64_MIN), ms("2026-01-01T00:00:00Z")));
	cr_expect(
		eq(i64, calendar_last(calendar, INT64_MIN, INT64_MAX), ms("2026-01-01T00:00:00Z")));
}

Test(calendar, a_time_is_shown_in_the_zone)
{
	char text[CALENDAR_TEXT_BYTES];
	parse("daily", "Europe/Berlin");
	cr_expect(eq(str, (char *)calendar_zone(calendar), "Europe/Berlin"));
	cr_expect(eq(str, (char *)calendar_format(calendar, ms("2026-11-26T05:00:00Z"), text),
		"2026-11-26 06:00:00 +01:00 CET"));
	cr_expect(eq(str, (char *)calendar_format(calendar, ms("2026-07-01T05:00:00Z"), text),
		"2026-07-01 07:00:00 +02:00 CEST"));
	parse("daily", "America/St_Johns");
	cr_expect(eq(str, (char *)calendar_format(calendar, ms("1969-12-31T23:00:00Z"), text),
		"1969-12-31 19:30:00 -03:30 NST"));
	parse("daily", "UTC");
	cr_expect(eq(str, (char *)calendar_format(calendar, ms("2026-11-26T05:00:00Z"), text),
		"2026-11-26 05:00:00 UTC"));
	parse("daily", "Europe/Istanbul"); /* its abbreviation is "+03" */
	cr_expect(eq(str, (char *)calendar_format(calendar, ms("2026-11-26T05:00:00Z"), text),
		"2026-11-26 08:00:00 +03:00"));
}

Test(calendar, a_date_that_no_month_has_is_refused)
{
	cr_assert(eq(int, calendar_parse("*-02-30", NULL, &calendar, &err), -ERR_CONFIG));
	cr_expect(strstr(err.msg, "never due") != NULL, "%s", err.msg);
	cr_expect(calendar == NULL);
}
