/*
 * calendar: when something is due: a subset of systemd's OnCalendar expressions with a time zone,
 * words of cadence, and the times after a given one.  Pure: the zone's rules are read from the
 * system's zone files once, when an expression is parsed.
 *
 *	[weekdays] [date] [time[:seconds]] [zone]     "Mon..Fri *-*-* 06,18:00 Europe/Berlin"
 *	"*:0/15"  "Sat *-*-1..7 02:30:00"  "hourly" "daily" "weekly" "monthly" "quarterly"
 *	"semiannually" "yearly"            "15 calendar_months [from 2026-01-31 [06:00]]"
 * Without "from", months count from the moment that is asked after.
 *
 * A local time that a change of the clocks leaves out is due at the next one that exists; a local
 * time that comes twice is due once, the first time.  Both are stated in docs/SCHEDULE.md.
 */
#ifndef PLANS_CALENDAR_H
#define PLANS_CALENDAR_H

#include <stddef.h>
#include <stdint.h>

struct calendar;
struct err;

/**
 * calendar_parse(text, zone, out, err):
 * ${zone}: IANA name used when the expression names none; NULL = UTC.  Return 0 and an owned
 * *${out}, or -ERR_CONFIG: which part, at which character, what was expected.
 */
int calendar_parse(const char *text, const char *zone, struct calendar **out, struct err *err);
void calendar_free(struct calendar *c);

/* The first due time after ${after_ms} (since 1970 UTC), or INT64_MAX when there is none before the
 * year 2200. */
int64_t calendar_next(const struct calendar *c, int64_t after_ms);
/* The last due time at or before ${until_ms} and after ${after_ms}, or INT64_MIN. */
int64_t calendar_last(const struct calendar *c, int64_t after_ms, int64_t until_ms);

/* The zone's name; borrowed until free. */
const char *calendar_zone(const struct calendar *c);
#define CALENDAR_TEXT_BYTES 64
/* ${at_ms} in the calendar's zone: "2026-11-26 06:00:00 +01:00 CET"; what an abbreviation would say
 * twice is said once: "05:00:00 UTC", "08:00:00 +03:00". */
const char *calendar_format(const struct calendar *c, int64_t at_ms, char out[CALENDAR_TEXT_BYTES]);
/* The expression in its full form, as systemd-analyze calendar would show it ("Normalized form").
 */
int calendar_normal(const struct calendar *c, char *out, size_t size);

#endif
