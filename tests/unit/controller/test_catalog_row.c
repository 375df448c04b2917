#include "controller/catalog_row.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "db/db.h"
#include "tests/lib/catalog_fixture.h"

static struct catalog_fixture f;
static struct err err = ERR_INIT;

static void setup(void)
{
	catalog_fixture_init(&f);
}

static void teardown(void)
{
	catalog_fixture_done(&f);
}

TestSuite(catalog_row, .init = setup, .fini = teardown);

struct thing {
	char word[12];
	int64_t number;
	enum { ONE = 1, TWO } kind;
	uint8_t bytes[4], id[16];
	int64_t fixed;
};

static const struct catalog_row_field fields[] = {
	ROW_FIELD(struct thing, word, "word", ROW_TEXT, ROW_KEY),
	ROW_FIELD(struct thing, number, "number", ROW_INT, ROW_VALUE),
	ROW_FIELD(struct thing, kind, "kind", ROW_ENUM, ROW_VALUE),
	ROW_FIELD(struct thing, bytes, "bytes", ROW_BYTES, ROW_VALUE),
	ROW_FIELD(struct thing, id, "id", ROW_ID, ROW_VALUE),
	ROW_FIELD(struct thing, fixed, "fixed", ROW_INT, ROW_FIXED),
};
static const struct catalog_row row = { "thing", fields, 6 };

static const struct thing sample = { "abcd", INT64_MIN, TWO, { 0, 1, 2, 0 }, { 0xab, 0xcd, 1 }, 7 };

static void run(const char *sql)
{
	cr_assert(eq(int, db_run(f.db, sql, DB_NO_ARGS, NULL, &err), 0), "%s", err.msg);
}

static void make(void)
{
	run("CREATE TABLE thing (word TEXT PRIMARY KEY, number BIGINT, kind BIGINT, bytes BLOB,"
	    " id TEXT, fixed BIGINT)");
	cr_assert(eq(int, catalog_row_insert(f.db, &row, &sample, &err), 0), "%s", err.msg);
}

Test(catalog_row, every_kind_of_field_comes_back)
{
	struct thing got = { .word = "abcd" };
	make();
	cr_assert(eq(int, catalog_row_get(f.db, &row, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, got.number, INT64_MIN));
	cr_expect(eq(int, got.kind, TWO));
	cr_expect(eq(int, memcmp(got.bytes, sample.bytes, 4), 0));
	cr_expect(eq(int, memcmp(got.id, sample.id, 16), 0));
	cr_expect(eq(i64, got.fixed, 7));
	cr_expect(eq(int, catalog_row_insert(f.db, &row, &sample, &err), -ERR_EXISTS));
}

Test(catalog_row, an_update_leaves_what_is_fixed)
{
	struct thing got = sample;
	make();
	got.number = 5;
	got.fixed = 8;
	cr_assert(eq(int, catalog_row_update(f.db, &row, &got, &err), 0));
	cr_assert(eq(int, catalog_row_get(f.db, &row, &got, &err), 0));
	cr_expect(eq(i64, got.number, 5));
	cr_expect(eq(i64, got.fixed, 7));
	strcpy(got.word, "other");
	cr_expect(eq(int, catalog_row_update(f.db, &row, &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, catalog_row_get(f.db, &row, &got, &err), -ERR_NOT_FOUND));
}

Test(catalog_row, values_that_cannot_be_are_damage)
{
	static const char *const changes[] = {
		"UPDATE thing SET bytes = 'abc'",
		"UPDATE thing SET bytes = NULL",
		"UPDATE thing SET id = 'abcd'",
		"UPDATE thing SET id = 'ABCD0100000000000000000000000000'",
		"UPDATE thing SET kind = 4294967297",
	};
	make();
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct thing got = { .word = "abcd" };
		run("SAVEPOINT here");
		run(changes[i]);
		cr_expect(eq(int, catalog_row_get(f.db, &row, &got, &err), -ERR_CORRUPT), "%s",
			changes[i]);
		cr_expect(ne(ptr, strstr(err.hint, "catalog rebuild"), NULL));
		run("ROLLBACK TO here");
		run("RELEASE here");
	}
	/* a text that is too long is cut, never run over */
	struct thing got;
	run("UPDATE thing SET word = 'a text longer than its field'");
	CLEANUP(buf_done) struct buf keys = BUF_INIT(100);
	cr_assert(eq(int, catalog_row_keys(f.db, &row, "", DB_NO_ARGS, &keys, &err), 0));
	cr_assert(eq(sz, keys.len, 12));
	cr_expect(eq(str, (char *)keys.data, "a text long"));
	size_t at = 0;
	cr_expect(eq(int, catalog_row_next(f.db, &row, &keys, &at, &got, &err), 0));
}

Test(catalog_row, rows_that_go_while_they_are_told_are_passed_over)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(100);
	struct thing got = sample;
	size_t at = 0;
	make();
	strcpy(got.word, "bbbb");
	cr_assert(eq(int, catalog_row_insert(f.db, &row, &got, &err), 0));
	strcpy(got.word, "cccc");
	cr_assert(eq(int, catalog_row_insert(f.db, &row, &got, &err), 0));
	cr_assert(eq(int,
		catalog_row_keys(f.db, &row, "WHERE kind = $1 ORDER BY word", DB_ARGS(db_int(2)),
			&keys, &err),
		0));
	cr_assert(eq(int, catalog_row_next(f.db, &row, &keys, &at, &got, &err), 1));
	cr_expect(eq(str, got.word, "abcd"));
	run("DELETE FROM thing WHERE word = 'bbbb'");
	cr_assert(eq(int, catalog_row_next(f.db, &row, &keys, &at, &got, &err), 1));
	cr_expect(eq(str, got.word, "cccc"));
	cr_expect(eq(int, catalog_row_next(f.db, &row, &keys, &at, &got, &err), 0));
	CLEANUP(buf_done) struct buf small = BUF_INIT(13);
	cr_expect(eq(int, catalog_row_keys(f.db, &row, "", DB_NO_ARGS, &small, &err), -ERR_LIMIT));
}

Test(catalog_row, a_prefix_finds_the_one_that_fits)
{
	struct thing got = sample;
	char word[12] = "";
	make();
	strcpy(got.word, "abcdef");
	cr_assert(eq(int, catalog_row_insert(f.db, &row, &got, &err), 0));
	cr_expect(eq(
		int, catalog_row_find(f.db, "thing", "word", "abc", word, 12, &err), -ERR_USAGE));
	cr_expect(eq(
		int, catalog_row_find(f.db, "thing", "word", "abcd", word, 12, &err), -ERR_USAGE));
	cr_expect(eq(int, catalog_row_find(f.db, "thing", "word", "ab%d", word, 12, &err),
		-ERR_NOT_FOUND));
	cr_expect(eq(str, word, ""));
	cr_expect(eq(int, catalog_row_find(f.db, "thing", "word", "abcde", word, 12, &err), 0));
	cr_expect(eq(str, word, "abcdef"));
}
