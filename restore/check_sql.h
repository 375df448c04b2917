/*
 * check_sql: questions to a restored and started database: do its tables hold what the source
 * counted (row_count), how old was the newest record when the snapshot was taken (newest_record),
 * and any one number (sql).  Business tables have a bigint t_stamp, ms since 1970 UTC.
 */
#ifndef RESTORE_CHECK_SQL_H
#define RESTORE_CHECK_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/damage.h"

struct checks_case;
struct err;
struct service_postgres;

#define CHECK_SQL_MAX_TABLES 1000
#define CHECK_SQL_PATH_BYTES 256
#define CHECK_SQL_NAME_BYTES 256

/* Each fills ${c}.  Return as a check of checks.c: an error other than ours is a fault. */
int check_sql_row_count(struct checks_case *c, struct err *err);
int check_sql_newest_record(struct checks_case *c, struct err *err);
int check_sql_query(struct checks_case *c, struct err *err);

/* Where a row lies. */
struct check_sql_row {
	char schema[CHECK_SQL_NAME_BYTES], name[CHECK_SQL_NAME_BYTES]; /* of its table */
	char path[CHECK_SQL_PATH_BYTES]; /* of its file, relative to the data directory */
	struct damage_place at;
};

/**
 * check_sql_find_row(p, object, cutoff_ms, out, err):
 * Find a row in the largest table that ${object} ("name", "schema.name" or "prefix*") means to the
 * checks: the newest with t_stamp <= ${cutoff_ms}, so one that a row count reads.  With ${object}
 * NULL: any row of the largest table of the database.
 * Return 0, -ERR_NOT_FOUND (no such row), -ERR_LIMIT or as service_postgres_ask().
 */
int check_sql_find_row(struct service_postgres *p, const char *object, int64_t cutoff_ms,
	struct check_sql_row *out, struct err *err);

/* True if the row's table is among those that ${object} means. */
bool check_sql_is_meant(const char *object, const struct check_sql_row *row);

#endif
