/* Collection on vaults that are full, damaged or torn. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "tests/lib/collect_days.h"
#include "vault/collect_list.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/session.h"
#include "vault/snapshot.h"

#ifdef __SANITIZE_ADDRESS__ /* slow: lane-unit tries every operation */
#define STRIDE 5
#else
#define STRIDE 1
#endif

TestSuite(collect_harm, .init = collect_days_setup, .fini = collect_days_teardown);

static struct collect_result met;

static void must_collect(struct collect_result *r, int64_t grace_ns)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_collect(r, grace_ns, &err), 0), "%s", err.msg);
}

static void expect_same(struct store *s, int nth, int n, const char *when, int at)
{
	const char *why = collect_days_differs(s, nth, n);
	cr_expect(eq(ptr, (void *)why, NULL), "%s %d: snapshot %d: %s", when, at, nth, why);
}

/* The same, and the whole vault verifies. */
static void expect_whole(struct store *s, int nth, int n, const char *when, int at)
{
	expect_same(s, nth, n, when, at);
	cr_expect(
		eq(int, vault_fixture_problems(s, collect_days_vault.rk_sk), 0), "%s %d", when, at);
}

/* Of the puts that come first none succeeds: the room that is due is given back all the same. */
Test(collect_harm, a_full_disk_gives_back_what_is_due)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	must_collect(&r, DAY); /* condemned and dead; not due yet */
	must_collect(&r, DAY);
	cr_assert(ge(u64, r.dead, 1));
	cr_assert(eq(int, collect_days_backup(1, NULL), 0)); /* new waste */
	cr_assert(eq(int, collect_days_backup(2, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	collect_days_pass(2 * DAY);
	int packs = collect_days_count(collect_days_vault.store, "pk/");
	store_fault_fail(collect_days_vault.fault, STORE_FAULT_PUT, 1, 1000000, ERR_NOSPACE);
	(void)collect_days_collect(&r, DAY, &err);
	store_fault_reset(collect_days_vault.fault);
	cr_expect(lt(int, collect_days_count(collect_days_vault.store, "pk/"), packs));
	must_collect(&r, DAY);
	expect_whole(collect_days_vault.store, 0, 2, "at the end", 0);
}

Test(collect_harm, a_stray_file_among_the_lists_is_left_alone)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	cr_assert(eq(int, store_put(collect_days_vault.store, "gc/Thumbs.db", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(collect_days_vault.store, &err), 0));
	uint64_t deleted = 0;
	for (int run = 0; run < 3; run++) {
		must_collect(&r, 0);
		deleted += r.deleted;
	}
	cr_expect(ge(u64, deleted, 1));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "gc/Thumbs.db"), 1));
}

Test(collect_harm, what_cannot_be_read_stops_it)
{
	static const char *const classes[] = { "sn/", "rf/", "se/" };
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		char name[128];
		(void)snprintf(name, sizeof(name), "%s%064d", classes[i], 1);
		if (i == 1) { /* a segment list that a snapshot names */
			struct snapshot_list list;
			cr_assert(eq(int,
				snapshot_list(collect_days_vault.vault, NULL, NULL, &list, &err),
				0));
			(void)snprintf(name, sizeof(name), "rf/");
			for (int k = 0; k < 32; k++)
				(void)snprintf(name + 3 + 2 * k, 3, "%02x",
					list.at[0].body.segments[0].rf[k]);
			snapshot_list_done(&list);
			cr_assert(eq(
				int, store_mem_flip(collect_days_vault.mem, name, 999, &err), 0));
		} else {
			cr_assert(eq(
				int, store_put(collect_days_vault.store, name, "x", 1, &err), 0));
			cr_assert(eq(int, store_barrier(collect_days_vault.store, &err), 0));
		}
		int packs = collect_days_count(collect_days_vault.store, "pk/");
		cr_expect(ne(int, collect_days_collect(&r, 0, &err), 0), "%s", name);
		cr_expect(ge(int, collect_days_count(collect_days_vault.store, "pk/"), packs));
		cr_expect(eq(int, collect_days_count(collect_days_vault.store, "dd/"), 0));
		if (i == 1)
			cr_assert(eq(
				int, store_mem_flip(collect_days_vault.mem, name, 999, &err), 0));
		else
			cr_assert(eq(int, store_remove(collect_days_vault.store, name, &err), 0));
	}
	must_collect(&r, 0);
	expect_whole(collect_days_vault.store, 0, 3, "at the end", 0);
}

Test(collect_harm, a_snapshot_that_is_gone_without_having_been_pruned_stops_it_too)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct snapshot_list list;
	CLEANUP(buf_done) struct buf lost = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	for (int i = 0; i < 4; i++)
		cr_assert(eq(int, collect_days_backup(i, NULL), 0));
	cr_assert(eq(int, snapshot_list(collect_days_vault.vault, NULL, NULL, &list, &err), 0));
	const char *name = list.at[1].object;
	cr_assert(eq(int, store_get(collect_days_vault.store, name, &lost, &err), 0));
	cr_assert(eq(int, store_remove(collect_days_vault.store, name, &err), 0));
	cr_expect(eq(int, collect_days_collect(&r, 0, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "number 2"), NULL), "%s", err.msg);
	cr_expect(eq(int,
		collect_days_count(collect_days_vault.store, "gc/") +
			collect_days_count(collect_days_vault.store, "dd/"),
		0));
	cr_assert(eq(int, store_put(collect_days_vault.store, name, lost.data, lost.len, &err), 0));
	cr_assert(eq(int, store_barrier(collect_days_vault.store, &err), 0));
	must_collect(&r, 0); /* it is back */
	expect_whole(collect_days_vault.store, 1, 1, "at the end", 0);
	/* given up: what only it needed goes */
	cr_assert(eq(int, store_remove(collect_days_vault.store, name, &err), 0));
	struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.accepts_gaps = true,
		.sights = &collect_days_sights };
	cr_assert(
		eq(int, collect_run(collect_days_vault.vault, &opts, &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.condemned, 1));
	expect_same(collect_days_vault.store, 0, 0, "at the end", 0);
	snapshot_list_done(&list);
}

struct rot {
	struct id_set *bad;
	struct err err;
};

/* A large pack rots in its first record, "plant/a". */
static int rot_large(void *arg, const char *name, uint64_t size)
{
	struct rot *r = arg;
	uint8_t hash[32];
	if (size < BIG)
		return 0;
	cr_assert(eq(int, text_unhex(strrchr(name, '/') + 1, sizeof(hash), hash), 0));
	cr_assert(eq(int, id_set_add(r->bad, hash, 1, NULL, &r->err), 0));
	return store_mem_flip(collect_days_vault.mem, name, 1000, &r->err);
}

/* One host knows that a pack is rotten and stores anew what it held; another collects. */
Test(collect_harm, the_good_copy_of_what_rotted_elsewhere_stays)
{
	struct rot rot = { .err = ERR_INIT };
	cr_assert(eq(int, id_set_new(&rot.bad, &rot.err), 0));
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(
		eq(int, store_list(collect_days_vault.store, "pk/", rot_large, &rot, &rot.err), 0));
	collect_days_vault.host.bad_packs = rot.bad;
	cr_assert(eq(
		int, collect_days_backup(3, NULL), 0)); /* plant/a, stored anew, and little else */
	collect_days_vault.host.bad_packs = NULL;
	expect_same(collect_days_vault.store, 1, 3, "before", 0);
	for (int i = 0; i < 4; i++) {
		collect_days_pass(DAY);
		must_collect(NULL, 0);
	}
	expect_same(collect_days_vault.store, 1, 3, "after", 0);
	id_set_free(rot.bad);
}

/* ---- broken off ---------------------------------------------------------------------------- */

static void prepare(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(2, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(2, &err), 0), "%s", err.msg);
}

static uint64_t ops_of_a_run(void)
{
	prepare();
	store_fault_reset(collect_days_vault.fault);
	must_collect(&met, 0);
	cr_assert(ge(u64, met.deleted, 3));
	cr_assert(ge(u64, met.repacked, 1));
	uint64_t n = store_fault_count(collect_days_vault.fault, STORE_FAULT_ANY);
	collect_days_teardown();
	collect_days_setup();
	return n;
}

static void finish(int n)
{
	for (int i = 0; i < 3; i++)
		must_collect(&met, 0);
	cr_expect(eq(u64, met.condemned, 0), "operation %d", n);
	cr_expect(
		eq(int, collect_days_count(collect_days_vault.store, "gc/"), 0), "operation %d", n);
	cr_expect(
		eq(int, collect_days_count(collect_days_vault.store, "dd/"), 0), "operation %d", n);
	cr_expect(
		eq(int, collect_days_count(collect_days_vault.store, "rf/"), 2), "operation %d", n);
	cr_expect(ge(u64, met.live_bytes * 10, (met.pack_bytes * 8) + 1), "operation %d", n);
	expect_same(collect_days_vault.store, 0, 2, "operation", n);
	expect_whole(collect_days_vault.store, 1, 3, "operation", n);
}

Test(collect_harm, a_crash_at_every_operation_harms_nothing_and_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t total = ops_of_a_run();
	for (uint64_t n = 1; n <= total; n += STRIDE) {
		prepare();
		store_fault_reset(collect_days_vault.fault);
		store_fault_crash(collect_days_vault.fault, n);
		(void)collect_days_collect(&met, 0, &err);
		for (uint64_t kept = 0; kept < 4; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int,
				store_mem_crash(collect_days_vault.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			expect_same(store, 0, 2, "crash", (int)n);
			expect_whole(store, 1, 3, "crash", (int)n);
			store_free(store);
		}
		store_fault_reset(collect_days_vault.fault);
		finish((int)n);
		collect_days_teardown();
		collect_days_setup();
	}
}

Test(collect_harm, a_fault_at_every_operation_harms_nothing_and_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t total = ops_of_a_run();
	for (uint64_t n = 2; n <= 2 * total + 1; n += STRIDE) {
		prepare();
		store_fault_reset(collect_days_vault.fault);
		if (n % 2 == 0)
			store_fault_tear(collect_days_vault.fault, STORE_FAULT_ANY, n / 2, ERR_IO);
		else
			store_fault_fail(
				collect_days_vault.fault, STORE_FAULT_ANY, n / 2, 2, ERR_NOSPACE);
		(void)collect_days_collect(&met, 0, &err);
		store_fault_reset(collect_days_vault.fault);
		expect_same(collect_days_vault.store, 0, 2, "fault", (int)n);
		cr_assert(
			eq(int, collect_days_backup(1, NULL), 0)); /* backups go on in any state */
		expect_whole(collect_days_vault.store, 2, 1, "fault", (int)n);
		for (int i = 0; i < 3; i++)
			must_collect(&met, 0);
		cr_expect(eq(int, collect_days_count(collect_days_vault.store, "gc/"), 0),
			"fault %d", (int)n);
		expect_same(collect_days_vault.store, 0, 2, "fault", (int)n);
		expect_same(collect_days_vault.store, 1, 3, "fault", (int)n);
		expect_whole(collect_days_vault.store, 2, 1, "fault", (int)n);
		collect_days_teardown();
		collect_days_setup();
	}
}
