#include "restore/clock.h"

#include "base/env.h"

void clock_start(struct clock *c)
{
	c->wall_ns = env_now_ns();
	c->mono_ns = env_mono_ns();
}

int64_t clock_now_ns(const struct clock *c)
{
	return c->wall_ns + (env_mono_ns() - c->mono_ns);
}

int64_t clock_now_ms(const struct clock *c)
{
	return report_ms(clock_now_ns(c));
}

void clock_mark(const struct clock *c, enum clock_mark mark, struct report_timings *t)
{
	int64_t *const marks[REPORT_T_COUNT] = { &t->t_declared, &t->t_approved, &t->t_selected,
		&t->t_sandbox, &t->t_restored, &t->t_started, &t->t_verified, &t->t_clean };
	if (*marks[mark] == REPORT_NONE)
		*marks[mark] = clock_now_ms(c);
}
