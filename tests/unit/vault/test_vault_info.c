#include "vault/vault_info.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

static struct vault_fixture f;
static struct err err;
static uint8_t noise[200000];

static void setup(void)
{
	vault_fixture_init(&f);
	err_clear(&err);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(vault_info, .init = setup, .fini = teardown);

static void back_up(int n)
{
	struct backup_result r;
	vault_fixture_noise(noise, sizeof(noise), (uint64_t)n + 1);
	const struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = noise, .len = sizeof(noise), .mtime_s = n
	};
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
}

static struct vault_info get(void)
{
	struct vault_info i;
	uint64_t objects = 0, bytes = 0;
	cr_assert(eq(int, vault_info_get(f.vault, NULL, &i, &err), 0), "%s", err.msg);
	for (size_t k = 0; k < VAULT_INFO_CLASSES; k++) {
		objects += i.classes[k].objects;
		bytes += i.classes[k].bytes;
	}
	cr_expect(eq(u64, objects, i.objects)); /* each in exactly one class */
	cr_expect(eq(u64, bytes, i.bytes));
	return i;
}

Test(vault_info, counts_what_is_needed_and_what_is_waste_until_it_is_gone)
{
	const struct prune_opts o = { .cause = PRUNE_ORDER_RETENTION };
	struct collect_sights sights = { .count = 0 };
	struct snapshot_list list;
	struct collect_result r;
	struct collect_opts c = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = COLLECT_GRACE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	cr_expect(eq(u64, get().snapshots, 0));
	back_up(1);
	back_up(2);
	struct vault_info i = get();
	cr_expect(eq(u64, i.snapshots, 2));
	cr_expect(eq(u64, i.sources, 1));
	cr_expect(eq(u64, i.waste_bytes, 0));
	cr_expect(ge(u64, i.live_bytes, 400001));
	cr_expect(eq(u64, i.sessions, 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	cr_assert(eq(int, prune_snapshots(f.vault, &o, &going, 1, &err), 0));
	snapshot_list_done(&list);
	i = get();
	cr_expect(eq(u64, i.snapshots, 1));
	cr_expect(ge(u64, i.waste_bytes, 200001));
	cr_assert(eq(int, collect_run(f.vault, &c, &r, &err), 0));
	i = get();
	cr_expect(eq(u64, i.waste_bytes, 0));
	cr_expect(eq(u64, i.condemned, 0));
	cr_expect(ge(u64, i.dead, 2));
	cr_expect(ge(u64, i.dead_bytes, 200001));
	cr_expect(ge(i64, i.oldest_dead_ns, 1));
	cr_expect(eq(u64, i.missing_records, 0));
	c.grace_ns = 0;
	cr_assert(eq(int, collect_run(f.vault, &c, &r, &err), 0));
	i = get();
	cr_expect(eq(u64, i.dead, 0));
	cr_expect(lt(u64, i.pack_bytes, 400000));
	collect_sights_done(&sights);
}

static char pack[128];

static int choose_pack(void *arg, const char *name, uint64_t size)
{
	(void)arg;
	if (size > 200000)
		(void)snprintf(pack, sizeof(pack), "%s", name);
	return 0;
}

Test(vault_info, a_pack_that_is_lost_leaves_records_missing)
{
	back_up(1);
	cr_assert(eq(int, store_list(f.store, "pk/", choose_pack, NULL, &err), 0));
	const uint64_t before = get().packs;
	cr_assert(eq(int, store_remove(f.store, pack, &err), 0));
	const struct vault_info i = get();
	cr_expect(eq(u64, i.packs, before - 1));
	cr_expect(lt(u64, i.live_bytes, 200000));
}

Test(vault_info, an_object_that_must_be_read_and_cannot_be_stops_it)
{
	struct vault_info i;
	cr_assert(eq(int, store_put(f.store, "se/x", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_expect(ne(int, vault_info_get(f.vault, NULL, &i, &err), 0));
}
