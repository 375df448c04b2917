#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/mem/store_mem.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/collect_list.h"
#include "vault/collect_view.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

#define DAY_NS (INT64_C(86400) * 1000000000)
#define BIG 300000

static struct vault_fixture f;
static struct env_ops ops;
static struct collect_sights sights;
static int64_t now_ns;
static uint8_t noise[2][BIG];
static struct fake_file files[] = {
	{ .path = "stays", .kind = ENTRY_FILE, .mtime_s = 1 },
	{ .path = "goes", .kind = ENTRY_FILE, .mtime_s = 2 },
};

static int64_t fake_now(void)
{
	return now_ns;
}

static void backup(size_t count)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	now_ns += DAY_NS;
	cr_assert(eq(int, vault_fixture_backup(&f, files, count, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	now_ns = INT64_C(1767225600) * 1000000000;
	(void)env_swap(&ops);
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++) {
		vault_fixture_noise(noise[i], BIG, i + 1);
		files[i].data = noise[i];
		files[i].len = i == 0 ? BIG / 2 : BIG; /* what goes is the larger part */
	}
	backup(2);
}

static void teardown(void)
{
	vault_fixture_done(&f);
	collect_sights_done(&sights);
	(void)env_swap(NULL);
}

TestSuite(collect_end, .init = setup, .fini = teardown);

static int collect(struct err *err)
{
	struct collect_result r;
	const struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = COLLECT_GRACE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	return collect_run(f.vault, &opts, &r, err);
}

static int tally(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	++*(int *)arg;
	return 0;
}

static int count(const char *prefix)
{
	int n = 0;
	cr_assert(eq(int, store_list(f.store, prefix, tally, &n, NULL), 0));
	return n;
}

static void expect_newest(void)
{
	const char *why = vault_fixture_differs(f.store, f.rk_sk, 0, files, 1);
	cr_expect(why == NULL, "%s", why);
}

/* A dd/ object says that the newest snapshot's reference list is to go. */
static void bury_needed(void)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct collect_list l = { .type = COLLECT_LIST_DEAD, .count = 1, .wall_ns = 1 };
	char name[COLLECT_LIST_NAME_BYTES];
	struct buf object = BUF_INIT(1 << 20);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	l.items = calloc(1, sizeof(*l.items));
	l.items[0].class = COLLECT_LIST_REFS;
	l.items[0].cause = COLLECT_LIST_UNUSED;
	memcpy(l.items[0].hash, list.at[list.count - 1].body.segments[0].rf, 32);
	snapshot_list_done(&list);
	cr_assert(
		eq(int, collect_list_seal(&l, vault_sealed_key(f.vault), &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	collect_list_done(&l);
	buf_done(&object);
}

/* Packs that are dead and wait for the end of their grace. */
static void bury_first(void)
{
	static const struct prune_opts prune = { .cause = PRUNE_ORDER_RETENTION };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	backup(1);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	cr_assert(eq(int, prune_snapshots(f.vault, &prune, &going, 1, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
	cr_assert(eq(int, collect(&err), 0), "%s", err.msg);
	cr_assert(eq(int, count("dd/"), 1));
}

Test(collect_end, a_list_that_is_refused_ends_no_other)
{
	struct err err = ERR_INIT;
	bury_first();
	bury_needed();
	int packs = count("pk/");
	now_ns += COLLECT_GRACE_NS;
	cr_expect(eq(int, collect(&err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "'rf/"), NULL), "%s", err.msg);
	cr_expect(eq(int, count("dd/"), 1));
	cr_expect(eq(int, count("rf/"), 1));
	cr_expect(lt(int, count("pk/"), packs));
	expect_newest();
}

static char other[STORE_MAX_NAME_BYTES + 1]; /* the data pack that stays */

static int rot_footer(void *arg, const char *name, uint64_t size)
{
	const struct collect_view *view = arg;
	uint8_t hash[32];
	cr_assert(eq(int, text_unhex(strrchr(name, '/') + 1, sizeof(hash), hash), 0));
	if (collect_view_is_dead(view, COLLECT_LIST_PACK, hash))
		return store_mem_flip(f.mem, name, size * 8 - 1, NULL);
	if (size > BIG / 2)
		(void)snprintf(other, sizeof(other), "%s", name);
	return 0;
}

/* The footers of dead packs rot in their grace. */
static void rot_dead(void)
{
	struct err err = ERR_INIT;
	struct collect_view view = { .count = 0 };
	bury_first();
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", rot_footer, &view, &err), 0));
	collect_view_done(&view);
	now_ns += COLLECT_GRACE_NS;
}

Test(collect_end, a_dead_pack_that_rots_in_its_grace_goes_all_the_same)
{
	struct err err = ERR_INIT;
	rot_dead();
	int packs = count("pk/");
	cr_expect(eq(int, collect(&err), 0), "%s", err.msg);
	cr_expect(lt(int, count("pk/"), packs));
	cr_expect(eq(int, count("dd/"), 0));
	expect_newest();
}

Test(collect_end, it_stays_while_anything_that_is_needed_has_no_home)
{
	struct err err = ERR_INIT;
	rot_dead();
	cr_assert(eq(int, store_remove(f.store, other, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	int packs = count("pk/");
	cr_expect(eq(int, collect(&err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "'pk/"), NULL), "%s", err.msg);
	cr_expect(eq(int, count("pk/"), packs));
	cr_expect(eq(int, count("dd/"), 1));
}
