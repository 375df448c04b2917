#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/collect_list.h"
#include "vault/parity_cover.h"
#include "vault/repair.h"
#include "vault/repair_back.h"

/* A vault with one backup: a data pack with two records of a file each, and one of metadata. */
static struct vault_fixture f;
static uint8_t noise[2][280000];
static struct store_image whole;
static struct store_image packs;
static struct collect_sights sights;
static const struct store_image_object *data_pack;

static struct fake_file files[] = {
	{ .path = "a.arc", .kind = ENTRY_FILE, .mtime_s = 1 },
	{ .path = "b.arc", .kind = ENTRY_FILE, .mtime_s = 2 },
};

static void backup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &r, &err), 0), "%s", err.msg);
}

static void keep_image(void)
{
	store_image_done(&whole);
	store_image_done(&packs);
	store_image_take(f.store, "", &whole);
	store_image_take(f.store, "pk/", &packs);
	data_pack = NULL;
	for (size_t i = 0; i < packs.count; i++) {
		if (packs.at[i].len > 500000)
			data_pack = &packs.at[i];
	}
	cr_assert(ne(ptr, (void *)data_pack, NULL));
}

static void setup(void)
{
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++) {
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
		files[i].data = noise[i];
		files[i].len = sizeof(noise[i]);
	}
	backup();
	keep_image();
}

static void teardown(void)
{
	store_image_done(&whole);
	store_image_done(&packs);
	collect_sights_done(&sights);
	vault_fixture_done(&f);
}

TestSuite(repair_take, .init = setup, .fini = teardown);

static void reset(void)
{
	struct store_image now;
	store_image_take(f.store, "", &now);
	for (size_t i = 0; i < now.count; i++) {
		if (store_image_find(&whole, now.at[i].name) == NULL)
			store_image_remove(f.store, now.at[i].name);
	}
	for (size_t i = 0; i < whole.count; i++)
		store_image_restore(f.store, &whole.at[i]);
	store_image_done(&now);
}

/* Put a list of a collection that names the pack, as a maintainer long gone left it. */
static void put_list(enum collect_list_type type, const struct store_image_object *pack)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct collect_list_item item = {
		.class = COLLECT_LIST_PACK, .cause = COLLECT_LIST_UNUSED, .len = (uint32_t)pack->len
	};
	struct collect_list l = { .type = type, .run = { 9 }, .wall_ns = 1, .items = &item };
	char name[COLLECT_LIST_NAME_BYTES];
	l.count = 1;
	cr_assert(eq(int, text_unhex(strrchr(pack->name, '/') + 1, 32, item.hash), 0));
	cr_assert(
		eq(int, collect_list_seal(&l, vault_sealed_key(f.vault), &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
}

static struct repair_result repair_with(const struct repair_opts *opts)
{
	struct err err = ERR_INIT;
	struct repair_result r;
	cr_assert(eq(int, repair_run(f.store, f.vault, opts, &r, &err), 0), "%s", err.msg);
	return r;
}

static struct repair_result repair(void)
{
	static const struct repair_opts opts = { .sk = NULL };
	return repair_with(&opts);
}

static int problems(void)
{
	return vault_fixture_problems(f.store, f.rk_sk);
}

/* As often as it takes to the end. */
static int collect(void)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	const struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	int rc = 0;
	for (int i = 0; rc == 0 && i < 3; i++)
		rc = collect_run(f.vault, &opts, &r, &err);
	return rc;
}

static bool is_there(const char *name)
{
	uint64_t size;
	return store_stat(f.store, name, &size, NULL) == 0;
}

static const enum collect_list_type ways[] = { COLLECT_LIST_CONDEMNED, COLLECT_LIST_DELETE,
	COLLECT_LIST_DEAD };

Test(repair_take, what_only_a_pack_has_that_is_to_go_is_taken_over_and_collection_goes_on)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		put_list(ways[i], data_pack);
		if (ways[i] == COLLECT_LIST_DEAD) {
			cr_expect(ge(int, problems(), 1));
			cr_expect(eq(int, collect(), -ERR_CORRUPT)); /* nothing is deleted */
		}
		struct repair_result r = repair();
		cr_expect(eq(u64, r.records_taken, 2), "way %d", (int)i);
		cr_expect(
			eq(u64, r.packs_listed, 0), "way %d", (int)i); /* a dead one least of all */
		cr_expect(eq(u64, r.open + r.snapshots_hurt + r.damaged, 0));
		cr_expect(is_there(data_pack->name)); /* its way goes on as it was */
		cr_expect(eq(u64, repair().records_taken, 0));
		cr_expect(eq(int, problems(), 0), "way %d", (int)i);
		cr_expect(eq(int, collect(), 0), "way %d", (int)i);
		cr_expect(not(is_there(data_pack->name)), "way %d", (int)i);
		cr_expect(eq(int, problems(), 0), "way %d", (int)i);
		cr_expect(vault_fixture_differs(f.store, f.rk_sk, 0, files, 2) == NULL);
		reset();
	}
}

Test(repair_take, a_dry_run_says_the_same_and_puts_nothing)
{
	const struct repair_opts opts = { .is_dry_run = true };
	struct store_image before, after;
	put_list(COLLECT_LIST_DEAD, data_pack);
	store_image_take(f.store, "", &before);
	struct repair_result r = repair_with(&opts);
	store_image_take(f.store, "", &after);
	cr_expect(eq(u64, r.records_taken, 2));
	cr_expect(eq(u64, r.snapshots_hurt, 0));
	cr_expect(eq(sz, before.count, after.count));
	store_image_done(&before);
	store_image_done(&after);
}

Test(repair_take, of_a_dead_pack_that_is_rotten_too_the_good_records_are_taken)
{
	struct err err = ERR_INIT;
	put_list(COLLECT_LIST_DEAD, data_pack);
	cr_assert(eq(int, store_mem_flip(f.mem, data_pack->name, 8000, &err), 0));
	struct repair_result r = repair();
	cr_expect(eq(u64, r.records_taken, 1));
	cr_expect(eq(u64, r.snapshots_hurt, 1));
	/* a footer that is rotten: the index, which knew the pack, says where they lie */
	reset();
	put_list(COLLECT_LIST_DEAD, data_pack);
	cr_assert(eq(int, store_mem_flip(f.mem, data_pack->name, data_pack->len * 8 - 1, &err), 0));
	r = repair();
	cr_expect(eq(u64, r.records_taken, 2));
	cr_expect(eq(u64, r.snapshots_hurt, 0));
	cr_expect(eq(int, problems(), 1)); /* the dead pack itself */
}

Test(repair_take, a_copy_gives_records_where_the_pack_may_not_come_back)
{
	struct err err = ERR_INIT;
	struct store_mem *mem = NULL;
	struct store *copy = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &copy, &err), 0));
	for (size_t i = 0; i < whole.count; i++)
		store_image_restore(copy, &whole.at[i]);
	const struct repair_opts opts = { .copies = &copy, .copy_count = 1 };
	put_list(COLLECT_LIST_DEAD, data_pack);
	store_image_remove(f.store, data_pack->name);
	cr_expect(eq(u64, repair().snapshots_hurt, 1));
	struct repair_result r = repair_with(&opts);
	cr_expect(eq(u64, r.records_taken, 2));
	cr_expect(eq(u64, r.packs_fetched + r.snapshots_hurt + r.open, 0));
	cr_expect(not(is_there(data_pack->name)));
	cr_expect(eq(int, problems(), 0));
	cr_expect(eq(int, collect(), 0));
	store_free(copy);
}

Test(repair_take, a_lost_pack_is_given_up_when_nothing_of_it_is_missing)
{
	struct parity_cover_opts cover = { .rows = 1 };
	struct parity_cover_result c;
	struct err err = ERR_INIT;
	/* what is in it lies in another pack as well: of a repair that took it over */
	put_list(COLLECT_LIST_CONDEMNED, data_pack);
	cr_expect(eq(u64, repair().records_taken, 2));
	struct store_image gc;
	store_image_take(f.store, "gc/", &gc);
	cr_assert(eq(sz, gc.count, 1));
	store_image_remove(f.store, gc.at[0].name);
	store_image_done(&gc);
	cr_assert(eq(int, parity_cover_run(f.vault, &cover, &c, &err), 0), "%s", err.msg);
	store_image_remove(f.store, data_pack->name);
	/* parity would bring it back: of this group too much is lost */
	struct store_image pa;
	store_image_take(f.store, "pa/", &pa);
	for (size_t i = 0; i < pa.count; i++)
		cr_assert(eq(int, store_mem_flip(f.mem, pa.at[i].name, 77, &err), 0));
	store_image_done(&pa);
	struct repair_result r = repair();
	cr_expect(eq(u64, r.lost, 1));
	cr_expect(eq(u64, r.replaced, 1));
	cr_expect(eq(u64, r.open + r.snapshots_hurt, 0));
	cr_expect(eq(u64, r.parity_held, 0));
	cr_expect(eq(u64, repair().lost, 0)); /* said once */
	cr_expect(eq(int, problems(), 0));
	cr_expect(eq(int, collect(), 0));
}

Test(repair_take, a_lost_pack_stays_named_as_long_as_it_or_a_blind_spot_may_matter)
{
	struct err err = ERR_INIT;
	store_image_remove(f.store, data_pack->name);
	struct repair_result r = repair();
	cr_expect(eq(u64, r.open, 1));
	cr_expect(eq(u64, r.replaced, 0));
	cr_expect(eq(u64, repair().open, 1));
	/* a snapshot that cannot be asked */
	reset();
	struct store_image rf;
	store_image_take(f.store, "rf/", &rf);
	store_image_remove(f.store, data_pack->name);
	cr_assert(eq(int, store_mem_flip(f.mem, rf.at[0].name, 5, &err), 0));
	cr_expect(eq(u64, repair().replaced, 0));
	store_image_done(&rf);
}

Test(repair_take, broken_off_at_any_operation_the_next_run_carries_on)
{
	struct err err = ERR_INIT;
	struct repair_result r;
	const struct repair_opts opts = { .sk = NULL };
	int rc = -1;
	uint64_t n;
	for (n = 1; rc != 0; n++) {
		put_list(ways[n % 3], data_pack);
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = repair_run(f.store, f.vault, &opts, &r, &err);
		store_fault_reset(f.fault);
		cr_assert(is_there(data_pack->name), "operation %d", (int)n);
		r = repair();
		cr_assert(
			eq(u64, r.open + r.snapshots_hurt + r.damaged, 0), "operation %d", (int)n);
		cr_assert(eq(int, collect(), 0), "operation %d", (int)n);
		cr_assert(not(is_there(data_pack->name)), "operation %d", (int)n);
		if (n % 7 == 0 || rc == 0)
			cr_assert(eq(int, problems(), 0), "operation %d", (int)n);
		reset();
	}
	cr_expect(ge(u64, n, 21));
}
