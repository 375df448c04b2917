#include "controller/catalog.h"

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

TestSuite(catalog, .init = setup, .fini = teardown);

Test(catalog, opening_twice_changes_nothing_and_newer_tables_are_refused)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(100);
	cr_assert(eq(int, catalog_set(f.db, "name", "plant", 5, &err), 0));
	cr_expect(eq(int, catalog_open(f.db, &err), 0));
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, catalog_get(f.db, "name", &got, &err), 0));
	cr_expect(eq(sz, got.len, 5));
	cr_assert(eq(int,
		db_run(f.db, "INSERT INTO schema_version (number) VALUES (900)", DB_NO_ARGS, NULL,
			&err),
		0));
	cr_expect(eq(int, catalog_open(f.db, &err), -ERR_UNSUPPORTED));
	cr_expect(ne(str, err.hint, ""));
}

Test(catalog, one_that_lacks_a_table_is_damaged)
{
	cr_assert(eq(int, db_run(f.db, "DROP TABLE mark", DB_NO_ARGS, NULL, &err), 0));
	cr_expect(eq(int, catalog_open(f.db, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "'mark'"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "catalog rebuild"), NULL), "%s", err.hint);
}

Test(catalog, a_setting_is_kept_replaced_and_missed)
{
	CLEANUP(buf_done) struct buf got = BUF_INIT(8);
	cr_expect(eq(int, catalog_get(f.db, "config", &got, &err), -ERR_NOT_FOUND));
	cr_assert(eq(int, catalog_set(f.db, "config", "one", 3, &err), 0));
	cr_assert(eq(int, catalog_set(f.db, "config", "\0two", 4, &err), 0));
	cr_assert(eq(int, catalog_get(f.db, "config", &got, &err), 0));
	cr_assert(eq(sz, got.len, 4));
	cr_expect(eq(int, memcmp(got.data, "\0two", 4), 0));
	cr_assert(eq(int, catalog_set(f.db, "config", NULL, 0, &err), 0));
	buf_clear(&got);
	cr_assert(eq(int, catalog_get(f.db, "config", &got, &err), 0));
	cr_expect(eq(sz, got.len, 0));
	cr_assert(eq(int, catalog_set(f.db, "config", "longer than 8", 13, &err), 0));
	cr_expect(eq(int, catalog_get(f.db, "config", &got, &err), -ERR_LIMIT));
}
