#include "vault/recovery_keys.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hpke.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/keyring.h"
#include "vault/rewrap.h"
#include "vault/rotate.h"
#include "vault/slot.h"
#include "vault/snaprec.h"

static struct vault_fixture f;
static uint8_t second[32], rkid[2][32]; /* the further key; the ids of both */
static struct fake_file files[] = {
	{ .path = "a",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)"4711",
		.len = 4,
		.mtime_s = 1 },
};

static void backup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	struct err err = ERR_INIT;
	uint8_t pk[32];
	vault_fixture_init(&f);
	cr_assert(eq(int, hpke_generate(second, pk, &err), 0));
	snaprec_rkid(pk, rkid[1]);
	hpke_public(f.rk_sk, pk);
	snaprec_rkid(pk, rkid[0]);
	backup();
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(recovery_keys, .init = setup, .fini = teardown);

/* Open with a recovery key alone. */
static int open_by(
	const uint8_t sk[32], struct keyring_root *root, struct vault **v, struct err *err)
{
	struct vault_keys keys;
	int rc = vault_keys_of_recovery(f.store, sk, root, &keys, err);
	return rc != 0 ? rc : vault_open(f.store, &keys, v, err);
}

static int add(const uint8_t by[32], const uint8_t sk[32], struct err *err)
{
	struct keyring_root root;
	struct vault *v = NULL;
	int rc = open_by(by, &root, &v, err);
	if (rc == 0)
		rc = recovery_keys_add(v, &root, sk, err);
	vault_close(v);
	return rc;
}

static int retire(const uint8_t by[32], const uint8_t id[32], struct err *err)
{
	struct keyring_root root;
	struct vault *v = NULL;
	int rc = open_by(by, &root, &v, err);
	if (rc == 0)
		rc = recovery_keys_retire(v, &root, id, err);
	vault_close(v);
	return rc;
}

static void must_add(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, add(f.rk_sk, second, &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
}

static void must_rewrap(const uint8_t sk[32])
{
	struct err err = ERR_INIT;
	const struct rewrap_opts opts = { .sk = sk };
	struct rewrap_result r;
	cr_assert(eq(int, rewrap_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(u64, r.bad, 0));
}

static const char *differs(const uint8_t sk[32], size_t nth)
{
	return vault_fixture_differs(f.store, sk, nth, files, 1);
}

Test(recovery_keys, a_further_one_opens_what_is_made_from_then_on_and_all_after_a_rewrap)
{
	must_add();
	backup();
	cr_expect(differs(second, 0) != NULL); /* it has no envelope yet */
	cr_expect(differs(second, 1) == NULL, "%s", differs(second, 1));
	must_rewrap(f.rk_sk);
	cr_expect(differs(second, 0) == NULL, "%s", differs(second, 0));
	cr_expect(differs(f.rk_sk, 0) == NULL);
	cr_expect(differs(f.rk_sk, 1) == NULL);
	cr_expect(eq(int, vault_fixture_problems(f.store, second), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
}

Test(recovery_keys, it_leads_to_the_same_officer_and_writer_as_the_first)
{
	struct err err = ERR_INIT;
	struct keyring_root a, b;
	struct vault *v = NULL;
	struct keyring_writer w;
	struct backup_result r;
	must_add();
	cr_assert(eq(int, open_by(f.rk_sk, &a, &v, &err), 0));
	vault_close(v);
	v = NULL;
	cr_assert(eq(int, open_by(second, &b, &v, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(a.k_dom, b.k_dom, 32), 0));
	cr_expect(eq(int, memcmp(a.domain_id, b.domain_id, 16), 0));
	cr_expect(eq(int, memcmp(a.agent_id, b.agent_id, 16), 0));
	cr_expect(eq(int, memcmp(a.officer_pk, b.officer_pk, 32), 0));
	cr_expect(ne(int, memcmp(a.rk_sk, b.rk_sk, 32), 0));
	/* a new host with the further key alone goes on in the chain */
	cr_assert(eq(int, vault_add_writer(v, &b, &w, &err), 0), "%s", err.msg);
	vault_close(v);
	f.keys.writer = w;
	vault_fixture_reopen(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.seq, 2));
	cr_expect(eq(u64, r.sent_data_records, 0));
}

Test(recovery_keys, no_key_is_retired_whose_snapshots_nobody_else_opens)
{
	struct err err = ERR_INIT;
	must_add();
	cr_expect(eq(int, retire(second, rkid[0], &err), -ERR_FAILED));
	cr_expect(strstr(err.hint, "rewrap") != NULL);
	cr_expect(eq(int, retire(second, rkid[1], &err), -ERR_USAGE)); /* not itself */
	cr_expect(eq(int, retire(second, second, &err), -ERR_NOT_FOUND));
	must_rewrap(f.rk_sk);
	cr_assert(eq(int, retire(second, rkid[0], &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
	cr_expect(eq(sz, vault_domain(f.vault)->recovery_count, 1));
}

Test(recovery_keys, a_retired_one_opens_what_was_and_nothing_new_and_signs_nothing)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault *v = NULL;
	uint8_t third[32], pk[32];
	must_add();
	must_rewrap(f.rk_sk);
	cr_assert(eq(int, retire(second, rkid[0], &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
	backup();
	cr_expect(differs(f.rk_sk, 0) == NULL, "%s", differs(f.rk_sk, 0));
	cr_expect(differs(f.rk_sk, 1) != NULL);
	cr_expect(differs(second, 0) == NULL);
	cr_expect(differs(second, 1) == NULL);
	cr_expect(eq(int, vault_fixture_problems(f.store, second), 0));
	cr_assert(eq(int, hpke_generate(third, pk, &err), 0));
	cr_expect(eq(int, add(f.rk_sk, third, &err), -ERR_AUTH));
	cr_expect(eq(int, add(second, third, &err), 0), "%s", err.msg);
	cr_assert(eq(int, open_by(f.rk_sk, &root, &v, &err), 0));
	cr_expect(eq(int, rotate_vault(v, &root, &f.keys.writer, &err), -ERR_AUTH));
	cr_expect(eq(u32, vault_sealed_key(v)->kv_epoch, 1));
	vault_close(v);
	v = NULL;
	/* the next rotation makes no slot for it */
	cr_assert(eq(int, open_by(second, &root, &v, &err), 0));
	cr_assert(eq(int, rotate_vault(v, &root, &f.keys.writer, &err), 0), "%s", err.msg);
	vault_close(v);
	v = NULL;
	cr_expect(ne(int, open_by(f.rk_sk, &root, &v, &err), 0));
	cr_assert(eq(int, open_by(third, &root, &v, &err), 0), "%s", err.msg);
	vault_close(v);
	vault_fixture_reopen(&f);
	backup();
	cr_expect(differs(third, 2) == NULL, "%s", differs(third, 2));
	cr_expect(differs(second, 0) == NULL, "%s", differs(second, 0));
}

static int find_link(void *arg, const char *name, uint64_t size)
{
	if (size == SLOT_HFKP_BYTES)
		(void)snprintf(arg, STORE_MAX_NAME_BYTES, "%s", name);
	return 0;
}

Test(recovery_keys, made_after_a_rotation_it_opens_every_epoch)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault *v = NULL;
	cr_assert(eq(int, open_by(f.rk_sk, &root, &v, &err), 0));
	cr_assert(eq(int, rotate_vault(v, &root, &f.keys.writer, &err), 0), "%s", err.msg);
	vault_close(v);
	vault_fixture_reopen(&f);
	backup();
	must_add();
	must_rewrap(f.rk_sk);
	cr_expect(differs(second, 0) == NULL, "%s", differs(second, 0));
	cr_expect(differs(second, 1) == NULL, "%s", differs(second, 1));
	/* by slots of its own, too: not by the link to the epoch before alone */
	char link[STORE_MAX_NAME_BYTES] = "";
	cr_assert(eq(int, store_list(f.store, "ks/", find_link, link, &err), 0));
	store_image_remove(f.store, link);
	cr_expect(differs(second, 0) == NULL, "%s", differs(second, 0));
}

static int find_root_slot(void *arg, const char *name, uint64_t size)
{
	if (size == SLOT_HFKR_BYTES)
		(void)snprintf(arg, STORE_MAX_NAME_BYTES, "%s", name);
	return 0;
}

Test(recovery_keys, with_its_slot_damaged_it_restores_and_signs_nothing)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault *v = NULL;
	char name[STORE_MAX_NAME_BYTES] = "";
	uint8_t third[32], pk[32];
	must_add();
	must_rewrap(f.rk_sk);
	cr_assert(eq(int, store_list(f.store, "ks/", find_root_slot, name, &err), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	cr_assert(eq(int, store_mem_flip(f.mem, name, 700, &err), 0));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 2)); /* it, and what it means */
	cr_expect(differs(second, 0) == NULL, "%s", differs(second, 0));
	cr_assert(eq(int, open_by(second, &root, &v, &err), 0), "%s", err.msg);
	cr_expect(eq(u32, vault_domain(v)->epoch, 0)); /* whose it is cannot be told */
	vault_close(v);
	cr_assert(eq(int, hpke_generate(third, pk, &err), 0));
	cr_expect(eq(int, add(second, third, &err), -ERR_CORRUPT));
	/* the first is as sure as ever */
	v = NULL;
	cr_assert(eq(int, open_by(f.rk_sk, &root, &v, &err), 0), "%s", err.msg);
	cr_expect(ge(u32, vault_domain(v)->epoch, 1));
	vault_close(v);
	/* gone altogether, a config that its own derived officer did not sign is refused */
	store_image_remove(f.store, name);
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 1));
	v = NULL;
	cr_expect(eq(int, open_by(second, &root, &v, &err), -ERR_AUTH));
}

Test(recovery_keys, a_crash_at_every_operation_leaves_a_vault_that_opens_and_may_be_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t n;
	int rc = -1;
	for (n = 1; rc != 0; n++) {
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = add(f.rk_sk, second, &err);
		for (uint64_t kept = 0; kept < 3; kept++) {
			struct store_mem *left = NULL;
			struct store *after = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &after, &err), 0));
			const char *why = vault_fixture_differs(after, f.rk_sk, 0, files, 1);
			cr_expect(why == NULL, "operation %d: %s", (int)n, why);
			store_free(after);
		}
		store_fault_reset(f.fault);
		int again = add(f.rk_sk, second, &err);
		cr_expect(again == 0 || again == -ERR_EXISTS, "operation %d: %s", (int)n, err.msg);
		vault_fixture_reopen(&f);
		cr_expect(eq(sz, vault_domain(f.vault)->recovery_count, 2));
		cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
		if (rc != 0) {
			teardown();
			setup();
		}
	}
	cr_expect(ge(u64, n, 9));
}
