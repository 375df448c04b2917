#include "controller/people.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(people, .init = setup, .fini = teardown);

static int add(const char *name, enum people_role role, int64_t until, char *text)
{
	struct people_token t = { .role = role, .made_ms = 10, .until_ms = until };
	snprintf(t.name, sizeof(t.name), "%s", name);
	return people_add(f.db, &t, text, &err);
}

Test(people, a_token_finds_its_holder_and_only_its_hash_is_kept)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES], other[PEOPLE_TOKEN_TEXT_BYTES], sql[256];
	struct people_token got;
	cr_assert(eq(int, add("anna", PEOPLE_APPROVER, 0, text), 0), "%s", err.msg);
	cr_assert(eq(int, add("bert", PEOPLE_VIEWER, 0, other), 0));
	cr_expect(eq(sz, strlen(text), 36));
	cr_expect(eq(int, strncmp(text, "hfp-", 4), 0));
	cr_expect(ne(str, text, other));
	catalog_fixture_reopen(&f);
	cr_assert(eq(int, people_find(f.db, text, 50, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, got.name, "anna"));
	cr_expect(eq(int, got.role, PEOPLE_APPROVER));
	cr_expect(eq(i64, got.made_ms, 10));
	/* no column of the table holds it */
	struct db_rows *r = NULL;
	snprintf(sql, sizeof(sql), "SELECT count(*) FROM person WHERE hash = $1 OR name = $1");
	cr_assert(eq(int, db_query(f.db, sql, DB_ARGS(db_text(text)), &r, &err), 0));
	cr_assert(eq(int, db_rows_next(r, &err), 1));
	cr_expect(eq(i64, db_rows_int(r, 0), 0));
	db_rows_done(r);
}

Test(people, an_unknown_a_revoked_and_an_old_token_are_one_refusal)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES], old[PEOPLE_TOKEN_TEXT_BYTES];
	struct people_token got;
	struct err unknown = ERR_INIT, revoked = ERR_INIT, past = ERR_INIT;
	cr_assert(eq(int, add("anna", PEOPLE_VIEWER, 0, text), 0));
	cr_assert(eq(int, add("bert", PEOPLE_VIEWER, 1000, old), 0));
	cr_expect(eq(int, people_find(f.db, old, 999, &got, &err), 0));
	cr_expect(eq(int, people_find(f.db, old, 1000, &got, &past), -ERR_AUTH));
	cr_expect(eq(int, people_find(f.db, "hfp-", 1, &got, &unknown), -ERR_AUTH));
	cr_expect(eq(int, people_find(f.db, "", 1, &got, &unknown), -ERR_AUTH));
	cr_assert(eq(int, people_revoke(f.db, "anna", 77, &err), 0));
	cr_expect(eq(int, people_find(f.db, text, 80, &got, &revoked), -ERR_AUTH));
	cr_expect(eq(str, unknown.msg, revoked.msg));
	cr_expect(eq(str, unknown.msg, past.msg));
	cr_expect(eq(int, people_revoke(f.db, "anna", 78, &err), -ERR_NOT_FOUND));
}

Test(people, a_name_is_free_again_when_revoked)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	struct people_token got;
	cr_assert(eq(int, add("anna", PEOPLE_VIEWER, 0, text), 0));
	cr_expect(eq(int, add("anna", PEOPLE_VIEWER, 0, text), -ERR_EXISTS));
	cr_assert(eq(int, people_revoke(f.db, "anna", 0, &err), 0));
	cr_assert(eq(int, people_find(f.db, text, 1, &got, &err), -ERR_AUTH));
	cr_assert(eq(int, add("anna", PEOPLE_OFFICER, 0, text), 0));
	cr_expect(eq(int, people_find(f.db, text, 1, &got, &err), 0));
	cr_expect(eq(int, got.role, PEOPLE_OFFICER));
}

Test(people, a_wrong_name_or_role_makes_no_token)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES] = "same";
	cr_expect(eq(int, add("", PEOPLE_VIEWER, 0, text), -ERR_USAGE));
	cr_expect(eq(int, add("Anna B", PEOPLE_VIEWER, 0, text), -ERR_USAGE));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(int, add("anna", 0, 0, text), -ERR_USAGE));
	cr_expect(eq(int, add("anna", PEOPLE_OFFICER + 1, 0, text), -ERR_USAGE));
	cr_expect(eq(str, text, "same"));
}

static struct people_token told[8];
static size_t told_count;

static int keep(void *arg, const struct people_token *t)
{
	told[told_count++] = *t;
	return arg != NULL ? 3 : 0;
}

Test(people, the_last_use_is_kept_to_the_minute)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	struct people_token got;
	const int64_t uses[] = { 100000, 130000, 160000 }, kept[] = { 100000, 100000, 160000 };
	cr_assert(eq(int, add("anna", PEOPLE_VIEWER, 0, text), 0));
	for (size_t i = 0; i < 3; i++) {
		cr_assert(eq(int, people_find(f.db, text, uses[i], &got, &err), 0));
		told_count = 0;
		cr_assert(eq(int, people_each(f.db, keep, NULL, &err), 0));
		cr_expect(eq(i64, told[0].used_ms, kept[i]));
	}
}

Test(people, each_is_told_those_who_may_first)
{
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	cr_assert(eq(int, add("anna", PEOPLE_VIEWER, 0, text), 0));
	cr_assert(eq(int, add("carl", PEOPLE_VIEWER, 5, text), 0));
	cr_assert(eq(int, add("bert", PEOPLE_AUDITOR, 0, text), 0));
	cr_assert(eq(int, people_revoke(f.db, "anna", 9, &err), 0));
	cr_assert(eq(int, people_each(f.db, keep, NULL, &err), 0));
	cr_assert(eq(sz, told_count, 3));
	cr_expect(eq(str, told[0].name, "bert"));
	cr_expect(eq(str, told[1].name, "carl"));
	cr_expect(eq(i64, told[1].until_ms, 5));
	cr_expect(eq(str, told[2].name, "anna"));
	cr_expect(eq(i64, told[2].revoked_ms, 9));
	cr_expect(eq(int, people_each(f.db, keep, told, &err), 3));
}

Test(people, roles_build_on_each_other)
{
	for (enum people_role r = PEOPLE_VIEWER; r <= PEOPLE_OFFICER; r++) {
		cr_expect(eq(int, people_role_of(people_role_name(r)), (int)r));
		for (enum people_role need = PEOPLE_VIEWER; need <= PEOPLE_OFFICER; need++)
			cr_expect(eq(int, people_may(r, need), r >= need));
	}
	cr_expect(eq(int, people_may(PEOPLE_AUDITOR, PEOPLE_OPERATOR), 0));
	cr_expect(eq(int, people_role_of("root"), 0));
	cr_expect(eq(int, people_role_of(""), 0));
	cr_expect(eq(str, (char *)people_role_name(0), "?"));
	cr_expect(eq(int, people_may(0, PEOPLE_VIEWER), 0));
	cr_expect(eq(int, people_may(PEOPLE_OFFICER + 1, PEOPLE_VIEWER), 0));
	cr_expect(eq(int, people_may(PEOPLE_OFFICER, 0), 0));
}
