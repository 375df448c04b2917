/*
 * demo_jobs: wait for what a controller orders by itself.
 */
#ifndef CMD_DEMO_JOBS_H
#define CMD_DEMO_JOBS_H

#include <stdint.h>

#include "cmd/demo_enrol.h"

/**
 * demo_jobs_round(d, since_ns, err):
 * Wait until each of the plant's sources has a backup by schedule that began after ${since_ns} and
 * ended well, then list the jobs.  Return 0, -ERR_FAILED (one failed: why; a program ended),
 * -ERR_BUSY (none came in time) or -ERR_INTERRUPTED.
 */
int demo_jobs_round(const struct demo_desk *d, int64_t since_ns, struct err *err);

#endif
