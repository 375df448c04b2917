#include "db/db.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char dir[64], location[96], path[80];
static struct db *d;
static struct err err = ERR_INIT;

static const struct db_migration schema[] = {
	{ 1, "CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT UNIQUE, body DB_BLOB);"
	     "CREATE TABLE part (item BIGINT NOT NULL REFERENCES item (id), body DB_BLOB)" },
	{ 2, "ALTER TABLE item ADD COLUMN note TEXT NOT NULL DEFAULT 'none'" },
	{ 3, "CREATE TABLE broken (id BIGINT); INSERT INTO nowhere VALUES (1)" },
};

static void setup(void)
{
	strcpy(dir, "/tmp/test_db.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/c.db", dir);
	snprintf(location, sizeof(location), "sqlite:%s", path);
	cr_assert(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
	cr_assert(eq(int, db_migrate(d, schema, 2, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	char command[128];
	db_close(d);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert(eq(int, system(command), 0));
}

TestSuite(db, .init = setup, .fini = teardown);

static int add(int64_t id, const char *name)
{
	return db_run(d, "INSERT INTO item (id, name) VALUES ($1, $2)",
		DB_ARGS(db_int(id), db_text(name)), NULL, &err);
}

static int64_t count_items(void)
{
	struct db_rows *r = NULL;
	cr_assert(eq(int, db_query(d, "SELECT count(*) FROM item", DB_NO_ARGS, &r, &err), 0));
	cr_assert(eq(int, db_rows_next(r, &err), 1));
	int64_t n = db_rows_int(r, 0);
	db_rows_done(r);
	return n;
}

Test(db, only_a_known_kind_of_location_is_opened)
{
	struct db *other = NULL;
	cr_expect(eq(int, db_open("/tmp/x", &other, &err), -ERR_CONFIG));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(int, db_open("sqlite:", &other, &err), -ERR_CONFIG));
	cr_expect(eq(int, db_open("sqlite", &other, &err), -ERR_CONFIG));
	cr_expect(eq(int, db_open("postgres:x", &other, &err), -ERR_CONFIG));
	cr_expect(eq(ptr, other, NULL));
}

Test(db, values_of_every_kind_come_back)
{
	const uint8_t body[] = { 0, 1, 0xff, 0 };
	cr_assert(eq(int,
		db_run(d, "INSERT INTO item (id, name, body) VALUES ($3, $1, $2)",
			DB_ARGS(db_text("Pumpe \xc3\xa4"), db_bytes(body, 4), db_int(INT64_MIN)),
			NULL, &err),
		0));
	cr_assert(eq(int,
		db_run(d, "INSERT INTO item (id, name, body) VALUES ($1, $2, $3)",
			DB_ARGS(db_int(INT64_MAX), db_text(NULL), db_bytes(NULL, 0)), NULL, &err),
		0));
	struct db_rows *r = NULL;
	size_t len = 9;
	cr_assert(eq(int,
		db_query(d, "SELECT id, name, body, note FROM item ORDER BY id", DB_NO_ARGS, &r,
			&err),
		0));
	cr_assert(eq(int, db_rows_next(r, &err), 1));
	cr_expect(eq(i64, db_rows_int(r, 0), INT64_MIN));
	cr_expect(eq(str, (char *)db_rows_text(r, 1), "Pumpe \xc3\xa4"));
	const void *got = db_rows_bytes(r, 2, &len);
	cr_assert(eq(sz, len, 4));
	cr_expect(eq(int, memcmp(got, body, 4), 0));
	cr_expect(eq(str, (char *)db_rows_text(r, 3), "none"));
	cr_assert(eq(int, db_rows_next(r, &err), 1));
	cr_expect(eq(i64, db_rows_int(r, 0), INT64_MAX));
	cr_expect(db_rows_is_null(r, 1));
	cr_expect(eq(str, (char *)db_rows_text(r, 1), ""));
	cr_expect(not(db_rows_is_null(r, 2)));
	(void)db_rows_bytes(r, 2, &len);
	cr_expect(eq(sz, len, 0));
	cr_expect(eq(int, db_rows_next(r, &err), 0));
	db_rows_done(r);
	db_rows_done(NULL);
}

Test(db, a_parameter_may_repeat_and_each_needs_its_argument)
{
	int64_t changed = 9;
	cr_assert(eq(int, add(1, "a"), 0));
	cr_assert(eq(int,
		db_run(d, "UPDATE item SET name = $1, note = $1 WHERE id = $2",
			DB_ARGS(db_text("b"), db_int(1)), &changed, &err),
		0));
	cr_expect(eq(i64, changed, 1));
	cr_assert(eq(int,
		db_run(d, "UPDATE item SET name = $1 WHERE id = $2",
			DB_ARGS(db_text("b"), db_int(7)), &changed, &err),
		0));
	cr_expect(eq(i64, changed, 0));
	cr_expect(eq(int, db_run(d, "DELETE FROM item WHERE id = $1", DB_NO_ARGS, NULL, &err),
		-ERR_FAILED));
	cr_expect(eq(int,
		db_run(d, "DELETE FROM item WHERE id = $1", DB_ARGS(db_int(1), db_int(2)), NULL,
			&err),
		-ERR_FAILED));
	cr_expect(
		eq(int, db_run(d, "DELETE FROM item WHERE id = $2", DB_ARGS(db_int(1)), NULL, &err),
			-ERR_FAILED));
	cr_expect(
		eq(int, db_run(d, "DELETE FROM item WHERE id = $x", DB_ARGS(db_int(1)), NULL, &err),
			-ERR_FAILED));
	cr_expect(eq(int, db_run(d, "DELETE FROM item; DELETE FROM part", DB_NO_ARGS, NULL, &err),
		-ERR_FAILED));
	cr_expect(eq(int, db_run(d, "", DB_NO_ARGS, NULL, &err), -ERR_FAILED));
	cr_expect(eq(int, db_run(d, "SELEKT 1", DB_NO_ARGS, NULL, &err), -ERR_FAILED));
	cr_expect(eq(i64, count_items(), 1));
}

Test(db, a_key_that_is_there_is_told_from_other_rules)
{
	cr_assert(eq(int, add(1, "a"), 0));
	cr_expect(eq(int, add(1, "b"), -ERR_EXISTS));
	cr_expect(eq(int, add(2, "a"), -ERR_EXISTS));
	cr_expect(eq(int,
		db_run(d, "INSERT INTO part (item) VALUES ($1)", DB_ARGS(db_int(5)), NULL, &err),
		-ERR_FAILED));
	cr_expect(eq(int,
		db_run(d, "INSERT INTO part (item) VALUES ($1)", DB_ARGS(db_int(1)), NULL, &err),
		0));
	cr_expect(eq(int, db_run(d, "DELETE FROM item", DB_NO_ARGS, NULL, &err), -ERR_FAILED));
}

Test(db, queries_nest_even_with_the_same_text)
{
	static const char sql[] = "SELECT id FROM item WHERE id >= $1 ORDER BY id";
	for (int64_t i = 0; i < 3; i++)
		cr_assert(eq(int, add(i, NULL), 0));
	struct db_rows *outer = NULL;
	int pairs = 0;
	cr_assert(eq(int, db_query(d, sql, DB_ARGS(db_int(0)), &outer, &err), 0));
	while (db_rows_next(outer, &err) == 1) {
		struct db_rows *inner = NULL;
		int64_t from = db_rows_int(outer, 0);
		cr_assert(eq(int, db_query(d, sql, DB_ARGS(db_int(from)), &inner, &err), 0));
		while (db_rows_next(inner, &err) == 1)
			pairs++;
		db_rows_done(inner);
	}
	db_rows_done(outer);
	cr_expect(eq(int, pairs, 6));
}

Test(db, more_statements_than_are_kept_work_too)
{
	struct db_rows *open[100];
	char sql[64];
	for (int i = 0; i < 100; i++) {
		snprintf(sql, sizeof(sql), "SELECT %d", i);
		cr_assert(eq(int, db_query(d, sql, DB_NO_ARGS, &open[i], &err), 0));
	}
	for (int i = 0; i < 100; i++) {
		cr_assert(eq(int, db_rows_next(open[i], &err), 1));
		cr_expect(eq(i64, db_rows_int(open[i], 0), i));
		db_rows_done(open[i]);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO item (id) VALUES (%d)", i);
		cr_assert(eq(int, db_run(d, sql, DB_NO_ARGS, NULL, &err), 0));
	}
	cr_expect(eq(i64, count_items(), 200));
}

Test(db, a_transaction_is_all_or_nothing)
{
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	db_rollback(d);
	cr_expect(eq(i64, count_items(), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	cr_assert(eq(int, db_commit(d, &err), 0));
	cr_expect(eq(i64, count_items(), 1));
	cr_expect(eq(int, db_commit(d, &err), -ERR_FAILED));
	db_rollback(d);
}

Test(db, only_the_outermost_transaction_counts)
{
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	cr_assert(eq(int, db_commit(d, &err), 0));
	db_rollback(d);
	cr_expect(eq(i64, count_items(), 0));

	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	db_rollback(d);
	cr_assert(eq(int, add(2, "b"), 0));
	cr_expect(eq(int, db_commit(d, &err), -ERR_FAILED));
	cr_expect(eq(i64, count_items(), 0));
	/* and the next one is clean again */
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(3, "c"), 0));
	cr_expect(eq(int, db_commit(d, &err), 0));
	cr_expect(eq(i64, count_items(), 1));
}

Test(db, nothing_runs_in_a_transaction_that_an_error_ended)
{
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	/* a conflict that is told to end the transaction, as a full disk does */
	cr_assert(eq(int,
		db_run(d, "INSERT OR ROLLBACK INTO item (id) VALUES (1)", DB_NO_ARGS, NULL, &err),
		-ERR_EXISTS));
	cr_expect(eq(int, add(2, "b"), -ERR_FAILED));
	cr_expect(eq(int, db_begin(d, &err), -ERR_FAILED));
	cr_expect(eq(int, db_commit(d, &err), 0));
	cr_expect(eq(int, add(2, "b"), -ERR_FAILED));
	cr_expect(eq(int, db_commit(d, &err), -ERR_FAILED));
	cr_expect(eq(i64, count_items(), 0));
	cr_expect(eq(int, add(2, "b"), 0));
}

Test(db, an_open_transaction_ends_with_the_database)
{
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_assert(eq(int, add(1, "a"), 0));
	db_close(d);
	d = NULL;
	cr_assert(eq(int, db_open(location, &d, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, count_items(), 0));
	db_close(NULL);
}

Test(db, migrations_run_once_and_keep_what_is_there)
{
	cr_assert(eq(int, add(1, "a"), 0));
	cr_expect(eq(int, db_migrate(d, schema, 2, &err), 0));
	db_close(d);
	d = NULL;
	cr_assert(eq(int, db_open(location, &d, &err), 0));
	cr_expect(eq(int, db_migrate(d, schema, 2, &err), 0));
	cr_expect(eq(i64, count_items(), 1));
}

Test(db, a_newer_file_is_refused_unchanged)
{
	cr_expect(eq(int, db_migrate(d, schema, 1, &err), -ERR_UNSUPPORTED));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(int, db_migrate(d, schema, 2, &err), 0));
}

Test(db, a_migration_that_fails_leaves_nothing)
{
	cr_expect(eq(int, db_migrate(d, schema, 3, &err), -ERR_FAILED));
	cr_expect(ne(ptr, strstr(err.msg, "migration 3"), NULL));
	cr_expect(eq(int, db_run(d, "DELETE FROM broken", DB_NO_ARGS, NULL, &err), -ERR_FAILED));
	cr_expect(eq(int, db_migrate(d, schema, 2, &err), 0));
	static const struct db_migration gap[] = { { 1, "" }, { 2, "" }, { 4, "SELECT 1" } };
	cr_expect(eq(int, db_migrate(d, gap, 3, &err), -ERR_FAILED));
}

Test(db, a_copy_holds_everything_and_replaces_nothing)
{
	char copy[96], at[112];
	struct stat st;
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	snprintf(at, sizeof(at), "sqlite:%s", copy);
	cr_assert(eq(int, add(1, "a"), 0));
	cr_assert(eq(int, db_begin(d, &err), 0));
	cr_expect(eq(int, db_backup(d, copy, &err), -ERR_FAILED));
	cr_expect(eq(int, access(copy, F_OK), -1));
	db_rollback(d);
	cr_assert(eq(int, db_backup(d, copy, &err), 0), "%s", err.msg);
	cr_expect(eq(int, db_backup(d, copy, &err), -ERR_EXISTS));
	cr_assert(eq(int, stat(copy, &st), 0));
	cr_expect(eq(int, st.st_mode & 0777, 0600));
	cr_assert(eq(int, add(2, "b"), 0));
	db_close(d);
	d = NULL;
	cr_assert(eq(int, db_open(at, &d, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, count_items(), 1));
}
