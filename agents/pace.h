/*
 * pace: how long to rest so that the process keeps under its share of one processor.  Pure
 * arithmetic on times that the caller takes; pace_rest() takes them and sleeps.
 */
#ifndef AGENTS_PACE_H
#define AGENTS_PACE_H

#include <stdint.h>

#define PACE_WINDOW_NS INT64_C(2000000000) /* idle time further back gives no credit */
#define PACE_REST_MAX_NS INT64_C(500000000)

struct pace {
	int percent;             /* of one processor; 0 = no limit */
	int64_t wall_ns, cpu_ns; /* where the window began */
};

/* Begin at these times. */
void pace_init(struct pace *p, int percent, int64_t wall_ns, int64_t cpu_ns);
/* Begin now, for this process. */
void pace_start(struct pace *p, int percent);
/* The rest that is due now, in ns; 0..PACE_REST_MAX_NS. */
int64_t pace_due(struct pace *p, int64_t wall_ns, int64_t cpu_ns);
/* Sleep as long as is due for this process. */
void pace_rest(struct pace *p);

#endif
