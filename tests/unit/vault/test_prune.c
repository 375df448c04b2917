#include "vault/prune.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/snapshot.h"

static struct vault_fixture f;

#define SNAPS 4

static const uint8_t content[SNAPS][8] = { "day one", "day two", "day 3", "day 4" };
static struct fake_file day[SNAPS][2];

/* Four snapshots, a file more in each. */
static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	vault_fixture_init(&f);
	for (int i = 0; i < SNAPS; i++) {
		day[i][0] =
			(struct fake_file){ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 };
		day[i][1] = (struct fake_file){ .path = "plant/a",
			.kind = ENTRY_FILE,
			.data = content[i],
			.len = sizeof(content[i]),
			.mtime_s = 200 + i };
		cr_assert(eq(int, vault_fixture_backup(&f, day[i], 2, &r, &err), 0), "%s", err.msg);
	}
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(prune, .init = setup, .fini = teardown);

static const struct prune_opts opts = {
	.cause = PRUNE_ORDER_RETENTION, .policy = "--keep-last 2", .approval = "somebody"
};

/* Prune the two oldest, if they are there. */
static int prune_two(struct err *err)
{
	struct snapshot_list list;
	const struct snapshot *going[2];
	size_t count = 0;
	int rc = snapshot_list(f.vault, NULL, NULL, &list, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < list.count; i++) {
		if (list.at[i].record.seq <= 2)
			going[count++] = &list.at[i];
	}
	rc = count == 0 ? prune_resume(f.vault, NULL, err)
			: prune_snapshots(f.vault, &opts, going, count, err);
	snapshot_list_done(&list);
	return rc;
}

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)name;
	++*(int *)arg;
	return 0;
}

static int count(struct store *s, const char *prefix)
{
	int n = 0;
	return store_list(s, prefix, count_name, &n, NULL) == 0 ? n : -1;
}

static void expect_pruned(struct store *store, const char *when, int n)
{
	const char *why = vault_fixture_differs(store, f.rk_sk, 0, day[2], 2);
	cr_expect(eq(ptr, (void *)why, NULL), "%s %d: %s", when, n, why);
	why = vault_fixture_differs(store, f.rk_sk, 1, day[3], 2);
	cr_expect(eq(ptr, (void *)why, NULL), "%s %d: %s", when, n, why);
	cr_expect(eq(int, vault_fixture_snapshots(store, f.rk_sk), 2), "%s %d", when, n);
	cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0), "%s %d", when, n);
}

static int see_record(void *arg, const uint8_t record[SNAPREC_BYTES], struct err *err)
{
	struct snaprec r;
	*(uint64_t *)arg += snaprec_decode(record, &r, err) == 0 ? r.seq : 1000;
	return 0;
}

Test(prune, takes_snapshots_away_and_keeps_their_records)
{
	struct err err = ERR_INIT;
	uint64_t seqs = 0;
	cr_assert(eq(int, prune_two(&err), 0), "%s", err.msg);
	expect_pruned(f.store, "after", 0);
	cr_expect(eq(int, count(f.store, "pr/"), 0));
	cr_expect(eq(int, count(f.store, "hs/"), 1));
	cr_expect(eq(int, count(f.store, "sn/"), 2));
	cr_expect(eq(int, count(f.store, "ev/"), 2));
	cr_assert(eq(int, prune_records(f.vault, NULL, NULL, see_record, &seqs, &err), 0));
	cr_expect(eq(u64, seqs, 3)); /* 1 and 2 */
}

Test(prune, a_backup_goes_on_behind_it)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, prune_two(&err), 0), "%s", err.msg);
	cr_assert(eq(int, vault_fixture_backup(&f, day[0], 2, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.seq, 5));
	cr_expect(ge(u64, r.sent_data_records, 1)); /* nothing is answered from what is pruned */
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(prune, an_order_alone_takes_the_snapshots_from_the_list)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	size_t n = 0;
	store_fault_reset(f.fault);
	store_fault_fail(f.fault, STORE_FAULT_BARRIER, 2, 1, ERR_IO); /* behind the order's own */
	cr_expect(ne(int, prune_two(&err), 0));
	store_fault_reset(f.fault);
	cr_expect(eq(int, count(f.store, "pr/"), 1));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 2));
	cr_assert(eq(int, snapshot_list_all(f.vault, NULL, NULL, &list, &err), 0));
	cr_expect(eq(sz, list.count, 4));
	cr_expect(eq(int, list.at[0].fate, SNAPSHOT_PRUNED));
	cr_expect(eq(int, list.at[3].fate, SNAPSHOT_LIVE));
	snapshot_list_done(&list);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	cr_assert(eq(int, prune_resume(f.vault, &n, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, n, 1));
	expect_pruned(f.store, "resumed", 0);
}

static uint64_t ops_of_a_run(void)
{
	struct err err = ERR_INIT;
	struct vault_fixture keep = f;
	uint64_t ops;
	store_fault_reset(f.fault);
	cr_assert(eq(int, prune_two(&err), 0), "%s", err.msg);
	ops = store_fault_count(f.fault, STORE_FAULT_ANY);
	vault_fixture_done(&keep);
	setup();
	return ops;
}

Test(prune, a_crash_at_every_operation_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t ops = ops_of_a_run();
	cr_assert(ge(u64, ops, 16));
	for (uint64_t n = 1; n <= ops; n++) {
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		(void)prune_two(&err);
		for (uint64_t kept = 0; kept < 8; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			int snaps = vault_fixture_snapshots(store, f.rk_sk);
			cr_expect(snaps == 4 || snaps == 2, "operation %d: %d", (int)n, snaps);
			cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0),
				"operation %d, kept %d", (int)n, (int)kept);
			store_free(store);
		}
		store_fault_reset(f.fault);
		cr_assert(eq(int, prune_two(&err), 0), "operation %d: %s", (int)n, err.msg);
		expect_pruned(f.store, "operation", (int)n);
		cr_expect(eq(int, count(f.store, "pr/"), 0));
		teardown();
		setup();
	}
}

Test(prune, a_fault_at_every_operation_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t ops = ops_of_a_run();
	for (uint64_t n = 1; n <= 2 * ops; n++) {
		store_fault_reset(f.fault);
		if (n % 2 == 0)
			store_fault_tear(f.fault, STORE_FAULT_ANY, n / 2 + 1, ERR_IO);
		else
			store_fault_fail(f.fault, STORE_FAULT_ANY, n / 2 + 1, 1, ERR_NOSPACE);
		(void)prune_two(&err);
		store_fault_reset(f.fault);
		cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0), "%d", (int)n);
		cr_assert(eq(int, prune_two(&err), 0), "operation %d: %s", (int)n, err.msg);
		expect_pruned(f.store, "operation", (int)n);
		teardown();
		setup();
	}
}

Test(prune, an_order_for_what_is_gone_without_a_record_is_left_alone)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	store_fault_reset(f.fault);
	store_fault_fail(f.fault, STORE_FAULT_BARRIER, 2, 1, ERR_IO);
	cr_expect(ne(int, prune_two(&err), 0));
	store_fault_reset(f.fault);
	cr_assert(eq(int, store_remove(f.store, list.at[0].object, &err), 0));
	snapshot_list_done(&list);
	cr_expect(eq(int, prune_resume(f.vault, NULL, &err), -ERR_CORRUPT));
	cr_expect(eq(int, count(f.store, "pr/"), 1));
	cr_expect(eq(int, count(f.store, "hs/"), 0));
}
