#include "controller/catalog_snapshot.h"

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

TestSuite(catalog_snapshot, .init = setup, .fini = teardown);

static struct catalog_snapshot snapshot_of(uint8_t first, const char *source, int64_t at)
{
	struct catalog_snapshot s = { .agent_id = { 1 },
		.source_id = { 2 },
		.host = "pc1",
		.seq = UINT64_MAX - 1,
		.receipt_ms = at,
		.start_ms = at - 2,
		.end_ms = at - 1,
		.raw_bytes = 1000,
		.files = 10 };
	memset(s.hash, first, sizeof(s.hash));
	snprintf(s.source, sizeof(s.source), "%s", source);
	return s;
}

static char told[64];
static struct catalog_snapshot last;

static int tell(void *arg, const struct catalog_snapshot *s)
{
	(void)arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%d ", s->hash[0]);
	last = *s;
	return s->hash[0] == 99 ? 5 : 0;
}

Test(catalog_snapshot, newest_first_of_one_source_or_all)
{
	const struct {
		int first;
		const char *source;
		int64_t at;
	} all[] = { { 1, "a", 100 }, { 2, "b", 300 }, { 3, "a", 200 } };
	for (size_t i = 0; i < 3; i++) {
		struct catalog_snapshot s = snapshot_of(all[i].first, all[i].source, all[i].at);
		cr_assert(eq(int, catalog_snapshot_add(f.db, &s, &err), 0), "%s", err.msg);
	}
	cr_assert(eq(int, catalog_snapshot_each(f.db, NULL, 0, tell, NULL, &err), 0));
	cr_expect(eq(str, told, "2 3 1 "));
	struct catalog_snapshot first = snapshot_of(1, "a", 100);
	cr_expect(eq(int, memcmp(&last, &first, sizeof(first)), 0));
	told[0] = '\0';
	cr_assert(eq(int, catalog_snapshot_each(f.db, "a", 0, tell, NULL, &err), 0));
	cr_assert(eq(int, catalog_snapshot_each(f.db, "a", 1, tell, NULL, &err), 0));
	cr_assert(eq(int, catalog_snapshot_each(f.db, NULL, 1, tell, NULL, &err), 0));
	cr_assert(eq(int, catalog_snapshot_each(f.db, "c", 1, tell, NULL, &err), 0));
	cr_expect(eq(str, told, "3 1 3 2 "));
	struct catalog_snapshot stop = snapshot_of(99, "a", 900);
	cr_assert(eq(int, catalog_snapshot_add(f.db, &stop, &err), 0));
	cr_expect(eq(int, catalog_snapshot_each(f.db, NULL, 0, tell, NULL, &err), 5));
	cr_assert(eq(int, catalog_snapshot_clear(f.db, &err), 0));
	told[0] = '\0';
	cr_assert(eq(int, catalog_snapshot_each(f.db, NULL, 0, tell, NULL, &err), 0));
	cr_expect(eq(str, told, ""));
}

Test(catalog_snapshot, adding_again_fills_in_a_job_and_changes_nothing_else)
{
	struct catalog_snapshot s = snapshot_of(1, "a", 100);
	cr_assert(eq(int, catalog_snapshot_add(f.db, &s, &err), 0));
	snprintf(s.job, sizeof(s.job), "j1");
	s.files = 77;
	cr_assert(eq(int, catalog_snapshot_add(f.db, &s, &err), 0));
	snprintf(s.job, sizeof(s.job), "j2");
	cr_assert(eq(int, catalog_snapshot_add(f.db, &s, &err), 0));
	s.job[0] = '\0';
	cr_assert(eq(int, catalog_snapshot_add(f.db, &s, &err), 0));
	cr_assert(eq(int, catalog_snapshot_each(f.db, NULL, 0, tell, NULL, &err), 0));
	cr_expect(eq(str, told, "1 "));
	cr_expect(eq(str, last.job, "j1"));
	cr_expect(eq(i64, last.files, 10));
}
