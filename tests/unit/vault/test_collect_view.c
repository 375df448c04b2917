#include "vault/collect_view.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/fetch.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

static struct vault_fixture f;
static struct err err;
static struct collect_sights sights;

static void setup(void)
{
	vault_fixture_init(&f);
	err_clear(&err);
}

static void teardown(void)
{
	collect_sights_done(&sights);
	vault_fixture_done(&f);
}

TestSuite(collect_view, .init = setup, .fini = teardown);

static uint8_t noise[200000];

static void back_up(int n)
{
	struct backup_result r;
	vault_fixture_noise(noise, sizeof(noise), (uint64_t)n + 1);
	const struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = noise, .len = sizeof(noise), .mtime_s = n
	};
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
}

/* Put a list that names one pack; *${name} is its object. */
static void put(enum collect_list_type type, uint32_t number, const uint8_t pack[32],
	char name[COLLECT_LIST_NAME_BYTES])
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(1 << 20);
	struct collect_list_item item = {
		.class = COLLECT_LIST_PACK, .cause = COLLECT_LIST_UNUSED, .len = 4096
	};
	struct collect_list l = { .type = type,
		.number = number,
		.wall_ns = 5,
		.items = &item,
		.count = 1,
		.run = { 7 } };
	memcpy(item.hash, pack, 32);
	if (type != COLLECT_LIST_CONDEMNED)
		memset(l.about, 0x44, sizeof(l.about)); /* a list that is gone */
	cr_assert(
		eq(int, collect_list_seal(&l, vault_sealed_key(f.vault), &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
}

Test(collect_view, what_one_list_named_counts_as_absent_also_when_it_is_listed_no_more)
{
	static const uint8_t a[32] = { 1 }, b[32] = { 2 }, other[32] = { 3 };
	struct collect_view view = { .count = 0 };
	char condemned[COLLECT_LIST_NAME_BYTES], dead[COLLECT_LIST_NAME_BYTES];
	put(COLLECT_LIST_CONDEMNED, 0, a, condemned);
	put(COLLECT_LIST_DEAD, 0, b, dead);
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, view.count, 2));
	cr_expect(collect_view_is_absent(&view, true, a));
	cr_expect(collect_view_is_absent(&view, true, b));
	cr_expect(not(collect_view_is_absent(&view, false, other)));
	cr_expect(collect_view_is_dead(&view, COLLECT_LIST_PACK, b));
	cr_expect(not(collect_view_is_dead(&view, COLLECT_LIST_PACK, a)));
	cr_expect(not(collect_view_is_dead(&view, COLLECT_LIST_REFS, b)));
	cr_assert(eq(int, store_remove(f.store, condemned, &err), 0));
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0));
	cr_expect(collect_view_is_absent(&view, false, a));
	cr_expect(not(collect_view_is_absent(&view, true, a)));
	collect_view_done(&view);
}

static void on_bad(void *arg, const char *object, const struct err *why)
{
	(void)object;
	(void)why;
	++*(int *)arg;
}

Test(collect_view, a_list_that_cannot_be_read_is_told_or_ends_the_look)
{
	static const uint8_t a[32] = { 1 };
	struct collect_view view = { .count = 0 }, strict = { .count = 0 };
	char name[COLLECT_LIST_NAME_BYTES];
	int bad = 0;
	put(COLLECT_LIST_CONDEMNED, 0, a, name);
	cr_assert(eq(int, store_mem_flip(f.mem, name, 100, &err), 0));
	cr_expect(eq(int, collect_view_look(f.vault, &view, on_bad, &bad, &err), 0));
	cr_expect(eq(int, bad, 1));
	cr_expect(eq(u64, view.unreadable, 1));
	cr_expect(ne(int, collect_view_look(f.vault, &strict, NULL, NULL, &err), 0));
	collect_view_done(&view);
	collect_view_done(&strict);
}

/* ---- the rule delete-list-stays of docs/MODEL.md ------------------------------------------- */

struct finding {
	uint8_t pack[32];
	uint64_t largest;
};

static int find_pack(void *arg, const char *name, uint64_t size)
{
	struct finding *x = arg;
	if (size > x->largest && text_unhex(strrchr(name, '/') + 1, 32, x->pack) == 0)
		x->largest = size;
	return 0;
}

static int collect(void)
{
	struct collect_result r;
	struct err why = ERR_INIT;
	const struct collect_opts o = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	return collect_run(f.vault, &o, &r, &why);
}

static bool is_there(const uint8_t pack[32])
{
	char name[FETCH_PACK_NAME_BYTES];
	uint64_t size;
	fetch_pack_name(pack, name);
	return store_stat(f.store, name, &size, NULL) == 0;
}

/* A delete list whose condemned list is gone and which nobody carried out: its pack is named by
 * some list for as long as it lies on the store. */
static void expect_named(const uint8_t pack[32], uint64_t n)
{
	struct collect_view view = { .count = 0 };
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0), "%s", err.msg);
	const bool is_named = !is_there(pack) || collect_view_is_absent(&view, true, pack);
	cr_expect(is_named, "operation %llu", (unsigned long long)n);
	collect_view_done(&view);
}

static void prepare(struct finding *x)
{
	char name[COLLECT_LIST_NAME_BYTES];
	struct snapshot_list list;
	const struct prune_opts o = { .cause = PRUNE_ORDER_RETENTION };
	memset(x, 0, sizeof(*x));
	back_up(1);
	cr_assert(eq(int, store_list(f.store, "pk/", find_pack, x, &err), 0));
	put(COLLECT_LIST_DELETE, 0, x->pack, name);
	cr_assert(eq(int, collect(), 0)); /* it is needed: it stays, and so does the list */
	cr_assert(is_there(x->pack));
	expect_named(x->pack, 0);
	cr_assert(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	back_up(2);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	cr_assert(eq(int, prune_snapshots(f.vault, &o, &going, 1, &err), 0));
	snapshot_list_done(&list);
	store_fault_reset(f.fault);
}

Test(collect_view, a_delete_list_stays_until_its_packs_are_dead_at_every_fault)
{
	struct finding x;
	prepare(&x);
	cr_assert(eq(int, collect(), 0));
	const uint64_t total = store_fault_count(f.fault, STORE_FAULT_ANY);
	for (uint64_t n = 1; n <= total; n++) {
		teardown();
		setup();
		prepare(&x);
		store_fault_crash(f.fault, n);
		(void)collect();
		store_fault_reset(f.fault);
		expect_named(x.pack, n);
		for (int i = 0; i < 3; i++)
			cr_assert(eq(int, collect(), 0), "operation %llu", (unsigned long long)n);
		cr_expect(not(is_there(x.pack)), "operation %llu", (unsigned long long)n);
		cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	}
}
