#include "vault/hold.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

static struct vault_fixture f;
static struct store_driver shared;

static void keep(void *self)
{
	(void)self; /* the fixture's */
}

static struct store *second_store(bool is_read_only)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	struct store_opts opts = { .is_read_only = is_read_only };
	shared = *store_fault_driver(f.fault);
	shared.free = keep;
	cr_assert(eq(int, store_new(&shared, f.fault, &opts, &s, &err), 0));
	return s;
}

static size_t open_sessions(void)
{
	struct err err = ERR_INIT;
	struct collect_sessions s;
	struct collect_view view = { .count = 0 };
	size_t open = 0;
	cr_assert(eq(int, collect_sessions_load(f.vault, &s, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < s.count; i++)
		open += s.at[i].is_restore && collect_sessions_is_open(&s.at[i], &view);
	collect_sessions_done(&s);
	return open;
}

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(hold, .init = setup, .fini = teardown);

Test(hold, is_an_open_session_of_a_restore_until_its_end)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	uint8_t hash[32] = { 7 };
	cr_assert(eq(int, hold_begin(f.vault, second_store(false), hash, &h, &err), 0));
	cr_expect(eq(sz, open_sessions(), 1));
	hold_beat(h);
	cr_expect(eq(sz, open_sessions(), 1));
	hold_end(h);
	cr_expect(eq(sz, open_sessions(), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(hold, a_store_that_cannot_be_written_to_is_left_alone)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	uint8_t hash[32] = { 7 };
	cr_expect(eq(int, hold_begin(f.vault, second_store(true), hash, &h, &err), -ERR_READONLY));
	cr_expect(eq(ptr, (void *)h, NULL));
	hold_beat(NULL);
	hold_end(NULL);
	cr_expect(eq(sz, open_sessions(), 0));
}

/* ---- beside collection --------------------------------------------------------------------- */

#define S INT64_C(1000000000)
static struct env_ops ops;
static int64_t now_ns, mono_ns;

static int64_t fake_now(void)
{
	return now_ns;
}

static int64_t fake_mono(void)
{
	return mono_ns;
}

static struct collect_sights sights;

static void setup_waste(void)
{
	static uint8_t noise[300000];
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	now_ns = INT64_C(1767225600) * S;
	mono_ns = 1000 * S;
	(void)env_swap(&ops);
	for (int i = 0; i < 2; i++) {
		vault_fixture_noise(noise, sizeof(noise), 7 + (uint64_t)i);
		struct fake_file tree[] = {
			{ .path = "a",
				.kind = ENTRY_FILE,
				.data = noise,
				.len = sizeof(noise),
				.mtime_s = i },
		};
		now_ns += S;
		cr_assert(eq(int, vault_fixture_backup(&f, tree, 1, &r, &err), 0), "%s", err.msg);
	}
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	cr_assert(eq(int, prune_snapshots(f.vault, &opts, &going, 1, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
}

static void teardown_waste(void)
{
	collect_sights_done(&sights);
	(void)env_swap(NULL);
}

static struct collect_result collect_now(void)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	const struct collect_opts o = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	cr_assert(eq(int, collect_run(f.vault, &o, &r, &err), 0), "%s", err.msg);
	return r;
}

Test(hold, collection_without_a_grace_deletes_nothing_while_a_reader_goes_on, .init = setup_waste,
	.fini = teardown_waste)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	cr_assert(eq(int, hold_begin(f.vault, second_store(false), NULL, &h, &err), 0));
	for (int i = 0; i < 60; i++) { /* 50 hours */
		hold_beat(h);
		struct collect_result r = collect_now();
		cr_assert(eq(u64, r.waits, 1));
		cr_assert(eq(u64, r.deleted, 0));
		cr_assert(eq(u64, r.fenced, 0));
		mono_ns += 3000 * S;
	}
	hold_end(h);
	struct collect_result r = collect_now();
	cr_expect(eq(u64, r.waits, 0));
	cr_expect(ge(u64, r.deleted_bytes, 300001));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(hold, a_reader_that_died_is_given_up_after_a_day_of_silence, .init = setup_waste,
	.fini = teardown_waste)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	cr_assert(eq(int, hold_begin(f.vault, second_store(false), NULL, &h, &err), 0));
	cr_assert(eq(u64, collect_now().waits, 1));
	mono_ns += COLLECT_FENCE_NS - S;
	cr_assert(eq(u64, collect_now().waits, 1));
	mono_ns += S;
	struct collect_result r = collect_now();
	cr_expect(eq(u64, r.fenced, 1));
	cr_expect(ge(u64, r.deleted_bytes, 300001));
	hold_end(h);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(hold, the_store_that_is_held_is_known_by_its_marks)
{
	struct err err = ERR_INIT;
	struct hold *h = NULL;
	struct store_mem *mem = NULL;
	struct store *same = second_store(true), *other = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &other, &err), 0));
	cr_expect(eq(int, hold_refuse_same(NULL, same, &err), 0), "nobody holds it");
	cr_assert(eq(int, hold_begin(f.vault, second_store(false), NULL, &h, &err), 0));
	cr_expect(eq(int, hold_refuse_same(h, other, &err), 0));
	cr_expect(eq(int, hold_refuse_same(h, same, &err), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.msg, "the vault itself"), NULL), "%s", err.msg);
	hold_end(h);
	store_free(same);
	store_free(other);
}
