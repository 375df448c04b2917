#include "controller/maintenance_run.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"
#include "store/store.h"
#include "tests/lib/gateway_fixture.h"
#include "tests/lib/locked_vault.h"
#include "vault/collect.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

#define S INT64_C(1000000000)

static struct gateway_fixture f;
static struct env_ops ops;
static int64_t ahead_ns;
static struct maintenance_run run;
static struct collect_sights sights;
static struct retention_conf rule;
static char ages[128];
static struct err err;

static int64_t fake_now(void)
{
	return env_real()->now_ns() + ahead_ns;
}

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	ahead_ns = 0;
	(void)env_swap(&ops);
	gateway_fixture_init(&f);
	(void)snprintf(ages, sizeof(ages), "%s.verified", f.dir); /* fits */
}

static void again(enum msg_verb verb)
{
	run.rules = (struct retention_conf_list){ .at = NULL }; /* the test's own */
	maintenance_run_done(&run);
	memset(&run, 0, sizeof(run));
	err_clear(&err);
	run.verb = verb;
	run.ages = ages;
	run.sights = &sights;
	run.rules = (struct retention_conf_list){ .at = &rule, .count = 1 };
	rule.policy.last = 2;
}

static void teardown(void)
{
	again(MSG_VERB_SCRUB);
	run.rules.at = NULL;
	collect_sights_done(&sights);
	gateway_fixture_done(&f);
	(void)unlink(ages);
	(void)env_swap(NULL);
}

TestSuite(maintenance_run, .init = setup, .fini = teardown);

static void back_up(const char *source)
{
	static int n;
	char text[32];
	struct backup_result r;
	(void)snprintf(text, sizeof(text), "batch %d complete\n", n++);
	const struct fake_file file = { .path = "a.evt",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)text,
		.len = strlen(text),
		.mtime_s = n };
	ahead_ns += S;
	cr_assert(
		eq(int, gateway_fixture_direct(&f, source, &file, 1, &r, &err), 0), "%s", err.msg);
}

static int go(void)
{
	return maintenance_run_do(&run, &f.vault, &err);
}

static size_t snapshots(void)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct snapshot_list list;
	cr_assert(eq(int, gateway_vault_open(&f.vault, true, &store, &vault, &err), 0));
	cr_assert(eq(int, snapshot_list(vault, NULL, NULL, &list, &err), 0));
	const size_t n = list.count;
	snapshot_list_done(&list);
	vault_close(vault);
	store_free(store);
	return n;
}

Test(maintenance_run, a_preview_says_what_goes_and_why_and_changes_nothing)
{
	for (int i = 0; i < 5; i++)
		back_up("a");
	again(MSG_VERB_RETENTION);
	run.is_preview = true;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_assert(eq(sz, run.row_count, 5));
	size_t going = 0;
	for (size_t i = 0; i < 5; i++)
		going += run.rows[i].has_rule && run.rows[i].why == 0;
	cr_expect(eq(sz, going, 3));
	cr_expect(ne(ptr, strstr(run.guards, "60 %"), NULL), "%s", run.guards);
	cr_expect(eq(sz, run.pruned_count, 0));
	cr_expect(eq(sz, snapshots(), 5));
}

Test(maintenance_run, a_large_part_goes_with_an_approval_only)
{
	for (int i = 0; i < 5; i++)
		back_up("a");
	again(MSG_VERB_RETENTION);
	cr_expect(eq(int, go(), -ERR_FAILED));
	cr_expect(eq(sz, snapshots(), 5));
	again(MSG_VERB_RETENTION);
	(void)snprintf(run.approval, sizeof(run.approval), "anna: line was rebuilt");
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(sz, run.pruned_count, 3));
	cr_expect(eq(sz, snapshots(), 2));
}

Test(maintenance_run, as_many_as_came_since_the_last_run_go_without)
{
	back_up("a");
	back_up("a");
	again(MSG_VERB_RETENTION);
	const int64_t since = env_now_ns();
	back_up("a");
	again(MSG_VERB_RETENTION);
	run.since_ns = since;
	cr_assert(eq(int, go(), 0), "%s", err.msg); /* a third of it */
	cr_expect(eq(sz, snapshots(), 2));
}

Test(maintenance_run, one_source_that_waits_for_an_approval_holds_no_other)
{
	for (int i = 0; i < 4; i++)
		back_up("a");
	const int64_t since = env_now_ns();
	for (int i = 0; i < 3; i++)
		back_up("b");
	again(MSG_VERB_RETENTION);
	run.since_ns = since;
	cr_expect(eq(int, go(), -ERR_FAILED));
	cr_expect(eq(sz, run.pruned_count, 1)); /* of b */
	cr_expect(ne(ptr, strstr(run.guards, "'a'"), NULL), "%s", run.guards);
	cr_expect(eq(sz, snapshots(), 6));
}

Test(maintenance_run, sources_without_a_rule_stay)
{
	for (int i = 0; i < 4; i++)
		back_up("a");
	again(MSG_VERB_RETENTION);
	rule.source = (char *)"other";
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(sz, snapshots(), 4));
	cr_expect(not(run.rows[0].has_rule));
	rule.source = NULL;
}

Test(maintenance_run, a_clock_far_behind_all_snapshots_wants_an_approval)
{
	for (int i = 0; i < 12; i++)
		back_up("a");
	again(MSG_VERB_RETENTION);
	rule.policy.last = 11; /* 8 % */
	ahead_ns += RETENTION_CLOCK_STEP_NS + 60 * S;
	cr_expect(eq(int, go(), -ERR_FAILED));
	cr_expect(eq(sz, snapshots(), 12));
	ahead_ns -= RETENTION_CLOCK_STEP_NS + 60 * S;
	again(MSG_VERB_RETENTION);
	rule.policy.last = 11;
	cr_expect(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(sz, snapshots(), 11));
}

Test(maintenance_run, a_store_that_went_back_loses_nothing)
{
	static const enum msg_verb verbs[] = { MSG_VERB_RETENTION, MSG_VERB_COLLECT };
	for (int i = 0; i < 3; i++)
		back_up("a");
	for (size_t i = 0; i < 2; i++) {
		again(MSG_VERB_RETENTION);
		run.is_preview = true;
		cr_assert(eq(int, go(), 0));
		struct maintenance_run_known *known = calloc(1, sizeof(*known));
		again(verbs[i]);
		run.known = known;
		run.known_count = 1;
		memset(known->source, 7, sizeof(known->source)); /* nothing of it is there */
		known->seq = 1;
		cr_expect(eq(int, go(), -ERR_ROLLBACK), "%s", err.msg);
		cr_expect(eq(sz, snapshots(), 3));
	}
}

static int open_locked(void *arg, bool is_read_only, struct store **out, struct err *e)
{
	(void)is_read_only;
	(void)e; /* it ends the test */
	*out = locked_vault_store(arg, false);
	return 0;
}

/* One snapshot that somebody deleted ends collection, and no lock. */
Test(maintenance_run, what_is_needed_stays_locked_also_when_nothing_may_be_collected)
{
	struct locked_vault l;
	struct keyring_root root;
	struct vault_keys keys;
	char key[256];
	locked_vault_init(&l, true);
	for (int i = 0; i < 2; i++)
		cr_assert(eq(int, locked_vault_backup(&l, i, &err), 0), "%s", err.msg);
	cr_assert(eq(int, vault_keys_of_recovery(l.f.store, l.f.rk_sk, &root, &keys, &err), 0));
	struct controller_keys ck = { .kv_epoch = keys.kv_epoch };
	memcpy(ck.vault_id, keys.vault_id, sizeof(ck.vault_id));
	memcpy(ck.k_vault, keys.k_vault, sizeof(ck.k_vault));
	memcpy(ck.officer_pk, root.officer_pk, sizeof(ck.officer_pk));
	const struct gateway_vault g = { .keys = &ck, .open_store = open_locked, .arg = &l };
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "pk/", 0));
	(void)s3_stub_destroy(l.stub, locked_vault_key(&l, "sn/", 1), false);
	for (size_t i = 0; i < 2; i++) { /* a hidden snapshot; and a store that went back */
		struct maintenance_run_known *known = calloc(1, sizeof(*known));
		again(MSG_VERB_COLLECT);
		if (i == 0) {
			free(known);
		} else {
			memset(known->source, 7, sizeof(known->source));
			known->seq = 1;
			run.known = known;
			run.known_count = 1;
		}
		s3_stub_age(l.stub, 11 * 86400);
		cr_expect(eq(int, maintenance_run_do(&run, &g, &err),
				  i == 0 ? -ERR_CORRUPT : -ERR_ROLLBACK),
			"%s", err.msg);
		int64_t left = s3_stub_locked(l.stub, key) - env_real()->now_ns() / S;
		cr_expect(ge(i64, left, ((int64_t)(20 * 86400 - 60)) + 1), "%zu", i);
	}
	locked_vault_done(&l);
}

Test(maintenance_run, collection_takes_back_what_retention_let_go)
{
	for (int i = 0; i < 4; i++)
		back_up("a");
	again(MSG_VERB_RETENTION);
	(void)snprintf(run.approval, sizeof(run.approval), "x");
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	again(MSG_VERB_COLLECT);
	run.grace_ns = COLLECT_GRACE_NS;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(ne(ptr, strstr(run.summary, "deleted 0 "), NULL), "%s", run.summary);
	again(MSG_VERB_COLLECT);
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_expect(eq(ptr, strstr(run.summary, "deleted 0 "), NULL), "%s", run.summary);
	again(MSG_VERB_SCRUB);
	cr_expect(eq(int, go(), 0), "%s", err.msg);
}

static char damaged[160];

static int choose_pack(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)snprintf(damaged, sizeof(damaged), "%s/%s", (const char *)arg, name); /* fits */
	return 1;
}

Test(maintenance_run, a_scrub_finds_damage_and_comes_back_to_it)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	back_up("a");
	again(MSG_VERB_SCRUB);
	run.older_than_ns = 3600 * S;
	cr_assert(eq(int, go(), 0), "%s", err.msg);
	cr_assert(eq(int, gateway_vault_open(&f.vault, true, &store, &vault, &err), 0));
	(void)store_list(store, "pk/", choose_pack, f.dir, &err); /* 1: one is enough */
	vault_close(vault);
	store_free(store);
	(void)chmod(damaged, 0600); /* packs are there to be read */
	FILE *file = fopen(damaged, "r+b");
	cr_assert(ne(ptr, file, NULL), "%s", damaged);
	(void)fseek(file, 20, SEEK_SET);
	int c = fgetc(file);
	(void)fseek(file, 20, SEEK_SET);
	(void)fputc(c ^ 1, file);
	(void)fclose(file);
	again(MSG_VERB_SCRUB);
	run.older_than_ns = 3600 * S;
	cr_expect(eq(int, go(), 0)); /* was read a moment ago */
	again(MSG_VERB_SCRUB);
	cr_expect(eq(int, go(), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "pk/"), NULL), "%s", err.msg);
	again(MSG_VERB_SCRUB);
	run.older_than_ns = 3600 * S;
	cr_expect(eq(int, go(), -ERR_CORRUPT)); /* what was damaged is read again */
}

Test(maintenance_run, what_is_stopped_changes_nothing_and_says_so)
{
	static const enum msg_verb verbs[] = { MSG_VERB_RETENTION, MSG_VERB_COLLECT,
		MSG_VERB_SCRUB };
	for (int i = 0; i < 4; i++)
		back_up("a");
	for (size_t i = 0; i < 3; i++) {
		again(verbs[i]);
		(void)snprintf(run.approval, sizeof(run.approval), "x");
		atomic_store(&run.is_stopped, true);
		cr_expect(eq(int, go(), -ERR_INTERRUPTED), "%s", err.msg);
		cr_expect(eq(sz, snapshots(), 4));
	}
}
