/*
 * points_far: the recovery points of a drill as a controller granted them: bodies of sn/ and ev/
 * objects, and records by id.  Trusts nothing of it: the config must be signed by the officer that
 * was pinned at enrolment, each snapshot by an identity of the config, and every envelope is made
 * again (vault/snapshot_unseal.h).  One thread.
 */
#ifndef AGENTS_POINTS_FAR_H
#define AGENTS_POINTS_FAR_H

#include <stdint.h>

#include "restore/drill_points.h"

struct err;
struct msg_points;
struct points_far;
struct record_store;

struct points_far_opts {
	const struct msg_points *points; /* borrowed until free, as all here */
	const struct record_store *records;
	const uint8_t *officer_pk; /* 32 */
	uint32_t min_epoch;        /* of the config: what was seen here before */
	const uint8_t *dk_sk;      /* 32: the drill key */
};
/* Return 0, -ERR_AUTH (another officer), -ERR_ROLLBACK (an older config), -ERR_CORRUPT. */
int points_far_new(const struct points_far_opts *opts, struct points_far **out, struct err *err);
void points_far_free(struct points_far *p);
/* For the drill; borrowed until free. */
const struct drill_points *points_far_points(struct points_far *p);

#endif
