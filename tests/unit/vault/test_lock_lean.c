#include "vault/lock_lean.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"
#include "vault/version_table.h"

#define DAY 86400

static struct locked_vault l;
static struct err err;

static void teardown(void)
{
	locked_vault_done(&l);
}

TestSuite(lock_lean, .fini = teardown, .timeout = 120);

Test(lock_lean, packs_that_are_added_are_locked_and_each_once)
{
	struct lock_lean lean = { .set = NULL };
	locked_vault_init(&l, true);
	cr_assert(eq(int, locked_vault_backup(&l, 0, &err), 0), "%s", err.msg);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	uint8_t hash[32];
	cr_assert(version_table_hash(key, hash));
	s3_stub_age(l.stub, 11 * DAY);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, lock_lean_add(&lean, l.f.store, hash, &err), 0));
	cr_expect(eq(sz, lean.count, (size_t)1));
	unsigned before = s3_stub_count(l.stub, "PUT", "/pk/");
	lock_lean_keep(&lean, l.f.store);
	cr_expect(ge(i64, s3_stub_locked(l.stub, key), ((int64_t)time(NULL) + 19 * DAY) + 1));
	cr_expect(eq(uint, s3_stub_count(l.stub, "PUT", "/pk/"), before + 1));
	lock_lean_done(&lean);
}

Test(lock_lean, where_nothing_is_locked_nothing_is_kept)
{
	struct lock_lean lean = { .set = NULL };
	const uint8_t hash[32] = { 1 };
	locked_vault_init(&l, false);
	cr_expect(eq(int, lock_lean_add(&lean, l.f.store, hash, &err), 0));
	cr_expect(eq(sz, lean.count, (size_t)0));
	lock_lean_keep(&lean, l.f.store);
	lock_lean_done(&lean);
}

/* The records of a snapshot that was pruned are still stored: another host's backup leans on them,
 * and sees to it that their lock does not end a day later. */
Test(lock_lean, a_backup_locks_anew_what_it_finds_stored)
{
	locked_vault_init(&l, true);
	cr_assert(eq(int, locked_vault_backup(&l, 0, &err), 0), "%s", err.msg);
	cr_assert(eq(int, locked_vault_backup(&l, 1, &err), 0), "%s", err.msg);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	locked_vault_prune(&l);
	s3_stub_age(l.stub, 19 * DAY);
	unsigned before = s3_stub_count(l.stub, "PUT", "retention");
	cr_assert(eq(int, locked_vault_backup(&l, 0, &err), 0), "%s", err.msg);
	cr_expect(ge(uint, s3_stub_count(l.stub, "PUT", "retention"), before + 1));
}
