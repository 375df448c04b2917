/*
 * check_sql: questions to a restored and started database: do its tables hold what the source
 * counted (row_count), how old was the newest record when the snapshot was taken (newest_record),
 * and any one number (sql).  Business tables have a bigint t_stamp, ms since 1970 UTC.
 */
#ifndef RESTORE_CHECK_SQL_H
#define RESTORE_CHECK_SQL_H

#include <stddef.h>

struct checks_case;
struct err;
struct service_postgres;

#define CHECK_SQL_MAX_TABLES 1000
#define CHECK_SQL_PATH_BYTES 256

/* Each fills ${c}.  Return as a check of checks.c: an error other than ours is a fault. */
int check_sql_row_count(struct checks_case *c, struct err *err);
int check_sql_newest_record(struct checks_case *c, struct err *err);
int check_sql_query(struct checks_case *c, struct err *err);

/**
 * check_sql_largest_file(p, object, out, err):
 * Store the path, relative to the data directory, of the file of the largest table that ${object}
 * ("name" or "prefix*") means.  Return 0, -ERR_NOT_FOUND or as service_postgres_ask().
 */
int check_sql_largest_file(struct service_postgres *p, const char *object,
	char out[CHECK_SQL_PATH_BYTES], struct err *err);

#endif
