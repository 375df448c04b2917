/*
 * points_far: the recovery points that a controller granted to a sandbox agent, for a drill.
 * Trusts nobody but the officer whose key was pinned at enrolment: the config must be signed by
 * that officer, every snapshot by an identity of that config, and everything is opened with the
 * drill key alone.  What a hijacked controller can still do is to withhold newer snapshots.
 */
#ifndef AGENTS_POINTS_FAR_H
#define AGENTS_POINTS_FAR_H

#include <stdint.h>

#include "restore/drill_points.h"

struct err;
struct msg_points;
struct points_far;
struct record_source;

/* A snapshot may be received so much later than T0 on this host's clock: clocks differ. */
#define POINTS_FAR_CLOCK_NS INT64_C(120000000000)

struct points_far_opts {
	const struct msg_points *points; /* borrowed for the call */
	const uint8_t *officer_pk;       /* 32: who must have signed the config */
	uint32_t config_epoch;           /* the newest this agent has seen; none older is taken */
	const uint8_t *drill_sk;         /* 32: borrowed until free */
	const struct record_source *content; /* borrowed until free */
};

/**
 * points_far_new(opts, out, err):
 * Check config and snapshots.  Return 0, -ERR_AUTH (not the officer's config), -ERR_ROLLBACK (an
 * older config, or a snapshot that knows a newer one), -ERR_CORRUPT (a snapshot: the text names its
 * source) or -ERR_NOMEM.
 */
int points_far_new(const struct points_far_opts *opts, struct points_far **out, struct err *err);
void points_far_free(struct points_far *p);

/* For drill_opts; borrowed until free. */
const struct drill_points *points_far_points(const struct points_far *p);

#endif
