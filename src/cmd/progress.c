#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/human.h"

#define INTERVAL_NS INT64_C(250000000)
#define NS_PER_S 1e9
#define LINE_BYTES 256

void progress_init(struct progress *p, bool is_forced, bool is_off)
{
	p->is_on = !is_off && (is_forced || isatty(STDERR_FILENO) == 1);
	p->is_drawn = false;
	p->start_ns = env_mono_ns();
	p->last_ns = p->start_ns;
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

void progress_draw(struct progress *p, const struct progress_state *s)
{
	char line[LINE_BYTES];
	char count[32];
	char size[HUMAN_BYTES];
	char fresh[HUMAN_BYTES];
	char speed[HUMAN_BYTES];
	if (!p->is_on)
		return;
	double seconds = progress_seconds(p);
	int used = snprintf(line, sizeof(line), "[%d:%02d]", (int)seconds / 60, (int)seconds % 60);
	if (s->total > 0)
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %.1f%%",
			100.0 * (double)(s->bytes > s->total ? s->total : s->bytes) /
				(double)s->total);
	used += snprintf(line + used, sizeof(line) - (size_t)used, "  %s %s %s",
		grouped(count, s->items), s->what, human_size(size, s->bytes));
	if (s->has_new)
		used += snprintf(line + used, sizeof(line) - (size_t)used, ", %s new",
			human_size(fresh, s->new_bytes));
	if (seconds >= 1)
		(void)snprintf(line + used, sizeof(line) - (size_t)used, ", %s/s",
			human_size(speed, (uint64_t)((double)s->bytes / seconds))); /* fits */
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
