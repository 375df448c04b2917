#include "plans/zone_rules.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static struct zone_rules *zone;
static struct err err;

static void teardown(void)
{
	zone_rules_free(zone);
}

TestSuite(zone_rules, .fini = teardown);

/* A file with one type, UTC+1, and the given footer; the place of its length is known. */
static size_t make(uint8_t *out, const char *footer)
{
	static const uint8_t counts[24] = { [19] = 1, [23] = 4 };
	size_t at = 0;
	for (int block = 0; block < 2; block++) {
		memcpy(out + at, "TZif2", 5);
		memset(out + at + 5, 0, 15);
		memcpy(out + at + 20, counts, 24);
		memcpy(out + at + 44, "\0\0\x0e\x10\0\0ONE", 10);
		at += 54;
	}
	out[at++] = '\n';
	memcpy(out + at, footer, strlen(footer));
	at += strlen(footer);
	out[at++] = '\n';
	return at;
}

static int load(const char *footer)
{
	uint8_t file[512];
	size_t len = make(file, footer);
	zone_rules_free(zone);
	zone = NULL;
	return zone_rules_parse("X", file, len, &zone, &err);
}

Test(zone_rules, dates_and_days_are_each_others_inverse)
{
	for (int64_t d = -800000; d < 800000; d += 1) {
		int64_t year;
		int month, day;
		zone_rules_date(d, &year, &month, &day);
		cr_assert(eq(i64, zone_rules_days(year, month, day), d));
		cr_assert(day <= zone_rules_month_length(year, month));
	}
	cr_expect(eq(i64, zone_rules_days(2026, 11, 26), 20783));
	cr_expect(eq(int, zone_rules_weekday(20783), 3)); /* a Thursday */
	cr_expect(eq(int, zone_rules_weekday(-1), 2));
}

Test(zone_rules, a_footer_of_every_form_is_understood)
{
	const char *name;
	cr_assert(eq(int, load("STD-1SUM,M3.5.0,M10.5.0/3"), 0), "%s", err.msg);
	cr_expect(eq(int, zone_rules_offset(zone, 1782864000, &name), 7200)); /* 2026-07-01 */
	cr_expect(eq(str, (char *)name, "SUM"));
	cr_expect(eq(int, zone_rules_offset(zone, 1767225600, &name), 3600)); /* 2026-01-01 */
	cr_expect(eq(str, (char *)name, "STD"));
	cr_assert(eq(int, load("<+0330>-3:30"), 0));
	cr_expect(eq(int, zone_rules_offset(zone, 1782864000, &name), 12600));
	cr_expect(eq(str, (char *)name, "+0330"));
	/* summer for good, as the standard writes it */
	cr_assert(eq(int, load("EST5EDT,0/0,J365/25"), 0));
	for (int64_t t = 1767139200; t < 1767398400; t += 600)
		cr_assert(eq(int, zone_rules_offset(zone, t, NULL), -14400));
	/* days of the year: with J the first of March is 60 in every year */
	cr_assert(eq(int, load("STD0SUM,J60/0,J61/0"), 0));
	cr_expect(eq(int, zone_rules_offset(zone, 1835481600 + 3600, NULL), 3600)); /* 2028-03-01 */
	cr_expect(eq(int, zone_rules_offset(zone, 1835481600 - 3600, NULL), 0));
	cr_assert(eq(int, load(""), 0));
	cr_expect(eq(int, zone_rules_offset(zone, 1835481600, NULL), 3600));
}

Test(zone_rules, a_footer_that_is_none_is_refused)
{
	static const char *const bad[] = { "X", "ST-1", "STD", "STD-1SUM", "STD-1SUM,M3.5.0",
		"STD-1SUM,M13.5.0,M10.5.0", "STD-1SUM,M3.6.0,M10.5.0", "STD-1SUM,M3.5.7,M10.5.0",
		"STD-1SUM,J0,J2", "STD-1SUM,M3.5.0,M10.5.0x", "STD-99", "<+03-3",
		"STD-1SUM,M3.5.0/200,M10.5.0" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, load(bad[i]), -ERR_CONFIG), "%s", bad[i]);
}

Test(zone_rules, a_file_that_was_cut_or_changed_never_reads_past_its_end)
{
	uint8_t file[512];
	size_t len = make(file, "STD-1SUM,M3.5.0,M10.5.0/3");
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, file, cut);
		cr_expect(eq(int, zone_rules_parse("X", copy, cut, &zone, &err), -ERR_CONFIG));
		free(copy);
	}
	for (size_t i = 0; i < len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct zone_rules *z = NULL;
			file[i] ^= (uint8_t)(1 << bit);
			if (zone_rules_parse("X", file, len, &z, &err) == 0)
				(void)zone_rules_utc(z, 1782864000);
			zone_rules_free(z);
			file[i] ^= (uint8_t)(1 << bit);
		}
	}
}

Test(zone_rules, the_wall_clock_and_utc_agree_where_it_shows_the_time)
{
	static const char *const names[] = { "UTC", "Europe/Berlin", "America/St_Johns",
		"Australia/Lord_Howe", "Pacific/Apia" };
	for (size_t i = 0; i < 5; i++) {
		int64_t before = INT64_MIN;
		zone_rules_free(zone);
		zone = NULL;
		cr_assert(eq(int, zone_rules_load(names[i], &zone, &err), 0), "%s", err.msg);
		for (int64_t local = 0; local < INT64_C(5000000000); local += 86400 / 7 * 3) {
			int64_t utc = zone_rules_utc(zone, local);
			int64_t shown = utc + zone_rules_offset(zone, utc, NULL);
			cr_assert(shown >= local && utc >= before);
			/* the moment before shows less: it is the first */
			cr_assert(utc - 1 + zone_rules_offset(zone, utc - 1, NULL) < local);
			before = utc;
		}
	}
}
