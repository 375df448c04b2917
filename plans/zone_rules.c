#include "plans/zone_rules.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf_suggest.h"

/*
 * INVARIANTS
 * (1) Moments of change ascend; every change has a type that exists; an abbreviation ends with NUL.
 * (2) An offset is less than 26 hours either way, so that zone_rules_utc() begins early enough.
 */

#define FILE_MAX_BYTES (1u << 20)
#define HEADER_BYTES 44
#define MAX_CHANGES 8192
#define MAX_TYPES 256
#define MAX_CHARS 2048
#define MAX_OFFSET_S (26 * 3600)
#define ABBREVIATION_BYTES 16

struct zone_type {
	int32_t offset_s;
	char abbreviation[ABBREVIATION_BYTES];
};

/* When a rule changes the clock: Mm.w.d, Jn or n, and a time of day. */
struct zone_day {
	char kind; /* 'M', 'J', 'N' */
	int month, week, day;
	int32_t time_s; /* of the wall clock before the change; may be negative or past a day */
};

struct zone_footer {
	bool is_there, has_summer;
	struct zone_type standard, summer;
	struct zone_day start, end; /* of summer */
};

struct zone_rules {
	char name[ZONE_RULES_NAME_BYTES];
	size_t change_count, type_count;
	int64_t *changes; /* owned */
	uint8_t *change_types;
	struct zone_type *types;
	struct zone_footer footer;
};

/* A stretch of time without a change. */
struct zone_stretch {
	const struct zone_type *type;
	int64_t begin_s, end_s; /* end excluded */
};

DEFINE_CLEANUP(struct zone_rules *, zone_rules_free)

int64_t zone_rules_days(int64_t year, int month, int day)
{
	/* years from March on, so that the leap day is the last */
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void zone_rules_date(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;
	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = y + era * 400 + (*month <= 2 ? 1 : 0);
}

int zone_rules_month_length(int64_t year, int month)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return lengths[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

int zone_rules_weekday(int64_t days)
{
	return (int)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

/* ---- the footer ---- */

static bool take_number(const char **at, int low, int high, int *out)
{
	int n = 0;
	const char *p = *at;
	for (; *p >= '0' && *p <= '9' && n <= high; p++)
		n = n * 10 + (*p - '0');
	if (p == *at || n < low || n > high)
		return false;
	*at = p;
	*out = n;
	return true;
}

static bool take_name(const char **at, char out[ABBREVIATION_BYTES])
{
	bool is_quoted = **at == '<';
	const char *p = *at + (is_quoted ? 1 : 0);
	const char *begin = p;
	while (*p != '\0' && (is_quoted ? *p != '>' : (*p | 32) >= 'a' && (*p | 32) <= 'z'))
		p++;
	size_t len = (size_t)(p - begin);
	if (len < 3 || len >= ABBREVIATION_BYTES || (is_quoted && *p != '>'))
		return false;
	memcpy(out, begin, len);
	out[len] = '\0';
	*at = p + (is_quoted ? 1 : 0);
	return true;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(const char **at, int max_hours, int32_t *out)
{
	int sign = **at == '-' ? -1 : 1;
	int part[3] = { 0, 0, 0 };
	if (**at == '-' || **at == '+')
		(*at)++;
	if (!take_number(at, 0, max_hours, &part[0]))
		return false;
	for (int i = 1; i < 3 && **at == ':'; i++) {
		(*at)++;
		if (!take_number(at, 0, 59, &part[i]))
			return false;
	}
	*out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
	return true;
}

static bool take_dot(const char **at)
{
	if (**at != '.')
		return false;
	(*at)++;
	return true;
}

static bool take_day(const char **at, struct zone_day *d)
{
	if (**at != ',')
		return false;
	(*at)++;
	d->kind = **at == 'M' || **at == 'J' ? **at : 'N';
	d->time_s = 2 * 3600;
	if (d->kind != 'N')
		(*at)++;
	if (d->kind == 'M') {
		if (!take_number(at, 1, 12, &d->month) || !take_dot(at) ||
			!take_number(at, 1, 5, &d->week) || !take_dot(at) ||
			!take_number(at, 0, 6, &d->day))
			return false;
	} else if (!take_number(at, d->kind == 'J' ? 1 : 0, 365, &d->day)) {
		return false;
	}
	if (**at != '/')
		return true;
	(*at)++;
	return take_time(at, 167, &d->time_s);
}

static bool footer_parse(const char *text, struct zone_footer *f)
{
	const char *at = text;
	int32_t west = 0;
	if (*at == '\0')
		return true; /* the last change holds for good */
	if (!take_name(&at, f->standard.abbreviation) || !take_time(&at, 24, &west))
		return false;
	f->is_there = true;
	f->standard.offset_s = -west;
	if (*at == '\0')
		return true;
	f->has_summer = true;
	f->summer.offset_s = f->standard.offset_s + 3600;
	if (!take_name(&at, f->summer.abbreviation))
		return false;
	if (*at != ',') {
		if (!take_time(&at, 24, &west))
			return false;
		f->summer.offset_s = -west;
	}
	return take_day(&at, &f->start) && take_day(&at, &f->end) && *at == '\0';
}

static int64_t day_moment(const struct zone_day *d, int64_t year, int32_t offset_s)
{
	int64_t days;
	if (d->kind == 'M') {
		int64_t first = zone_rules_days(year, d->month, 1);
		int wanted = (d->day + 6) % 7; /* 0 = Sunday there, Monday here */
		int day = (wanted - zone_rules_weekday(first) + 7) % 7 + 7 * (d->week - 1);
		while (day >= zone_rules_month_length(year, d->month))
			day -= 7;
		days = first + day;
	} else {
		days = zone_rules_days(year, 1, 1) + d->day;
		if (d->kind == 'J') /* counts from 1 and never the leap day */
			days += (d->day >= 60 && zone_rules_month_length(year, 2) == 29) ? 0 : -1;
	}
	return days * ZONE_RULES_DAY_S + d->time_s - offset_s;
}

static void footer_stretch(const struct zone_footer *f, int64_t utc_s, struct zone_stretch *s)
{
	int64_t year, days = utc_s / ZONE_RULES_DAY_S;
	int month, day;
	*s = (struct zone_stretch){
		.type = &f->standard, .begin_s = INT64_MIN, .end_s = INT64_MAX
	};
	if (!f->has_summer)
		return;
	zone_rules_date(days, &year, &month, &day);
	for (int64_t y = year - 1; y <= year + 1; y++) {
		/* the end first: where both are at one moment, summer goes on */
		int64_t end = day_moment(&f->end, y, f->summer.offset_s);
		int64_t start = day_moment(&f->start, y, f->standard.offset_s);
		if (end <= utc_s && end >= s->begin_s) {
			s->begin_s = end;
			s->type = &f->standard;
		}
		if (start <= utc_s && start >= s->begin_s) {
			s->begin_s = start;
			s->type = &f->summer;
		}
		if (end > utc_s && end < s->end_s)
			s->end_s = end;
		if (start > utc_s && start < s->end_s)
			s->end_s = start;
	}
}

/* ---- asking ---- */

static void stretch_at(const struct zone_rules *z, int64_t utc_s, struct zone_stretch *s)
{
	size_t low = 0, high = z->change_count; /* changes before low are not after utc_s */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (z->changes[middle] <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == z->change_count && z->footer.is_there) {
		footer_stretch(&z->footer, utc_s, s);
		return;
	}
	s->type = &z->types[low == 0 ? 0 : z->change_types[low - 1]];
	s->begin_s = low == 0 ? INT64_MIN : z->changes[low - 1];
	s->end_s = low < z->change_count ? z->changes[low] : INT64_MAX;
}

int32_t zone_rules_offset(const struct zone_rules *z, int64_t utc_s, const char **abbreviation)
{
	struct zone_stretch s;
	stretch_at(z, utc_s, &s);
	if (abbreviation != NULL)
		*abbreviation = s.type->abbreviation;
	return s.type->offset_s;
}

int64_t zone_rules_utc(const struct zone_rules *z, int64_t local_s)
{
	int64_t at = local_s - MAX_OFFSET_S;
	for (;;) {
		struct zone_stretch s;
		stretch_at(z, at, &s);
		int64_t moment = local_s - s.type->offset_s;
		if (moment < at)
			moment = at; /* left out by the change at ${at} */
		if (moment < s.end_s)
			return moment;
		at = s.end_s;
	}
}

const char *zone_rules_name(const struct zone_rules *z)
{
	return z->name;
}

/* ---- reading ---- */

static uint64_t big(const uint8_t *p, size_t len)
{
	uint64_t v = 0;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

enum { COUNT_UT, COUNT_STD, COUNT_LEAP, COUNT_TIME, COUNT_TYPE, COUNT_CHAR, COUNTS };

/* Bytes of a block behind its header, with moments of ${width} bytes; 0 = over a limit. */
static size_t block_bytes(const uint8_t *header, size_t width, size_t counts[COUNTS])
{
	static const size_t most[COUNTS] = { MAX_TYPES, MAX_TYPES, 64, MAX_CHANGES, MAX_TYPES,
		MAX_CHARS };
	for (size_t i = 0; i < COUNTS; i++) {
		counts[i] = (size_t)big(header + 20 + 4 * i, 4);
		if (counts[i] > most[i])
			return 0;
	}
	if (counts[COUNT_TYPE] == 0)
		return 0;
	return counts[COUNT_TIME] * (width + 1) + counts[COUNT_TYPE] * 6 + counts[COUNT_CHAR] +
	       counts[COUNT_LEAP] * (width + 4) + counts[COUNT_STD] + counts[COUNT_UT];
}

static bool read_types(
	struct zone_rules *z, const uint8_t *types, const uint8_t *chars, size_t char_count)
{
	for (size_t i = 0; i < z->type_count; i++) {
		struct zone_type *t = &z->types[i];
		size_t from = types[6 * i + 5];
		t->offset_s = (int32_t)(uint32_t)big(types + 6 * i, 4);
		if (from >= char_count || t->offset_s <= -MAX_OFFSET_S ||
			t->offset_s >= MAX_OFFSET_S)
			return false;
		size_t len = strnlen((const char *)chars + from, char_count - from);
		if (len == char_count - from || len >= ABBREVIATION_BYTES)
			return false;
		memcpy(t->abbreviation, chars + from, len);
	}
	return true;
}

static bool read_block(struct zone_rules *z, const uint8_t *p, const size_t counts[COUNTS])
{
	const uint8_t *kinds = p + 8 * counts[COUNT_TIME];
	const uint8_t *types = kinds + counts[COUNT_TIME];
	for (size_t i = 0; i < z->change_count; i++) {
		z->changes[i] = (int64_t)big(p + 8 * i, 8);
		z->change_types[i] = kinds[i];
		if (kinds[i] >= z->type_count || (i > 0 && z->changes[i] <= z->changes[i - 1]))
			return false;
	}
	return read_types(z, types, types + 6 * z->type_count, counts[COUNT_CHAR]);
}

static bool read_footer(struct zone_rules *z, const uint8_t *p, size_t len)
{
	char text[256];
	const uint8_t *end = len < 2 || p[0] != '\n' ? NULL : memchr(p + 1, '\n', len - 1);
	if (end == NULL || (size_t)(end - p) > sizeof(text))
		return false;
	size_t n = (size_t)(end - p) - 1;
	memcpy(text, p + 1, n);
	text[n] = '\0';
	return strlen(text) == n && footer_parse(text, &z->footer);
}

static struct zone_rules *rules_new(const char *name, size_t changes, size_t types)
{
	struct zone_rules *z = calloc(1, sizeof(*z));
	if (z == NULL)
		return NULL;
	(void)snprintf(z->name, sizeof(z->name), "%s", name); /* its length was checked */
	z->change_count = changes;
	z->type_count = types;
	z->changes = calloc(changes + 1, sizeof(*z->changes));
	z->change_types = calloc(changes + 1, 1);
	z->types = calloc(types, sizeof(*z->types));
	if (z->changes == NULL || z->change_types == NULL || z->types == NULL) {
		zone_rules_free(z);
		return NULL;
	}
	return z;
}

int zone_rules_parse(
	const char *name, const void *data, size_t len, struct zone_rules **out, struct err *err)
{
	const uint8_t *p = data;
	size_t counts[COUNTS], skip, size;
	if (len < HEADER_BYTES || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return err_set(
			err, ERR_CONFIG, "zone file of '%s' is no TZif file of version 2 on", name);
	skip = block_bytes(p, 4, counts);
	if (skip == 0 || len - HEADER_BYTES < skip + HEADER_BYTES)
		return err_set(err, ERR_CONFIG, "zone file of '%s' is damaged: first block", name);
	p += HEADER_BYTES + skip;
	len -= HEADER_BYTES + skip;
	size = block_bytes(p, 8, counts);
	if (memcmp(p, "TZif", 4) != 0 || size == 0 || len - HEADER_BYTES < size)
		return err_set(err, ERR_CONFIG, "zone file of '%s' is damaged: second block", name);
	if (counts[COUNT_LEAP] != 0)
		return err_set(err, ERR_CONFIG,
			"zone '%s' counts leap seconds, as no clock of this system does", name);
	CLEANUP(zone_rules_free_p)
	struct zone_rules *z = rules_new(name, counts[COUNT_TIME], counts[COUNT_TYPE]);
	if (z == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p += HEADER_BYTES;
	if (!read_block(z, p, counts))
		return err_set(err, ERR_CONFIG, "zone file of '%s' is damaged: changes", name);
	if (!read_footer(z, p + size, len - HEADER_BYTES - size))
		return err_set(err, ERR_CONFIG, "zone file of '%s' is damaged: footer", name);
	*out = TAKE(z);
	return 0;
}

/* Hint at the nearest name in the system's list of zones, if it has one. */
static void suggest(const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf list = BUF_INIT(FILE_MAX_BYTES);
	char best[ZONE_RULES_NAME_BYTES] = "";
	size_t distance = SIZE_MAX;
	(void)err_hint(err, "a name from the IANA database, such as Europe/Berlin or UTC");
	if (fdio_read_file(AT_FDCWD, ZONE_RULES_DIR "/tzdata.zi", &list, NULL) != 0 ||
		buf_cstr(&list) == NULL)
		return;
	char *save = NULL;
	for (char *line = strtok_r((char *)list.data, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		char word[ZONE_RULES_NAME_BYTES] = "";
		if (sscanf(line, "Z %63s", word) != 1 && sscanf(line, "L %*s %63s", word) != 1)
			continue;
		size_t d = conf_suggest_distance(name, word);
		if (d < distance && conf_suggest_is_near(name, word)) {
			distance = d;
			memcpy(best, word, sizeof(best));
		}
	}
	if (best[0] != '\0')
		(void)err_hint(err, "did you mean %s?", best);
}

static bool is_zone_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < ZONE_RULES_NAME_BYTES && name[0] != '/' && name[len - 1] != '/' &&
	       strchr(name, '.') == NULL &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") ==
		       len;
}

int zone_rules_load(const char *name, struct zone_rules **out, struct err *err)
{
	char path[sizeof(ZONE_RULES_DIR) + 1 + ZONE_RULES_NAME_BYTES];
	CLEANUP(buf_done) struct buf file = BUF_INIT(FILE_MAX_BYTES);
	if (strcmp(name, "UTC") == 0) {
		struct zone_rules *z = rules_new(name, 0, 1);
		if (z == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		memcpy(z->types[0].abbreviation, "UTC", 4);
		*out = z;
		return 0;
	}
	if (!is_zone_name(name)) {
		(void)err_set(err, ERR_CONFIG, "'%s' is not the name of a time zone", name);
		return err_hint(err, "a name from the IANA database, such as Europe/Berlin or UTC");
	}
	(void)snprintf(path, sizeof(path), ZONE_RULES_DIR "/%s", name);
	if (fdio_read_file(AT_FDCWD, path, &file, err) != 0) {
		(void)err_set(err, ERR_CONFIG, "there is no time zone '%s' on this system", name);
		suggest(name, err);
		return -ERR_CONFIG;
	}
	return zone_rules_parse(name, file.data, file.len, out, err);
}

void zone_rules_free(struct zone_rules *z)
{
	if (z == NULL)
		return;
	free(z->changes);
	free(z->change_types);
	free(z->types);
	free(z);
}
