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
#include "tests/lib/vault_fixture.h"
#include "vault/collect_list.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/session.h"
#include "vault/snapshot.h"

#ifdef __SANITIZE_ADDRESS__ /* slow: lane-unit tries every operation */
#define STRIDE 5
#else
#define STRIDE 1
#endif

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)

static struct vault_fixture f;
static struct env_ops ops;
static int64_t now_ns, mono_ns;
static struct collect_sights sights;

static int64_t fake_now(void)
{
	return now_ns;
}

static int64_t fake_mono(void)
{
	return mono_ns;
}

static void pass(int64_t ns)
{
	now_ns += ns;
	mono_ns += ns;
}

#define BIG 300000
static uint8_t noise[4][BIG];

static struct fake_file file(const char *path, const void *data, size_t len, int64_t mtime)
{
	return (struct fake_file){
		.path = path, .kind = ENTRY_FILE, .data = data, .len = len, .mtime_s = mtime
	};
}

/* Four states of a plant: what is big in one of them is waste when it is gone. */
static struct fake_file day[4][5];
static size_t files[4];

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	now_ns = INT64_C(1767225600) * S;
	mono_ns = 1000 * S;
	(void)env_swap(&ops);
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 4; i++) {
		vault_fixture_noise(noise[i], BIG, 77 + i);
		day[i][0] =
			(struct fake_file){ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 };
		day[i][1] = file("plant/a", noise[0], BIG, 5);
		files[i] = 2;
	}
	day[0][files[0]++] = file("plant/b", noise[1], BIG, 5);
	day[0][files[0]++] = file("plant/c", noise[2], BIG, 5);
	day[1][files[1]++] = file("plant/d", noise[3], BIG, 6);
	day[2][files[2]++] = file("plant/e", noise[3], BIG / 2, 7);
	day[3][files[3]++] = file("plant/f", noise[1], 1000, 8);
}

static void teardown(void)
{
	vault_fixture_done(&f);
	collect_sights_done(&sights);
	(void)env_swap(NULL);
}

TestSuite(collect, .init = setup, .fini = teardown);

static int backup(int n, struct backup_result *r)
{
	struct err err = ERR_INIT;
	struct backup_result mine;
	pass(S);
	int rc = vault_fixture_backup(&f, day[n], files[n], r == NULL ? &mine : r, &err);
	if (rc != 0)
		(void)fprintf(stderr, "  backup: %s\n", err.msg);
	return rc;
}

/* Prune all but the newest ${keep}. */
static int prune(size_t keep, struct err *err)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list;
	const struct snapshot *going[256];
	size_t count = 0;
	int rc = prune_resume(f.vault, NULL, err);
	if (rc == 0)
		rc = snapshot_list(f.vault, NULL, NULL, &list, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i + keep < list.count; i++)
		going[count++] = &list.at[i];
	if (count > 0)
		rc = prune_snapshots(f.vault, &opts, going, count, err);
	snapshot_list_done(&list);
	return rc;
}

static int collect(struct collect_result *r, int64_t grace_ns, struct err *err)
{
	struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = grace_ns,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &sights };
	struct collect_result mine;
	return collect_run(f.vault, &opts, r == NULL ? &mine : r, err);
}

static void must_collect(struct collect_result *r, int64_t grace_ns)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, collect(r, grace_ns, &err), 0), "%s", err.msg);
}

static int note_pack(void *arg, const char *name, uint64_t size)
{
	uint8_t(*packs)[32] = arg;
	(void)size;
	return text_unhex(strrchr(name, '/') + 1, 32, packs[sights.pack_count++]);
}

/* As if every pack that is there had been put off, and the sessions of then were over: what follows
 * condemns also what an open session may be about to need. */
static void put_off_all(void)
{
	struct err err = ERR_INIT;
	static uint8_t packs[1024][32];
	sights.pack_count = 0;
	cr_assert(eq(int, store_list(f.store, "pk/", note_pack, packs, &err), 0));
	cr_assert(eq(int,
		collect_sights_defer(
			&sights, (const uint8_t(*)[32])packs, sights.pack_count, NULL, NULL, &err),
		0));
}

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)name;
	++*(int *)arg;
	return 0;
}

static int count(struct store *s, const char *prefix)
{
	int n = 0;
	return store_list(s, prefix, count_name, &n, NULL) == 0 ? n : -1;
}

static void expect_same(struct store *s, int nth, int n, const char *when, int at)
{
	const char *why = vault_fixture_differs(s, f.rk_sk, (size_t)nth, day[n], files[n]);
	cr_expect(eq(ptr, (void *)why, NULL), "%s %d: snapshot %d: %s", when, at, nth, why);
}

/* The same, and the whole vault verifies. */
static void expect_whole(struct store *s, int nth, int n, const char *when, int at)
{
	expect_same(s, nth, n, when, at);
	cr_expect(eq(int, vault_fixture_problems(s, f.rk_sk), 0), "%s %d", when, at);
}

Test(collect, a_vault_without_waste_is_left_as_it_is)
{
	struct collect_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	int before = count(f.store, "");
	must_collect(&r, 0);
	cr_expect(eq(u64, r.condemned, 0));
	cr_expect(eq(u64, r.packs, 2));
	cr_expect(gt(u64, r.live_bytes, 900000));
	cr_expect(eq(int, count(f.store, ""), before));
}

Test(collect, what_no_snapshot_needs_goes_after_the_grace)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0), "%s", err.msg);
	int packs = count(f.store, "pk/");
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(gt(u64, r.condemned, 2)); /* packs, references */
	cr_expect(gt(u64, r.condemned_bytes, 600000));
	cr_expect(eq(u64, r.repacked, 1)); /* day 0's data: a third of it lives in day 3 */
	cr_expect(eq(u64, r.dead, r.condemned));
	cr_expect(eq(i64, r.next_ns, now_ns + COLLECT_GRACE_NS));
	cr_expect(ge(int, count(f.store, "pk/"), packs)); /* nothing is deleted yet */
	cr_expect(eq(int, count(f.store, "dd/"), 1));
	cr_expect(eq(int, count(f.store, "gc/"), 0));
	expect_whole(f.store, 0, 3, "in the grace", 0);

	pass(COLLECT_GRACE_NS - S);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(eq(u64, r.deleted, 0));
	pass(S);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(gt(u64, r.deleted_bytes, 600000));
	cr_expect(eq(u64, r.dead, 0));
	cr_expect(eq(int, count(f.store, "dd/"), 0));
	cr_expect(eq(int, count(f.store, "rf/"), 1));
	expect_whole(f.store, 0, 3, "at the end", 0);
	must_collect(&r, COLLECT_GRACE_NS);
	cr_expect(eq(u64, r.condemned, 0));
	cr_expect(gt(u64, r.live_bytes * 10, r.pack_bytes * 9));
}

Test(collect, a_dry_run_says_the_same_and_changes_nothing)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct collect_result dry;
	struct collect_opts opts = {
		.is_dry_run = true, .repack_bytes = COLLECT_REPACK_BYTES, .sights = &sights
	};
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0), "%s", err.msg);
	int before = count(f.store, "");
	store_fault_reset(f.fault);
	cr_assert(eq(int, collect_run(f.vault, &opts, &dry, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_PUT), 0));
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_REMOVE), 0));
	cr_expect(eq(int, count(f.store, ""), before));
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
		struct fake_file tree[2] = { day[0][0], file("plant/s", text[i], 400, i) };
		pass(S);
		cr_assert(eq(int, vault_fixture_backup(&f, tree, 2, &b, &err), 0), "%s", err.msg);
	}
	cr_assert(eq(int, count(f.store, "pk/"), 140));
	cr_assert(eq(int, count(f.store, "ix/"), 70));
	must_collect(&r, 0);
	cr_expect(eq(u64, r.repacked, 140));
	cr_expect(eq(int, count(f.store, "pk/"), 2));
	cr_expect(eq(int, count(f.store, "ix/"), 1));
	cr_expect(eq(int, vault_fixture_problems(f.store, f.rk_sk), 0));
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 70));
	cr_expect(le(int, count(f.store, "se/"), 2)); /* only of the newest */
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
	cr_assert(eq(int, session_new(f.vault, &f.host, &o->session, &err), 0));
	o->port = session_port(o->session);
	cr_assert(eq(int,
		o->port->begin(o->port->self, f.keys.writer.agent_id, source_id, &base, &err), 0));
}

Test(collect, an_open_session_holds_it_and_one_that_began_later_does_not)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct open_session early;
	struct open_session late;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	begin(&early, "early");
	put_off_all();
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 1));
	cr_expect(eq(int, count(f.store, "gc/"), 2)); /* condemned, waits */
	cr_expect(eq(int, count(f.store, "dd/"), 0));
	begin(&late, "late");
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 1));
	session_free(early.session);
	must_collect(&r, 0);
	cr_expect(eq(u64, r.waits, 0));
	cr_expect(gt(u64, r.deleted_bytes, 600000));
	session_free(late.session);
	expect_whole(f.store, 0, 3, "at the end", 0);
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
	pass(S);
	fake_source_init(&source, day[n], files[n]);
	inner_next = source.source.next;
	source.source.next = next_and_more;
	meanwhile = fn;
	int rc = vault_fixture_run(&f, &opts, &source.source, out, &err);
	if (rc != 0)
		(void)fprintf(stderr, "  backup: %s\n", err.msg);
	return rc;
}

static struct collect_result met;

static void prune_and_collect_meanwhile(void);

static void collect_meanwhile(void)
{
	must_collect(&met, 0);
	cr_expect(gt(u64, met.deferred, 0)); /* what the session has put so far */
	cr_expect(eq(u64, met.condemned, 0));
}

static void collect_hard_meanwhile(void)
{
	cr_assert(eq(int, store_barrier(f.store, NULL), 0)); /* as the session's next one */
	put_off_all();
	must_collect(&met, 0);
	cr_expect(gt(u64, met.condemned, 0));
}

static void half_way(void)
{
	cr_assert(eq(int, store_barrier(f.store, NULL), 0));
	collect_meanwhile();
}

/* A session that has stored much: more than a pack. */
static uint8_t large[40u << 20];

static void make_large(void)
{
	vault_fixture_noise(large, sizeof(large), 4711);
	day[1][2] = file("plant/large", large, sizeof(large), 6);
	files[1] = 3;
}

Test(collect, packs_of_an_open_session_are_put_off)
{
	struct backup_result r;
	make_large();
	cr_assert(eq(int, backup_while(1, half_way, &r), 0));
	must_collect(&met, 0);
	cr_expect(eq(u64, met.condemned, 0));
	cr_expect(eq(u64, met.deferred, 0));
	expect_whole(f.store, 0, 1, "at the end", 0);
}

Test(collect, what_a_session_under_way_commits_is_rescued)
{
	struct backup_result r;
	make_large();
	cr_assert(eq(int, backup_while(1, collect_hard_meanwhile, &r), 0));
	cr_expect(eq(u64, met.waits, 1));
	must_collect(&met, 0);
	cr_expect(gt(u64, met.rescued, 0));
	cr_expect(eq(u64, met.waits, 0));
	expect_whole(f.store, 0, 1, "at the end", 0);
}

/* Packs that were put off are condemned when the sessions of then are over, whoever is open now. */
Test(collect, what_a_killed_session_left_goes_while_others_run)
{
	struct err err = ERR_INIT;
	struct open_session other;
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	struct backup_result b;
	cr_assert(eq(int, backup(3, NULL), 0));
	make_large();
	fake_source_init(&source, day[1], files[1]);
	store_fault_reset(f.fault);
	store_fault_fail(f.fault, STORE_FAULT_BARRIER, 3, 100, ERR_IO); /* at the commit */
	cr_expect(ne(int, vault_fixture_run(&f, &opts, &source.source, &b, &err), 0));
	store_fault_reset(f.fault);
	must_collect(&met, 0); /* the session that broke off looks open */
	for (int i = 0; i < 3; i++) {
		pass(DAY);
		begin(&other, "other");
		must_collect(&met, 0);
		session_free(other.session);
	}
	must_collect(&met, 0);
	expect_whole(f.store, 0, 3, "at the end", 0);
	must_collect(&met, 0);
	cr_expect(lt(u64, met.pack_bytes, BIG + 300000));
}

Test(collect, a_pack_that_two_lists_let_live_is_used_again)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(1, prune_and_collect_meanwhile, &r), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	must_collect(&met, 0);
	expect_whole(f.store, 0, 1, "at the end", 0);
}

static void prune_and_collect_meanwhile(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, prune(1, &err), 0), "%s", err.msg);
	put_off_all();
	must_collect(&met, 0);
}

/* Day 0 is pruned and its packs condemned while a backup that got them as answers runs. */
Test(collect, records_answered_from_a_pruned_snapshot_are_rescued)
{
	struct backup_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(0, prune_and_collect_meanwhile, &r), 0));
	cr_expect(eq(u64, r.sent_data_records, 0));
	cr_expect(eq(u64, met.waits, 1));
	must_collect(&met, 0);
	cr_expect(gt(u64, met.rescued, 0));
	cr_expect(eq(u64, met.waits, 0));
	expect_whole(f.store, 1, 0, "at the end", 0);
	expect_whole(f.store, 0, 3, "at the end", 0);
}

Test(collect, a_session_that_begins_while_packs_are_condemned_stores_anew)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct open_session holder;
	struct backup_result one;
	struct backup_result two;
	cr_assert(eq(int, backup(0, &one), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	begin(&holder, "holder");
	put_off_all();
	must_collect(&r, 0);
	cr_assert(eq(u64, r.waits, 1));
	cr_assert(eq(int, backup(0, &two), 0));
	cr_expect(eq(u64, two.sent_data_records, 2)); /* a is needed, and was repacked */
	session_free(holder.session);
	must_collect(&r, 0);
	expect_whole(f.store, 1, 0, "at the end", 0);
}

static struct open_session last_holder;

static void collect_to_the_end_meanwhile(void)
{
	session_free(last_holder.session);
	must_collect(&met, 0);
	cr_expect(gt(u64, met.deleted_bytes, BIG));
}

/* Nobody waits for a session that began after the list: what it uses must not be on it. */
Test(collect, a_session_that_began_later_uses_nothing_that_is_condemned)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	begin(&last_holder, "holder");
	put_off_all();
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	cr_assert(eq(int, backup_while(0, collect_to_the_end_meanwhile, &r), 0));
	expect_whole(f.store, 1, 0, "at the end", 0);
}

static void fence_meanwhile(void)
{
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	pass(DAY - S);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 0));
	pass(S);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 1));
	cr_assert(eq(u64, met.waits, 0));
}

static void prune_and_fence_meanwhile(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, prune(1, &err), 0), "%s", err.msg);
	put_off_all();
	fence_meanwhile();
}

/* The snapshot object is put, the fence is seen, nothing is acknowledged. */
Test(collect, a_fenced_session_is_not_acknowledged_and_its_snapshot_is_void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, backup_while(0, prune_and_fence_meanwhile, &r), -ERR_BUSY));
	expect_whole(f.store, 0, 3, "fenced", 0);
	cr_expect(eq(int, vault_fixture_snapshots(f.store, f.rk_sk), 1));
	cr_assert(eq(int, snapshot_list_all(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(sz, list.count, 2));
	cr_expect(eq(int, list.at[1].fate, SNAPSHOT_VOID));
	snapshot_list_done(&list);
	/* the chain goes on behind it, and then it goes */
	cr_assert(eq(int, backup(2, &r), 0));
	cr_expect(eq(u64, r.seq, 4));
	expect_whole(f.store, 1, 2, "after", 0);
	must_collect(&met, 0);
	cr_expect(eq(u64, met.voided, 1));
	cr_expect(eq(int, count(f.store, "sn/"), 2));
	expect_whole(f.store, 1, 2, "at the end", 0);
	must_collect(&met, 0);
	must_collect(&met, 0);
	cr_expect(le(int, count(f.store, "gc/"), 1)); /* the verdict stays */
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
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(1, &r), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	for (int i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", list.at[1].body.session[i]);
	snapshot_list_done(&list);
	(void)snprintf(name, sizeof(name), "se/%s-00000001", hex);
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	must_collect(&met, 0);
	cr_assert(eq(u64, met.waits, 1));
	pass(DAY);
	must_collect(&met, 0);
	cr_assert(eq(u64, met.fenced, 1));
	expect_whole(f.store, 0, 1, "fenced", 0);
	must_collect(&met, 0);
	expect_whole(f.store, 0, 1, "at the end", 0);
	cr_expect(eq(int, count(f.store, "se/"), 0)); /* the verdict says it all */
	cr_assert(eq(int, backup(2, &r), 0));
	cr_expect(eq(u64, r.seq, 3));
}

Test(collect, a_session_that_gives_signs_of_life_is_never_fenced)
{
	struct err err = ERR_INIT;
	struct open_session o;
	uint8_t id[1][32] = { { 1 } };
	uint8_t present[1];
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	begin(&o, "slow");
	for (int i = 0; i < 60; i++) {
		cr_assert(eq(int,
			o.port->has(o.port->self, (const uint8_t(*)[32])id, 1, present, &err), 0));
		must_collect(&met, 0);
		cr_assert(eq(u64, met.waits, 1));
		cr_assert(eq(u64, met.fenced, 0));
		pass(20 * HOUR);
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
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	l.items = calloc(1, sizeof(*l.items));
	l.items[0].class = COLLECT_LIST_REFS;
	l.items[0].cause = COLLECT_LIST_UNUSED;
	memcpy(l.items[0].hash, list.at[0].body.segments[0].rf, 32);
	snapshot_list_done(&list);
	cr_assert(
		eq(int, collect_list_seal(&l, vault_sealed_key(f.vault), &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	cr_expect(eq(int, collect(&r, 0, &err), -ERR_CORRUPT));
	cr_expect(eq(int, count(f.store, "rf/"), 1));
	collect_list_done(&l);
	buf_done(&object);
}

/* Of the puts that come first none succeeds: the room that is due is given back all the same. */
Test(collect, a_full_disk_gives_back_what_is_due)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	must_collect(&r, DAY); /* condemned and dead; not due yet */
	must_collect(&r, DAY);
	cr_assert(gt(u64, r.dead, 0));
	cr_assert(eq(int, backup(1, NULL), 0)); /* new waste */
	cr_assert(eq(int, backup(2, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	pass(2 * DAY);
	int packs = count(f.store, "pk/");
	store_fault_fail(f.fault, STORE_FAULT_PUT, 1, 1000000, ERR_NOSPACE);
	(void)collect(&r, DAY, &err);
	store_fault_reset(f.fault);
	cr_expect(lt(int, count(f.store, "pk/"), packs));
	must_collect(&r, DAY);
	expect_whole(f.store, 0, 2, "at the end", 0);
}

Test(collect, a_stray_file_among_the_lists_is_left_alone)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	cr_assert(eq(int, store_put(f.store, "gc/Thumbs.db", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	must_collect(&r, 0);
	must_collect(&r, 0);
	cr_expect(gt(u64, r.deleted, 0));
	cr_expect(eq(int, count(f.store, "gc/Thumbs.db"), 1));
}

Test(collect, what_cannot_be_read_stops_it)
{
	static const char *const classes[] = { "sn/", "rf/", "se/" };
	struct err err = ERR_INIT;
	struct collect_result r;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(1, &err), 0));
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		char name[128];
		(void)snprintf(name, sizeof(name), "%s%064d", classes[i], 1);
		if (i == 1) { /* a segment list that a snapshot names */
			struct snapshot_list list;
			cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
			(void)snprintf(name, sizeof(name), "rf/");
			for (int k = 0; k < 32; k++)
				(void)snprintf(name + 3 + 2 * k, 3, "%02x",
					list.at[0].body.segments[0].rf[k]);
			snapshot_list_done(&list);
			cr_assert(eq(int, store_mem_flip(f.mem, name, 999, &err), 0));
		} else {
			cr_assert(eq(int, store_put(f.store, name, "x", 1, &err), 0));
			cr_assert(eq(int, store_barrier(f.store, &err), 0));
		}
		int packs = count(f.store, "pk/");
		cr_expect(ne(int, collect(&r, 0, &err), 0), "%s", name);
		cr_expect(ge(int, count(f.store, "pk/"), packs));
		cr_expect(eq(int, count(f.store, "dd/"), 0));
		if (i == 1)
			cr_assert(eq(int, store_mem_flip(f.mem, name, 999, &err), 0));
		else
			cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	}
	must_collect(&r, 0);
	expect_whole(f.store, 0, 3, "at the end", 0);
}

Test(collect, a_snapshot_that_is_gone_without_having_been_pruned_stops_it_too)
{
	struct err err = ERR_INIT;
	struct collect_result r;
	struct snapshot_list list;
	CLEANUP(buf_done) struct buf lost = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	for (int i = 0; i < 4; i++)
		cr_assert(eq(int, backup(i, NULL), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const char *name = list.at[1].object;
	cr_assert(eq(int, store_get(f.store, name, &lost, &err), 0));
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	cr_expect(eq(int, collect(&r, 0, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "number 2"), NULL), "%s", err.msg);
	cr_expect(eq(int, count(f.store, "gc/") + count(f.store, "dd/"), 0));
	cr_assert(eq(int, store_put(f.store, name, lost.data, lost.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	must_collect(&r, 0); /* it is back */
	expect_whole(f.store, 1, 1, "at the end", 0);
	/* given up: what only it needed goes */
	cr_assert(eq(int, store_remove(f.store, name, &err), 0));
	struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.accepts_gaps = true,
		.sights = &sights };
	cr_assert(eq(int, collect_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	cr_expect(gt(u64, r.condemned, 0));
	expect_same(f.store, 0, 0, "at the end", 0);
	snapshot_list_done(&list);
}

struct rot {
	struct id_set *bad;
	struct err err;
};

/* A large pack rots in its first record, "plant/a". */
static int rot_large(void *arg, const char *name, uint64_t size)
{
	struct rot *r = arg;
	uint8_t hash[32];
	if (size < BIG)
		return 0;
	cr_assert(eq(int, text_unhex(strrchr(name, '/') + 1, sizeof(hash), hash), 0));
	cr_assert(eq(int, id_set_add(r->bad, hash, 1, NULL, &r->err), 0));
	return store_mem_flip(f.mem, name, 1000, &r->err);
}

/* One host knows that a pack is rotten and stores anew what it held; another collects. */
Test(collect, the_good_copy_of_what_rotted_elsewhere_stays)
{
	struct rot rot = { .err = ERR_INIT };
	cr_assert(eq(int, id_set_new(&rot.bad, &rot.err), 0));
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", rot_large, &rot, &rot.err), 0));
	f.host.bad_packs = rot.bad;
	cr_assert(eq(int, backup(3, NULL), 0)); /* plant/a, stored anew, and little else */
	f.host.bad_packs = NULL;
	expect_same(f.store, 1, 3, "before", 0);
	for (int i = 0; i < 4; i++) {
		pass(DAY);
		must_collect(NULL, 0);
	}
	expect_same(f.store, 1, 3, "after", 0);
	id_set_free(rot.bad);
}

/* ---- broken off ---------------------------------------------------------------------------- */

static void prepare(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, backup(0, NULL), 0));
	cr_assert(eq(int, backup(2, NULL), 0));
	cr_assert(eq(int, backup(3, NULL), 0));
	cr_assert(eq(int, prune(2, &err), 0), "%s", err.msg);
}

static uint64_t ops_of_a_run(void)
{
	prepare();
	store_fault_reset(f.fault);
	must_collect(&met, 0);
	cr_assert(gt(u64, met.deleted, 2));
	cr_assert(gt(u64, met.repacked, 0));
	uint64_t n = store_fault_count(f.fault, STORE_FAULT_ANY);
	teardown();
	setup();
	return n;
}

static void finish(int n)
{
	for (int i = 0; i < 3; i++)
		must_collect(&met, 0);
	cr_expect(eq(u64, met.condemned, 0), "operation %d", n);
	cr_expect(eq(int, count(f.store, "gc/"), 0), "operation %d", n);
	cr_expect(eq(int, count(f.store, "dd/"), 0), "operation %d", n);
	cr_expect(eq(int, count(f.store, "rf/"), 2), "operation %d", n);
	cr_expect(gt(u64, met.live_bytes * 10, met.pack_bytes * 8), "operation %d", n);
	expect_same(f.store, 0, 2, "operation", n);
	expect_whole(f.store, 1, 3, "operation", n);
}

Test(collect, a_crash_at_every_operation_harms_nothing_and_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t total = ops_of_a_run();
	for (uint64_t n = 1; n <= total; n += STRIDE) {
		prepare();
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		(void)collect(&met, 0, &err);
		for (uint64_t kept = 0; kept < 4; kept++) {
			struct store_mem *left = NULL;
			struct store *store = NULL;
			cr_assert(eq(int, store_mem_crash(f.mem, kept, &left, &err), 0));
			cr_assert(
				eq(int, store_new(&store_mem_driver, left, NULL, &store, &err), 0));
			expect_same(store, 0, 2, "crash", (int)n);
			expect_whole(store, 1, 3, "crash", (int)n);
			store_free(store);
		}
		store_fault_reset(f.fault);
		finish((int)n);
		teardown();
		setup();
	}
}

Test(collect, a_fault_at_every_operation_harms_nothing_and_is_gone_on_from)
{
	struct err err = ERR_INIT;
	uint64_t total = ops_of_a_run();
	for (uint64_t n = 2; n <= 2 * total + 1; n += STRIDE) {
		prepare();
		store_fault_reset(f.fault);
		if (n % 2 == 0)
			store_fault_tear(f.fault, STORE_FAULT_ANY, n / 2, ERR_IO);
		else
			store_fault_fail(f.fault, STORE_FAULT_ANY, n / 2, 2, ERR_NOSPACE);
		(void)collect(&met, 0, &err);
		store_fault_reset(f.fault);
		expect_same(f.store, 0, 2, "fault", (int)n);
		cr_assert(eq(int, backup(1, NULL), 0)); /* backups go on in any state */
		expect_whole(f.store, 2, 1, "fault", (int)n);
		for (int i = 0; i < 3; i++)
			must_collect(&met, 0);
		cr_expect(eq(int, count(f.store, "gc/"), 0), "fault %d", (int)n);
		expect_same(f.store, 0, 2, "fault", (int)n);
		expect_same(f.store, 1, 3, "fault", (int)n);
		expect_whole(f.store, 2, 1, "fault", (int)n);
		teardown();
		setup();
	}
}
