/*
 * demo_historian: the demo plant's tag historian, in the table layout that an Ignition gateway
 * writes: sqlth_te (tags), sqlth_partitions, and one sqlt_data_1_<year>_<month> per UTC month.
 * Same seed and clock, same samples.  The clock is the caller's.
 */
#ifndef AGENTS_DEMO_HISTORIAN_H
#define AGENTS_DEMO_HISTORIAN_H

#include <stdint.h>

#include "agents/demo_signal.h"
#include "db/libpq.h"

struct demo_postgres;
struct err;

#define DEMO_HISTORIAN_SCANS 5000U /* of every tag: 300,000 samples */
#define DEMO_HISTORIAN_MAX_SCANS 100000U
#define DEMO_HISTORIAN_SCAN_MS 600000 /* one scan's distance: 5000 of them span 34 days */
#define DEMO_HISTORIAN_NAME_BYTES 32

/**
 * demo_historian_fill(p, seed, scans, now_ms, err):
 * Make the database, the backup's role and the tables on the fresh server ${p}, and load ${scans}
 * scans of all tags, the newest at ${now_ms}.  Return 0, -ERR_LIMIT or -ERR_FAILED.
 */
int demo_historian_fill(
	struct demo_postgres *p, uint64_t seed, unsigned scans, int64_t now_ms, struct err *err);

/**
 * demo_historian_append(p, seed, scans, now_ms, err):
 * Append ${scans} scans between the newest sample and ${now_ms} (later if there is no room).
 * Return 0, -ERR_LIMIT or -ERR_FAILED.
 */
int demo_historian_append(
	struct demo_postgres *p, uint64_t seed, unsigned scans, int64_t now_ms, struct err *err);

/* Connect as ${p}'s administrator; end with libpq_finish().  Return 0, -ERR_UNREACHABLE or
 * -ERR_NOT_FOUND (libpq). */
int demo_historian_connect(const struct demo_postgres *p, PGconn **out, struct err *err);

/**
 * demo_historian_partition(c, t_ms, name, err):
 * Store in ${name} the table that holds samples of the time ${t_ms}; make it if it is not there.
 * Return 0 or -ERR_FAILED.
 */
int demo_historian_partition(
	PGconn *c, int64_t t_ms, char name[DEMO_HISTORIAN_NAME_BYTES], struct err *err);

#endif
