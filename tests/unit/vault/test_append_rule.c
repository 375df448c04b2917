#include "vault/append_rule.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "tests/lib/vault_fixture.h"
#include "vault/vault.h"

#define H "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SESSION "00112233445566778899aabbccddeeff"
#define NOW_MS INT64_C(1767225600000)

static struct store *s;
static struct append_rule *rule;
static struct env_ops ops;
static struct err err;
static bool is_hashed;

static int64_t fake_now(void)
{
	return NOW_MS * 1000000;
}

static void setup(void)
{
	struct store_mem *mem = NULL;
	ops = *env_real();
	ops.now_ns = fake_now;
	(void)env_swap(&ops);
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
	cr_assert(eq(int, append_rule_new(&rule, &err), 0));
}

static void teardown(void)
{
	append_rule_free(rule);
	store_free(s);
	(void)env_swap(NULL);
}

TestSuite(append_rule, .init = setup, .fini = teardown);

static int check(const char *name, uint64_t len)
{
	err_clear(&err);
	return append_rule_check(rule, s, name, len, &is_hashed, &err);
}

Test(append_rule, what_a_backup_writes_may_be_put_and_is_compared_with_its_name)
{
	const char *good[] = { "pk/01/" H, "ix/" H, "rf/" H, "ev/" H };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_expect(eq(int, check(good[i], 1 << 20), 0), "%s: %s", good[i], err.msg);
		cr_expect(is_hashed);
	}
}

/* Everything that could take away, or change who may: also from whoever can seal it. */
Test(append_rule, nothing_else_may_be_put)
{
	const char *bad[] = { "pr/" H, "gc/" SESSION "-00000000-" H, "dd/" H, "hs/" H, "cf/" H,
		"ks/" H, "rw/" H, "vh/00000002-" H, "pa/01/" H, "wb/pk_01_" H, "qr/pk_01_" H "-" H,
		"README.txt", "FORMAT.txt", "lg/" H, "iv/" H, "pk/" H, "pk/02/" H, "pk/01/" H "0",
		"ix/" H "/x", "ix/0123", "IX/" H, "sn/" H, "se/" SESSION, "se/" SESSION "-0000000g",
		"se/" SESSION "-000000000", "x", "snx/" H };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, check(bad[i], 100), -ERR_READONLY), "%s: %s", bad[i], err.msg);
}

static int snapshot(int64_t ms)
{
	char name[200];
	(void)snprintf(name, sizeof(name), "sn/%012llx-" H, (unsigned long long)ms);
	return check(name, 4096);
}

Test(append_rule, a_snapshot_is_received_now)
{
	const int64_t most = APPEND_RULE_CLOCK_NS / 1000000;
	cr_expect(eq(int, snapshot(NOW_MS), 0), "%s", err.msg);
	cr_expect(is_hashed);
	cr_expect(eq(int, snapshot(NOW_MS - most), 0));
	cr_expect(eq(int, snapshot(NOW_MS + most), 0));
	cr_expect(eq(int, snapshot(NOW_MS - most - 1), -ERR_READONLY));
	cr_expect(ne(ptr, strstr(err.msg, "900 seconds ago"), NULL), "%s", err.msg);
	cr_expect(eq(int, snapshot(NOW_MS + most + 1), -ERR_READONLY));
	cr_expect(eq(int, snapshot(INT64_C(0xffffffffffff)), -ERR_READONLY));
	cr_expect(eq(int, snapshot(0), -ERR_READONLY));
	cr_expect(eq(int, check("sn/0123456789ag-" H, 1), -ERR_READONLY));
}

static int mark(const char *session, unsigned n)
{
	char name[100];
	(void)snprintf(name, sizeof(name), "se/%s-%08x", session, n);
	return check(name, 4096);
}

Test(append_rule, marks_are_those_of_ones_own_sessions_in_their_order)
{
	static const char other[] = "ffffffffffffffffffffffffffffffff";
	cr_assert(eq(int,
		store_put(s, "se/ffffffffffffffffffffffffffffffff-00000000", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(s, &err), 0));
	cr_expect(eq(int, mark(SESSION, 1), -ERR_EXISTS)); /* begun by nobody here */
	cr_expect(eq(int, mark(SESSION, 0), 0), "%s", err.msg);
	cr_expect(not(is_hashed));
	cr_expect(eq(int, mark(SESSION, 0), 0)); /* its barrier failed: once more */
	cr_expect(eq(int, mark(SESSION, 2), -ERR_EXISTS));
	cr_expect(eq(int, mark(SESSION, 1), 0));
	cr_expect(eq(int, mark(SESSION, 2), 0));
	cr_expect(eq(int, mark(SESSION, 0), -ERR_EXISTS));
	cr_expect(eq(int, mark(other, 0), -ERR_EXISTS)); /* its very bytes would be accepted */
	cr_expect(eq(int, mark(other, 1), -ERR_EXISTS));
	cr_expect(
		eq(int, check("se/" SESSION "-00000003", APPEND_RULE_MARK_BYTES + 1), -ERR_LIMIT));
}

/* Bytes of a real backup open; others, and those of another name, do not. */
struct opened {
	struct vault *v;
	int marks, snapshots;
};

static void twist(char *name, size_t at)
{
	name[at] = name[at] == '0' ? '1' : '0';
}

static int open_one(void *arg, const char *name, uint64_t size)
{
	struct opened *o = arg;
	struct buf b = BUF_INIT(1 << 20);
	char other[128];
	const bool is_mark = strncmp(name, "se/", 3) == 0;
	(void)size;
	cr_assert(eq(int, store_get(vault_store(o->v), name, &b, &err), 0));
	cr_expect(eq(int, append_rule_open(o->v, name, b.data, b.len, &err), 0), "%s", err.msg);
	(void)snprintf(other, sizeof(other), "%s", name);
	twist(other, 10); /* another session, or another time of receipt */
	cr_expect(eq(int, append_rule_open(o->v, other, b.data, b.len, &err), -ERR_READONLY), "%s",
		other);
	cr_expect(ne(ptr, strstr(err.msg, is_mark ? "another's name" : "another time"), NULL), "%s",
		err.msg);
	b.data[b.len / 2] ^= 1;
	cr_expect(eq(int, append_rule_open(o->v, name, b.data, b.len, &err), -ERR_READONLY));
	cr_expect(eq(int, append_rule_open(o->v, name, "", 0, &err), -ERR_READONLY));
	*(is_mark ? &o->marks : &o->snapshots) += 1;
	buf_done(&b);
	return 0;
}

Test(append_rule, marks_and_snapshots_are_opened_before_they_are_put)
{
	static const struct fake_file files[] = {
		{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	};
	struct vault_fixture f;
	struct backup_result r;
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
	struct opened o = { .v = f.vault };
	cr_expect(eq(int, store_list(f.store, "se/", open_one, &o, &err), 0));
	cr_expect(eq(int, store_list(f.store, "sn/", open_one, &o, &err), 0));
	cr_expect(ge(int, o.marks, 2));
	cr_expect(eq(int, o.snapshots, 1));
	cr_expect(append_rule_is_opened("se/" SESSION "-00000000"));
	cr_expect(append_rule_is_opened("sn/0123456789ab-" H));
	cr_expect(not(append_rule_is_opened("pk/01/" H)));
	vault_fixture_done(&f);
}

Test(append_rule, one_connection_begins_so_many_sessions_and_no_more)
{
	char session[33];
	for (unsigned i = 0; i < APPEND_RULE_SESSIONS; i++) {
		(void)snprintf(session, sizeof(session), "%032x", i);
		cr_expect(eq(int, mark(session, 0), 0), "%u: %s", i, err.msg);
	}
	cr_expect(eq(int, mark("ffffffffffffffffffffffffffffffff", 0), -ERR_LIMIT));
	cr_expect(eq(int, mark("00000000000000000000000000000000", 1), 0));
}
