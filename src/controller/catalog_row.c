#include "controller/catalog_row.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) A row whose bytes have another length than the struct's field is never half read: an error.
 * (2) A text is cut to its field; it was written from one, so only damage makes it longer.
 */

#define ID_BYTES 16
#define ID_HEX (2 * ID_BYTES + 1)
#define MIN_PREFIX 4
#define MAX_KEY_BYTES 64

static void add(char out[CATALOG_ROW_SQL_BYTES], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(char out[CATALOG_ROW_SQL_BYTES], const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list ap;
	va_start(ap, fmt);
	int more = vsnprintf(out + len, CATALOG_ROW_SQL_BYTES - len, fmt, ap);
	va_end(ap);
	assert(more >= 0 && (size_t)more < CATALOG_ROW_SQL_BYTES - len);
	(void)more; /* NDEBUG */
}

/* The value of one field; an id's digits are written to ${hex}. */
static struct db_value value_of(
	const struct catalog_row_field *f, const void *obj, char hex[ID_HEX])
{
	const uint8_t *at = (const uint8_t *)obj + f->at;
	int64_t number = 0;
	int word = 0;
	switch (f->kind) {
	case ROW_INT:
		memcpy(&number, at, sizeof(number));
		return db_int(number);
	case ROW_ENUM:
		memcpy(&word, at, sizeof(word));
		return db_int(word);
	case ROW_TEXT:
		return db_text((const char *)at);
	case ROW_ID:
		text_hex(at, ID_BYTES, hex);
		return db_text(hex);
	case ROW_BYTES:
		break;
	}
	return db_bytes(at, f->size);
}

int catalog_row_insert(
	struct db *db, const struct catalog_row *row, const void *obj, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES] = "";
	char hex[CATALOG_ROW_MAX_FIELDS][ID_HEX];
	struct db_value args[CATALOG_ROW_MAX_FIELDS];
	assert(row->count <= CATALOG_ROW_MAX_FIELDS);
	add(sql, "INSERT INTO %s (", row->table);
	for (size_t i = 0; i < row->count; i++) {
		add(sql, "%s%s", i > 0 ? ", " : "", row->fields[i].column);
		args[i] = value_of(&row->fields[i], obj, hex[i]);
	}
	add(sql, ") VALUES (");
	for (size_t i = 0; i < row->count; i++)
		add(sql, "%s$%zu", i > 0 ? ", " : "", i + 1);
	add(sql, ")");
	return db_run(db, sql, args, row->count, NULL, err);
}

int catalog_row_update(
	struct db *db, const struct catalog_row *row, const void *obj, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES] = "";
	char hex[CATALOG_ROW_MAX_FIELDS][ID_HEX];
	struct db_value args[CATALOG_ROW_MAX_FIELDS];
	size_t n = 0;
	assert(row->count <= CATALOG_ROW_MAX_FIELDS && row->fields[0].use == ROW_KEY);
	add(sql, "UPDATE %s SET ", row->table);
	for (size_t i = 1; i < row->count; i++) {
		if (row->fields[i].use != ROW_VALUE)
			continue;
		add(sql, "%s%s = $%zu", n > 0 ? ", " : "", row->fields[i].column, n + 1);
		args[n] = value_of(&row->fields[i], obj, hex[n]);
		n++;
	}
	add(sql, " WHERE %s = $%zu", row->fields[0].column, n + 1);
	args[n] = value_of(&row->fields[0], obj, hex[n]);
	int64_t changed = 0;
	int rc = db_run(db, sql, args, n + 1, &changed, err);
	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_NOT_FOUND, "not in table %s of the catalog", row->table);
	return rc;
}

void catalog_row_select(
	const struct catalog_row *row, const char *tail, char out[CATALOG_ROW_SQL_BYTES])
{
	out[0] = '\0';
	for (size_t i = 0; i < row->count; i++)
		add(out, "%s%s", i > 0 ? ", " : "SELECT ", row->fields[i].column);
	add(out, " FROM %s %s", row->table, tail);
}

static int take_bytes(const struct db_rows *r, int column, void *out, size_t size)
{
	size_t len = 0;
	const void *data = db_rows_bytes(r, column, &len);
	if (len != size || data == NULL)
		return -1;
	memcpy(out, data, size);
	return 0;
}

static int take_field(
	const struct db_rows *r, int column, const struct catalog_row_field *f, uint8_t *at)
{
	int64_t number = db_rows_int(r, column);
	int word = (int)number;
	const char *text = "";
	switch (f->kind) {
	case ROW_INT:
		memcpy(at, &number, sizeof(number));
		return 0;
	case ROW_ENUM:
		memcpy(at, &word, sizeof(word));
		return word == number ? 0 : -1;
	case ROW_TEXT:
		memset(at, 0, f->size);
		(void)snprintf((char *)at, f->size, "%s", db_rows_text(r, column)); /* (2) */
		return 0;
	case ROW_ID:
		text = db_rows_text(r, column);
		return strlen(text) == 2 * ID_BYTES ? text_unhex(text, ID_BYTES, at) : -1;
	case ROW_BYTES:
		break;
	}
	return take_bytes(r, column, at, f->size);
}

int catalog_row_read(
	const struct db_rows *r, const struct catalog_row *row, void *obj, struct err *err)
{
	for (size_t i = 0; i < row->count; i++) {
		const struct catalog_row_field *f = &row->fields[i];
		if (take_field(r, (int)i, f, (uint8_t *)obj + f->at) != 0) {
			(void)err_set(err, ERR_CORRUPT,
				"catalog has a wrong value in column %s of table %s", f->column,
				row->table);
			return err_hint(err, "stop the controller, move the file away and run "
					     "'holdfast catalog rebuild', or put back a copy");
		}
	}
	return 0;
}

int catalog_row_get(struct db *db, const struct catalog_row *row, void *obj, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES];
	char tail[64];
	char hex[ID_HEX];
	struct db_rows *r = NULL;
	assert(row->fields[0].use == ROW_KEY);
	(void)snprintf(tail, sizeof(tail), "WHERE %s = $1", row->fields[0].column);
	catalog_row_select(row, tail, sql);
	int rc = db_query(db, sql, DB_ARGS(value_of(&row->fields[0], obj, hex)), &r, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(r, err);
	if (rc == 1)
		rc = catalog_row_read(r, row, obj, err);
	else if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "not in table %s of the catalog", row->table);
	db_rows_done(r);
	return rc;
}

int catalog_row_keys(struct db *db, const struct catalog_row *row, const char *tail,
	const struct db_value *args, size_t count, struct buf *keys, struct err *err)
{
	const struct catalog_row_field *key = &row->fields[0];
	const struct catalog_row only = { .table = row->table, .fields = key, .count = 1 };
	char sql[CATALOG_ROW_SQL_BYTES];
	struct db_rows *r = NULL;
	catalog_row_select(&only, tail, sql);
	int rc = db_query(db, sql, args, count, &r, err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(r, err)) == 1) {
		uint8_t value[MAX_KEY_BYTES];
		assert(key->size <= sizeof(value));
		/* shifted, so that the field's offset is that of the value */
		const struct catalog_row_field field = { key->column, key->kind, key->use, 0,
			key->size };
		memset(value, 0, sizeof(value));
		const struct catalog_row one = { row->table, &field, 1 };
		rc = catalog_row_read(r, &one, value, err);
		if (rc == 0)
			rc = buf_add(keys, value, key->size, err);
		if (rc != 0)
			break;
	}
	db_rows_done(r);
	return rc;
}

int catalog_row_next(struct db *db, const struct catalog_row *row, const struct buf *keys,
	size_t *at, void *obj, struct err *err)
{
	const struct catalog_row_field *key = &row->fields[0];
	while (*at < keys->len) {
		memcpy((uint8_t *)obj + key->at, keys->data + *at, key->size);
		*at += key->size;
		struct err why = ERR_INIT;
		int rc = catalog_row_get(db, row, obj, &why);
		if (rc == 0)
			return 1;
		if (rc != -ERR_NOT_FOUND) {
			if (err != NULL)
				*err = why;
			return rc;
		}
	}
	return 0;
}

int catalog_row_find(struct db *db, const char *table, const char *column, const char *prefix,
	char *out, size_t size, struct err *err)
{
	char sql[256];
	char found[64] = "";
	size_t len = strlen(prefix);
	if (len < MIN_PREFIX)
		return err_set(err, ERR_USAGE, "'%s' is too short: give at least %d digits", prefix,
			MIN_PREFIX);
	(void)snprintf(sql, sizeof(sql),
		"SELECT %s FROM %s WHERE substr(%s, 1, $1) = $2 ORDER BY %s LIMIT 2", column, table,
		column, column);
	struct db_rows *r = NULL;
	int rc = db_query(db, sql, DB_ARGS(db_int((int64_t)len), db_text(prefix)), &r, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(r, err);
	if (rc == 1) {
		(void)snprintf(found, sizeof(found), "%s", db_rows_text(r, 0));
		rc = db_rows_next(r, err);
		if (rc == 1)
			rc = err_set(err, ERR_USAGE, "'%s' fits more than one: give more digits",
				prefix);
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOT_FOUND, "nothing begins with '%s'", prefix);
	}
	db_rows_done(r);
	if (rc == 0)
		(void)snprintf(out, size, "%s", found);
	return rc;
}
