#include "plans/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "plans/calendar_internal.h"
#include "plans/calendar_text.h"
#include "plans/zone_rules.h"

/*
 * INVARIANTS
 * (1) The due times are zone_rules_utc() of the wall clock times that fit.  It never falls, so the
 *     next one after a moment is found by going up from what the wall clock shows then.
 * (2) Nothing is due from the year 2200 on, nor before 1970 on the wall clock.
 */

#define NONE INT64_MAX

static int64_t first_s(void)
{
	return zone_rules_days(CALENDAR_YEAR_MIN, 1, 1) * ZONE_RULES_DAY_S;
}

static int64_t end_s(void)
{
	return zone_rules_days(CALENDAR_YEAR_MAX + 1, 1, 1) * ZONE_RULES_DAY_S;
}

static int64_t floor_s(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
}

static bool is_day(const struct calendar *c, int64_t days)
{
	int64_t year;
	int month, day;
	zone_rules_date(days, &year, &month, &day);
	if ((c->weekdays >> zone_rules_weekday(days) & 1) == 0 ||
		!calendar_text_has(c, CALENDAR_YEAR, (int)year) ||
		!calendar_text_has(c, CALENDAR_MONTH, month))
		return false;
	if (c->is_from_month_end)
		day = zone_rules_month_length(year, month) + 1 - day;
	return calendar_text_has(c, CALENDAR_DAY, day);
}

/* The next value of a part in direction ${way} from ${from} on, or -1. */
static int step_to(const struct calendar *c, int which, int from, int limit, int way)
{
	for (int v = from; v >= 0 && v < limit; v += way) {
		if (calendar_text_has(c, which, v))
			return v;
	}
	return -1;
}

/* The time of day nearest to ${from} (seconds), at or after it (way 1) or before (way -1), or -1.
 */
static int64_t time_near(const struct calendar *c, int from, int way)
{
	int hour = from / 3600, minute = from / 60 % 60, second = from % 60;
	int lowest = way > 0 ? 0 : 59; /* where a lower part begins again */
	for (;;) {
		int h = step_to(c, CALENDAR_HOUR, hour, 24, way);
		if (h < 0)
			return -1;
		if (h != hour)
			minute = second = lowest;
		int m = step_to(c, CALENDAR_MINUTE, minute, 60, way);
		if (m >= 0) {
			int s = step_to(c, CALENDAR_SECOND, m != minute ? lowest : second, 60, way);
			if (s < 0) {
				m = step_to(c, CALENDAR_MINUTE, m + way, 60, way);
				s = m < 0 ? -1 : step_to(c, CALENDAR_SECOND, lowest, 60, way);
			}
			if (s >= 0)
				return (int64_t)h * 3600 + m * 60 + s;
		}
		hour = h + way;
		minute = second = lowest;
	}
}

/* The wall clock time that fits at or after ${local} (way 1) or at or before it (way -1). */
static int64_t local_near(const struct calendar *c, int64_t local, int way)
{
	int64_t low = first_s(), high = end_s();
	if (way > 0 && local < low)
		local = low;
	if (way < 0 && local >= high)
		local = high - 1;
	int of_day = local < 0 ? 0 : (int)(local % ZONE_RULES_DAY_S);
	for (int64_t day = local; day >= low && day < high; day += way * ZONE_RULES_DAY_S) {
		int64_t days = day / ZONE_RULES_DAY_S;
		if (is_day(c, days)) {
			int64_t t = time_near(c, of_day, way);
			if (t >= 0)
				return days * ZONE_RULES_DAY_S + t;
		}
		of_day = way > 0 ? 0 : ZONE_RULES_DAY_S - 1;
	}
	return NONE;
}

static int64_t add_months(int64_t local, int64_t months)
{
	int64_t year, days = local / ZONE_RULES_DAY_S;
	int month, day;
	zone_rules_date(days, &year, &month, &day);
	int64_t all = year * 12 + month - 1 + months;
	int length = zone_rules_month_length(all / 12, (int)(all % 12) + 1);
	return zone_rules_days(all / 12, (int)(all % 12) + 1, day < length ? day : length) *
		       ZONE_RULES_DAY_S +
	       local % ZONE_RULES_DAY_S;
}

static int64_t next_months(const struct calendar *c, int64_t after_ms)
{
	int64_t at = floor_s(after_ms);
	int64_t local = at + zone_rules_offset(c->zone, at, NULL);
	if (!c->has_from) {
		if (local < first_s())
			local = first_s();
		int64_t due = add_months(local, c->months);
		return due >= end_s() ? NONE : zone_rules_utc(c->zone, due) * 1000;
	}
	for (int64_t k = c->months;; k += c->months) {
		int64_t due = add_months(c->from_s, k);
		if (due >= end_s())
			return NONE;
		due = zone_rules_utc(c->zone, due) * 1000;
		if (due > after_ms)
			return due;
	}
}

int64_t calendar_next(const struct calendar *c, int64_t after_ms)
{
	if (after_ms >= end_s() * 1000)
		return NONE;
	if (after_ms < (first_s() - ZONE_RULES_DAY_S) * 1000)
		after_ms = (first_s() - ZONE_RULES_DAY_S) * 1000;
	if (c->months > 0)
		return next_months(c, after_ms);
	int64_t at = floor_s(after_ms);
	int64_t local = at + zone_rules_offset(c->zone, at, NULL);
	for (;;) {
		local = local_near(c, local, 1);
		if (local == NONE)
			return NONE;
		int64_t due = zone_rules_utc(c->zone, local) * 1000;
		if (due > after_ms)
			return due;
		local++;
	}
}

int64_t calendar_last(const struct calendar *c, int64_t after_ms, int64_t until_ms)
{
	if (after_ms >= until_ms)
		return INT64_MIN;
	if (c->months > 0) {
		int64_t last = INT64_MIN;
		for (int64_t due = calendar_next(c, after_ms); due <= until_ms && due != NONE;
			due = calendar_next(c, due))
			last = due;
		return last;
	}
	if (until_ms >= end_s() * 1000 + ZONE_RULES_DAY_S * 1000)
		until_ms = end_s() * 1000 + ZONE_RULES_DAY_S * 1000;
	int64_t at = floor_s(until_ms);
	/* a clock put back within the last day has shown more before than it shows now */
	int64_t before = zone_rules_offset(c->zone, at - ZONE_RULES_DAY_S, NULL);
	int64_t now = zone_rules_offset(c->zone, at, NULL);
	for (int64_t local = at + (before > now ? before : now);; local--) {
		local = local_near(c, local, -1);
		if (local == NONE)
			return INT64_MIN;
		int64_t due = zone_rules_utc(c->zone, local) * 1000;
		if (due <= until_ms)
			return due > after_ms ? due : INT64_MIN;
	}
}

const char *calendar_zone(const struct calendar *c)
{
	return zone_rules_name(c->zone);
}

const char *calendar_format(const struct calendar *c, int64_t at_ms, char out[CALENDAR_TEXT_BYTES])
{
	const char *abbreviation = "";
	int64_t at = floor_s(at_ms);
	int32_t offset = zone_rules_offset(c->zone, at, &abbreviation);
	int64_t local = at + offset, year;
	int64_t days =
		(local - ((local % ZONE_RULES_DAY_S) + ZONE_RULES_DAY_S) % ZONE_RULES_DAY_S) /
		ZONE_RULES_DAY_S;
	int of_day = (int)(local - days * ZONE_RULES_DAY_S);
	int minutes = (int)(offset < 0 ? -offset : offset) / 60, month, day;
	zone_rules_date(days, &year, &month, &day);
	char far[8] = "";
	const bool is_utc = strcmp(abbreviation, "UTC") == 0;
	const bool is_number = abbreviation[0] == '+' || abbreviation[0] == '-'; /* "+03" */
	if (!is_utc)
		(void)snprintf(far, sizeof(far), "%c%02d:%02d", offset < 0 ? '-' : '+',
			minutes / 60 % 100, minutes % 60); /* fits */
	(void)snprintf(out, CALENDAR_TEXT_BYTES, "%04lld-%02d-%02d %02d:%02d:%02d %s%s%s",
		(long long)year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60, far,
		is_utc || is_number ? "" : " ", is_number ? "" : abbreviation);
	return out;
}

int calendar_normal(const struct calendar *c, char *out, size_t size)
{
	return calendar_text_write(c, out, size);
}

DEFINE_CLEANUP(struct calendar *, calendar_free)

int calendar_parse(const char *text, const char *zone, struct calendar **out, struct err *err)
{
	CLEANUP(calendar_free_p) struct calendar *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = calendar_text_read(text, zone, c, err);
	if (rc != 0)
		return rc;
	if (calendar_next(c, INT64_MIN) == NONE)
		return err_set(err, ERR_CONFIG,
			"calendar expression \"%s\" is never due: there is no such day", text);
	*out = TAKE(c);
	return 0;
}

void calendar_free(struct calendar *c)
{
	if (c == NULL)
		return;
	zone_rules_free(c->zone);
	free(c);
}
