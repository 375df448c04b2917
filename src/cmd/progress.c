#include "cmd/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/env.h"
#include "base/human.h"

/*
 * INVARIANTS
 * (1) Nothing is drawn before an interval has passed: what is quick shows no line.
 * (2) A line is never wider than the terminal: a wrapped one could not be taken away.
 */

#define INTERVAL_NS INT64_C(250000000)
#define NS_PER_S 1e9
#define SMOOTH_S 10.0 /* how far back the speed looks */
#define SPEED_AFTER_S 1.0
#define LEFT_AFTER_S 3.0 /* before, it would be a guess from very little */
#define LEFT_MAX_S 359999.0

void progress_init(struct progress *p, bool is_forced, bool is_off)
{
	*p = (struct progress){ .is_on = !is_off && (is_forced || isatty(STDERR_FILENO) == 1),
		.start_ns = env_mono_ns() };
	p->last_ns = p->start_ns;
	p->drawn_ns = p->start_ns;
}

bool progress_is_due(struct progress *p)
{
	int64_t now = env_mono_ns();
	if (now - p->last_ns < INTERVAL_NS)
		return false;
	p->last_ns = now;
	return true;
}

double progress_seconds(const struct progress *p)
{
	return (double)(env_mono_ns() - p->start_ns) / NS_PER_S;
}

/* 12345 as "12,345". */
static const char *grouped(char out[32], uint64_t n)
{
	char digits[24];
	(void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n); /* fits */
	size_t len = strlen(digits);
	char *to = out;
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

/* "0:07", "12:34", "1:02:03". */
static const char *clock_text(char out[32], double seconds)
{
	const long s = (long)seconds;
	if (s < 3600)
		(void)snprintf(out, 32, "%ld:%02ld", s / 60, s % 60); /* fits, as below */
	else
		(void)snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	return out;
}

__attribute__((format(printf, 2, 3))) static void add(
	char out[PROGRESS_LINE_BYTES], const char *fmt, ...)
{
	const size_t used = strlen(out);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(out + used, PROGRESS_LINE_BYTES - used, fmt, ap); /* fits */
	va_end(ap);
}

void progress_format(
	const struct progress_state *s, double seconds, double speed, char out[PROGRESS_LINE_BYTES])
{
	char text[32], size[HUMAN_BYTES];
	const double done = (double)(s->bytes > s->total ? s->total : s->bytes);
	out[0] = '\0';
	add(out, "[%s]", clock_text(text, seconds));
	if (s->total > 0)
		add(out, " %.1f%%", 100.0 * done / (double)s->total);
	add(out, "  ");
	if (s->items > 0)
		add(out, "%s %s ", grouped(text, s->items), s->what);
	add(out, "%s", human_size(size, s->bytes));
	if (s->total > 0)
		add(out, " of %s", human_size(size, s->total));
	if (s->has_new)
		add(out, ", %s new", human_size(size, s->new_bytes));
	if (seconds >= SPEED_AFTER_S)
		add(out, ", %s/s", human_size(size, (uint64_t)speed));
	if (seconds < LEFT_AFTER_S || speed <= 0 || s->total <= s->bytes)
		return;
	const double left = (double)(s->total - s->bytes) / speed;
	if (left < LEFT_MAX_S)
		add(out, ", %s left", clock_text(text, left));
}

/* Bytes a second, the last seconds counting most. */
static double find_speed(struct progress *p, uint64_t bytes)
{
	const int64_t now = env_mono_ns();
	const double passed = (double)(now - p->drawn_ns) / NS_PER_S;
	if (passed <= 0)
		return p->speed;
	if (bytes >= p->drawn_bytes) { /* else another part of the work has begun */
		const double recent = (double)(bytes - p->drawn_bytes) / passed;
		const double share = p->speed > 0 ? passed / (SMOOTH_S + passed) : 1;
		p->speed += (recent - p->speed) * share;
	}
	p->drawn_ns = now;
	p->drawn_bytes = bytes;
	return p->speed;
}

void progress_draw(struct progress *p, const struct progress_state *s)
{
	char line[PROGRESS_LINE_BYTES];
	struct winsize w;
	if (!p->is_on)
		return;
	progress_format(s, progress_seconds(p), find_speed(p, s->bytes), line);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 && w.ws_col < sizeof(line))
		line[w.ws_col - 1] = '\0';
	(void)fprintf(stderr, "\r\033[K%s", line); /* a broken terminal loses the line only */
	(void)fflush(stderr);
	p->is_drawn = true;
}

void progress_clear(struct progress *p)
{
	if (!p->is_drawn)
		return;
	(void)fputs("\r\033[K", stderr); /* as above */
	(void)fflush(stderr);
	p->is_drawn = false;
}
