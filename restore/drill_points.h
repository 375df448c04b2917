/*
 * drill_points: where a drill gets its recovery points and their content.  Near they come from a
 * vault on this machine (drill_points_near.h), far from what a controller granted (agents).
 * A drill knows nothing else of vaults, keys and stores.
 */
#ifndef RESTORE_DRILL_POINTS_H
#define RESTORE_DRILL_POINTS_H

#include <stdint.h>

#include "vault/snapshot.h"

struct err;
struct record_source;

/* A snapshot that was chosen, checked and opened with a drill key. */
struct drill_point {
	struct snaprec record;
	uint8_t hash[32]; /* of the record */
	int64_t receipt_ns;
	struct snapshot_opened opened;
};

struct drill_points {
	void *self;
	/* Open the newest snapshot of ${source} that was received at or before ${at_ns}: T0 on the
	 * drill's clock, or INT64_MAX.  Its signer, its envelopes and its root were checked; the
	 * recovery envelope was made again and compared. Return 0, -ERR_NOT_FOUND (none so old),
	 * -ERR_USAGE (ambiguous), -ERR_AUTH, -ERR_CORRUPT, or what the store says. */
	int (*open)(void *self, const char *source, int64_t at_ns, struct drill_point *out,
		struct err *err);
	/* When the newest snapshot of ${source} was received, whatever T0 is: to see whether clocks
	 * agree.  0 = there is none. */
	int64_t (*newest)(void *self, const char *source);
	/* Where the content is read from; borrowed for the drill. */
	const struct record_source *content;
};

#endif
