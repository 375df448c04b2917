/*
 * db_driver: what a database must do for db.c: one table of functions for each kind.
 * A driver keeps one connection, translates its errors into those of db.h, and knows nothing of
 * nesting, migrations or tables.  "$1" is bound to the first argument, and so on; a statement
 * names all its arguments.
 */
#ifndef DB_DB_DRIVER_H
#define DB_DB_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

struct db_driver;

/* The head of every driver's own struct of rows. */
struct db_rows {
	struct db *db;
	const struct db_driver *driver;
};

struct db_driver {
	const char *scheme;    /* before the ':' of a location */
	const char *blob_word; /* the type of bytes, for DB_BLOB in migrations */
	/* ${where}: the location behind the ':'. */
	int (*open)(const char *where, void **out, struct err *err);
	void (*close)(void *self);
	/* Statements one after the other, without arguments. */
	int (*script)(void *self, const char *sql, struct err *err);
	int (*run)(void *self, const char *sql, const struct db_value *args, size_t count,
		int64_t *changed, struct err *err);
	/* The head of *${out} is filled in by db.c. */
	int (*query)(void *self, const char *sql, const struct db_value *args, size_t count,
		struct db_rows **out, struct err *err);
	int (*next)(struct db_rows *r, struct err *err);
	bool (*is_null)(const struct db_rows *r, int column);
	int64_t (*get_int)(const struct db_rows *r, int column);
	const char *(*get_text)(const struct db_rows *r, int column);
	const void *(*get_bytes)(const struct db_rows *r, int column, size_t *len);
	void (*done)(struct db_rows *r);
	int (*begin)(void *self, struct err *err);
	int (*commit)(void *self, struct err *err);
	void (*rollback)(void *self);
	/* Whether a transaction is open: an error may have ended it. */
	bool (*is_in_transaction)(void *self);
	int (*backup)(void *self, const char *path, struct err *err);
};

#endif
