/*
 * clock: the eight marks of a drill, T0 declared to T7 cleaned up, on one time line.
 * Knows: that wall time names a moment and the monotonic clock measures from it, so that a step of
 * the wall clock during a drill changes no duration.  One thread at a time.
 */
#ifndef RESTORE_CLOCK_H
#define RESTORE_CLOCK_H

#include <stdint.h>

#include "restore/report.h"

struct clock {
	int64_t wall_ns; /* of the start */
	int64_t mono_ns; /* the same moment */
};

/* Start the clock: reads both clocks of env once. */
void clock_start(struct clock *c);

/* Now, as ns since 1970 on this clock's line: never before an earlier answer. */
int64_t clock_now_ns(const struct clock *c);

/* The same in the report's ms. */
int64_t clock_now_ms(const struct clock *c);

enum clock_mark {
	CLOCK_DECLARED, /* T0 */
	CLOCK_APPROVED,
	CLOCK_SELECTED, /* recovery point chosen, key used */
	CLOCK_SANDBOX,
	CLOCK_RESTORED,
	CLOCK_STARTED,
	CLOCK_VERIFIED, /* T6 */
	CLOCK_CLEAN,    /* T7 */
};

/* Set mark ${mark} of ${t} to now, unless it is set.  A mark before it that is absent stays so. */
void clock_mark(const struct clock *c, enum clock_mark mark, struct report_timings *t);

#endif
