#include "base/log.h"

#include <stdarg.h>
#include <time.h>

#include "base/env.h"
#include "base/escape.h"

#define LOG_LINE_BYTES 2048

static enum log_level shown = LOG_WARN;
static FILE *stream;

static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_setup(enum log_level level, FILE *out)
{
	shown = level;
	stream = out;
}

bool log_is_on(enum log_level level)
{
	return level <= shown;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	if (!log_is_on(level))
		return;
	char text[LOG_LINE_BYTES];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	size_t len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

	int64_t now = env_now_ns();
	time_t seconds = (time_t)(now / 1000000000);
	struct tm tm;
	char when[32] = "-";
	if (gmtime_r(&seconds, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm); /* fits */

	char safe[LOG_LINE_BYTES * 2];
	escape_text(safe, sizeof(safe), text, len);
	(void)fprintf(stream == NULL ? stderr : stream, "%s.%03dZ %s %s %s\n", when,
		(int)(now / 1000000 % 1000), level_names[level], event, safe); /* no log, no loss */
}
