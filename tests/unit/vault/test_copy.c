#include "vault/copy.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/store_around.h"
#include "store/store_readback.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"
#include "vault/copy_keys.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

#define S INT64_C(1000000000)
#define BIG 300000

/* Days of a plant, backed up at the fixture's vault; the replica is ${far}. */
static struct vault_fixture f;
static struct store_mem *mem;
static struct store_fault *fault;
static struct store *far;
static uint8_t noise[3][BIG];
static struct fake_file day[3][3];
static struct env_ops ops;
static int64_t now_ns;

static int64_t fake_now(void)
{
	return now_ns += S;
}

static void new_far(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_fault_new(&store_mem_driver, mem, &fault, &err), 0));
	cr_assert(eq(int, store_new(store_fault_driver(fault), fault, NULL, &far, &err), 0));
}

static void backup(int n)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, day[n], 3, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	now_ns = INT64_C(1767225600) * S;
	(void)env_swap(&ops);
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 3; i++) {
		vault_fixture_noise(noise[i], BIG, 5 + i);
		day[i][0] =
			(struct fake_file){ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 };
		day[i][1] = (struct fake_file){ .path = "plant/a",
			.kind = ENTRY_FILE,
			.data = noise[0],
			.len = BIG,
			.mtime_s = 5 };
		day[i][2] = (struct fake_file){ .path = "plant/b",
			.kind = ENTRY_FILE,
			.data = noise[i],
			.len = BIG - 1000 * i,
			.mtime_s = 6 + i };
		backup((int)i);
	}
	new_far();
}

static void teardown(void)
{
	store_free(far);
	vault_fixture_done(&f);
	(void)env_swap(NULL);
}

TestSuite(copy, .init = setup, .fini = teardown);

struct wish {
	unsigned seqs;       /* bits: numbers to be brought */
	bool is_named;       /* by name */
	uint64_t stop_after; /* references; 0 = never */
	uint64_t seen;
	unsigned events[5];
};

static int is_wanted(void *arg, const struct snapshot *s)
{
	const struct wish *w = arg;
	if ((w->seqs >> s->record.seq & 1) == 0)
		return 0;
	return w->is_named ? 2 : 1;
}

static void on_event(
	void *arg, enum copy_event what, const struct snapshot *snap, const struct err *why)
{
	struct wish *w = arg;
	w->events[what]++;
	cr_expect(eq(int, snap == NULL, what == COPY_UNREADABLE));
	cr_expect(eq(int, why != NULL, what == COPY_FAILED || what == COPY_UNREADABLE));
}

static bool is_stopped(void *arg)
{
	struct wish *w = arg;
	return w->stop_after != 0 && ++w->seen > w->stop_after;
}

static int open_far(struct vault **out, struct err *err)
{
	struct vault_keys keys;
	vault_keys_of_writer(&f.keys.writer, &keys);
	return vault_open(far, &keys, out, err);
}

/* As the verb does it: keys, then snapshots. */
static int copy(struct wish *w, struct copy_result *r, struct err *err)
{
	struct copy_result mine;
	struct vault *to = NULL;
	uint64_t put = 0;
	struct copy_opts opts = {
		.arg = w, .is_wanted = is_wanted, .on_event = on_event, .is_stopped = is_stopped
	};
	int rc = copy_keys_carry(f.store, far, true, &put, err);
	if (rc == 0)
		rc = open_far(&to, err);
	if (rc == 0)
		rc = copy_run(f.vault, to, &opts, r == NULL ? &mine : r, err);
	vault_close(to);
	return rc;
}

static void must_copy(struct wish *w, struct copy_result *r)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, copy(w, r, &err), 0), "%s", err.msg);
}

static int tally(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	++*(int *)arg;
	return 0;
}

static int count(struct store *store, const char *prefix)
{
	struct err err = ERR_INIT;
	int n = 0;
	cr_assert(eq(int, store_list(store, prefix, tally, &n, &err), 0));
	return n;
}

static void expect_whole(struct store *store, size_t nth, int n, const char *when)
{
	const char *why = vault_fixture_differs(store, f.rk_sk, nth, day[n], 3);
	cr_expect(why == NULL, "%s: snapshot %d: %s", when, n + 1, why);
}

static void prune(struct vault *v, size_t nth)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION, .policy = "p" };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(v, NULL, NULL, &list, &err), 0), "%s", err.msg);
	const struct snapshot *going = &list.at[nth];
	cr_assert(eq(int, prune_snapshots(v, &opts, &going, 1, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
}

static void collect_now(struct vault *v)
{
	struct err err = ERR_INIT;
	struct collect_sights sights = { .pack_count = 0 };
	struct collect_result r;
	const struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, collect_run(v, &opts, &r, &err), 0), "%s", err.msg);
	collect_sights_done(&sights);
}

Test(copy, a_replica_restores_with_the_recovery_file_alone_and_keeps_what_was_signed)
{
	struct wish all = { .seqs = ~0u };
	struct copy_result r;
	struct err err = ERR_INIT;
	struct snapshot_list a, b;
	struct vault *to = NULL;
	must_copy(&all, &r);
	cr_expect(eq(u64, r.snapshots, 3));
	cr_expect(eq(u64, r.failed, 0));
	cr_expect(eq(u64, r.kept, 0));
	for (int i = 0; i < 3; i++)
		expect_whole(far, (size_t)i, i, "replica");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	cr_assert(eq(int, open_far(&to, &err), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &a, &err), 0));
	cr_assert(eq(int, snapshot_list(to, NULL, NULL, &b, &err), 0));
	cr_assert(eq(sz, a.count, b.count));
	for (size_t i = 0; i < a.count; i++) {
		cr_expect(eq(int, memcmp(a.at[i].hash, b.at[i].hash, 32), 0));
		cr_expect(eq(i64, a.at[i].body.receipt_ns, b.at[i].body.receipt_ns));
		cr_expect(ne(int, memcmp(a.at[i].body.session, b.at[i].body.session, 16), 0));
	}
	snapshot_list_done(&a);
	snapshot_list_done(&b);
	vault_close(to);
}

Test(copy, only_what_is_missing_goes_over)
{
	struct wish two = { .seqs = 1u << 1 | 1u << 2 };
	struct wish all = { .seqs = ~0u };
	struct copy_result first, second, third;
	must_copy(&two, &first);
	must_copy(&all, &second);
	cr_expect(eq(u64, second.snapshots, 1));
	cr_expect(eq(u64, second.there, 2));
	cr_expect(lt(u64, second.records, second.references)); /* plant/a is there already */
	int packs = count(far, "pk/");
	must_copy(&all, &third);
	cr_expect(eq(u64, third.records, 0));
	cr_expect(eq(u64, third.there, 3));
	cr_expect(eq(int, count(far, "pk/"), packs));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

Test(copy, what_is_left_out_is_a_link_of_the_chain_and_may_come_later)
{
	struct wish last = { .seqs = 1u << 3 };
	struct wish all = { .seqs = ~0u };
	struct copy_result r;
	must_copy(&last, &r);
	cr_expect(eq(u64, r.kept, 2));
	cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 1));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	expect_whole(far, 0, 2, "the last alone");
	must_copy(&all, &r);
	cr_expect(eq(u64, r.snapshots, 2));
	cr_expect(eq(u64, r.pruned, 0));
	for (int i = 0; i < 3; i++)
		expect_whole(far, (size_t)i, i, "all");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

Test(copy, either_end_prunes_for_itself)
{
	struct wish all = { .seqs = ~0u };
	struct wish named = { .seqs = 1u << 2, .is_named = true };
	struct err err = ERR_INIT;
	struct copy_result r;
	struct vault *to = NULL;
	must_copy(&all, &r);
	prune(f.vault, 0); /* number 1 at the source end */
	cr_assert(eq(int, open_far(&to, &err), 0));
	prune(to, 1); /* number 2 at the replica */
	collect_now(f.vault);
	collect_now(to);
	vault_close(to);
	backup(0);
	must_copy(&all, &r);
	cr_expect(eq(u64, r.snapshots, 1));
	cr_expect(eq(u64, r.pruned, 1));
	cr_expect(eq(u64, all.events[COPY_PRUNED], 1));
	expect_whole(far, 0, 0, "kept at the replica");
	expect_whole(far, 2, 0, "new");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	must_copy(&named, &r);
	cr_expect(eq(u64, r.snapshots, 1));
	cr_expect(ge(u64, r.records, 1));
	expect_whole(far, 1, 1, "asked for by name");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	/* what the source end pruned is a link of a replica that begins now */
	store_free(far);
	new_far();
	must_copy(&all, &r);
	cr_expect(eq(u64, r.kept, 1));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

Test(copy, one_that_was_stopped_goes_on_where_it_was)
{
	struct wish some = { .seqs = ~0u, .stop_after = 5 };
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct copy_result first, second;
	cr_expect(eq(int, copy(&some, &first, &err), -ERR_INTERRUPTED));
	cr_expect(ge(u64, first.records, 1));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	must_copy(&all, &second);
	cr_expect(eq(u64, first.snapshots, 1));
	cr_expect(eq(u64, second.snapshots, 2));
	struct copy_result whole;
	store_free(far);
	new_far();
	must_copy(&all, &whole);
	cr_expect(eq(u64, first.records + second.records, whole.records));
}

Test(copy, a_damaged_snapshot_keeps_no_other_from_going_over)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct copy_result r;
	char name[128] = "ev/";
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	for (int i = 0; i < 32; i++)
		(void)snprintf(name + 3 + 2 * i, 3, "%02x", list.at[1].body.ev[i]);
	snapshot_list_done(&list);
	cr_assert(eq(int, store_mem_flip(f.mem, name, 800, &err), 0), "%s", err.msg);
	must_copy(&all, &r);
	cr_expect(eq(u64, r.snapshots, 2));
	cr_expect(eq(u64, r.failed, 1));
	cr_expect(eq(u64, all.events[COPY_FAILED], 1));
	expect_whole(far, 1, 2, "the third");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0)); /* its record is a link */
}

struct pack_names {
	char at[16][128];
	size_t count;
};

static int note_pack(void *arg, const char *name, uint64_t size)
{
	struct pack_names *n = arg;
	(void)size;
	cr_assert(lt(sz, n->count, 16));
	(void)snprintf(n->at[n->count++], sizeof(n->at[0]), "%s", name);
	return 0;
}

Test(copy, a_damaged_record_does_not_go_over)
{
	struct wish first = { .seqs = 1u << 1 };
	struct err err = ERR_INIT;
	struct copy_result r;
	struct pack_names packs = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "pk/", note_pack, &packs, &err), 0));
	for (size_t i = 0; i < packs.count; i++) /* a pack begins with its first record */
		cr_assert(eq(int, store_mem_flip(f.mem, packs.at[i], 80, &err), 0));
	must_copy(&first, &r);
	cr_expect(eq(u64, r.failed, 1));
	cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 0));
}

/* Damage the pack without which the second snapshot alone fails, after a part of it was sent. */
static void damage_second(void)
{
	struct err err = ERR_INIT;
	struct pack_names packs = { .count = 0 };
	cr_assert(eq(int, store_list(f.store, "pk/", note_pack, &packs, &err), 0));
	for (size_t i = 0; i < packs.count; i++) {
		struct wish all = { .seqs = ~0u };
		struct copy_result r;
		cr_assert(eq(int, store_mem_flip(f.mem, packs.at[i], 80, &err), 0));
		must_copy(&all, &r);
		bool is_it = r.failed == 1 && r.snapshots == 2 &&
			     vault_fixture_differs(far, f.rk_sk, 0, day[0], 3) == NULL &&
			     vault_fixture_differs(far, f.rk_sk, 1, day[2], 3) == NULL;
		store_free(far);
		new_far();
		if (is_it)
			return;
		cr_assert(eq(int, store_mem_flip(f.mem, packs.at[i], 80, &err), 0));
	}
	cr_assert(false, "no such pack");
}

Test(copy, what_cannot_be_kept_of_a_damaged_snapshot_ends_the_run)
{
	struct err err = ERR_INIT;
	struct wish all = { .seqs = ~0u };
	damage_second();
	store_fault_reset(fault);
	must_copy(&all, NULL);
	uint64_t puts = store_fault_count(fault, STORE_FAULT_PUT);
	for (uint64_t n = 1; n <= puts; n++) {
		struct copy_result r;
		store_free(far);
		new_far();
		store_fault_fail(fault, STORE_FAULT_PUT, n, 1, ERR_NOSPACE);
		int rc = copy(&all, &r, &err);
		store_fault_reset(fault);
		if (rc != 0)
			must_copy(&all, &r);
		cr_expect(eq(u64, r.failed, 1));
		expect_whole(far, 0, 0, "the first");
		expect_whole(far, 1, 2, "the third");
		cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0), "put %d", (int)n);
	}
}

Test(copy, both_backed_up_to_is_a_fork_and_is_refused)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct copy_result r;
	must_copy(&all, &r);
	struct store *near = f.store;
	f.store = far;
	vault_fixture_reopen(&f);
	backup(0);
	f.store = near;
	vault_fixture_reopen(&f);
	backup(1);
	cr_expect(eq(int, copy(&all, &r, &err), 0));
	cr_expect(eq(u64, r.failed, 1));
	cr_expect(eq(u64, r.there, 3));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

Test(copy, another_vault_or_a_store_with_other_things_is_refused)
{
	struct err err = ERR_INIT;
	struct vault_fixture other;
	uint64_t put = 0;
	cr_expect(eq(int, copy_keys_carry(f.store, far, false, &put, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, count(far, ""), 0));
	vault_fixture_init(&other);
	int objects = count(other.store, "");
	cr_expect(eq(int, copy_keys_carry(f.store, other.store, true, &put, &err), -ERR_AUTH));
	cr_expect(eq(int, count(other.store, ""), objects));
	vault_fixture_done(&other);
	cr_assert(eq(int, store_put(far, "photo.jpg", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(far, &err), 0));
	cr_expect(eq(int, copy_keys_carry(f.store, far, true, &put, &err), -ERR_EXISTS));
	cr_expect(eq(int, count(far, ""), 1));
}

Test(copy, keys_changed_at_both_ends_are_refused)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault_keys keys;
	struct vault *to = NULL;
	uint8_t sk[32];
	uint64_t put = 0;
	must_copy(&all, NULL);
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	cr_assert(eq(int, open_far(&to, &err), 0));
	cr_assert(eq(int, vault_add_group(to, &root, "there", sk, &err), 0));
	vault_close(to);
	cr_expect(eq(int, copy_keys_carry(f.store, far, false, &put, &err), 0));
	cr_assert(eq(int, vault_add_group(f.vault, &root, "here", sk, &err), 0));
	cr_expect(eq(int, copy_keys_carry(f.store, far, false, &put, &err), -ERR_FORK));
}

Test(copy, the_next_copy_brings_new_configs)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault_keys keys;
	uint8_t sk[32];
	must_copy(&all, NULL);
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	cr_assert(eq(int, vault_add_group(f.vault, &root, "here", sk, &err), 0));
	backup(0);
	must_copy(&all, NULL);
	cr_expect(eq(int, count(far, "cf/"), 2));
	expect_whole(far, 3, 0, "sealed to the new group");
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

static uint64_t ops_of_a_run(void)
{
	struct wish all = { .seqs = ~0u };
	uint64_t n;
	store_fault_reset(fault);
	must_copy(&all, NULL);
	n = store_fault_count(fault, STORE_FAULT_ANY);
	store_free(far);
	new_far();
	return n;
}

static int listed(struct store *store)
{
	struct err err = ERR_INIT;
	bool is_there = false;
	cr_assert(eq(int, vault_is_there(store, &is_there, &err), 0));
	return is_there ? vault_fixture_snapshots(store, f.rk_sk) : 0;
}

Test(copy, a_crash_at_every_operation_of_the_replica_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t n_ops = ops_of_a_run();
	cr_assert(ge(u64, n_ops, 61));
	for (uint64_t n = 1; n <= n_ops; n += 2) {
		struct wish all = { .seqs = ~0u };
		store_fault_reset(fault);
		store_fault_crash(fault, n); /* count() was the first */
		(void)copy(&all, NULL, &err);
		for (uint64_t kept = 0; kept < 4; kept += 3) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			int snaps = listed(store);
			cr_expect(snaps >= 0, "operation %d", (int)n);
			for (int i = 0; i < snaps; i++)
				expect_whole(store, (size_t)i, i, "crash");
			if (snaps > 0)
				cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0),
					"operation %d, kept %d", (int)n, (int)kept);
			store_free(store);
		}
		store_fault_reset(fault);
		cr_assert(eq(int, copy(&all, NULL, &err), 0), "operation %d: %s", (int)n, err.msg);
		cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 3));
		expect_whole(far, 2, 2, "gone on");
		cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0), "%d", (int)n);
		store_free(far);
		new_far();
	}
}

Test(copy, a_fault_at_every_operation_of_either_end_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t n_ops = ops_of_a_run();
	for (uint64_t n = 1; n <= n_ops; n += 3) {
		struct wish all = { .seqs = ~0u };
		struct store_fault *at = n % 2 == 0 ? fault : f.fault;
		store_fault_reset(fault);
		store_fault_reset(f.fault);
		if (n % 4 < 2)
			store_fault_tear(at, STORE_FAULT_ANY, n, ERR_IO);
		else
			store_fault_fail(at, STORE_FAULT_ANY, n, 1, ERR_NOSPACE);
		(void)copy(&all, NULL, &err);
		store_fault_reset(fault);
		store_fault_reset(f.fault);
		if (at == fault && listed(far) > 0) /* of what the other end hid a link may lack */
			cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0), "%d", (int)n);
		cr_assert(eq(int, copy(&all, NULL, &err), 0), "operation %d: %s", (int)n, err.msg);
		for (int i = 0; i < 3; i++)
			expect_whole(far, (size_t)i, i, "after a fault");
		cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0), "%d", (int)n);
		store_free(far);
		new_far();
	}
}

Test(copy, a_snapshot_with_two_objects_is_one_and_is_pruned_whole)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct vault *to = NULL;
	char name[128];
	must_copy(&all, NULL);
	cr_assert(eq(int, open_far(&to, &err), 0));
	cr_assert(eq(int, snapshot_list(to, NULL, NULL, &list, &err), 0));
	(void)snprintf(name, sizeof(name), "%s", list.at[0].object);
	snapshot_list_done(&list);
	vault_close(to);
	/* the object cannot be read for a while, and a copy brings it again */
	cr_assert(eq(int, store_mem_flip(mem, name, 1000, &err), 0));
	must_copy(&all, NULL);
	cr_expect(eq(u64, all.events[COPY_UNREADABLE], 1));
	cr_assert(eq(int, store_mem_flip(mem, name, 1000, &err), 0));
	cr_expect(eq(int, count(far, "sn/"), 4));
	cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 3));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
	cr_assert(eq(int, open_far(&to, &err), 0));
	prune(to, 0);
	vault_close(to);
	cr_expect(eq(int, count(far, "sn/"), 2));
	cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 2));
}

Test(copy, what_a_killed_prune_left_to_do_is_done_before_its_snapshot_comes_again)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION, .policy = "p" };
	struct wish all = { .seqs = ~0u };
	struct wish named = { .seqs = 1u << 1, .is_named = true };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct vault *to = NULL;
	must_copy(&all, NULL);
	cr_assert(eq(int, open_far(&to, &err), 0));
	cr_assert(eq(int, snapshot_list(to, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	store_fault_reset(fault);
	store_fault_fail(
		fault, STORE_FAULT_REMOVE, 3, 1, ERR_IO); /* after ev/ and sn/: the order */
	cr_expect(ne(int, prune_snapshots(to, &opts, &going, 1, &err), 0));
	store_fault_reset(fault);
	snapshot_list_done(&list);
	vault_close(to);
	cr_assert(eq(int, count(far, "pr/"), 1));
	cr_assert(eq(int, count(far, "sn/"), 2));
	must_copy(&named, NULL);
	cr_expect(eq(int, count(far, "pr/"), 0));
	cr_expect(eq(int, vault_fixture_snapshots(far, f.rk_sk), 3));
	cr_expect(eq(int, vault_fixture_problems(far, f.rk_sk), 0));
}

Test(copy, every_session_of_it_is_over_when_it_ends)
{
	struct wish all = { .seqs = ~0u };
	struct err err = ERR_INIT;
	struct collect_sessions s;
	struct collect_view view = { .count = 0 };
	struct vault *to = NULL;
	must_copy(&all, NULL);
	cr_assert(eq(int, open_far(&to, &err), 0));
	cr_assert(eq(int, collect_sessions_load(to, &s, &err), 0));
	cr_expect(eq(sz, s.count, 3));
	for (size_t i = 0; i < s.count; i++)
		cr_expect(not(collect_sessions_is_open(&s.at[i], &view)));
	collect_sessions_done(&s);
	vault_close(to);
}

/* A medium that keeps the first pack of some barriers with one bit wrong. */
struct rotting {
	struct store_around around; /* first */
	int rots;                   /* so many packs more */
	char last[200];             /* the one that went bad last */
};

static int rot_one(void *arg, const char *name, uint64_t size)
{
	struct rotting *r = arg;
	if (r->rots == 0 || size < 1000 || strcmp(name, r->last) == 0)
		return 0;
	r->rots--;
	(void)snprintf(r->last, sizeof(r->last), "%s", name);
	return 1;
}

static int rot(void *self, struct err *err)
{
	struct rotting *r = self;
	int rc = r->around.inner->barrier(r->around.self, err);
	if (rc == 0 && r->around.inner->list(r->around.self, "pk/", rot_one, r, err) == 1)
		cr_assert(eq(int, store_mem_flip(mem, r->last, 4000, err), 0), "%s", err->msg);
	return rc;
}

static void rot_free(void *self)
{
	store_around_end(self);
	free(self);
}

static struct rotting *begin_to_rot(int packs)
{
	struct rotting *r = calloc(1, sizeof(*r));
	cr_assert(r != NULL);
	store_around_begin(&r->around, far, rot_free);
	r->around.driver.barrier = rot;
	r->rots = packs;
	return r;
}

Test(copy, what_the_medium_did_not_keep_is_an_error_and_is_sent_again)
{
	struct wish all = { .seqs = ~0u };
	struct store_readback *back = NULL;
	struct copy_result r;
	struct err err = ERR_INIT;
	(void)begin_to_rot(1);
	cr_assert(eq(int, store_readback_add(far, &back, &err), 0));
	cr_expect(eq(int, copy(&all, &r, &err), -ERR_IO));
	cr_expect(ne(ptr, strstr(err.msg, "reads back with other bytes"), NULL), "%s", err.msg);
	cr_expect(eq(int, count(far, "sn/"), 0), "no snapshot needs it");
	must_copy(&all, &r);
	cr_expect(eq(u64, r.snapshots, 3));
	for (size_t i = 0; i < 3; i++)
		expect_whole(far, i, (int)i, "behind a rotten pack");
}

/* Keys, and packs of a copy that was killed before it listed them. */
static void leave_packs(void)
{
	struct wish all = { .seqs = ~0u }, none = { .seqs = 0 };
	struct err err = ERR_INIT;
	must_copy(&none, NULL); /* keys alone */
	store_fault_reset(fault);
	for (uint64_t n = 2; n < 200 && count(far, "pk/") == 0; n++) {
		store_fault_crash(fault, n); /* count() was the first */
		(void)copy(&all, NULL, &err);
		store_fault_reset(fault); /* what waited for a barrier went with the process */
	}
	cr_assert(ge(int, count(far, "pk/"), 1));
	cr_assert(eq(int, count(far, "ix/"), 0), "a pack is listed behind a barrier of its own");
}

/* A copy that was killed before it had read back what it wrote leaves packs that nobody compared:
 * the next one does, before it counts what is in them. */
Test(copy, a_rotten_pack_that_a_killed_copy_left_does_not_count)
{
	struct wish all = { .seqs = ~0u };
	struct copy_result r;
	struct err err = ERR_INIT;
	struct rotting *medium = begin_to_rot(0);
	leave_packs();
	medium->rots = 1;
	cr_assert(eq(int, store_barrier(far, &err), 0)); /* it rots now */
	must_copy(&all, &r);
	for (size_t i = 0; i < 3; i++)
		expect_whole(far, i, (int)i, "behind a rotten leftover");
}

static int take_away(void *arg, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	(void)size;
	cr_assert(eq(int, store_remove(far, name, &err), 0), "%s", err.msg);
	return arg == NULL ? 0 : --*(int *)arg == 0;
}

/* ${most} NULL: all of it. */
static void lose(const char *prefix, int *most)
{
	struct err err = ERR_INIT;
	(void)store_list(far, prefix, take_away, most, &err);
	cr_assert(eq(int, store_barrier(far, &err), 0), "%s", err.msg);
}

Test(copy, a_replica_that_lost_packs_is_told_of_and_gets_them_again)
{
	struct wish all = { .seqs = ~0u };
	struct copy_result r;
	int one = 1;
	must_copy(&all, &r);
	for (int i = 0; i < 2; i++) { /* one, then every one */
		lose("pk/", i == 0 ? &one : NULL);
		must_copy(&all, &r);
		cr_expect(eq(u64, r.there, 3));
		cr_expect(eq(u64, r.failed, 1), "that packs are gone");
		for (size_t k = 0; k < 3; k++)
			expect_whole(far, k, (int)k, "what it lost");
	}
	one = 1;
	lose("ev/", &one);
	must_copy(&all, &r);
	cr_expect(eq(u64, r.there, 2), "one has no envelopes");
	lose("pk/", NULL);
	lose("ix/", NULL);
	for (int i = 0; i < 2; i++) /* not by the run behind it, either */
		cr_expect(eq(int, copy(&all, NULL, NULL), -ERR_CORRUPT));
}

static int anew;

/* What the host's memory holds of a pack is right, and the medium is not. */
static int get_anew(void *self, const char *name, struct buf *out, struct err *err)
{
	struct store_around *a = self;
	const size_t before = out->len;
	int rc = a->inner->get(a->self, name, out, err);
	anew++;
	if (rc == 0 && out->len > before + 4000)
		out->data[before + 4000] ^= 1;
	return rc;
}

Test(copy, a_leftover_is_read_from_the_medium_and_a_bad_one_once)
{
	struct wish all = { .seqs = ~0u };
	leave_packs();
	const int left = count(far, "pk/");
	begin_to_rot(0)->around.driver.get_anew = get_anew;
	anew = 0;
	must_copy(&all, NULL);
	cr_expect(eq(int, anew, left), "three snapshots, and each leftover is read once");
	cr_expect(ge(int, count(far, "pk/"), left + 1), "what is in them was sent again");
	for (size_t i = 0; i < 3; i++)
		expect_whole(far, i, (int)i, "behind a bad leftover");
}
