/*
 * drill_points_near: recovery points out of a vault that is opened in this process.
 */
#ifndef RESTORE_DRILL_POINTS_NEAR_H
#define RESTORE_DRILL_POINTS_NEAR_H

#include <stdint.h>

#include "restore/drill_points.h"

struct fetch;
struct snapshot_list;
struct vault;

/* All borrowed; fill it and keep it where it is while the points are used. */
struct drill_points_near {
	struct vault *vault;
	struct fetch *fetch;
	const struct snapshot_list *snapshots;
	const uint8_t *drill_sk; /* 32 bytes: opens the snapshots */
};

/* The points of ${n}. */
struct drill_points drill_points_near_make(struct drill_points_near *n);

#endif
