/*
 * zone_rules: the rules of a time zone, read from the system's zone files (RFC 8536), with the
 * footer's rule for the years after the table's end; and the calendar's arithmetic of days.
 * Hides: the file format.  Never touches the process's own zone (TZ).
 * Threading: loaded rules do not change; share them as you like.
 */
#ifndef PLANS_ZONE_RULES_H
#define PLANS_ZONE_RULES_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct zone_rules;

#define ZONE_RULES_DIR "/usr/share/zoneinfo"
#define ZONE_RULES_NAME_BYTES 64
#define ZONE_RULES_DAY_S 86400

/* Rules of the IANA zone ${name}; "UTC" needs no file.  Return 0 and an owned *${out}, or
 * -ERR_CONFIG (no such zone: the hint names the nearest; or a damaged file) or -ERR_NOMEM. */
int zone_rules_load(const char *name, struct zone_rules **out, struct err *err);
/* The same from the bytes of a zone file. */
int zone_rules_parse(
	const char *name, const void *data, size_t len, struct zone_rules **out, struct err *err);
void zone_rules_free(struct zone_rules *z);

/* Borrowed until free. */
const char *zone_rules_name(const struct zone_rules *z);

/* Seconds east of UTC at ${utc_s} (since 1970).  *${abbreviation} (may be NULL) is borrowed. */
int32_t zone_rules_offset(const struct zone_rules *z, int64_t utc_s, const char **abbreviation);

/* The moment the wall clock first shows ${local_s} (seconds since 1970-01-01 on that clock) or,
 * when it leaves it out, the first time that it shows after.  Never falls as local_s grows. */
int64_t zone_rules_utc(const struct zone_rules *z, int64_t local_s);

/* Days since 1970-01-01 of a date (month 1..12, day 1..31) and back. */
int64_t zone_rules_days(int64_t year, int month, int day);
void zone_rules_date(int64_t days, int64_t *year, int *month, int *day);
int zone_rules_month_length(int64_t year, int month);
/* 0 = Monday. */
int zone_rules_weekday(int64_t days);

#endif
