#include "base/human.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

const char *human_size(char out[HUMAN_BYTES], uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t u = 0;
	double v = (double)bytes;
	while (v >= 1024.0 && u + 1 < sizeof(unit) / sizeof(unit[0])) {
		v /= 1024.0;
		u++;
	}
	(void)snprintf(out, HUMAN_BYTES, u == 0 ? "%.0f %s" : "%.1f %s", v, unit[u]); /* fits */
	return out;
}

const char *human_duration(char out[HUMAN_BYTES], int64_t ns)
{
	const char *sign = ns < 0 ? "-" : "";
	uint64_t abs = ns < 0 ? (uint64_t) - (ns + 1) + 1 : (uint64_t)ns;
	uint64_t s = abs / (uint64_t)NS_PER_S;
	if (abs < (uint64_t)NS_PER_S)
		(void)snprintf(out, HUMAN_BYTES, "%s%.0f ms", sign, (double)abs / 1e6); /* fits */
	else if (s < 60)
		(void)snprintf(out, HUMAN_BYTES, "%s%.1f s", sign, (double)abs / 1e9); /* fits */
	else if (s < 3600)
		(void)snprintf(out, HUMAN_BYTES, "%s%u min %02u s", sign, (unsigned)(s / 60),
			(unsigned)(s % 60)); /* fits */
	else if (s < 86400)
		(void)snprintf(out, HUMAN_BYTES, "%s%u h %02u min", sign, (unsigned)(s / 3600),
			(unsigned)(s / 60 % 60)); /* fits */
	else if (s / 3600 % 24 == 0)
		(void)snprintf(out, HUMAN_BYTES, "%s%u d", sign, (unsigned)(s / 86400)); /* fits */
	else
		(void)snprintf(out, HUMAN_BYTES, "%s%u d %02u h", sign, (unsigned)(s / 86400),
			(unsigned)(s / 3600 % 24)); /* fits */
	return out;
}

/* Seconds and the nanoseconds behind them, for times before 1970 too. */
static time_t split(int64_t ns, int *rest)
{
	int64_t s = ns / NS_PER_S;
	int64_t r = ns % NS_PER_S;
	if (r < 0) {
		r += NS_PER_S;
		s--;
	}
	*rest = (int)r;
	return (time_t)s;
}

const char *human_time_utc(char out[HUMAN_BYTES], int64_t ns)
{
	int rest;
	time_t s = split(ns, &rest);
	struct tm tm;
	char day[HUMAN_BYTES / 2] = "";
	if (gmtime_r(&s, &tm) == NULL || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		(void)snprintf(day, sizeof(day), "?");                     /* fits */
	(void)snprintf(out, HUMAN_BYTES, "%s.%03dZ", day, rest / 1000000); /* fits */
	return out;
}

const char *human_time_local(char out[HUMAN_BYTES], int64_t ns)
{
	int rest;
	time_t s = split(ns, &rest);
	struct tm tm;
	char zone[8] = "+0000";
	char day[HUMAN_BYTES / 2] = "?";
	if (localtime_r(&s, &tm) != NULL) {
		(void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm); /* fits */
		(void)strftime(zone, sizeof(zone), "%z", &tm);              /* fits */
	}
	(void)snprintf(out, HUMAN_BYTES, "%s %.3s:%.2s", day, zone, zone + 3); /* fits */
	return out;
}

int human_parse_duration(const char *text, int64_t *out_ns)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {
		{ "ms", 1000000 },
		{ "s", NS_PER_S },
		{ "m", 60 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },
		{ "d", 86400 * NS_PER_S },
		{ "w", 7 * 86400 * NS_PER_S },
	};
	int64_t sum = 0;
	if (*text == '\0')
		return -1;
	while (*text != '\0') {
		if (!isdigit((unsigned char)*text))
			return -1;
		int64_t v = 0;
		for (; isdigit((unsigned char)*text); text++) {
			if (__builtin_mul_overflow(v, 10, &v) ||
				__builtin_add_overflow(v, *text - '0', &v))
				return -1;
		}
		size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz");
		bool found = false;
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && !found; i++) {
			if (strlen(units[i].unit) != len || strncmp(units[i].unit, text, len) != 0)
				continue;
			found = true;
			int64_t part;
			if (__builtin_mul_overflow(v, units[i].ns, &part) ||
				__builtin_add_overflow(sum, part, &sum))
				return -1;
		}
		if (!found)
			return -1;
		text += len;
	}
	*out_ns = sum;
	return 0;
}

int human_parse_size(const char *text, uint64_t *out_bytes)
{
	static const char units[] = "KMGTPE";
	if (!isdigit((unsigned char)*text))
		return -1;
	char *end;
	double v = strtod(text, &end);
	unsigned shift = 0;
	if (*end != '\0' && *end != 'B') {
		const char *u = strchr(units, *end);
		if (u == NULL)
			return -1;
		shift = 10 * (unsigned)(u - units + 1);
		end++;
		if (*end == 'i')
			end++;
	}
	if (*end == 'B')
		end++;
	v *= (double)(UINT64_C(1) << shift);
	if (*end != '\0' || v >= 9.2e18)
		return -1;
	*out_bytes = (uint64_t)v;
	return 0;
}

int human_parse_time(const char *text, int64_t *out_ns)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (p == NULL)
		return -1;
	int64_t frac = 0;
	if (*p == '.') {
		int64_t scale = NS_PER_S / 10;
		p++;
		if (!isdigit((unsigned char)*p))
			return -1;
		for (; isdigit((unsigned char)*p); p++, scale /= 10)
			frac += (*p - '0') * scale;
	}
	int64_t offset = 0;
	if (*p == 'Z') {
		p++;
	} else if (*p == '+' || *p == '-') {
		unsigned h;
		unsigned m;
		char sign = *p;
		if (strlen(p) != 6 || p[3] != ':' || sscanf(p + 1, "%2u:%2u", &h, &m) != 2 ||
			h > 23 || m > 59)
			return -1;
		offset = (int64_t)(h * 3600 + m * 60) * (sign == '-' ? -1 : 1);
		p += 6;
	} else {
		return -1;
	}
	if (*p != '\0')
		return -1;
	int64_t s = (int64_t)timegm(&tm) - offset;
	if (s > INT64_MAX / NS_PER_S - 1 || s < INT64_MIN / NS_PER_S + 1)
		return -1;
	*out_ns = s * NS_PER_S + frac;
	return 0;
}
