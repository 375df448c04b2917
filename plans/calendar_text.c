#include "plans/calendar_text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/escape.h"
#include "conf/conf_suggest.h"
#include "plans/calendar_internal.h"
#include "plans/zone_rules.h"

/*
 * INVARIANTS
 * (1) A part's bits are exactly the values of its ranges; a part without ranges has every value.
 * (2) Every refusal names the part, the character (from 1) and what was expected there.
 */

#define TEXT_MAX_BYTES 1024
#define TOKENS_MAX 5
#define MONTH_END_DAYS 28 /* every month has so many */

struct token {
	const char *at;
	size_t len;
};

struct reader {
	const char *text; /* the whole */
	struct calendar *c;
	struct err *err;
};

static const struct part_info {
	const char *name;
	int low, high, width;
} parts[CALENDAR_PARTS] = {
	[CALENDAR_YEAR] = { "year", CALENDAR_YEAR_MIN, CALENDAR_YEAR_MAX, 4 },
	[CALENDAR_MONTH] = { "month", 1, 12, 2 },
	[CALENDAR_DAY] = { "day", 1, 31, 2 },
	[CALENDAR_HOUR] = { "hour", 0, 23, 2 },
	[CALENDAR_MINUTE] = { "minute", 0, 59, 2 },
	[CALENDAR_SECOND] = { "second", 0, 59, 2 },
};

static const char *const weekday_names[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const weekday_words[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", "Sunday" };

static const struct {
	const char *word, *meaning;
} shorthands[] = {
	{ "minutely", "*-*-* *:*:00" },
	{ "hourly", "*-*-* *:00:00" },
	{ "daily", "*-*-* 00:00:00" },
	{ "weekly", "Mon *-*-* 00:00:00" },
	{ "monthly", "*-*-01 00:00:00" },
	{ "quarterly", "*-01,04,07,10-01 00:00:00" },
	{ "semiannually", "*-01,07-01 00:00:00" },
	{ "yearly", "*-01-01 00:00:00" },
	{ "annually", "*-01-01 00:00:00" },
};
#define SHORTHANDS (sizeof(shorthands) / sizeof(shorthands[0]))

static int(refuse)(const struct reader *r, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int(refuse)(const struct reader *r, const char *at, const char *fmt, ...)
{
	char shown[200], why[300];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	(void)escape_str(shown, sizeof(shown), r->text);
	return err_set(r->err, ERR_CONFIG, "calendar expression \"%s\", character %zu: %s", shown,
		(size_t)(at - r->text) + 1, why);
}

#define refuse(...) ERR_NEVER_ZERO((refuse)(__VA_ARGS__))

static bool is_word(const struct token *t, const char *word)
{
	return strlen(word) == t->len && strncasecmp(t->at, word, t->len) == 0;
}

/* ---- parts ---- */

static int read_number(
	const struct reader *r, const char **at, const char *end, int which, bool is_step, int *out)
{
	const struct part_info *info = &parts[which];
	int low = is_step ? 1 : info->low;
	bool is_back = which == CALENDAR_DAY && r->c->is_from_month_end;
	int most = is_back ? MONTH_END_DAYS : info->high;
	int high = is_step ? most - info->low : most;
	int value = 0;
	const char *p = *at;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		value = value > 100000 ? value : value * 10 + (*p - '0');
	if (p == *at)
		return refuse(r, *at, "expected %s of the %s, a number from %d to %d",
			is_step ? "the step" : "a value", info->name, low, high);
	if (value < low || value > high)
		return refuse(r, *at, "%s%s %.*s is not from %d to %d",
			is_step ? "a step of the " : "", info->name,
			(int)(p - *at > 20 ? 20 : p - *at), *at, low, high);
	*at = p;
	*out = value;
	return 0;
}

static int read_range(const struct reader *r, const char **at, const char *end, int which,
	struct calendar_range *out)
{
	*out = (struct calendar_range){ .stop = -1 };
	const char *begin = *at;
	int rc = read_number(r, at, end, which, false, &out->start);
	if (rc == 0 && end - *at >= 2 && (*at)[0] == '.' && (*at)[1] == '.') {
		*at += 2;
		rc = read_number(r, at, end, which, false, &out->stop);
		if (rc == 0 && out->stop < out->start)
			return refuse(
				r, begin, "the range of the %s goes backward", parts[which].name);
		out->step = 1;
	}
	if (rc == 0 && *at < end && **at == '/') {
		(*at)++;
		const char *step = *at;
		rc = read_number(r, at, end, which, true, &out->step);
		bool is_back = which == CALENDAR_DAY && r->c->is_from_month_end;
		if (rc == 0 && !is_back && out->start + out->step > parts[which].high)
			return refuse(r, step, "the step leads past the last %s, %d",
				parts[which].name, parts[which].high);
	}
	return rc;
}

/* Days from the end of the month: a range or step goes forward in time, so down in numbers. */
static void fill_bits_back(struct calendar_part *p)
{
	memset(p->bits, p->count == 0 ? 0xff : 0, sizeof(p->bits));
	for (size_t i = 0; i < p->count; i++) {
		const struct calendar_range *a = &p->at[i];
		int from = a->stop >= 0 ? a->stop : a->start;
		int to = a->stop >= 0 || a->step == 0 ? a->start : 1;
		for (int v = from; v >= to; v -= a->step > 0 ? a->step : 1)
			p->bits[0] |= UINT64_C(1) << (v - 1);
	}
}

static void fill_bits(struct calendar_part *p, const struct part_info *info)
{
	memset(p->bits, p->count == 0 ? 0xff : 0, sizeof(p->bits));
	for (size_t i = 0; i < p->count; i++) {
		const struct calendar_range *a = &p->at[i];
		int stop = a->stop >= 0 ? a->stop : a->step > 0 ? info->high : a->start;
		for (int v = a->start; v <= stop; v += a->step > 0 ? a->step : 1)
			p->bits[(v - info->low) / 64] |= UINT64_C(1) << ((v - info->low) % 64);
	}
}

static int compare_ranges(const void *a, const void *b)
{
	const struct calendar_range *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->stop != y->stop)
		return x->stop < y->stop ? -1 : 1;
	return x->step < y->step ? -1 : x->step > y->step ? 1 : 0;
}

static void tidy(struct calendar_part *p)
{
	size_t kept = 0;
	for (size_t i = 0; i < p->count; i++) {
		struct calendar_range *a = &p->at[i];
		if (a->stop >= 0) /* the last value that is met */
			a->stop -= (a->stop - a->start) % a->step;
		if (a->stop == a->start)
			*a = (struct calendar_range){ .start = a->start, .stop = -1 };
	}
	if (p->count > 1)
		qsort(p->at, p->count, sizeof(p->at[0]), compare_ranges);
	for (size_t i = 0; i < p->count; i++) {
		if (kept == 0 || compare_ranges(&p->at[kept - 1], &p->at[i]) != 0)
			p->at[kept++] = p->at[i];
	}
	p->count = kept;
}

/* Read part ${which} up to ${end} or a character of ${stops}. */
static int read_part(
	const struct reader *r, const char **at, const char *end, int which, const char *stops)
{
	struct calendar_part *p = &r->c->part[which];
	bool is_star = *at < end && **at == '*';
	p->count = 0;
	if (is_star)
		(*at)++;
	for (bool is_more = !is_star; is_more;) {
		if (p->count == CALENDAR_PART_RANGES)
			return refuse(r, *at, "more than %d values of the %s", CALENDAR_PART_RANGES,
				parts[which].name);
		int rc = read_range(r, at, end, which, &p->at[p->count]);
		if (rc != 0)
			return rc;
		p->count++;
		is_more = *at < end && **at == ',';
		if (is_more)
			(*at)++;
	}
	if (*at < end && strchr(stops, **at) == NULL) {
		int rc = refuse(r, *at, "'%c' does not belong behind a %s%s",
			isprint((unsigned char)**at) ? **at : '?', parts[which].name,
			is_star ? " of '*'" : "");
		if (is_star && **at == '/')
			rc = err_hint(
				r->err, "write %d/%s for every so many", parts[which].low, "N");
		return rc;
	}
	if (which == CALENDAR_DAY && r->c->is_from_month_end) {
		fill_bits_back(p);
		return 0;
	}
	tidy(p);
	fill_bits(p, &parts[which]);
	return 0;
}

static void set_all(struct calendar *c, int which)
{
	c->part[which].count = 0;
	fill_bits(&c->part[which], &parts[which]);
}

static void set_one(struct calendar *c, int which, int value)
{
	c->part[which].count = 1;
	c->part[which].at[0] = (struct calendar_range){ .start = value, .stop = -1 };
	fill_bits(&c->part[which], &parts[which]);
}

bool calendar_text_has(const struct calendar *c, int which, int value)
{
	int i = value - parts[which].low;
	return (c->part[which].bits[i / 64] >> (i % 64) & 1) != 0;
}

/* [YEAR-]MONTH-DAY or [YEAR-]MONTH~DAY */
static int read_date(const struct reader *r, const struct token *t)
{
	const char *at = t->at, *end = t->at + t->len;
	size_t marks = 0;
	for (const char *p = at; p < end; p++)
		marks += *p == '-' || *p == '~' ? 1 : 0;
	int rc = 0;
	if (marks == 2) {
		rc = read_part(r, &at, end, CALENDAR_YEAR, "-");
		if (rc == 0 && *at++ != '-')
			return refuse(r, at - 1, "expected '-' behind the year");
	} else if (marks != 1) {
		return refuse(r, at, "a date is year-month-day or month-day");
	}
	if (rc == 0)
		rc = read_part(r, &at, end, CALENDAR_MONTH, "-~");
	if (rc != 0)
		return rc;
	if (at == end)
		return refuse(r, at, "expected '-' and the day");
	r->c->is_from_month_end = *at++ == '~';
	return read_part(r, &at, end, CALENDAR_DAY, "");
}

/* HOUR:MINUTE[:SECOND] */
static int read_time(const struct reader *r, const struct token *t)
{
	const char *at = t->at, *end = t->at + t->len;
	int rc = read_part(r, &at, end, CALENDAR_HOUR, ":");
	if (rc == 0 && at == end)
		return refuse(r, at, "expected ':' and the minute");
	if (rc == 0) {
		at++;
		rc = read_part(r, &at, end, CALENDAR_MINUTE, ":");
	}
	if (rc != 0 || at == end)
		return rc;
	at++;
	return read_part(r, &at, end, CALENDAR_SECOND, "");
}

/* ---- words ---- */

static int weekday_of(const struct token *t)
{
	for (int i = 0; i < 7; i++) {
		if (is_word(t, weekday_names[i]) || is_word(t, weekday_words[i]))
			return i;
	}
	return -1;
}

/* ${t} is none of the words that may begin an expression: say which was meant, if any. */
static int refuse_word(const struct reader *r, const struct token *t)
{
	char word[48] = "";
	const char *near = NULL;
	size_t best = SIZE_MAX;
	(void)snprintf(word, sizeof(word), "%.*s", (int)(t->len > 40 ? 40 : t->len), t->at);
	for (size_t i = 0; i < SHORTHANDS + 14; i++) {
		const char *known = i < SHORTHANDS       ? shorthands[i].word
				    : i < SHORTHANDS + 7 ? weekday_names[i - SHORTHANDS]
							 : weekday_words[i - SHORTHANDS - 7];
		size_t d = conf_suggest_distance(word, known);
		bool is_near = conf_suggest_is_near(word, known) ||
			       (strlen(known) == 3 && strlen(word) == 3 && d == 1);
		if (is_near && d < best) {
			best = d;
			near = known;
		}
	}
	(void)refuse(r, t->at, "\"%.*s\" is no weekday and no word of cadence",
		(int)(t->len > 40 ? 40 : t->len), t->at);
	if (near != NULL)
		return err_hint(r->err, "did you mean %s?", near);
	return err_hint(r->err, "weekdays: Mon Tue Wed Thu Fri Sat Sun; words: minutely "
				"hourly daily weekly monthly quarterly semiannually yearly");
}

static int read_weekday(const struct reader *r, const char **at, const char *end, int *out)
{
	struct token word = { *at, 0 };
	while (*at < end && **at != ',' && **at != '.')
		(*at)++;
	word.len = (size_t)(*at - word.at);
	if (word.len == 0)
		return refuse(r, word.at, "expected a weekday");
	*out = weekday_of(&word);
	return *out < 0 ? refuse_word(r, &word) : 0;
}

/* Mon,Wed..Fri */
static int read_weekdays(const struct reader *r, const struct token *t)
{
	const char *at = t->at, *end = t->at + t->len;
	r->c->weekdays = 0;
	for (;;) {
		int first = 0, last;
		const char *begin = at;
		int rc = read_weekday(r, &at, end, &first);
		last = first;
		if (rc == 0 && end - at >= 2 && at[0] == '.' && at[1] == '.') {
			at += 2;
			rc = read_weekday(r, &at, end, &last);
		}
		if (rc != 0)
			return rc;
		if (last < first) {
			(void)refuse(r, begin, "the range of weekdays goes backward");
			return err_hint(r->err, "a week begins on Monday: write two ranges");
		}
		for (int i = first; i <= last; i++)
			r->c->weekdays |= 1u << i;
		if (at == end)
			return 0;
		if (*at != ',')
			return refuse(r, at, "expected ',' or '..' behind a weekday");
		at++;
	}
}

static int read_zone(const struct reader *r, const struct token *t, const char *fallback)
{
	char name[ZONE_RULES_NAME_BYTES] = "";
	if (t == NULL)
		return zone_rules_load(fallback != NULL ? fallback : "UTC", &r->c->zone, r->err);
	if (t->len >= sizeof(name))
		return refuse(r, t->at, "the name of the time zone is too long");
	memcpy(name, t->at, t->len);
	int rc = zone_rules_load(name, &r->c->zone, r->err);
	return rc == 0 ? 0
		       : err_wrap(r->err, "calendar expression \"%s\", character %zu", r->text,
				 (size_t)(t->at - r->text) + 1);
}

/* ---- the whole ---- */

/* Read [weekdays] [date] [time] from the tokens; return how many were used, or an error. */
static int read_parts(const struct reader *r, const struct token *t, size_t count)
{
	struct calendar *c = r->c;
	size_t i = 0;
	int rc = 0;
	c->weekdays = 127;
	for (int which = CALENDAR_YEAR; which <= CALENDAR_DAY; which++)
		set_all(c, which);
	for (int which = CALENDAR_HOUR; which <= CALENDAR_SECOND; which++)
		set_one(c, which, 0);
	if (i < count && isalpha((unsigned char)t[i].at[0]))
		rc = read_weekdays(r, &t[i++]);
	if (rc == 0 && i < count && !isalpha((unsigned char)t[i].at[0]) &&
		memchr(t[i].at, ':', t[i].len) == NULL) {
		if (memchr(t[i].at, '-', t[i].len) == NULL &&
			memchr(t[i].at, '~', t[i].len) == NULL)
			return refuse(r, t[i].at,
				"expected a date (year-month-day) or a time (hour:minute)");
		rc = read_date(r, &t[i++]);
	}
	if (rc == 0 && i < count && !isalpha((unsigned char)t[i].at[0]))
		rc = memchr(t[i].at, ':', t[i].len) == NULL
			     ? refuse(r, t[i].at, "expected a time (hour:minute) or a time zone")
			     : read_time(r, &t[i++]);
	return rc < 0 ? rc : (int)i;
}

static bool is_single(const struct calendar_part *p)
{
	return p->count == 1 && p->at[0].stop < 0 && p->at[0].step == 0;
}

/* N calendar_months [from DATE [TIME]] */
static int read_months(const struct reader *r, const struct token *t, size_t count)
{
	struct calendar *c = r->c;
	const char *p = t[0].at;
	for (; isdigit((unsigned char)*p); p++)
		c->months = c->months > CALENDAR_MONTHS_MAX ? c->months : c->months * 10 + *p - '0';
	if (p != t[0].at + t[0].len || c->months < 1 || c->months > CALENDAR_MONTHS_MAX) {
		c->months = 1;
		return refuse(r, t[0].at, "expected a number of months from 1 to %d",
			CALENDAR_MONTHS_MAX);
	}
	if (count < 3 || !is_word(&t[2], "from"))
		return 2;
	int used = count < 4 || isalpha((unsigned char)t[3].at[0])
			   ? refuse(r, t[2].at + t[2].len, "expected the date to count from")
			   : read_parts(r, t + 3, count - 3);
	if (used < 0)
		return used;
	for (int which = CALENDAR_YEAR; which < CALENDAR_PARTS; which++) {
		if (!is_single(&c->part[which]))
			return refuse(r, t[3].at,
				"the date to count from must be one date, its "
				"%s is not one value",
				parts[which].name);
	}
	int day = c->part[CALENDAR_DAY].at[0].start, month = c->part[CALENDAR_MONTH].at[0].start;
	int year = c->part[CALENDAR_YEAR].at[0].start;
	if (c->is_from_month_end || day > zone_rules_month_length(year, month))
		return refuse(r, t[3].at, "there is no such day to count from");
	c->has_from = true;
	c->from_s = zone_rules_days(year, month, day) * ZONE_RULES_DAY_S +
		    c->part[CALENDAR_HOUR].at[0].start * 3600 +
		    c->part[CALENDAR_MINUTE].at[0].start * 60 +
		    c->part[CALENDAR_SECOND].at[0].start;
	return used + 3;
}

static int read_shorthand(const struct reader *r, const struct token *t)
{
	for (size_t i = 0; i < SHORTHANDS; i++) {
		if (!is_word(t, shorthands[i].word))
			continue;
		struct reader inner = { shorthands[i].meaning, r->c, r->err };
		struct token own[TOKENS_MAX] = { { NULL, 0 } };
		size_t n = 0;
		for (const char *p = inner.text; *p != '\0' && n < TOKENS_MAX; n++) {
			own[n] = (struct token){ p, strcspn(p, " ") };
			p += own[n].len;
			p += strspn(p, " ");
		}
		int used = read_parts(&inner, own, n);
		return used < 0 ? used : 1;
	}
	return 0;
}

int calendar_text_read(const char *text, const char *zone, struct calendar *c, struct err *err)
{
	struct reader r = { text, c, err };
	struct token t[TOKENS_MAX + 1];
	size_t count = 0;
	if (strlen(text) > TEXT_MAX_BYTES)
		return err_set(err, ERR_CONFIG, "a calendar expression of more than %d bytes",
			TEXT_MAX_BYTES);
	for (const char *p = text + strspn(text, " \t"); *p != '\0'; p += strspn(p, " \t")) {
		if (count == TOKENS_MAX + 1)
			return refuse(&r, p, "expected the end of the expression");
		t[count] = (struct token){ p, strcspn(p, " \t") };
		p += t[count++].len;
	}
	if (count == 0) {
		(void)err_set(err, ERR_CONFIG, "the calendar expression is empty");
		return err_hint(err, "such as \"daily\" or \"Mon..Fri *-*-* 06:00\"");
	}
	bool is_months = count >= 2 &&
			 (is_word(&t[1], "calendar_months") || is_word(&t[1], "calendar_month"));
	int used = is_months ? read_months(&r, t, count) : read_shorthand(&r, &t[0]);
	if (used == 0)
		used = read_parts(&r, t, count);
	if (used < 0)
		return used;
	size_t next = (size_t)used;
	if (next < count && !isalpha((unsigned char)t[next].at[0]))
		return refuse(&r, t[next].at, "expected a time zone or the end");
	if (next + 1 < count)
		return refuse(&r, t[next + 1].at, "expected the end behind the time zone");
	return read_zone(&r, next < count ? &t[next] : NULL, zone);
}

/* ---- writing ---- */

struct writer {
	char *out;
	size_t size, len;
	bool is_full;
};

static void put(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *w, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(w->out + w->len, w->size - w->len, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= w->size - w->len)
		w->is_full = true;
	else
		w->len += (size_t)n;
}

static void put_part(struct writer *w, const struct calendar *c, int which)
{
	const struct calendar_part *p = &c->part[which];
	if (p->count == 0)
		put(w, "*");
	for (size_t i = 0; i < p->count && !w->is_full; i++) {
		const struct calendar_range *a = &p->at[i];
		put(w, "%s%0*d", i > 0 ? "," : "", parts[which].width, a->start);
		if (a->stop >= 0)
			put(w, "..%0*d", parts[which].width, a->stop);
		if (a->step > 0 && !(a->stop >= 0 && a->step == 1))
			put(w, "/%d", a->step);
	}
}

static void put_weekdays(struct writer *w, unsigned weekdays)
{
	const char *comma = "";
	for (int i = 0; i < 7; i++) {
		int last = i;
		if ((weekdays >> i & 1) == 0)
			continue;
		while (last < 6 && (weekdays >> (last + 1) & 1) != 0)
			last++;
		put(w, "%s%s", comma, weekday_names[i]);
		if (last > i)
			put(w, "%s%s", last > i + 1 ? ".." : ",", weekday_names[last]);
		comma = ",";
		i = last;
	}
	put(w, " ");
}

static void put_months(struct writer *w, const struct calendar *c)
{
	int64_t year;
	int month, day;
	put(w, "%d calendar_months", c->months);
	if (!c->has_from)
		return;
	int64_t of_day = c->from_s % ZONE_RULES_DAY_S;
	zone_rules_date(c->from_s / ZONE_RULES_DAY_S, &year, &month, &day);
	put(w, " from %04d-%02d-%02d %02d:%02d:%02d", (int)year, month, day, (int)(of_day / 3600),
		(int)(of_day / 60 % 60), (int)(of_day % 60));
}

int calendar_text_write(const struct calendar *c, char *out, size_t size)
{
	static const char marks[CALENDAR_PARTS] = { '-', '-', ' ', ':', ':', ' ' };
	struct writer w = { .out = out, .size = size };
	if (size == 0)
		return -ERR_LIMIT;
	if (c->months > 0) {
		put_months(&w, c);
		put(&w, " ");
	} else {
		if (c->weekdays != 127)
			put_weekdays(&w, c->weekdays);
		for (int which = CALENDAR_YEAR; which < CALENDAR_PARTS; which++) {
			put_part(&w, c, which);
			put(&w, "%c",
				which == CALENDAR_MONTH && c->is_from_month_end ? '~'
										: marks[which]);
		}
	}
	put(&w, "%s", zone_rules_name(c->zone));
	return w.is_full ? -ERR_LIMIT : 0;
}
