/*
 * db: the catalog database: SQL with numbered parameters ($1, $2, ..), in the subset that SQLite
 * and PostgreSQL share (BIGINT, TEXT, BLOB by DB_BLOB in migrations; INSERT .. ON CONFLICT;
 * RETURNING).  One interface; drivers: sqlite.
 * One connection owns all writes and checkpoints.  One thread.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_rows;
struct err;

enum db_kind { DB_NULL, DB_INT, DB_TEXT, DB_BYTES };

struct db_value {
	enum db_kind kind;
	int64_t number;
	const void *data; /* borrowed for the call; DB_TEXT: ${len} bytes of UTF-8 */
	size_t len;
};

struct db_value db_null(void);
struct db_value db_int(int64_t v);
struct db_value db_text(const char *text); /* NULL = null */
struct db_value db_bytes(const void *data, size_t len);
/* DB_ARGS(db_int(1), db_text("x")): the two arguments ${args}, ${count}. */
#define DB_ARGS(...)                                                                               \
	(const struct db_value[]){ __VA_ARGS__ },                                                  \
		sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)
#define DB_NO_ARGS NULL, 0

/* One step of the schema; applied once, in ascending order, each in a transaction of its own. */
struct db_migration {
	int number;      /* from 1 without gaps */
	const char *sql; /* statements; "DB_BLOB" stands for the driver's word for bytes */
};

/**
 * db_open(location, out, err):
 * "sqlite:PATH", created (0600) when missing; a quick check of its integrity is made.  Return 0,
 * -ERR_BUSY (another process still holds it after two seconds), -ERR_CORRUPT (damaged: the hint
 * says how to rebuild it), -ERR_CONFIG (location) or -ERR_IO.
 */
int db_open(const char *location, struct db **out, struct err *err);
void db_close(struct db *d);

/* Bring the schema up to the last of ${list}.  Return 0, -ERR_UNSUPPORTED (the file is newer than
 * this program) or as db_run(). */
int db_migrate(struct db *d, const struct db_migration *list, size_t count, struct err *err);

/* Run one statement; *${changed} (may be NULL) = rows it touched.  Return 0, -ERR_EXISTS (a unique
 * key), -ERR_NOSPACE, -ERR_CORRUPT, -ERR_IO or -ERR_FAILED. */
int db_run(struct db *d, const char *sql, const struct db_value *args, size_t count,
	int64_t *changed, struct err *err);

/* Begin a query; end it with db_rows_done().  Values are borrowed until the next row. */
int db_query(struct db *d, const char *sql, const struct db_value *args, size_t count,
	struct db_rows **out, struct err *err);
/* Return 1 when there is a row, 0 at the end, or an error. */
int db_rows_next(struct db_rows *r, struct err *err);
bool db_rows_is_null(const struct db_rows *r, int column);
int64_t db_rows_int(const struct db_rows *r, int column);
const char *db_rows_text(const struct db_rows *r, int column); /* "" when null */
const void *db_rows_bytes(const struct db_rows *r, int column, size_t *len);
void db_rows_done(struct db_rows *r); /* NULL is fine */

/* Transactions nest: only the outermost one counts; a rollback inside makes the outer commit fail
 * with -ERR_FAILED. */
int db_begin(struct db *d, struct err *err);
int db_commit(struct db *d, struct err *err);
void db_rollback(struct db *d);

/* Write the log back into the file and copy the whole to ${path} (a new file, synced). */
int db_backup(struct db *d, const char *path, struct err *err);

#endif
