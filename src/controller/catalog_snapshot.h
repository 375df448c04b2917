/*
 * catalog_snapshot: a copy of what the vault's snapshot objects say, for quick answers.
 */
#ifndef CONTROLLER_CATALOG_SNAPSHOT_H
#define CONTROLLER_CATALOG_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "msg/msg_enrol.h"

struct db;
struct err;

struct catalog_snapshot {
	uint8_t hash[32];
	uint8_t agent_id[16], source_id[16];
	char source[4097];
	char host[256];
	uint64_t seq;
	int64_t receipt_ms, start_ms, end_ms;
	int64_t raw_bytes, files;
	char job[33]; /* "" = not made by a job */
};
/* Adding one that is there changes nothing but an empty job. */
int catalog_snapshot_add(struct db *db, const struct catalog_snapshot *s, struct err *err);
/* Newest first; ${source} NULL = all; ${limit} 0 = all. */
int catalog_snapshot_each(struct db *db, const char *source, int64_t limit,
	int (*fn)(void *arg, const struct catalog_snapshot *s), void *arg, struct err *err);
/* Forget one; none of that hash is success. */
int catalog_snapshot_remove(struct db *db, const uint8_t hash[32], struct err *err);
/* Forget all: before a rebuild. */
int catalog_snapshot_clear(struct db *db, struct err *err);

#endif
