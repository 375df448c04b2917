#include "db/db.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "db/db_driver.h"
#include "db/db_sqlite.h"

/*
 * INVARIANTS
 * (1) depth counts db_begin() without its end; the driver's transaction is open while depth > 0,
 *     unless is_lost: then an error has ended it, and nothing runs before the outermost end.
 * (2) What is_doomed is never committed.
 */

#define MAX_SCRIPT_BYTES ((size_t)1 << 20)

struct db {
	const struct db_driver *driver;
	void *self; /* the driver's */
	int depth;
	bool is_doomed;
	bool is_lost;
};

struct db_value db_null(void)
{
	return (struct db_value){ .kind = DB_NULL };
}

struct db_value db_int(int64_t v)
{
	return (struct db_value){ .kind = DB_INT, .number = v };
}

struct db_value db_text(const char *text)
{
	if (text == NULL)
		return db_null();
	return (struct db_value){ .kind = DB_TEXT, .data = text, .len = strlen(text) };
}

struct db_value db_bytes(const void *data, size_t len)
{
	return (struct db_value){ .kind = DB_BYTES, .data = data, .len = len };
}

/* ---- opening -------------------------------------------------------------------------------- */

static const struct db_driver *find_driver(const char *location, const char **where)
{
	const struct db_driver *all[] = { db_sqlite() };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i]->scheme);
		if (strncmp(location, all[i]->scheme, len) == 0 && location[len] == ':') {
			*where = location + len + 1;
			return all[i];
		}
	}
	return NULL;
}

int db_open(const char *location, struct db **out, struct err *err)
{
	const char *where = "";
	const struct db_driver *driver = find_driver(location, &where);
	if (driver == NULL || where[0] == '\0') {
		(void)err_set(err, ERR_CONFIG, "'%s' is no location of a catalog", location);
		return err_hint(err, "write sqlite: and the path of a file");
	}
	struct db *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a database");
	d->driver = driver;
	int rc = driver->open(where, &d->self, err);
	if (rc != 0) {
		free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void db_close(struct db *d)
{
	if (d == NULL)
		return;
	if (d->depth > 0 && !d->is_lost)
		d->driver->rollback(d->self);
	d->driver->close(d->self);
	free(d);
}

/* ---- statements -------------------------------------------------------------------------------
 */

static int check_open(const struct db *d, struct err *err)
{
	if (d->is_lost)
		return err_set(err, ERR_FAILED, "transaction was ended by an error before this");
	return 0;
}

/* After an error: did it end the transaction? */
static int after(struct db *d, int rc)
{
	if (rc < 0 && d->depth > 0 && !d->driver->is_in_transaction(d->self)) {
		d->is_lost = true;
		d->is_doomed = true;
	}
	return rc;
}

int db_run(struct db *d, const char *sql, const struct db_value *args, size_t count,
	int64_t *changed, struct err *err)
{
	int rc = check_open(d, err);
	return rc != 0 ? rc : after(d, d->driver->run(d->self, sql, args, count, changed, err));
}

int db_query(struct db *d, const char *sql, const struct db_value *args, size_t count,
	struct db_rows **out, struct err *err)
{
	int rc = check_open(d, err);
	if (rc != 0)
		return rc;
	struct db_rows *r = NULL;
	rc = after(d, d->driver->query(d->self, sql, args, count, &r, err));
	if (rc != 0)
		return rc;
	r->db = d;
	r->driver = d->driver;
	*out = r;
	return 0;
}

int db_rows_next(struct db_rows *r, struct err *err)
{
	return after(r->db, r->driver->next(r, err));
}

bool db_rows_is_null(const struct db_rows *r, int column)
{
	return r->driver->is_null(r, column);
}

int64_t db_rows_int(const struct db_rows *r, int column)
{
	return r->driver->get_int(r, column);
}

const char *db_rows_text(const struct db_rows *r, int column)
{
	return r->driver->get_text(r, column);
}

const void *db_rows_bytes(const struct db_rows *r, int column, size_t *len)
{
	return r->driver->get_bytes(r, column, len);
}

void db_rows_done(struct db_rows *r)
{
	if (r != NULL)
		r->driver->done(r);
}

/* ---- transactions -----------------------------------------------------------------------------
 */

int db_begin(struct db *d, struct err *err)
{
	int rc = check_open(d, err);
	if (rc == 0 && d->depth == 0)
		rc = d->driver->begin(d->self, err);
	if (rc == 0)
		d->depth++;
	return rc;
}

/* The outermost end: back to where nothing is open. */
static void end(struct db *d, bool is_to_roll_back)
{
	if (is_to_roll_back && !d->is_lost)
		d->driver->rollback(d->self);
	d->depth = 0;
	d->is_doomed = false;
	d->is_lost = false;
}

int db_commit(struct db *d, struct err *err)
{
	if (d->depth == 0)
		return err_set(err, ERR_FAILED, "commit without a transaction");
	if (d->depth > 1) {
		d->depth--;
		return 0;
	}
	int rc = d->is_doomed ? err_set(err, ERR_FAILED, "transaction was given up by a part of it")
			      : d->driver->commit(d->self, err);
	if (rc != 0 && !d->driver->is_in_transaction(d->self))
		d->is_lost = true;
	end(d, rc != 0);
	return rc;
}

void db_rollback(struct db *d)
{
	if (d->depth > 1) {
		d->depth--;
		d->is_doomed = true;
	} else if (d->depth == 1) {
		end(d, true);
	}
}

/* ---- the schema -------------------------------------------------------------------------------
 */

/* Append ${sql} with the driver's word for DB_BLOB. */
static int put_script(const struct db *d, const char *sql, struct buf *out, struct err *err)
{
	static const char word[] = "DB_BLOB";
	int rc = 0;
	for (const char *at; rc == 0 && (at = strstr(sql, word)) != NULL;
		sql = at + sizeof(word) - 1) {
		rc = buf_add(out, sql, (size_t)(at - sql), err);
		if (rc == 0)
			rc = buf_addf(out, err, "%s", d->driver->blob_word);
	}
	return rc != 0 ? rc : buf_addf(out, err, "%s", sql);
}

static int apply(struct db *d, const struct db_migration *m, struct err *err)
{
	CLEANUP(buf_done) struct buf script = BUF_INIT(MAX_SCRIPT_BYTES);
	int rc = put_script(d, m->sql, &script, err);
	if (rc == 0 && buf_cstr(&script) == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory for a migration");
	if (rc == 0)
		rc = db_begin(d, err);
	if (rc != 0)
		return rc;
	rc = after(d, d->driver->script(d->self, buf_cstr(&script), err));
	if (rc == 0)
		rc = db_run(d, "INSERT INTO schema_version (number) VALUES ($1)",
			DB_ARGS(db_int(m->number)), NULL, err);
	if (rc == 0)
		return db_commit(d, err);
	db_rollback(d);
	return rc;
}

static int get_version(struct db *d, int64_t *out, struct err *err)
{
	struct db_rows *r = NULL;
	int rc = db_run(d, "CREATE TABLE IF NOT EXISTS schema_version (number BIGINT PRIMARY KEY)",
		DB_NO_ARGS, NULL, err);
	if (rc == 0)
		rc = db_query(d, "SELECT coalesce(max(number), 0) FROM schema_version", DB_NO_ARGS,
			&r, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(r, err);
	if (rc > 0)
		*out = db_rows_int(r, 0);
	db_rows_done(r);
	return rc < 0 ? rc : 0;
}

int db_migrate(struct db *d, const struct db_migration *list, size_t count, struct err *err)
{
	int64_t version = 0;
	int rc = get_version(d, &version, err);
	if (rc != 0)
		return err_wrap(err, "version of the catalog");
	if (version < 0 || (uint64_t)version > count) {
		(void)err_set(err, ERR_UNSUPPORTED,
			"catalog has version %lld of its tables, this program knows %zu",
			(long long)version, count);
		return err_hint(err, "run the newer holdfast that wrote it, or put back the copy "
				     "that was made before the update");
	}
	for (size_t i = (size_t)version; i < count; i++) {
		if (list[i].number != (int)i + 1)
			return err_set(err, ERR_FAILED, "migration %d stands where %zu must be",
				list[i].number, i + 1);
		rc = apply(d, &list[i], err);
		if (rc != 0)
			return err_wrap(err, "migration %d of the catalog", list[i].number);
	}
	return 0;
}

int db_backup(struct db *d, const char *path, struct err *err)
{
	if (d->depth > 0)
		return err_set(err, ERR_FAILED, "a copy cannot be made inside a transaction");
	return d->driver->backup(d->self, path, err);
}
