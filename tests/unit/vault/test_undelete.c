#include "vault/undelete.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"
#include "vault/lock_keep.h"
#include "vault/snapshot.h"

#define DAY 86400

static struct locked_vault l;
static struct err err;
static const struct lock_keep_opts dry = { .is_dry_run = true };

static void teardown(void)
{
	locked_vault_done(&l);
}

TestSuite(undelete, .fini = teardown, .timeout = 120);

static void begin(bool has_policy)
{
	locked_vault_init(&l, has_policy);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
}

static struct undelete_result undelete(bool is_dry_run)
{
	const struct undelete_opts opts = { .is_dry_run = is_dry_run };
	struct undelete_result r;
	struct store *old = locked_vault_store(&l, true);
	struct store *now = locked_vault_store(&l, false);
	struct vault *v = NULL;
	cr_assert(eq(int, vault_fixture_open(old, l.f.rk_sk, &v, &err), 0), "%s", err.msg);
	cr_assert(eq(int, undelete_run(v, now, &opts, &r, &err), 0), "%s", err.msg);
	vault_close(v);
	store_free(old);
	store_free(now);
	return r;
}

static void expect_all(size_t first)
{
	struct store *s = locked_vault_store(&l, false);
	cr_expect(eq(int, vault_fixture_snapshots(s, l.f.rk_sk), 3 - (int)first));
	for (size_t i = first; i < 3; i++) {
		const char *differs = locked_vault_differs(&l, s, i - first, (int)i);
		cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%zu: %s", i, differs);
	}
	cr_expect(eq(int, vault_fixture_problems(s, l.f.rk_sk), 0));
	store_free(s);
}

/* Whoever has every right but time: all is overwritten, deleted, and deleted by version. */
Test(undelete, after_all_was_destroyed_every_snapshot_restores_and_the_vault_is_healed)
{
	begin(true);
	size_t kept = s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, true);
	cr_expect(ge(sz, kept, ((size_t)10) + 1));
	struct store *s = locked_vault_store(&l, false);
	cr_expect(eq(int, vault_fixture_snapshots(s, l.f.rk_sk), -1), "the vault is gone");
	store_free(s);
	s = locked_vault_store(&l, true);
	for (size_t i = 0; i < 3; i++) {
		const char *differs = locked_vault_differs(&l, s, i, (int)i);
		cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%zu: %s", i, differs);
	}
	store_free(s);
	struct undelete_result r = undelete(true);
	cr_expect(eq(u64, r.snapshots, (uint64_t)3));
	cr_expect(ge(u64, r.back, ((uint64_t)10) + 1));
	s = locked_vault_store(&l, false);
	cr_expect(eq(int, vault_fixture_snapshots(s, l.f.rk_sk), -1), "it was a dry run");
	store_free(s);
	uint64_t would = r.back;
	r = undelete(false);
	cr_expect(eq(u64, r.back, would));
	cr_expect(eq(u64, r.failed + r.missing + r.unread, (uint64_t)0));
	expect_all(0);
	cr_expect(eq(u64, undelete(false).back, (uint64_t)0), "again: nothing is left to do");
	vault_fixture_reopen(&l.f);
	cr_expect(eq(int, locked_vault_backup(&l, 7, &err), 0), "%s", err.msg);
}

Test(undelete, what_lies_over_an_object_and_is_still_to_be_read_goes_in_every_class)
{
	begin(true);
	static const char *const classes[] = { "pk/", "ix/", "rf/", "sn/", "cf/", "README" };
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		s3_stub_put(l.stub, locked_vault_key(&l, classes[i], 0), "encrypted", 9);
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.replaced, (uint64_t)6));
	cr_expect(eq(u64, r.removed, (uint64_t)0));
	expect_all(0);
}

Test(undelete, what_is_as_the_oldest_and_damaged_like_it_goes)
{
	begin(false);
	locked_vault_layer(&l, locked_vault_key(&l, "pk/", 0), true);
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.replaced, (uint64_t)1));
	cr_expect(eq(u64, r.failed + r.missing, (uint64_t)0));
	expect_all(0);
}

/* A repair put the right one over the damaged one; then somebody came. */
Test(undelete, a_snapshot_whose_oldest_object_or_list_is_damaged_is_not_passed_over)
{
	static const char *const classes[] = { "sn/", "rf/", "ev/", "cf/" };
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		begin(false);
		char key[256];
		(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, classes[i], 0));
		locked_vault_layer(&l, key, i % 2 == 1);
		(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, false);
		struct store *s = locked_vault_store(&l, true);
		for (size_t k = 0; k < 3; k++) {
			const char *differs = locked_vault_differs(&l, s, k, (int)k);
			cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s: %zu: %s",
				classes[i], k, differs);
		}
		store_free(s);
		struct undelete_result r = undelete(false);
		cr_expect(eq(u64, r.snapshots, (uint64_t)3), "%s", classes[i]);
		cr_expect(eq(u64, r.failed + r.missing + r.unread, (uint64_t)0), "%s", classes[i]);
		expect_all(0);
		locked_vault_done(&l);
	}
	locked_vault_init(&l, false); /* for the end */
}

Test(undelete, what_was_pruned_and_collected_stays_away)
{
	begin(true);
	struct collect_result c;
	locked_vault_prune(&l);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, locked_vault_collect(&l, 0, &c, &err), 0), "%s", err.msg);
	size_t packs = locked_vault_count(&l, "pk/");
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, true);
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.snapshots, (uint64_t)1));
	cr_expect(le(sz, locked_vault_count(&l, "pk/"), packs));
	expect_all(2);
}

Test(undelete, a_key_that_may_not_delete_versions_puts_the_bytes_over_what_came)
{
	begin(true);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, false);
	struct s3_stub_kind kind = {
		.has_versions = true, .has_lock = true, .may_not_purge = true
	};
	s3_stub_set_kind(l.stub, &kind);
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.failed, (uint64_t)0));
	expect_all(0);
	cr_expect(eq(u64, undelete(false).back, (uint64_t)0));
	for (int i = 0; i < 2; i++) { /* by tags, and by reading where there are none */
		struct lock_keep_result k;
		vault_fixture_reopen(&l.f);
		cr_assert(eq(int, lock_keep_run(l.f.store, l.f.vault, &dry, &k, &err), 0), "%s",
			err.msg);
		cr_expect(eq(u64, k.hidden, i == 0 ? (uint64_t)0 : (uint64_t)2),
			"texts tell nothing of their bytes");
		kind.sends_no_tags = true;
		s3_stub_set_kind(l.stub, &kind);
		cr_expect(eq(u64, undelete(false).back, (uint64_t)0));
	}
}

Test(undelete, what_could_not_be_brought_back_is_counted_and_is_by_the_next_run)
{
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "/pk/",
		.times = 1000,
		.status = 403,
		.code = "AccessDenied" };
	begin(true);
	size_t packs = locked_vault_count(&l, "pk/");
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, false);
	struct s3_stub_kind kind = {
		.has_versions = true, .has_lock = true, .may_not_purge = true
	};
	s3_stub_set_kind(l.stub, &kind);
	s3_stub_break(l.stub, &deny);
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.failed, (uint64_t)packs));
	cr_expect(ge(u64, r.back, ((uint64_t)3) + 1), "the others are");
	s3_stub_heal(l.stub);
	r = undelete(false);
	cr_expect(eq(u64, r.back, (uint64_t)packs));
	expect_all(0);
}

Test(undelete, rubbish_that_somebody_added_stops_nothing)
{
	begin(true);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX, false);
	static const char *const added[] = { "sn/ffffffffffff-00", "pk/aa/00", "ix/00", "gc/00",
		"hs/00", "pr/00" };
	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
		char key[128];
		(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "%s", added[i]);
		s3_stub_put(l.stub, key, "rubbish", 7);
	}
	struct undelete_result r = undelete(false);
	cr_expect(eq(u64, r.snapshots, (uint64_t)3));
	cr_expect(eq(u64, r.failed + r.missing, (uint64_t)0));
	cr_expect(ge(u64, r.unread, ((uint64_t)0) + 1));
}

Test(undelete, what_no_version_holds_any_more_is_counted)
{
	begin(false); /* no locks: the versions went, too */
	(void)s3_stub_destroy(l.stub, locked_vault_key(&l, "pk/", 0), true);
	struct undelete_result r = undelete(false);
	cr_expect(ge(u64, r.missing, ((uint64_t)0) + 1));
}

Test(undelete, what_has_no_right_version_left_is_no_success)
{
	begin(false);
	char keys[3][256];
	static const char *const classes[] = { "ev/", "pk/", "pk/" };
	for (size_t i = 0; i < 3; i++)
		(void)snprintf(
			keys[i], sizeof(keys[i]), "%s", locked_vault_key(&l, classes[i], i == 2));
	/* gone with every version; rubbish under a marker; rubbish over rubbish of its length */
	(void)s3_stub_destroy(l.stub, keys[0], true);
	struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	for (size_t i = 1; i < 3; i++) {
		buf_clear(&bytes);
		cr_assert(eq(int,
			store_get(l.f.store, keys[i] + strlen(LOCKED_VAULT_PREFIX), &bytes, &err),
			0));
		bytes.data[bytes.len / 2] ^= 1;
		(void)s3_stub_destroy(l.stub, keys[i], true);
		for (size_t k = 0; k < i; k++)
			s3_stub_put(l.stub, keys[i], bytes.data, bytes.len - k);
		if (i == 1)
			(void)s3_stub_destroy(l.stub, keys[i], false);
	}
	buf_done(&bytes);
	struct undelete_result r = undelete(true);
	cr_expect(eq(u64, r.failed, (uint64_t)3), "%llu", (unsigned long long)r.failed);
	cr_expect(eq(u64, undelete(false).failed, (uint64_t)3));
}

/* Between the attack and the healing a backup runs: it believes in nothing that is hidden. */
Test(undelete, a_backup_does_not_lean_on_what_lies_under_a_marker)
{
	begin(true);
	for (size_t i = locked_vault_count(&l, "pk/"); i > 0; i--)
		(void)s3_stub_destroy(l.stub, locked_vault_key(&l, "pk/", 0), false);
	cr_assert(eq(int, locked_vault_backup(&l, 9, &err), 0), "%s", err.msg);
	struct store *s = locked_vault_store(&l, false);
	const char *differs = locked_vault_differs(&l, s, 3, 9);
	cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s", differs);
	store_free(s);
}
