#include "agents/pace.h"

#include <sys/resource.h>
#include <time.h>

#include "base/env.h"

/*
 * INVARIANTS
 * (1) Between two windows nothing is carried over but a debt: who used too much rests first.
 */

#define NS_PER_S INT64_C(1000000000)
#define REST_MIN_NS INT64_C(1000000) /* less is not worth a call */

void pace_init(struct pace *p, int percent, int64_t wall_ns, int64_t cpu_ns)
{
	*p = (struct pace){ .percent = percent, .wall_ns = wall_ns, .cpu_ns = cpu_ns };
}

int64_t pace_due(struct pace *p, int64_t wall_ns, int64_t cpu_ns)
{
	if (p->percent <= 0)
		return 0;
	int64_t used = cpu_ns - p->cpu_ns;
	int64_t passed = wall_ns - p->wall_ns;
	int64_t due = used / p->percent * 100 - passed;
	if (due <= 0) {
		if (passed > PACE_WINDOW_NS) {
			p->wall_ns = wall_ns;
			p->cpu_ns = cpu_ns;
		}
		return 0;
	}
	return due < PACE_REST_MAX_NS ? due : PACE_REST_MAX_NS;
}

/* What this process has used of all processors. */
static int64_t cpu_ns(void)
{
	struct rusage u = { .ru_maxrss = 0 };
	(void)getrusage(RUSAGE_SELF, &u); /* cannot fail for ourselves */
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NS_PER_S +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * INT64_C(1000);
}

void pace_start(struct pace *p, int percent)
{
	pace_init(p, percent, env_mono_ns(), cpu_ns());
}

void pace_rest(struct pace *p)
{
	int64_t due = p->percent <= 0 ? 0 : pace_due(p, env_mono_ns(), cpu_ns());
	if (due < REST_MIN_NS)
		return;
	struct timespec t = { .tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S };
	(void)nanosleep(&t, NULL); /* a signal ends the rest: what is left is due next time */
}
