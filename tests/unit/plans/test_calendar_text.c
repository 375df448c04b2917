#include "plans/calendar_text.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "plans/calendar.h"

TestSuite(calendar_text);

static void is_normal(const char *text, const char *normal)
{
	struct calendar *c = NULL;
	struct err err = ERR_INIT;
	char out[256] = "";
	cr_assert(eq(int, calendar_parse(text, "UTC", &c, &err), 0), "%s", err.msg);
	cr_expect(eq(int, calendar_normal(c, out, sizeof(out)), 0));
	cr_expect(eq(str, out, (char *)normal));
	cr_expect(eq(int, calendar_normal(c, out, 5), -ERR_LIMIT));
	calendar_free(c);
	/* the normal form is an expression with the same normal form */
	cr_assert(
		eq(int, calendar_parse(out[0] ? normal : text, "UTC", &c, &err), 0), "%s", err.msg);
	cr_expect(eq(int, calendar_normal(c, out, sizeof(out)), 0));
	cr_expect(eq(str, out, (char *)normal));
	calendar_free(c);
}

static void is_refused(const char *text, const char *where, const char *hint)
{
	struct calendar *c = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, calendar_parse(text, "UTC", &c, &err), -ERR_CONFIG), "%s", text);
	cr_expect(c == NULL);
	cr_expect(strstr(err.msg, where) != NULL, "'%s' is not in: %s", where, err.msg);
	cr_expect(strstr(err.hint, hint) != NULL, "'%s' is not in: %s", hint, err.hint);
	calendar_free(c);
}

Test(calendar_text, the_normal_form_has_every_part)
{
	is_normal("daily", "*-*-* 00:00:00 UTC");
	is_normal("  saturday,SUN  1:2 ", "Sat,Sun *-*-* 01:02:00 UTC");
	is_normal("Mon,Wed..Fri,Sun 7-4", "Mon,Wed..Fri,Sun *-07-04 00:00:00 UTC");
	is_normal("Mon..Sun *:0/15", "*-*-* *:00/15:00 UTC");
	is_normal("2026..2030/2-*-9,3,9 8..17:30:5 Europe/Berlin",
		"2026..2030/2-*-03,09 08..17:30:05 Europe/Berlin");
	is_normal("*~1..3", "*-*~01..03 00:00:00 UTC");
	is_normal("15 calendar_months from 2026-3-31 6:00 Europe/Berlin",
		"15 calendar_months from 2026-03-31 06:00:00 Europe/Berlin");
	is_normal("1 calendar_month", "1 calendar_months UTC");
}

Test(calendar_text, a_slip_is_told_with_its_place_and_what_was_meant)
{
	is_refused("", "empty", "daily");
	is_refused("Mno..Fri 06:00", "character 1: \"Mno\" is no weekday", "did you mean Mon?");
	is_refused("Mon..Fry 06:00", "character 6: \"Fry\"", "did you mean Fri?");
	is_refused("dayly", "character 1", "did you mean daily?");
	is_refused("Sat..Mon", "goes backward", "Monday");
	is_refused("Mon, 06:00", "character 5: expected a weekday", "");
	is_refused("06:60", "character 4: minute 60 is not from 0 to 59", "");
	is_refused("*-13-01", "character 3: month 13 is not from 1 to 12", "");
	is_refused("*-*-0", "character 5: day 0", "");
	is_refused("*-*-5..3", "character 5: the range of the day goes backward", "");
	is_refused("*:*/15", "character 4", "write 0/N");
	is_refused("*:0/0", "character 5: a step of the minute 0 is not", "");
	is_refused("*-8/5-1", "character 5: the step leads past the last month, 12", "");
	is_refused("6", "character 1: expected a date", "");
	is_refused("06:", "character 4: expected a value of the minute", "");
	is_refused("06:00:1.5", "'.' does not belong", "");
	is_refused("99999999999999999999:00", "is not from 0 to 23", "");
	is_refused("*-*~29", "day 29 is not from 1 to 28", "");
	is_refused("06:00 *-*-*", "character 7: expected a time zone or the end", "");
	is_refused("06:00 UTC UTC", "character 11: expected the end", "");
	is_refused("1-2-3-4", "a date is", "");
	is_refused("daily daily", "character 7: there is no time zone 'daily'", "IANA");
}

Test(calendar_text, a_zone_that_is_not_there_is_told_with_the_nearest)
{
	is_refused("06:00 Europe/Berln", "character 7: there is no time zone 'Europe/Berln'",
		"did you mean Europe/Berlin?");
	is_refused("06:00 Europe/../UTC", "is not the name of a time zone", "");
}

Test(calendar_text, months_are_counted_from_one_date)
{
	is_refused("0 calendar_months", "character 1: expected a number of months", "");
	is_refused("1x calendar_months", "character 1", "");
	is_refused("3 calendar_months from", "expected the date", "");
	is_refused("3 calendar_months from *-01-01", "its year is not one value", "");
	is_refused("3 calendar_months from 2026-02-30", "no such day", "");
}
