/*
 * catalog_row: a struct and its row: one table of fields says how each is kept; the statements
 * follow from it.  Ids are kept as hex, so that they can be read and found by a prefix.
 */
#ifndef CONTROLLER_CATALOG_ROW_H
#define CONTROLLER_CATALOG_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct db;
struct db_rows;
struct db_value;
struct err;

#define CATALOG_ROW_MAX_FIELDS 48
#define CATALOG_ROW_SQL_BYTES 2048

enum catalog_row_kind {
	ROW_INT,   /* int64_t or uint64_t */
	ROW_ENUM,  /* int or an enum */
	ROW_TEXT,  /* char[], NUL-terminated */
	ROW_BYTES, /* uint8_t[] */
	ROW_ID,    /* uint8_t[16], in the table 32 hex digits */
};

enum catalog_row_use {
	ROW_VALUE, /* may change */
	ROW_FIXED, /* written once */
	ROW_KEY,   /* written once; names the row.  Exactly one, and the first field */
};

struct catalog_row_field {
	const char *column;
	enum catalog_row_kind kind;
	enum catalog_row_use use;
	size_t at, size;
};

/* ROW_FIELD(struct catalog_agent, name, "name", ROW_TEXT, ROW_VALUE) */
#define ROW_FIELD(type, member, column_, kind_, use_)                                              \
	{                                                                                          \
		.column = (column_), .kind = (kind_), .use = (use_), .at = offsetof(type, member), \
		.size = sizeof(((type *)0)->member)                                                \
	}

struct catalog_row {
	const char *table;
	const struct catalog_row_field *fields;
	size_t count; /* <= CATALOG_ROW_MAX_FIELDS */
};

int catalog_row_insert(
	struct db *db, const struct catalog_row *row, const void *obj, struct err *err);
/* Write the fields that may change.  Return as db_run() or -ERR_NOT_FOUND. */
int catalog_row_update(
	struct db *db, const struct catalog_row *row, const void *obj, struct err *err);
/* The row whose key is that of ${obj}; what is read replaces ${obj}.  -ERR_NOT_FOUND says only
 * that: callers know what was looked for. */
int catalog_row_get(struct db *db, const struct catalog_row *row, void *obj, struct err *err);

/* "SELECT all fields FROM table ${tail}", in the order that catalog_row_read() wants. */
void catalog_row_select(
	const struct catalog_row *row, const char *tail, char out[CATALOG_ROW_SQL_BYTES]);
/* Return 0 or -ERR_CORRUPT (a value that cannot be: which). */
int catalog_row_read(
	const struct db_rows *r, const struct catalog_row *row, void *obj, struct err *err);

/**
 * catalog_row_keys(db, row, tail, args, count, keys, err):
 * Append the keys of the rows that "SELECT key FROM table ${tail}" gives to ${keys}, each as long
 * as its field: so that whoever is told of a row may change the table.
 */
int catalog_row_keys(struct db *db, const struct catalog_row *row, const char *tail,
	const struct db_value *args, size_t count, struct buf *keys, struct err *err);
#define CATALOG_ROW_MAX_KEYS ((size_t)256 << 20) /* bytes */
/**
 * catalog_row_next(db, row, keys, at, obj, err):
 * Read the row of the next key (*${at} begins with 0) into ${obj}; one that is gone meanwhile is
 * passed over.  Return 1, 0 at the end, or as catalog_row_get().
 */
int catalog_row_next(struct db *db, const struct catalog_row *row, const struct buf *keys,
	size_t *at, void *obj, struct err *err);

/**
 * catalog_row_find(db, table, column, prefix, limit, out, size, err):
 * The one value of the hex column ${column} that begins with ${prefix} (4 digits or more), in
 * ${out}.  Return 0, -ERR_NOT_FOUND or -ERR_USAGE (too short, or it fits more than one).
 */
int catalog_row_find(struct db *db, const char *table, const char *column, const char *prefix,
	char *out, size_t size, struct err *err);

#endif
