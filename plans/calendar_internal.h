/*
 * calendar_internal: what an expression is after parsing; for calendar and calendar_text alone.
 */
#ifndef PLANS_CALENDAR_INTERNAL_H
#define PLANS_CALENDAR_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone_rules;

#define CALENDAR_YEAR_MIN 1970
#define CALENDAR_YEAR_MAX 2199
#define CALENDAR_PART_RANGES 60
#define CALENDAR_MONTHS_MAX 1200

/* N, N..M, N/R or N..M/R. */
struct calendar_range {
	int start, stop; /* stop -1 = N alone, or up to the part's limit when there is a step */
	int step;        /* 0 = N alone */
};

/* One part of a date or time; no ranges = "*". */
struct calendar_part {
	struct calendar_range at[CALENDAR_PART_RANGES];
	size_t count;
	uint64_t bits[4]; /* bit value - low: made of the ranges */
};

enum {
	CALENDAR_YEAR,
	CALENDAR_MONTH,
	CALENDAR_DAY,
	CALENDAR_HOUR,
	CALENDAR_MINUTE,
	CALENDAR_SECOND,
	CALENDAR_PARTS
};

struct calendar {
	struct zone_rules *zone;
	unsigned weekdays;      /* bit 0 = Monday; 127 = all */
	bool is_from_month_end; /* days count back from the last of the month, which is 1 */
	struct calendar_part part[CALENDAR_PARTS];
	/* "N calendar_months [from DATE [TIME]]": then the parts mean nothing */
	int months; /* 0 = not of that form */
	bool has_from;
	int64_t from_s; /* on the wall clock */
};

#endif
