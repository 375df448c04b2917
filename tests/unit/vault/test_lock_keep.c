#include "vault/lock_keep.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"
#include "vault/verify.h"
#include "vault/version_table.h"

#define DAY 86400
#define NS INT64_C(1000000000)

static struct locked_vault l;
static struct err err;

static void teardown(void)
{
	locked_vault_done(&l);
}

TestSuite(lock_keep, .fini = teardown, .timeout = 120);

static void begin(bool has_policy)
{
	locked_vault_init(&l, has_policy);
	for (int i = 0; i < 2; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
}

static struct lock_keep_result keep(bool is_dry_run)
{
	const struct lock_keep_opts opts = { .is_dry_run = is_dry_run };
	struct lock_keep_result r;
	cr_assert(eq(int, lock_keep_run(l.f.store, l.f.vault, &opts, &r, &err), 0), "%s", err.msg);
	return r;
}

static int64_t left(const char *key)
{
	int64_t until = s3_stub_locked(l.stub, key);
	return until == 0 ? 0 : until - (int64_t)time(NULL);
}

static bool is_about(int64_t got, int64_t want)
{
	return got > want - 60 && got < want + 60;
}

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
	cr_expect(le(u64, done, total));
	*(uint64_t *)arg = total;
}

/* Beside those for the list of versions. */
Test(lock_keep, each_object_is_one_request_and_a_look_at_some_is_bounded)
{
	uint64_t told = 0;
	struct lock_keep_opts opts = {
		.is_dry_run = true, .on_progress = note_progress, .arg = &told
	};
	struct lock_keep_result all, some;
	begin(true);
	for (int i = 2; i < 8; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
	unsigned before = s3_stub_count(l.stub, "GET", "versionId=");
	cr_assert(eq(int, lock_keep_run(l.f.store, NULL, &opts, &all, &err), 0), "%s", err.msg);
	unsigned requests = s3_stub_count(l.stub, "GET", "versionId=") - before;
	cr_expect(eq(u64, all.asked, all.objects));
	cr_expect(eq(u64, told, all.objects));
	cr_expect(ge(u64, all.objects, 32));
	cr_expect(eq(u64, requests, all.objects), "and those for the list");
	opts.most = 10;
	for (int i = 0; i < 5; i++) {
		before = s3_stub_count(l.stub, "GET", "versionId=");
		cr_assert(eq(int, lock_keep_run(l.f.store, NULL, &opts, &some, &err), 0));
		requests = s3_stub_count(l.stub, "GET", "versionId=") - before;
		cr_expect(eq(u64, some.asked, 10));
		cr_expect(eq(u64, some.locked, 10));
		cr_expect(eq(u64, told, 10));
		cr_expect(eq(u64, requests, 10));
		cr_expect(some.objects == all.objects && some.bytes == all.bytes);
	}
	/* what is odd by the list of versions is seen with or without a look */
	s3_stub_put(l.stub, locked_vault_key(&l, "pk/", 0), "rubbish", 7);
	cr_assert(eq(int, lock_keep_run(l.f.store, NULL, &opts, &some, &err), 0));
	cr_expect(eq(u64, some.hidden, 1));
	/* and what was put there is read only of those that are asked for */
	for (unsigned i = 1; i < 6; i++)
		s3_stub_put(l.stub, locked_vault_key(&l, "pk/", i), "rubbish", 7);
	opts.most = 1;
	before = s3_stub_count(l.stub, "GET", "versionId=");
	cr_assert(eq(int, lock_keep_run(l.f.store, NULL, &opts, &some, &err), 0));
	cr_expect(eq(u64, some.hidden, 6));
	cr_expect(le(uint, s3_stub_count(l.stub, "GET", "versionId=") - before, 4));
}

Test(lock_keep, what_a_restore_needs_is_put_locked_and_what_passes_is_not)
{
	begin(true);
	static const char *const locked[] = { "README", "vh/", "ks/", "cf/", "pk/", "rf/", "ev/",
		"sn/" };
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		cr_expect(is_about(left(locked_vault_key(&l, locked[i], 0)), 20 * DAY), "%s",
			locked[i]);
	cr_expect(eq(i64, left(locked_vault_key(&l, "se/", 0)), (int64_t)0));
	cr_expect(eq(i64, left(locked_vault_key(&l, "ix/", 0)), (int64_t)0));
	struct lock_keep_result r = keep(true);
	cr_expect(eq(u64, r.locked, r.objects));
	cr_expect(eq(u64, r.unlocked + r.ending + r.extended + r.hidden, (uint64_t)0));
	cr_expect(is_about(r.earliest_ns / NS - (int64_t)time(NULL), 20 * DAY));
	size_t all = locked_vault_count(&l, "") - locked_vault_count(&l, "se/") -
		     locked_vault_count(&l, "ix/");
	cr_expect(eq(u64, r.objects, (uint64_t)all));
}

Test(lock_keep, locks_are_made_anew_before_they_end_and_once)
{
	begin(true);
	s3_stub_age(l.stub, 9 * DAY);
	cr_expect(eq(u64, keep(false).extended, (uint64_t)0), "there are 11 days left");
	s3_stub_age(l.stub, 2 * DAY);
	struct lock_keep_result r = keep(true);
	cr_expect(eq(u64, r.ending, r.objects));
	cr_expect(is_about(left(locked_vault_key(&l, "pk/", 0)), 9 * DAY), "it was a dry run");
	r = keep(false);
	cr_expect(eq(u64, r.extended, r.objects));
	cr_expect(is_about(left(locked_vault_key(&l, "pk/", 0)), 20 * DAY));
	cr_expect(is_about(left(locked_vault_key(&l, "sn/", 1)), 20 * DAY));
	r = keep(false);
	cr_expect(eq(u64, r.extended, (uint64_t)0), "again: nothing is left to do");
	cr_expect(eq(u64, r.locked, r.objects));
}

Test(lock_keep, a_vault_that_was_made_without_is_locked_when_somebody_says_so)
{
	const struct store_lock lock = { STORE_LOCK_GOVERNANCE, 10 * DAY * NS };
	struct lock_keep_result r;
	begin(false);
	cr_expect(eq(int, lock_keep_run(l.f.store, l.f.vault, NULL, &r, &err), -ERR_UNSUPPORTED));
	cr_expect(ne(str, err.hint, ""));
	cr_assert(eq(int, store_set_lock(l.f.store, &lock, &err), 0), "%s", err.msg);
	r = keep(true);
	cr_expect(eq(u64, r.unlocked, r.objects));
	cr_expect(eq(i64, r.earliest_ns, (int64_t)0));
	r = keep(false);
	cr_expect(eq(u64, r.extended, r.objects));
	cr_expect(is_about(left(locked_vault_key(&l, "vh/", 0)), 20 * DAY));
}

Test(lock_keep, a_stronger_mode_is_brought_in_and_a_weaker_one_never)
{
	const struct store_lock weak = { STORE_LOCK_GOVERNANCE, 10 * DAY * NS };
	const struct store_lock strong = { STORE_LOCK_COMPLIANCE, 5 * DAY * NS };
	const struct s3_stub_kind may = {
		.has_versions = true, .has_lock = true, .may_bypass = true
	};
	begin(false);
	s3_stub_set_kind(l.stub, &may);
	cr_assert(eq(int, store_set_lock(l.f.store, &weak, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, keep(false).failed, (uint64_t)0));
	cr_assert(eq(int, store_set_lock(l.f.store, &strong, &err), 0), "%s", err.msg);
	struct lock_keep_result r = keep(false);
	cr_expect(eq(u64, r.ending, r.objects));
	cr_expect(eq(u64, r.extended, r.objects), "%s", r.why.msg);
	cr_expect(is_about(left(locked_vault_key(&l, "pk/", 0)), 20 * DAY), "and not for shorter");
	cr_assert(eq(int, store_set_lock(l.f.store, &weak, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, keep(false).extended, (uint64_t)0));
	s3_stub_age(l.stub, 15 * DAY);
	r = keep(false);
	cr_expect(eq(u64, r.extended, r.objects), "%s", r.why.msg);
}

Test(lock_keep, what_no_snapshot_needs_any_more_is_left_to_run_out)
{
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "sn/", 0));
	uint64_t before = keep(true).objects;
	locked_vault_prune(&l);
	s3_stub_age(l.stub, 11 * DAY);
	struct lock_keep_result r = keep(false);
	cr_expect(lt(u64, r.extended, before));
	cr_expect(eq(u64, r.hidden, (uint64_t)0));
	cr_expect(is_about(left(key), 9 * DAY), "the pruned one");
	cr_expect(is_about(left(locked_vault_key(&l, "sn/", 0)), 20 * DAY), "the one that stays");
	size_t kept = 0;
	for (size_t i = 0; i < locked_vault_count(&l, "pk/"); i++)
		kept += is_about(left(locked_vault_key(&l, "pk/", i)), 20 * DAY);
	cr_expect(ge(sz, kept, ((size_t)0) + 1));
	cr_expect(lt(sz, kept, locked_vault_count(&l, "pk/")), "a pack is needed by nobody");
}

Test(lock_keep, what_somebody_removed_or_replaced_stays_locked_behind_that)
{
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "sn/", 0));
	s3_stub_age(l.stub, 11 * DAY);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX "sn/", false);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX "pk/", false);
	struct lock_keep_result r = keep(false);
	cr_expect(ge(u64, r.hidden, ((uint64_t)3) + 1));
	cr_expect(eq(u64, r.failed, (uint64_t)0));
	cr_expect(is_about(left(key), 20 * DAY));
}

Test(lock_keep, packs_alone_that_somebody_removed_stay_locked)
{
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	s3_stub_age(l.stub, 11 * DAY);
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX "pk/", false);
	struct lock_keep_result r = keep(false);
	cr_expect(not(r.is_all));
	cr_expect(ge(u64, r.hidden, ((uint64_t)0) + 1));
	cr_expect(is_about(left(key), 20 * DAY));
}

/* An envelope is named, and read by restores alone. */
Test(lock_keep, an_envelope_alone_that_somebody_removed_stays_locked)
{
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "ev/", 0));
	s3_stub_age(l.stub, 11 * DAY);
	(void)s3_stub_destroy(l.stub, key, false);
	struct lock_keep_result r = keep(false);
	cr_expect(not(r.is_all));
	cr_expect(eq(u64, r.hidden, (uint64_t)1));
	cr_expect(is_about(left(key), 20 * DAY));
}

Test(lock_keep, a_pack_under_something_shorter_stays_locked)
{
	begin(true);
	size_t packs = locked_vault_count(&l, "pk/");
	s3_stub_age(l.stub, 11 * DAY);
	for (size_t i = 0; i < packs; i++)
		s3_stub_put(l.stub, locked_vault_key(&l, "pk/", i), "rubbish", 7);
	struct lock_keep_result r = keep(false);
	cr_expect(not(r.is_all));
	cr_expect(eq(u64, r.hidden, (uint64_t)packs));
	for (size_t i = 0; i < packs; i++)
		cr_expect(is_about(left(locked_vault_key(&l, "pk/", i)), 20 * DAY));
}

/* The oldest and the newest are the same there, and neither is right. */
Test(lock_keep, what_hashes_to_its_name_is_locked_and_not_what_a_repair_replaced)
{
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, 10 * DAY * NS };
	for (int is_attacked = 0; is_attacked < 2; is_attacked++) {
		char key[256];
		begin(false);
		(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
		locked_vault_layer(&l, key, is_attacked == 1);
		cr_assert(eq(int, store_set_lock(l.f.store, &lock, &err), 0), "%s", err.msg);
		struct lock_keep_result r = keep(false);
		cr_expect(eq(u64, r.hidden, (uint64_t)is_attacked));
		cr_expect(eq(u64, r.failed, (uint64_t)0));
		cr_expect(eq(sz, s3_stub_destroy(l.stub, key, true), (size_t)1), "one is locked");
		struct version_table t;
		const struct version_table_version *x = NULL;
		cr_assert(eq(int, version_table_load(l.f.store, "pk/", &t, &err), 0));
		struct version_table_name found, *n = &found;
		cr_assert(version_table_find(&t, key + strlen(LOCKED_VAULT_PREFIX), n));
		cr_assert(eq(int, version_table_true(l.f.store, &t, n, &x, &err), 0));
		cr_expect(ne(ptr, (void *)(uintptr_t)x, NULL), "and it is the right one");
		version_table_done(&t);
		if (is_attacked == 0)
			locked_vault_done(&l);
	}
}

Test(lock_keep, a_vault_that_cannot_say_what_it_needs_keeps_everything)
{
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "sn/", 0));
	s3_stub_age(l.stub, 11 * DAY);
	s3_stub_put(l.stub, locked_vault_key(&l, "rf/", 0), "rubbish", 7);
	struct lock_keep_result r = keep(false);
	cr_expect(r.is_all);
	cr_expect(ne(str, r.why.msg, ""));
	cr_expect(is_about(left(key), 20 * DAY));
	s3_stub_age(l.stub, 11 * DAY);
	cr_assert(eq(int, lock_keep_run(l.f.store, NULL, NULL, &r, &err), 0), "%s", err.msg);
	cr_expect(is_about(left(key), 20 * DAY), "without a vault, too");
}

Test(lock_keep, locks_that_are_refused_are_counted_and_the_rest_is_done)
{
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "/pk/",
		.times = 1000,
		.status = 403,
		.code = "AccessDenied" };
	begin(true);
	s3_stub_age(l.stub, 11 * DAY);
	s3_stub_break(l.stub, &deny);
	struct lock_keep_result r = keep(false);
	cr_expect(ge(u64, r.failed, (uint64_t)1));
	cr_expect(eq(u64, r.failed + r.extended, r.objects));
	cr_expect(eq(int, r.why.code, (int)ERR_AUTH));
	cr_expect(eq(i64, r.earliest_ns, (int64_t)0));
	s3_stub_heal(l.stub);
	uint64_t failed = r.failed;
	cr_expect(eq(u64, keep(false).extended, failed), "the next run does what is left");
}

Test(lock_keep, a_store_that_locks_nothing_says_so)
{
	struct store_mem *mem = NULL;
	struct store *s = NULL;
	struct lock_keep_result r;
	locked_vault_init(&l, true);
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
	cr_expect(eq(int, lock_keep_run(s, NULL, NULL, &r, &err), -ERR_UNSUPPORTED));
	store_free(s);
}

static void count_locks(void *arg, const struct verify_finding *f)
{
	unsigned *count = arg;
	cr_expect(f->is_warning, "%s: %s", f->object, f->what);
	*count += strstr(f->what, "are not locked") != NULL;
}

Test(lock_keep, verify_tells_of_locks_that_are_not_there_unless_it_reads_a_part)
{
	const struct store_lock policy = { .mode = STORE_LOCK_COMPLIANCE,
		.keep_ns = LOCKED_VAULT_KEEP_S * NS };
	begin(false);
	cr_assert(eq(int, store_set_lock(l.f.store, &policy, &err), 0), "%s", err.msg);
	for (unsigned part = 0; part < 2; part++) {
		struct verify_result r;
		unsigned told = 0;
		const struct verify_opts opts = {
			.arg = &told, .on_finding = count_locks, .budget_percent = part * 50
		};
		cr_assert(eq(int, verify_run(l.f.vault, &opts, &r, &err), 0), "%s", err.msg);
		cr_expect(eq(uint, told, 1 - part));
	}
}
