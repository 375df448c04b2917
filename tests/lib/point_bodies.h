/*
 * point_bodies: the bodies of a snapshot's sn/ and ev/ objects and of the newest config of a vault,
 * as a read port gives them away.
 */
#ifndef TESTS_LIB_POINT_BODIES_H
#define TESTS_LIB_POINT_BODIES_H

#include "base/buf.h"

struct snapshot;
struct vault;

struct point_bodies {
	struct buf snapshot, envelopes, config;
};

/* Ends the program on failure.  End with point_bodies_done(). */
void point_bodies_read(struct vault *v, const struct snapshot *s, struct point_bodies *out);
void point_bodies_done(struct point_bodies *b);

#endif
