#include "controller/audit.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
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

TestSuite(audit, .init = setup, .fini = teardown);

static int64_t count(const char *sql)
{
	int64_t changed = -1;
	cr_assert(eq(int, db_run(f.db, sql, DB_NO_ARGS, &changed, &err), 0), "%s", err.msg);
	return changed;
}

static void add(const char *action, const char *object)
{
	cr_assert(eq(int,
		audit_add(f.db, "person:anna", "10.0.0.7", action, object, "ok", "by hand", &err),
		0));
}

static struct audit_record got[8];
static size_t got_count;

static int keep(void *arg, const struct audit_record *r)
{
	got[got_count++] = *r;
	return arg != NULL ? 4 : 0;
}

Test(audit, records_are_chained_and_told_newest_first)
{
	static const uint8_t zeros[32];
	cr_expect(eq(int, audit_check(f.db, &err), 0));
	add("agent.approve", "line3");
	add("agent.revoke", "line4");
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, audit_add(f.db, NULL, NULL, "x", NULL, "auth", NULL, &err), 0));
	cr_expect(eq(int, audit_check(f.db, &err), 0), "%s", err.msg);
	cr_assert(eq(int, audit_each(f.db, 0, keep, NULL, &err), 0));
	cr_assert(eq(sz, got_count, 3));
	cr_expect(eq(i64, got[0].number, 3));
	cr_expect(eq(str, got[2].who, "person:anna"));
	cr_expect(eq(str, got[2].address, "10.0.0.7"));
	cr_expect(eq(str, got[2].action, "agent.approve"));
	cr_expect(eq(str, got[2].object, "line3"));
	cr_expect(eq(str, got[2].outcome, "ok"));
	cr_expect(eq(str, got[2].detail, "by hand"));
	cr_expect(ge(i64, got[2].at_ms, 1500000000001));
	cr_expect(eq(int, memcmp(got[2].prev, zeros, 32), 0));
	cr_expect(eq(int, memcmp(got[1].prev, got[2].hash, 32), 0));
	cr_expect(eq(int, memcmp(got[0].prev, got[1].hash, 32), 0));
	got_count = 0;
	cr_expect(eq(int, audit_each(f.db, 2, keep, NULL, &err), 0));
	cr_expect(eq(sz, got_count, 2));
	cr_expect(eq(int, audit_each(f.db, 2, keep, &got, &err), 4));
}

Test(audit, whatever_is_changed_breaks_the_chain)
{
	static const char *const changes[] = {
		"UPDATE audit SET who = 'person:eve' WHERE number = 2",
		"UPDATE audit SET address = '' WHERE number = 2",
		"UPDATE audit SET action = 'agent.list' WHERE number = 2",
		"UPDATE audit SET object = 'line4' WHERE number = 2",
		"UPDATE audit SET outcome = 'auth' WHERE number = 2",
		"UPDATE audit SET detail = 'by hane' WHERE number = 2",
		"UPDATE audit SET at_ms = at_ms + 1 WHERE number = 2",
		"UPDATE audit SET object = 'line', outcome = '3ok' WHERE number = 2",
		"UPDATE audit SET prev = hash WHERE number = 2",
		"UPDATE audit SET hash = prev WHERE number = 2",
		"UPDATE audit SET hash = NULL, prev = zeroblob(3) WHERE number = 2",
		"UPDATE audit SET number = number + 1 WHERE number = 3",
		"DELETE FROM audit WHERE number = 1",
		"DELETE FROM audit WHERE number = 2",
	};
	add("a", "line1");
	add("a", "line3");
	add("a", "line5");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		cr_assert(eq(int, db_begin(f.db, &err), 0));
		if (strstr(changes[i], "NULL") == NULL)
			cr_assert(eq(i64, count(changes[i]), 1));
		else /* not even the table lets it in */
			cr_assert(eq(int, db_run(f.db, changes[i], DB_NO_ARGS, NULL, &err),
				-ERR_FAILED));
		int rc = audit_check(f.db, &err);
		db_rollback(f.db);
		cr_expect(eq(int, rc, strstr(changes[i], "NULL") == NULL ? -ERR_CORRUPT : 0), "%s",
			changes[i]);
		cr_assert(eq(int, audit_check(f.db, &err), 0));
	}
}

Test(audit, two_records_that_change_places_are_found)
{
	add("a", "line1");
	add("b", "line2");
	(void)count("UPDATE audit SET number = number + 10");
	(void)count("UPDATE audit SET number = 2 WHERE number = 11");
	(void)count("UPDATE audit SET number = 1 WHERE number = 12");
	cr_expect(eq(int, audit_check(f.db, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "record 1"), NULL), "%s", err.msg);
}

Test(audit, texts_from_outside_are_made_harmless_and_cut)
{
	char longest[2000];
	memset(longest, 'x', sizeof(longest));
	longest[1999] = '\0';
	cr_assert(eq(int,
		audit_add(
			f.db, longest, longest, longest, "a\x1b[31m\xff\n", longest, longest, &err),
		0));
	cr_expect(eq(int, audit_check(f.db, &err), 0), "%s", err.msg);
	cr_assert(eq(int, audit_each(f.db, 0, keep, NULL, &err), 0));
	cr_expect(eq(str, got[0].object, "a\\x1b[31m\\xff\\n"));
	cr_expect(eq(sz, strlen(got[0].detail), sizeof(got[0].detail) - 1));
}

Test(audit, a_record_goes_with_the_transaction_it_is_part_of)
{
	cr_assert(eq(int, db_begin(f.db, &err), 0));
	add("a", "line1");
	db_rollback(f.db);
	cr_expect(eq(int, audit_each(f.db, 0, keep, NULL, &err), 0));
	cr_expect(eq(sz, got_count, 0));
	add("a", "line1");
	cr_expect(eq(int, audit_check(f.db, &err), 0));
}

static int64_t at_ms;

static int64_t fake_now(void)
{
	return at_ms * 1000000;
}

static int take_newest(void *arg, const struct audit_record *r)
{
	*(struct audit_record *)arg = *r;
	return 1;
}

Test(audit, of_what_others_can_cause_without_end_only_so_many_are_written_in_a_minute)
{
	struct env_ops ops = *env_real();
	struct audit_some some = { .count = 0 };
	struct audit_record newest = { .number = 0 };
	at_ms = 1800000000000;
	ops.now_ns = fake_now;
	(void)env_swap(&ops);
	for (int i = 0; i < AUDIT_SOME_A_MINUTE + 40; i++)
		cr_assert(eq(int,
			audit_add_some(
				&some, f.db, "agent:x", "", "alarm", "x", "raised", "late", &err),
			0));
	(void)audit_each(f.db, 1, take_newest, &newest, &err);
	cr_expect(eq(i64, newest.number, AUDIT_SOME_A_MINUTE));
	at_ms += 60000;
	cr_assert(eq(int,
		audit_add_some(&some, f.db, "agent:x", "", "alarm", "x", "raised", "late", &err),
		0));
	(void)audit_each(f.db, 1, take_newest, &newest, &err);
	cr_expect(eq(i64, newest.number, AUDIT_SOME_A_MINUTE + 1));
	cr_expect(ne(ptr, strstr(newest.detail, "40 more before this one"), NULL), "%s",
		newest.detail);
	cr_expect(eq(int, audit_check(f.db, &err), 0));
	(void)env_swap(NULL);
}
