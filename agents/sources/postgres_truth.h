/*
 * postgres_truth: the truth manifest of a live historian database, taken before its base backup.
 * Knows: historian tables (any column set with a bigint t_stamp in ms since 1970 UTC), the cutoff.
 * All facts come from one REPEATABLE READ, READ ONLY transaction.
 * Needs a role that may read the tables (pg_read_all_data).
 */
#ifndef AGENTS_SOURCES_POSTGRES_TRUTH_H
#define AGENTS_SOURCES_POSTGRES_TRUTH_H

#include <stdint.h>

struct err;
struct pg_conn_opts;
struct truth;

#define POSTGRES_TRUTH_TABLES "sqlt\\_data\\_%" /* Ignition's tag history */
#define POSTGRES_TRUTH_MARGIN_MS 2000           /* rows stamped but not committed yet */

struct postgres_truth_opts {
	const char *tables; /* LIKE pattern; NULL = POSTGRES_TRUTH_TABLES */
	int64_t margin_ms;  /* the cutoff lies that long before now; < 0 = the default */
	int64_t cutoff_ms;  /* if not 0: this cutoff (to look at a restored copy) */
};

/**
 * postgres_truth_take(opts, what, t, err):
 * Fill the database section of ${t} (which must have none) and seal it.  The cutoff comes from
 * the database's clock unless ${what} gives one.  ${what} may be NULL.
 * Return 0, -ERR_AUTH, -ERR_UNREACHABLE or -ERR_NOT_FOUND (no such table).
 */
int postgres_truth_take(const struct pg_conn_opts *opts, const struct postgres_truth_opts *what,
	struct truth *t, struct err *err);

#endif
