/*
 * fuzz_calendar: calendar texts (docs/SCHEDULE.md): a line with the zone, then the text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "plans/calendar.h"

#define NOW_MS INT64_C(1795487993000)

static void run(const uint8_t *data, size_t len)
{
	static const char *const zones[] = { "UTC", "Europe/Berlin", "Australia/Lord_Howe", "x" };
	struct err err = ERR_INIT;
	struct calendar *c = NULL, *again = NULL;
	char text[512], normal[1024], twice[1024];
	if (len < 1 || len > sizeof(text))
		return;
	memcpy(text, data + 1, len - 1);
	text[len - 1] = '\0';
	const char *zone = zones[data[0] % 4];
	int rc = calendar_parse(text, zone, &c, &err);
	fuzz_verdict(rc, &err);
	if (rc != 0)
		return;
	int64_t next = calendar_next(c, NOW_MS);
	FUZZ_CHECK(next > NOW_MS);
	(void)calendar_last(c, NOW_MS - INT64_C(86400000), NOW_MS);
	FUZZ_CHECK(calendar_normal(c, normal, sizeof(normal)) == 0);
	/* the normal form is an expression with the same times */
	FUZZ_CHECK(calendar_parse(normal, zone, &again, &err) == 0);
	FUZZ_CHECK(calendar_normal(again, twice, sizeof(twice)) == 0);
	FUZZ_CHECK(strcmp(normal, twice) == 0);
	FUZZ_CHECK(calendar_next(again, NOW_MS) == next);
	calendar_free(c);
	calendar_free(again);
}

static void seeds(void)
{
	static const char *const texts[] = { "0daily", "1Mon..Fri *-*-* 02:30:00",
		"2Sun *-03-25..31 02:00", "1*-*~3/2 0/6:15", "0Mon,Wed 2026-1,7-1 *:0/20:30",
		"1quarterly" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fuzz_seed(texts[i], strlen(texts[i]));
}

const struct fuzz_target fuzz_calendar = { "calendar", run, seeds };
