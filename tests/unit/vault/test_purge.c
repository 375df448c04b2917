#include "vault/purge.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"
#include "vault/lock_keep.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

#define DAY 86400
#define WEEK_NS (INT64_C(7) * DAY * 1000000000)

static struct locked_vault l;
static struct err err;
static const struct lock_keep_opts dry = { .is_dry_run = true };

static void teardown(void)
{
	locked_vault_done(&l);
}

TestSuite(purge, .fini = teardown, .timeout = 120);

static void begin(bool has_policy)
{
	locked_vault_init(&l, has_policy);
	for (int i = 0; i < 3; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
}

static struct collect_result collect(int64_t grace_ns)
{
	struct collect_result r;
	for (int i = 0; i < 3; i++) /* condemned, decided, deleted */
		cr_assert(eq(int, locked_vault_collect(&l, grace_ns, &r, &err), 0), "%s", err.msg);
	return r;
}

/* The newest, as the ${nth} there is. */
static void expect_whole(size_t nth)
{
	struct store *s = locked_vault_store(&l, false);
	const char *differs = locked_vault_differs(&l, s, nth, 2);
	cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s", differs);
	store_free(s);
}

/* What is in it nobody can say: perhaps what a snapshot needs. */
Test(purge, a_pack_that_nobody_knows_is_told_and_stays_with_all_its_versions)
{
	for (int i = 0; i < 2; i++) { /* with locks and without */
		begin(i == 1);
		locked_vault_prune(&l);
		char key[256];
		size_t len = strlen("no pack, and of no index");
		(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "pk/ab/ab%062d", 0);
		s3_stub_put(l.stub, key, "no pack, and of no index", len);
		s3_stub_age(l.stub, 30 * DAY);
		struct collect_result r = collect(0);
		cr_expect(eq(u64, r.unknown_packs, (uint64_t)1));
		cr_expect(eq(u64, r.unknown_bytes, (uint64_t)len));
		cr_expect(s3_stub_holds(l.stub, key, "no pack, and of no index", len));
		expect_whole(0);
		if (i == 0)
			locked_vault_done(&l);
	}
}

Test(purge, without_locks_no_version_and_no_marker_is_left_of_what_went)
{
	begin(false);
	locked_vault_prune(&l);
	(void)collect(0);
	/* every version is one that can be read, but for the driver's own */
	size_t own = s3_stub_objects(l.stub) - locked_vault_count(&l, "");
	cr_expect(ge(sz, s3_stub_versions(l.stub), s3_stub_objects(l.stub)));
	cr_expect(le(sz, s3_stub_versions(l.stub), s3_stub_objects(l.stub) + own + 6));
	expect_whole(0);
	struct collect_result r = collect(0);
	cr_expect(eq(u64, r.purge.purged, (uint64_t)0), "again: nothing is left to do");
}

Test(purge, what_is_locked_stays_until_then_and_is_told)
{
	begin(true);
	locked_vault_prune(&l);
	struct collect_result r = collect(0);
	cr_expect(ge(u64, r.purge.locked, ((uint64_t)3) + 1),
		"snapshots, envelopes, references, a pack");
	cr_expect(ge(u64, r.purge.locked_bytes, ((uint64_t)60000) + 1));
	int64_t days = (r.purge.locked_until_ns / 1000000000 - (int64_t)time(NULL)) / DAY;
	cr_expect(ge(i64, days, (int64_t)19));
	cr_expect(eq(u64, r.purge.refused, (uint64_t)0));
	expect_whole(0);
	size_t before = s3_stub_versions(l.stub);
	s3_stub_age(l.stub, 21 * DAY);
	r = collect(WEEK_NS);
	cr_expect(eq(u64, r.purge.locked, (uint64_t)0));
	cr_expect(lt(sz, s3_stub_versions(l.stub), before));
	expect_whole(0);
}

Test(purge, what_went_lately_stays_for_the_grace)
{
	struct collect_result r;
	begin(false);
	locked_vault_prune(&l);
	cr_assert(eq(int, locked_vault_collect(&l, WEEK_NS, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.purge.purged, (uint64_t)0));
	s3_stub_age(l.stub, 8 * DAY);
	cr_assert(eq(int, locked_vault_collect(&l, WEEK_NS, &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.purge.purged, ((uint64_t)3) + 1));
	expect_whole(0);
}

Test(purge, nothing_is_collected_while_a_snapshot_is_hidden_that_nobody_pruned)
{
	struct collect_result r;
	begin(false);
	s3_stub_age(l.stub, 30 * DAY);
	(void)s3_stub_destroy(l.stub, locked_vault_key(&l, "sn/", 2), false);
	s3_stub_age(l.stub, 30 * DAY);
	size_t before = s3_stub_versions(l.stub);
	cr_expect(eq(int, locked_vault_collect(&l, 0, &r, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "nobody pruned it"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "undelete"), NULL), "%s", err.hint);
	cr_expect(eq(sz, s3_stub_versions(l.stub), before), "also not what else is dead");
}

static void note_given_up(void *arg, const char *object)
{
	(void)snprintf(arg, 256, LOCKED_VAULT_PREFIX "%s", object);
}

Test(purge, a_hidden_snapshot_that_is_given_up_is_named_and_missed_by_nobody)
{
	struct collect_result r;
	struct lock_keep_result k;
	char named[256] = "";
	struct collect_opts o = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.is_dry_run = true,
		.accepts_gaps = true,
		.sights = &l.sights,
		.on_given_up = note_given_up,
		.arg = named };
	begin(true);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "sn/", 1));
	(void)s3_stub_destroy(l.stub, key, false);
	cr_assert(eq(int, lock_keep_run(l.f.store, l.f.vault, &dry, &k, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, k.hidden, ((uint64_t)0) + 1));
	cr_assert(eq(int, collect_run(l.f.vault, &o, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.given_up, (uint64_t)1));
	cr_expect(eq(str, named, key));
	cr_expect(eq(int, locked_vault_collect(&l, 0, &r, &err), -ERR_CORRUPT), "a dry run");
	o.is_dry_run = false;
	named[0] = '\0';
	cr_assert(eq(int, collect_run(l.f.vault, &o, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.given_up, (uint64_t)1));
	cr_expect(eq(str, named, key));
	r = collect(0);
	cr_expect(ge(u64, r.purge.locked, ((uint64_t)0) + 1));
	cr_assert(eq(int, lock_keep_run(l.f.store, l.f.vault, &dry, &k, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, k.hidden, (uint64_t)0), "its lock runs out");
	s3_stub_age(l.stub, 21 * DAY);
	r = collect(0);
	cr_expect(eq(u64, r.purge.locked, (uint64_t)0));
	cr_expect(eq(i64, s3_stub_locked(l.stub, key), (int64_t)0), "it is gone for good");
	expect_whole(1);
}

/* Two copies at once give a snapshot two objects; an order names one of them. */
Test(purge, the_other_object_of_a_snapshot_that_was_pruned_stops_nothing_and_goes)
{
	struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char prefix[32], name[VAULT_NAME_BYTES], key[256];
	begin(true);
	const char *first = locked_vault_key(&l, "sn/", 0) + strlen(LOCKED_VAULT_PREFIX);
	(void)snprintf(prefix, sizeof(prefix), "%.16s", first); /* sn/, the time, a dash */
	cr_assert(eq(int, vault_get_sealed(l.f.vault, SEALED_SNAPSHOT, first, &body, &err), 0));
	cr_assert(eq(int,
			  vault_put_sealed(l.f.vault->store, &l.f.vault->key, SEALED_SNAPSHOT,
				  prefix, body.data, body.len, name, NULL, &err),
			  0),
		"%s", err.msg);
	cr_assert(eq(int, store_barrier(l.f.vault->store, &err), 0));
	buf_done(&body);
	(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "%s", name);
	cr_assert(ge(i64, s3_stub_locked(l.stub, key), ((int64_t)0) + 1));
	locked_vault_prune(&l);
	cr_expect(eq(sz, locked_vault_count(&l, "sn/"), (size_t)1));
	(void)collect(0);
	s3_stub_age(l.stub, 11 * DAY);
	struct lock_keep_result k;
	int64_t until = s3_stub_locked(l.stub, key);
	cr_assert(eq(int, lock_keep_run(l.f.store, l.f.vault, NULL, &k, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, k.hidden, (uint64_t)0));
	cr_expect(eq(i64, s3_stub_locked(l.stub, key), until), "its lock runs out");
	s3_stub_age(l.stub, 10 * DAY);
	cr_expect(eq(u64, collect(0).purge.odd, (uint64_t)0));
	struct version_table t;
	cr_assert(eq(int, version_table_load(l.f.store, "sn/", &t, &err), 0));
	cr_expect(eq(sz, t.count, (size_t)1));
	version_table_done(&t);
	expect_whole(0);
}

Test(purge, a_pack_that_somebody_hid_and_snapshots_need_is_never_deleted)
{
	struct collect_result r;
	begin(false);
	s3_stub_age(l.stub, 30 * DAY);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	size_t packs = locked_vault_count(&l, "pk/");
	(void)s3_stub_destroy(l.stub, LOCKED_VAULT_PREFIX "pk/", false);
	s3_stub_age(l.stub, 30 * DAY);
	cr_assert(eq(int, locked_vault_collect(&l, 0, &r, &err), 0), "%s", err.msg);
	cr_expect(ge(u64, r.purge.odd, ((uint64_t)0) + 1));
	struct store *old = locked_vault_store(&l, true);
	const char *differs = locked_vault_differs(&l, old, 2, 2);
	cr_expect(eq(ptr, (void *)(uintptr_t)differs, NULL), "%s of %zu packs", differs, packs);
	store_free(old);
}

Test(purge, the_right_version_between_two_that_are_damaged_alike_stays)
{
	struct collect_result r;
	struct version_table t;
	const struct version_table_version *x = NULL;
	char key[256];
	begin(false);
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	locked_vault_layer(&l, key, true);
	s3_stub_age(l.stub, 30 * DAY);
	cr_assert(eq(int, locked_vault_collect(&l, 0, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.purge.odd, (uint64_t)1));
	cr_assert(eq(int, version_table_load(l.f.store, "pk/", &t, &err), 0));
	struct version_table_name found, *n = &found;
	cr_assert(version_table_find(&t, key + strlen(LOCKED_VAULT_PREFIX), n));
	cr_expect(eq(sz, n->real, (size_t)3));
	cr_assert(eq(int, version_table_true(l.f.store, &t, n, &x, &err), 0));
	cr_expect(ne(ptr, (void *)(uintptr_t)x, NULL));
	version_table_done(&t);
}

Test(purge, a_key_that_may_not_delete_versions_is_told_and_is_no_error)
{
	begin(false);
	locked_vault_prune(&l);
	struct s3_stub_kind kind = {
		.has_versions = true, .has_lock = true, .may_not_purge = true
	};
	s3_stub_set_kind(l.stub, &kind);
	unsigned before = s3_stub_count(l.stub, "DELETE", "versionId");
	struct collect_result r = collect(0);
	cr_expect(ge(u64, r.purge.refused, ((uint64_t)3) + 1));
	cr_expect(eq(u64, r.purge.purged, (uint64_t)0));
	cr_expect(eq(u64, (uint64_t)s3_stub_count(l.stub, "DELETE", "versionId") - before,
			  3 * r.purge.refused),
		"markers are not tried, where versions were refused");
	expect_whole(0);
}

Test(purge, a_key_that_may_not_list_versions_collects_as_where_there_are_none)
{
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "GET",
		.part = "versions",
		.times = 1000,
		.status = 403,
		.code = "AccessDenied" };
	begin(false);
	locked_vault_prune(&l);
	size_t packs = locked_vault_count(&l, "pk/");
	s3_stub_break(l.stub, &deny);
	struct collect_result r = collect(0);
	cr_expect(eq(u64, r.purge.purged + r.purge.refused, (uint64_t)0));
	cr_expect(eq(int, r.purge.why.code, (int)ERR_AUTH), "and it is told why");
	cr_expect(lt(sz, locked_vault_count(&l, "pk/"), packs));
	s3_stub_heal(l.stub);
	expect_whole(0);
}

Test(purge, what_was_put_over_an_object_is_told_and_what_a_repair_replaced_goes)
{
	struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	begin(false);
	char key[256];
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "rf/", 0));
	const char *name = key + strlen(LOCKED_VAULT_PREFIX);
	cr_assert(eq(int, store_get(l.f.store, name, &bytes, &err), 0));
	size_t before = s3_stub_versions(l.stub);
	s3_stub_put(l.stub, key, "damaged", 7);
	s3_stub_put(l.stub, key, bytes.data, bytes.len);
	cr_expect(eq(sz, s3_stub_versions(l.stub), before + 2));
	struct collect_result r;
	cr_assert(eq(int, locked_vault_collect(&l, 0, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, r.purge.odd, (uint64_t)0));
	cr_expect(s3_stub_holds(l.stub, key, bytes.data, bytes.len));
	struct version_table t;
	cr_assert(eq(int, version_table_load(l.f.store, "rf/", &t, &err), 0));
	struct version_table_name found, *n = &found;
	cr_assert(version_table_find(&t, name, n));
	cr_expect(eq(sz, n->count, (size_t)2), "what was damaged is gone, the oldest stays");
	version_table_done(&t);
	expect_whole(2);
	buf_done(&bytes);
}
