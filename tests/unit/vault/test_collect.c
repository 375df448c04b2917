#include "vault/collect.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "tests/lib/collect_days.h"
#include "vault/collect_list.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/session.h"
#include "vault/snapshot.h"

TestSuite(collect, .init = collect_days_setup, .fini = collect_days_teardown);

static void must_collect(struct collect_result *r, int64_t grace_ns)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_collect(r, grace_ns, &err), 0), "%s", err.msg);
}

static void expect_same(struct store *s, int nth, int n, const char *when, int at)
{
	const char *why = collect_days_differs(s, nth, n);
	cr_expect(eq(ptr, (void *)why, NULL), "%s %d: snapshot %d: %s", when, at, nth, why);
}

/* The same, and the whole vault verifies. */
static void expect_whole(struct store *s, int nth, int n, const char *when, int at)
{
	expect_same(s, nth, n, when, at);
	cr_expect(
		eq(int, vault_fixture_problems(s, collect_days_vault.rk_sk), 0), "%s %d", when, at);
}

static void put_off_all(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_put_off_all(&err), 0), "%s", err.msg);
}

Test(collect, a_vault_without_waste_is_left_as_it_is)
{
	struct collect_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	int before = collect_days_count(collect_days_vault.store, "");
	must_collect(&r, 0);
	cr_expect(eq(u64, r.condemned, 0));
	cr_expect(eq(u64, r.packs, 2));
	cr_expect(ge(u64, r.live_bytes, 900001));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, ""), before));
}

Test(collect, what_no_snapshot_needs_goes_after_the_grace)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0), "%s", err.msg);
	int packs = collect_days_count(collect_days_vault.store, "pk/");
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(ge(u64, r.condemned, 3)); /* packs, references */
	cr_expect(ge(u64, r.condemned_bytes, 600001));
	cr_expect(eq(u64, r.repacked, 1)); /* day 0's data: a third of it lives in day 3 */
	cr_expect(eq(u64, r.dead, r.condemned));
	cr_expect(eq(i64, r.next_ns, collect_days_now() + COLLECT_GRACE_NS));
	cr_expect(ge(int, collect_days_count(collect_days_vault.store, "pk/"),
		packs)); /* nothing is deleted yet */
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "dd/"), 1));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "gc/"), 0));
	expect_whole(collect_days_vault.store, 0, 3, "in the grace", 0);

	collect_days_pass(COLLECT_GRACE_NS - S);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(eq(u64, r.deleted, 0));
	collect_days_pass(S);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(ge(u64, r.deleted_bytes, 600001));
	cr_expect(eq(u64, r.dead, 0));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "dd/"), 0));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "rf/"), 1));
	expect_whole(collect_days_vault.store, 0, 3, "at the end", 0);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(eq(u64, r.condemned, 0));
	cr_expect(ge(u64, r.live_bytes * 10, (r.pack_bytes * 9) + 1));
}

Test(collect, a_dry_run_says_the_same_and_changes_nothing)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct collect_result dry;
	struct collect_opts opts = { .is_dry_run = true,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &collect_days_sights };
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0), "%s", err.msg);
	int before = collect_days_count(collect_days_vault.store, "");
	store_fault_reset(collect_days_vault.fault);
	cr_assert(eq(int, collect_run(collect_days_vault.vault, &opts, &dry, &err), 0), "%s",
		err.msg);
	cr_expect(eq(u64, store_fault_count(collect_days_vault.fault, STORE_FAULT_PUT), 0));
	cr_expect(eq(u64, store_fault_count(collect_days_vault.fault, STORE_FAULT_REMOVE), 0));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, ""), before));
	must_collect(&r, 0);
	cr_expect(eq(u64, dry.condemned, r.condemned));
	cr_expect(eq(u64, dry.condemned_bytes, r.condemned_bytes));
	cr_expect(eq(u64, dry.repacked_bytes, r.repacked_bytes));
}

Test(collect, many_small_packs_are_joined)
{
	struct collect_result r;
	static char text[80][400];
	for (int i = 0; i < 70; i++) {
		struct err err = ERR_INIT;
		struct backup_result b;
		(void)snprintf(text[i], sizeof(text[i]), "%d%400s", i, "x");
		struct fake_file tree[2] = { collect_days_tree[0][0],
			collect_days_file("plant/s", text[i], 400, i) };
		collect_days_pass(S);
		cr_assert(eq(int, vault_fixture_backup(&collect_days_vault, tree, 2, &b, &err), 0),
			"%s", err.msg);
	}
	cr_assert(eq(int, collect_days_count(collect_days_vault.store, "pk/"), 140));
	cr_assert(eq(int, collect_days_count(collect_days_vault.store, "ix/"), 70));
	must_collect(&r, 0);
	cr_expect(eq(u64, r.repacked, 140));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "pk/"), 2));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "ix/"), 1));
	cr_expect(eq(int,
		vault_fixture_problems(collect_days_vault.store, collect_days_vault.rk_sk), 0));
	cr_expect(eq(int,
		vault_fixture_snapshots(collect_days_vault.store, collect_days_vault.rk_sk), 70));
	cr_expect(le(int, collect_days_count(collect_days_vault.store, "se/"),
		2)); /* only of the newest */
}

/* ---- beside backups ------------------------------------------------------------------------ */

struct open_session {
	struct session *session;
	const struct port *port;
};

static void begin(struct open_session *o, const char *source)
{
	struct err err = ERR_INIT;
	struct port_base base;
	uint8_t source_id[16] = { 0 };
	memcpy(source_id, source, strlen(source) < 16 ? strlen(source) : 16);
	cr_assert(eq(int,
		session_new(collect_days_vault.vault, &collect_days_vault.host, &o->session, &err),
		0));
	o->port = session_port(o->session);
	cr_assert(eq(int,
		o->port->begin(o->port->self, collect_days_vault.keys.writer.agent_id, source_id,
			&base, &err),
		0));
}

Test(collect, an_open_session_holds_it_and_one_that_began_later_does_not)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct open_session early;
	struct open_session late;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	begin(&early, "early");
	put_off_all();
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 1));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "gc/"),
		2)); /* condemned, waits */
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "dd/"), 0));
	begin(&late, "late");
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 1));
	session_free(early.session);
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 0));
	cr_expect(ge(u64, r.deleted_bytes, 600001));
	session_free(late.session);
	expect_whole(collect_days_vault.store, 0, 3, "at the end", 0);
}

/* A source that answers for a tree, and does something else in the middle of its listing. */
static void (*meanwhile)(void);
static int (*inner_next)(void *self, struct source_item *out, struct err *err);

static int next_and_more(void *self, struct source_item *out, struct err *err)
{
	int rc = inner_next(self, out, err);
	if (rc == 0 && meanwhile != NULL) { /* the end of the list */
		void (*fn)(void) = meanwhile;
		meanwhile = NULL;
		fn();
	}
	return rc;
}

static int backup_while(int n, void (*fn)(void), struct backup_result *out)
{
	struct err err = ERR_INIT;
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	collect_days_pass(S);
	fake_source_init(&source, collect_days_tree[n], collect_days_files[n]);
	inner_next = source.source.next;
	source.source.next = next_and_more;
	meanwhile = fn;
	int rc = vault_fixture_run(&collect_days_vault, &opts, &source.source, out, &err);
	if (rc != 0)
		(void)fprintf(stderr, "  backup: %s\n", err.msg);
	return rc;
}

static struct collect_result met;

static void prune_and_collect_meanwhile(void);

static void collect_meanwhile(void)
{
	must_collect(&met, 0);
	cr_expect(ge(u64, met.deferred, 1)); /* what the session has put so far */
	cr_expect(eq(u64, met.condemned, 0));
}

static void collect_hard_meanwhile(void)
{
	cr_assert(eq(int, store_barrier(collect_days_vault.store, NULL),
		0)); /* as the session's next one */
	put_off_all();
	must_collect(&met, 0);
	cr_expect(ge(u64, met.condemned, 1));
}

static void half_way(void)
{
	cr_assert(eq(int, store_barrier(collect_days_vault.store, NULL), 0));
	collect_meanwhile();
}

/* A session that has stored much: more than a pack. */
static uint8_t large[40u << 20];

static void make_large(void)
{
	vault_fixture_noise(large, sizeof(large), 4711);
	collect_days_tree[1][2] = collect_days_file("plant/large", large, sizeof(large), 6);
	collect_days_files[1] = 3;
}

Test(collect, packs_of_an_open_session_are_put_off)
{
	struct backup_result r;
	make_large();
	cr_assert(eq(int, backup_while(1, half_way, &r), 0));
	must_collect(&met, 0);
	cr_expect(eq(u64, met.condemned, 0));
	cr_expect(eq(u64, met.deferred, 0));
	expect_whole(collect_days_vault.store, 0, 1, "at the end", 0);
}

Test(collect, what_a_session_under_way_commits_is_rescued)
{
	struct backup_result r;
	make_large();
	cr_assert(eq(int, backup_while(1, collect_hard_meanwhile, &r), 0));
	cr_expect(eq(u64, met.waits, 1));
	must_collect(&met, 0);
	cr_expect(ge(u64, met.rescued, 1));
	cr_expect(eq(u64, met.waits, 0));
	expect_whole(collect_days_vault.store, 0, 1, "at the end", 0);
}

/* Packs that were put off are condemned when the sessions of then are over, whoever is open now. */
Test(collect, what_a_killed_session_left_goes_while_others_run)
{
	struct err err = ERR_INIT;
	struct open_session other;
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	struct backup_result b;
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	make_large();
	fake_source_init(&source, collect_days_tree[1], collect_days_files[1]);
	store_fault_reset(collect_days_vault.fault);
	store_fault_fail(
		collect_days_vault.fault, STORE_FAULT_BARRIER, 3, 100, ERR_IO); /* at the commit */
	cr_expect(ne(
		int, vault_fixture_run(&collect_days_vault, &opts, &source.source, &b, &err), 0));
	store_fault_reset(collect_days_vault.fault);
	must_collect(&met, 0); /* the session that broke off looks open */
	for (int i = 0; i < 3; i++) {
		collect_days_pass(DAY);
		begin(&other, "other");
		must_collect(&met, 0);
		session_free(other.session);
	}
	must_collect(&met, 0);
	expect_whole(collect_days_vault.store, 0, 3, "at the end", 0);
	must_collect(&met, 0);
	cr_expect(lt(u64, met.pack_bytes, BIG + 300000));
}

Test(collect, a_pack_that_two_lists_let_live_is_used_again)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(1, prune_and_collect_meanwhile, &r), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	must_collect(&met, 0);
	expect_whole(collect_days_vault.store, 0, 1, "at the end", 0);
}

static void prune_and_collect_meanwhile(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_prune(1, &err), 0), "%s", err.msg);
	put_off_all();
	must_collect(&met, 0);
}

/* Day 0 is pruned and its packs condemned while a backup that got them as answers runs. */
Test(collect, records_answered_from_a_pruned_snapshot_are_rescued)
{
	struct backup_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(0, prune_and_collect_meanwhile, &r), 0));
	cr_expect(eq(u64, r.sent_data_records, 0));
	cr_expect(eq(u64, met.waits, 1));
	must_collect(&met, 0);
	cr_expect(ge(u64, met.rescued, 1));
	cr_expect(eq(u64, met.waits, 0));
	expect_whole(collect_days_vault.store, 1, 0, "at the end", 0);
	expect_whole(collect_days_vault.store, 0, 3, "at the end", 0);
}

Test(collect, a_session_that_begins_while_packs_are_condemned_stores_anew)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct open_session holder;
	struct backup_result one;
	struct backup_result two;
	cr_assert(eq(int, collect_days_backup(0, &one), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	begin(&holder, "holder");
	put_off_all();
	must_collect(&r, 0);
	cr_assert(eq(u64, r.waits, 1));
	cr_assert(eq(int, collect_days_backup(0, &two), 0));
	cr_expect(eq(u64, two.sent_data_records, 2)); /* a is needed, and was repacked */
	session_free(holder.session);
	must_collect(&r, 0);
	expect_whole(collect_days_vault.store, 1, 0, "at the end", 0);
}

static struct open_session last_holder;

static void collect_to_the_end_meanwhile(void)
{
	session_free(last_holder.session);
	must_collect(&met, 0);
	cr_expect(ge(u64, met.deleted_bytes, BIG + 1));
}

/* Nobody waits for a session that began after the list: what it uses must not be on it. */
Test(collect, a_session_that_began_later_uses_nothing_that_is_condemned)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	begin(&last_holder, "holder");
	put_off_all();
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	cr_assert(eq(int, backup_while(0, collect_to_the_end_meanwhile, &r), 0));
	expect_whole(collect_days_vault.store, 1, 0, "at the end", 0);
}

static void fence_meanwhile(void)
{
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	collect_days_pass(DAY - S);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 0));
	collect_days_pass(S);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 1));
	cr_assert(eq(u64, met.waits, 0));
}

static void prune_and_fence_meanwhile(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect_days_prune(1, &err), 0), "%s", err.msg);
	put_off_all();
	fence_meanwhile();
}

/* The snapshot object is put, the fence is seen, nothing is acknowledged. */
Test(collect, a_fenced_session_is_not_acknowledged_and_its_snapshot_is_void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(0, prune_and_fence_meanwhile, &r), -ERR_BUSY));
	expect_whole(collect_days_vault.store, 0, 3, "fenced", 0);
	cr_expect(eq(int,
		vault_fixture_snapshots(collect_days_vault.store, collect_days_vault.rk_sk), 1));
	cr_assert(eq(int, snapshot_list_all(collect_days_vault.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(sz, list.count, 2));
	cr_expect(eq(int, list.at[1].fate, SNAPSHOT_VOID));
	snapshot_list_done(&list);
	/* the chain goes on behind it, and then it goes */
	cr_assert(eq(int, collect_days_backup(2, &r), 0));
	cr_expect(eq(u64, r.seq, 4));
	expect_whole(collect_days_vault.store, 1, 2, "after", 0);
	must_collect(&met, 0);
	cr_expect(eq(u64, met.voided, 1));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "sn/"), 2));
	expect_whole(collect_days_vault.store, 1, 2, "at the end", 0);
	must_collect(&met, 0);
	must_collect(&met, 0);
	cr_expect(le(int, collect_days_count(collect_days_vault.store, "gc/"),
		1)); /* the verdict stays */
}

/* The end mark is lost (a crash just after the acknowledgement): the fence comes too late to take
 * anything away. */
Test(collect, an_acknowledged_snapshot_whose_session_is_fenced_later_stays)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	char name[64];
	char hex[33];
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(1, &r), 0));
	cr_assert(eq(int, snapshot_list(collect_days_vault.vault, NULL, NULL, &list, &err), 0));
	for (int i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", list.at[1].body.session[i]);
	snapshot_list_done(&list);
	(void)snprintf(name, sizeof(name), "se/%s-00000001", hex);
	cr_assert(eq(int, store_remove(collect_days_vault.store, name, &err), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	collect_days_pass(DAY);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 1));
	expect_whole(collect_days_vault.store, 0, 1, "fenced", 0);
	must_collect(&met, 0);
	expect_whole(collect_days_vault.store, 0, 1, "at the end", 0);
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "se/"),
		0)); /* the verdict says it all */
	cr_assert(eq(int, collect_days_backup(2, &r), 0));
	cr_expect(eq(u64, r.seq, 3));
}

Test(collect, a_session_that_gives_signs_of_life_is_never_fenced)
{
	struct err err = ERR_INIT;
	struct open_session o;
	uint8_t id[1][32] = { { 1 } };
	uint8_t present[1];
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, collect_days_backup(3, NULL), 0));
	cr_assert(eq(int, collect_days_prune(1, &err), 0));
	begin(&o, "slow");
	for (int i = 0; i < 60; i++) {
		cr_assert(eq(int,
			o.port->has(o.port->self, (const uint8_t(*)[32])id, 1, present, &err), 0));
		must_collect(&met, 0);
		cr_assert(eq(u64, met.waits, 1));
		cr_assert(eq(u64, met.fenced, 0));
		collect_days_pass(20 * HOUR);
	}
	session_free(o.session);
}

Test(collect, nothing_that_is_needed_is_deleted_whatever_a_list_says)
{
	struct err err = ERR_INIT;
	struct snapshot_list list;
	struct collect_list l = { .type = COLLECT_LIST_DEAD, .count = 1, .wall_ns = 1 };
	struct collect_result r;
	char name[COLLECT_LIST_NAME_BYTES];
	struct buf object = BUF_INIT(1 << 20);
	cr_assert(eq(int, collect_days_backup(0, NULL), 0));
	cr_assert(eq(int, snapshot_list(collect_days_vault.vault, NULL, NULL, &list, &err), 0));
	l.items = calloc(1, sizeof(*l.items));
	l.items[0].class = COLLECT_LIST_REFS;
	l.items[0].cause = COLLECT_LIST_UNUSED;
	memcpy(l.items[0].hash, list.at[0].body.segments[0].rf, 32);
	snapshot_list_done(&list);
	cr_assert(eq(int,
		collect_list_seal(
			&l, vault_sealed_key(collect_days_vault.vault), &object, name, &err),
		0));
	cr_assert(eq(
		int, store_put(collect_days_vault.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(collect_days_vault.store, &err), 0));
	cr_expect(eq(int, collect_days_collect(&r, 0, &err), -ERR_CORRUPT));
	cr_expect(eq(int, collect_days_count(collect_days_vault.store, "rf/"), 1));
	collect_list_done(&l);
	buf_done(&object);
}
