#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/session.h"
#include "vault/snapshot.h"

static struct vault_fixture f;

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(session_base, .init = setup, .fini = teardown);

static const uint8_t small[] = "batch 4711 complete\n";
static const uint8_t other[] = "batch 4712 complete\n";

static const struct fake_file day1[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = small,
		.len = sizeof(small),
		.mtime_s = 5 },
};
static const struct fake_file day2[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt",
		.kind = ENTRY_FILE,
		.data = other,
		.len = sizeof(other),
		.mtime_s = 6 },
};

static int run(const char *source_name, const struct fake_file *files, struct backup_result *out,
	struct err *err)
{
	struct fake_source source;
	struct backup_opts opts = { .source_name = source_name };
	fake_source_init(&source, files, 2);
	return vault_fixture_run(&f, &opts, &source.source, out, err);
}

static void must_run(const char *source_name, const struct fake_file *files)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, run(source_name, files, &r, &err), 0), "%s", err.msg);
}

/* The object of snapshot ${seq} of a source. */
static void find(const char *source_name, uint64_t seq, char out[128])
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	out[0] = '\0';
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < list.count; i++) {
		if (list.at[i].record.seq == seq &&
			strcmp(list.at[i].label.source, source_name) == 0)
			(void)snprintf(out, 128, "%s", list.at[i].object);
	}
	snapshot_list_done(&list);
	cr_assert(ne(chr, out[0], '\0'));
}

static void flip(const char *object)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(f.mem, object, 8000, &err), 0));
}

static void remember(const struct backup_result *r)
{
	f.host.memory.seq = r->seq;
	memcpy(f.host.memory.hash, r->snap_hash, sizeof(f.host.memory.hash));
}

Test(session_base, a_rotten_snapshot_of_one_source_stops_no_backup_of_another)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("plant", day1);
	must_run("other", day1);
	find("other", 1, object);
	flip(object);
	cr_assert(eq(int, run("plant", day2, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.seq, 2));
	cr_expect(eq(int, run("third", day1, &r, &err), 0), "%s", err.msg);
	cr_expect(ge(int, vault_fixture_problems(f.store, f.rk_sk), 1));
	flip(object);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(session_base, a_rotten_older_snapshot_of_the_source_stops_nothing)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("plant", day1);
	must_run("plant", day2);
	find("plant", 1, object);
	flip(object);
	cr_assert(eq(int, run("plant", day2, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.seq, 3));
}

Test(session_base, the_chain_goes_on_behind_a_rotten_newest_that_the_host_remembers)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("plant", day1);
	cr_assert(eq(int, run("plant", day2, &r, &err), 0), "%s", err.msg);
	remember(&r);
	find("plant", 2, object);
	flip(object);
	cr_assert(eq(int, run("plant", day2, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.seq, 3));
	cr_expect(ge(u64, r.sent_data_records, 1)); /* only the rotten one refers to them */
	flip(object); /* and when its object is put back, the chain is whole: no fork */
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 3));
}

Test(session_base, a_rotten_newest_that_nobody_remembers_is_never_forked)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("plant", day1);
	must_run("plant", day2);
	find("plant", 2, object);
	flip(object);
	cr_expect(eq(int, run("plant", day1, &r, &err), -ERR_ROLLBACK));
	cr_expect(ne(ptr, strstr(err.hint, "--source"), NULL));
	flip(object);
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 2));
}

Test(session_base, nor_is_one_that_was_the_first_of_its_source)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("plant", day1);
	find("plant", 1, object);
	flip(object);
	cr_expect(eq(int, run("plant", day1, &r, &err), -ERR_ROLLBACK));
}

struct ends {
	char last[128];
};

static int keep_end(void *arg, const char *name, uint64_t size)
{
	struct ends *e = arg;
	(void)size;
	if (strcmp(name + strlen(name) - 8, "00000001") == 0)
		(void)snprintf(e->last, sizeof(e->last), "%s", name);
	return 0;
}

Test(session_base, a_damaged_end_mark_counts_as_one)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct ends e = { .last = "" };
	char object[128];
	must_run("plant", day1);
	find("plant", 1, object);
	cr_assert(eq(int, store_list(f.store, "se/", keep_end, &e, &err), 0));
	flip(object);
	flip(e.last);
	cr_expect(eq(int, run("plant", day1, &r, &err), -ERR_ROLLBACK));
}

Test(session_base, a_session_that_broke_off_does_not_hold_its_source)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	char object[128];
	must_run("plant", day1);
	must_run("other", day1);
	fake_source_init(&source, day2, 2);
	source.fail_next_at = 2;
	cr_assert(lt(int, vault_fixture_run(&f, &opts, &source.source, &r, &err), 0));
	find("other", 1, object);
	flip(object);
	cr_expect(eq(int, run("plant", day2, &r, &err), 0), "%s", err.msg);
}

Test(session_base, fewer_rotten_objects_than_snapshots_missing_is_a_rollback)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	char object[128];
	must_run("other", day1);
	find("other", 1, object);
	flip(object);
	must_run("plant", day1);
	f.host.memory.seq = 3;
	cr_expect(eq(int, run("plant", day1, &r, &err), -ERR_ROLLBACK));
	f.host.memory.seq = 1; /* of another hash */
	cr_expect(eq(int, run("plant", day1, &r, &err), -ERR_ROLLBACK));
}

Test(session_base, a_rotten_snapshot_that_comes_while_a_session_runs_makes_it_busy)
{
	struct err err = ERR_INIT;
	struct session_base_sight sight;
	struct session_base base;
	uint8_t id[16] = { 1 };
	char object[128];
	must_run("plant", day1);
	cr_assert(eq(int, session_base_look(f.vault, &sight, &err), 0));
	cr_assert(eq(int, session_base_find(f.vault, &sight, id, id, NULL, &base, &err), 0));
	cr_expect(eq(int, session_base_check(f.vault, &sight, &base, id, id, &err), 0));
	must_run("plant", day2);
	cr_expect(eq(int, session_base_check(f.vault, &sight, &base, id, id, &err), 0));
	find("plant", 2, object);
	flip(object);
	cr_expect(eq(int, session_base_check(f.vault, &sight, &base, id, id, &err), -ERR_BUSY));
	session_base_forget(&sight);
}

static int flip_object(void *arg, const char *name, uint64_t size)
{
	(void)arg;
	(void)size;
	flip(name);
	return 0;
}

Test(session_base, rotten_reference_lists_cost_sending_again_and_nothing_else)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	must_run("plant", day1);
	cr_assert(eq(int, store_list(f.store, "rf/", flip_object, NULL, &err), 0));
	cr_assert(eq(int, run("plant", day1, &r, &err), 0), "%s", err.msg);
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 1, day1, 2);
	cr_expect(eq(ptr, (void *)why, NULL), "%s", why);
}
