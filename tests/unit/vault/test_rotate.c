#include "vault/rotate.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/epoch.h"
#include "vault/slot.h"
#include "vault/snapshot.h"

#define BIG 300000

static struct vault_fixture f;
static uint8_t noise[2][BIG];
static struct fake_file day[2][3];

static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++) {
		vault_fixture_noise(noise[i], BIG, 9 + i);
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
			.len = BIG - 7 * i,
			.mtime_s = 6 + i };
	}
	cr_assert(eq(int, vault_fixture_backup(&f, day[0], 3, &r, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(rotate, .init = setup, .fini = teardown);

/* Open with the recovery key and rotate; the new writer key goes to ${w}. */
static int rotate(struct keyring_writer *w, struct err *err)
{
	struct keyring_root root;
	struct vault_keys keys;
	struct vault *v = NULL;
	int rc = vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, err);
	if (rc == 0)
		rc = vault_open(f.store, &keys, &v, err);
	if (rc == 0)
		rc = rotate_vault(v, &root, w, err);
	vault_close(v);
	return rc;
}

static void must_rotate(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, rotate(&f.keys.writer, &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
}

static void expect_whole(struct store *store, size_t nth, int n)
{
	const char *why = vault_fixture_differs(store, f.rk_sk, nth, day[n], 3);
	cr_expect(why == NULL, "snapshot %d: %s", (int)nth, why);
}

Test(rotate, old_and_new_snapshots_open_over_several_epochs)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	for (unsigned i = 2; i <= 4; i++) {
		must_rotate();
		cr_expect(eq(u32, f.keys.writer.kv_epoch, i));
		cr_assert(eq(int, vault_fixture_backup(&f, day[i % 2], 3, &r, &err), 0), "%s",
			err.msg);
		cr_expect(ge(u64, r.sent_data_records, 1)); /* dedup begins anew */
		cr_expect(eq(u64, r.seq, i));               /* the chain goes on */
	}
	cr_assert(eq(int, vault_fixture_backup(&f, day[0], 3, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.sent_data_records, 0)); /* and holds within an epoch */
	for (int i = 0; i < 4; i++)
		expect_whole(f.store, (size_t)i, i == 0 ? 0 : (i + 1) % 2);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(rotate, the_old_writer_key_opens_nothing_any_more)
{
	struct err err = ERR_INIT;
	struct keyring_writer old = f.keys.writer;
	struct vault_keys keys;
	struct vault *v = NULL;
	must_rotate();
	vault_keys_of_writer(&old, &keys);
	cr_expect(eq(int, vault_open(f.store, &keys, &v, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.hint, "key writer new"), NULL));
	cr_expect(ne(int, memcmp(old.k_mle, f.keys.writer.k_mle, 32), 0));
	cr_expect(ne(int, memcmp(old.k_cdc, f.keys.writer.k_cdc, 32), 0));
	const struct domain *d = vault_domain(f.vault);
	size_t active = 0;
	for (size_t i = 0; i < d->agent_count; i++)
		active += !d->agents[i].is_revoked;
	cr_expect(eq(sz, active, 1));
}

static int tell_first(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)snprintf(arg, 128, "%s", name);
	return 0;
}

static int find_link(void *arg, const char *name, uint64_t size)
{
	return size == SLOT_HFKP_BYTES ? tell_first(arg, name, size) : 0;
}

Test(rotate, without_the_slot_to_the_epoch_before_the_recovery_key_still_opens_all)
{
	struct err err = ERR_INIT;
	char name[128] = "";
	must_rotate();
	cr_assert(eq(int, store_list(f.store, "ks/", find_link, name, &err), 0));
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	expect_whole(f.store, 0, 0);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(rotate, a_vault_with_agents_of_a_controller_is_left_alone)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault_keys keys;
	struct keyring_writer w;
	static const uint8_t agent[16] = { 9 };
	static const uint8_t pk[32] = { 7 };
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	struct domain *d = (struct domain *)(uintptr_t)vault_domain(f.vault);
	cr_assert(eq(int, domain_add_agent(d, agent, pk, &err), 0));
	cr_expect(eq(int, rotate_vault(f.vault, &root, &w, &err), -ERR_UNSUPPORTED));
}

Test(rotate, a_header_of_an_older_epoch_than_the_key_is_told)
{
	struct err err = ERR_INIT;
	struct store_mem *left = NULL;
	struct store *before = NULL;
	struct vault_keys keys;
	struct vault *v = NULL;
	cr_assert(eq(int, store_mem_crash(f.mem, 0, &left, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, left, NULL, &before, &err), 0));
	must_rotate();
	vault_keys_of_writer(&f.keys.writer, &keys);
	cr_expect(eq(int, vault_open(before, &keys, &v, &err), -ERR_ROLLBACK));
	expect_whole(before, 0, 0); /* by the recovery key */
	store_free(before);
}

static uint64_t ops_of_a_run(void)
{
	uint64_t n;
	store_fault_reset(f.fault);
	must_rotate();
	n = store_fault_count(f.fault, STORE_FAULT_ANY);
	teardown();
	setup();
	return n;
}

/* By the recovery key, and by the old writer key or the new one. */
static void expect_usable(struct store *store, const struct keyring_writer *old, int n)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	struct vault *v = NULL;
	const char *why = vault_fixture_differs(store, f.rk_sk, 0, day[0], 3);
	cr_expect(why == NULL, "operation %d: %s", n, why);
	cr_expect(eq(int, vault_fixture_problems(store, f.rk_sk), 0), "operation %d", n);
	vault_keys_of_writer(old, &keys);
	int rc = vault_open(store, &keys, &v, &err);
	cr_expect(rc == 0 || rc == -ERR_AUTH, "operation %d: %s", n, err.msg);
	vault_close(v);
}

Test(rotate, a_crash_or_a_fault_at_every_operation_is_gone_on_from)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	uint64_t ops = ops_of_a_run();
	cr_assert(ge(u64, ops, 16));
	for (uint64_t n = 1; n <= 2 * ops; n++) {
		struct keyring_writer old = f.keys.writer;
		struct keyring_writer w;
		store_fault_reset(f.fault);
		if (n % 2 == 0)
			store_fault_crash(f.fault, (n + 1) / 2);
		else
			store_fault_fail(f.fault, STORE_FAULT_ANY, (n + 1) / 2, 1, ERR_NOSPACE);
		(void)rotate(&w, &err);
		for (uint64_t kept = 0; n % 2 == 0 && kept < 4; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			expect_usable(store, &old, (int)n);
			store_free(store);
		}
		store_fault_reset(f.fault);
		expect_usable(f.store, &old, (int)n);
		cr_assert(eq(int, rotate(&f.keys.writer, &err), 0), "operation %d: %s", (int)n,
			err.msg);
		vault_fixture_reopen(&f);
		cr_assert(eq(int, vault_fixture_backup(&f, day[1], 3, &r, &err), 0), "%s", err.msg);
		expect_whole(f.store, 0, 0);
		expect_whole(f.store, 1, 1);
		teardown();
		setup();
	}
}
