/* Versions and locks through the driver, on a stub that enforces locks as they are documented. */
#include "store/s3/s3_many.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/store_s3.h"
#include "tests/lib/s3_stub.h"

#define PREFIX "plant a/"
#define HOUR 3600
#define NS INT64_C(1000000000)

static struct err err;
static struct s3_stub *stub;
static struct store *store;

static int open_at(const char *options, bool is_read_only)
{
	char place[256];
	const struct store_s3_opts opts = { .create = !is_read_only, .is_read_only = is_read_only };
	(void)snprintf(place, sizeof(place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant%%20a%s",
		s3_stub_port(stub), options);
	store_free(store);
	store = NULL;
	return store_s3_open(place, &opts, &store, &err);
}

static void begin(struct s3_stub_kind kind)
{
	stub = s3_stub_new(&kind);
	s3_stub_environment();
	cr_assert(eq(int, open_at("", false), 0), "%s", err.msg);
}

static void begin_locked(void)
{
	begin((struct s3_stub_kind){ .has_versions = true, .has_lock = true });
}

static void done(void)
{
	store_free(store);
	store = NULL;
	s3_stub_free(stub);
}

TestSuite(s3_many, .fini = done, .timeout = 120);

static void set_lock(enum store_lock_mode mode, int64_t seconds)
{
	const struct store_lock lock = { mode, seconds * NS };
	cr_assert(eq(int, store_set_lock(store, &lock, &err), 0), "%s", err.msg);
}

static int put(const char *name, const char *text)
{
	return store_put(store, name, text, strlen(text), &err);
}

/* The versions of a prefix as "name marker? size;" newest first, and the last id. */
struct told {
	char text[512];
	char ids[8][64];
	size_t count;
};

static int tell(void *arg, const struct store_version *v, struct err *e)
{
	struct told *t = arg;
	size_t n = strlen(t->text);
	(void)e;
	cr_expect(ge(i64, v->at_ns, ((int64_t)0) + 1));
	(void)snprintf(t->text + n, sizeof(t->text) - n, "%s%s%s%d;", v->name,
		v->is_current ? "!" : "", v->is_marker ? " gone" : " ", (int)v->size);
	if (t->count < 8)
		(void)snprintf(t->ids[t->count++], sizeof(t->ids[0]), "%s", v->id);
	return 0;
}

static struct told tell_all(const char *prefix)
{
	struct told t = { .count = 0 };
	cr_assert(eq(int, store_versions(store, prefix, tell, &t, &err), 0), "%s", err.msg);
	return t;
}

static int64_t locked(const char *name)
{
	char key[128];
	(void)snprintf(key, sizeof(key), PREFIX "%s", name);
	int64_t until = s3_stub_locked(stub, key);
	return until == 0 ? 0 : until - (int64_t)time(NULL);
}

static bool is_about(int64_t got, int64_t want)
{
	return got > want - 60 && got < want + 60;
}

Test(s3_many, versions_are_told_newest_first_over_many_pages)
{
	begin_locked();
	cr_assert(eq(int, put("pk/a", "one"), 0), "%s", err.msg);
	for (int i = 0; i < 3; i++)
		s3_stub_put(stub, PREFIX "pk/a", "rubbish", 7);
	cr_assert(eq(int, put("pk/b", "two"), 0));
	cr_expect(eq(int, store_remove(store, "pk/b", &err), 0));
	struct told t = tell_all("pk/");
	cr_expect(eq(str, t.text, "pk/a! 7;pk/a 7;pk/a 7;pk/a 3;pk/b! gone0;pk/b 3;"));
	struct buf got = BUF_INIT(16);
	cr_expect(
		eq(int, store_read_version(store, "pk/a", t.ids[3], &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&got), "one"));
	cr_expect(eq(int, store_read_version(store, "pk/a", "v/99+a", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, store_read_version(store, "pk/b", t.ids[4], &got, &err), -ERR_NOT_FOUND),
		"a marker is nothing to read");
	cr_expect(eq(str, (char *)buf_cstr(&got), "one"));
	buf_done(&got);
}

Test(s3_many, what_is_put_is_locked_by_the_policy_and_by_that_of_the_place)
{
	begin_locked();
	cr_assert(eq(int, put("pk/before", "x"), 0));
	set_lock(STORE_LOCK_COMPLIANCE, 5 * HOUR);
	cr_assert(eq(int, put("pk/small", "x"), 0), "%s", err.msg);
	size_t len = (size_t)2 << 20;
	char *big = calloc(1, len);
	cr_assert(eq(int, store_put(store, "pk/large", big, len, &err), 0));
	cr_assert(eq(int, store_barrier(store, &err), 0), "%s", err.msg);
	free(big);
	cr_expect(eq(i64, locked("pk/before"), (int64_t)0));
	cr_expect(is_about(locked("pk/small"), 10 * HOUR));
	cr_expect(is_about(locked("pk/large"), 10 * HOUR));
	cr_assert(eq(int, open_at("", false), 0));
	cr_assert(eq(int, put("pk/process", "x"), 0));
	cr_expect(is_about(locked("pk/process"), 10 * HOUR), "it is noted in the bucket");
	cr_assert(eq(int, open_at("?lock=governance:1h", false), 0), "%s", err.msg);
	cr_assert(eq(int, put("pk/place", "x"), 0));
	cr_expect(is_about(locked("pk/place"), 2 * HOUR));
	cr_assert(eq(int, open_at("?lock=off", false), 0), "%s", err.msg);
	cr_assert(eq(int, put("pk/off", "x"), 0));
	cr_expect(eq(i64, locked("pk/off"), (int64_t)0));
}

Test(s3_many, a_lock_is_asked_for_only_where_it_is_kept)
{
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, HOUR * NS };
	begin((struct s3_stub_kind){ .has_versions = true });
	cr_expect(eq(int, store_set_lock(store, &lock, &err), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, "does not lock objects"), NULL), "%s", err.msg);
	cr_expect(eq(int, open_at("?lock=compliance:1h", false), -ERR_CONFIG));
	cr_expect(eq(int, open_at("?lock=compliance:1h", true), 0), "to read it does not matter");
	cr_expect(eq(int, open_at("?lock=often", false), -ERR_USAGE));
	cr_assert(eq(int, open_at("", false), 0));
	struct store_item item = { .name = "pk/a" };
	cr_expect(eq(int, store_see_locks(store, &item, 1, &err), -ERR_UNSUPPORTED));
	cr_expect(eq(int, store_extend(store, &item, 1, &err), -ERR_UNSUPPORTED));
}

Test(s3_many, a_server_that_ignores_locks_is_found_out_at_init_and_later)
{
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, HOUR * NS };
	struct s3_stub_kind kind = { .has_versions = true, .ignores_locks = true };
	begin(kind);
	cr_expect(eq(int, store_set_lock(store, &lock, &err), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, "does not lock"), NULL), "%s", err.msg);
	kind.has_lock = true;
	kind.ignores_locks = false;
	s3_stub_set_kind(stub, &kind);
	set_lock(STORE_LOCK_COMPLIANCE, HOUR);
	kind.ignores_locks = true;
	s3_stub_set_kind(stub, &kind);
	cr_expect(eq(int, put("pk/a", "x"), -ERR_UNSUPPORTED));
	cr_expect(ne(ptr, strstr(err.msg, "does not show that it is locked"), NULL), "%s", err.msg);
}

Test(s3_many, versions_are_deleted_each_by_itself_and_locked_ones_are_not)
{
	begin_locked();
	set_lock(STORE_LOCK_GOVERNANCE, HOUR);
	cr_assert(eq(int, put("pk/locked", "x"), 0));
	cr_assert(eq(int, open_at("?lock=off", false), 0));
	cr_assert(eq(int, put("pk/free", "x"), 0));
	struct told t = tell_all("pk/");
	struct store_item at[3] = { { .name = "pk/free", .id = t.ids[0] },
		{ .name = "pk/locked", .id = t.ids[1] }, { .name = "pk/none", .id = "v/77+a" } };
	cr_assert(eq(int, store_purge(store, at, 3, &err), 0), "%s", err.msg);
	cr_expect(eq(int, at[0].rc, 0));
	cr_expect(eq(int, at[1].rc, -ERR_AUTH), "%s", at[1].why.msg);
	cr_expect(eq(int, at[2].rc, 0), "not there is gone");
	cr_expect(eq(str, tell_all("pk/").text, "pk/locked! 1;"));
	struct store_item none[STORE_ITEMS_MAX + 1];
	cr_expect(eq(int, store_purge(store, none, STORE_ITEMS_MAX + 1, &err), -ERR_LIMIT));
	at[0].name = "../x";
	cr_expect(eq(int, store_purge(store, at, 1, &err), -ERR_USAGE));
	cr_assert(eq(int, open_at("", true), 0));
	at[0].name = "pk/free";
	cr_expect(eq(int, store_purge(store, at, 1, &err), -ERR_READONLY));
	cr_expect(eq(int, store_extend(store, at, 1, &err), -ERR_READONLY));
}

static struct store_item lock_of(const char *name, const char *id)
{
	struct store_item item = { .name = name, .id = id };
	cr_assert(eq(int, store_see_locks(store, &item, 1, &err), 0), "%s", err.msg);
	return item;
}

static int extend(const char *name, enum store_lock_mode mode, int64_t seconds)
{
	struct store_item item = {
		.name = name, .mode = mode, .until_ns = ((int64_t)time(NULL) + seconds) * NS
	};
	cr_assert(eq(int, store_extend(store, &item, 1, &err), 0), "%s", err.msg);
	return item.rc;
}

Test(s3_many, locks_are_seen_and_made_longer_never_shorter)
{
	begin_locked();
	cr_assert(eq(int, put("pk/a", "x"), 0));
	cr_assert(eq(int, put("pk/empty", ""), 0));
	struct store_item seen = lock_of("pk/a", NULL);
	cr_expect(eq(int, seen.rc, 0));
	cr_expect(eq(int, (int)seen.mode, STORE_LOCK_NONE));
	cr_expect(eq(i64, seen.until_ns, (int64_t)0));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, HOUR), 0));
	seen = lock_of("pk/a", NULL);
	cr_expect(eq(int, (int)seen.mode, STORE_LOCK_COMPLIANCE));
	cr_expect(is_about(seen.until_ns / NS - (int64_t)time(NULL), HOUR));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, 3 * HOUR), 0));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, 2 * HOUR), -ERR_AUTH));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_GOVERNANCE, 4 * HOUR), -ERR_AUTH));
	cr_expect(is_about(locked("pk/a"), 3 * HOUR));
	cr_expect(eq(int, extend("pk/empty", STORE_LOCK_COMPLIANCE, HOUR), 0));
	cr_expect(eq(int, (int)lock_of("pk/empty", NULL).mode, STORE_LOCK_COMPLIANCE));
	cr_expect(eq(int, extend("pk/none", STORE_LOCK_COMPLIANCE, HOUR), -ERR_NOT_FOUND));
	cr_expect(eq(int, lock_of("pk/none", NULL).rc, -ERR_NOT_FOUND));
}

Test(s3_many, the_weaker_mode_becomes_the_stronger_where_the_key_may)
{
	begin_locked();
	cr_assert(eq(int, put("pk/a", "x"), 0));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_GOVERNANCE, HOUR), 0));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, 2 * HOUR), -ERR_AUTH));
	struct s3_stub_kind may = { .has_versions = true, .has_lock = true, .may_bypass = true };
	s3_stub_set_kind(stub, &may);
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, HOUR / 2), -ERR_AUTH),
		"a lock that was not seen might get shorter");
	struct store_item item = lock_of("pk/a", NULL);
	cr_assert(item.is_seen);
	item.mode = STORE_LOCK_COMPLIANCE;
	cr_assert(eq(int, store_extend(store, &item, 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, item.rc, 0), "%s", item.why.msg);
	cr_expect(eq(int, (int)lock_of("pk/a", NULL).mode, STORE_LOCK_COMPLIANCE));
}

/* A host whose clock is years ahead must not lock for years. */
Test(s3_many, locks_go_by_the_clock_of_the_server)
{
	const int64_t days = 3 * 24 * HOUR;
	struct s3_stub_kind kind = { .has_versions = true, .has_lock = true, .skew_s = days };
	begin(kind);
	set_lock(STORE_LOCK_COMPLIANCE, 5 * HOUR);
	cr_assert(eq(int, put("pk/a", "x"), 0), "%s", err.msg);
	cr_expect(is_about(locked("pk/a"), days + 10 * HOUR));
	cr_expect(is_about(lock_of("pk/a", NULL).until_ns / NS - (int64_t)time(NULL), 10 * HOUR));
	cr_expect(eq(int, extend("pk/a", STORE_LOCK_COMPLIANCE, 12 * HOUR), 0));
	cr_expect(is_about(locked("pk/a"), days + 12 * HOUR));
}

Test(s3_many, a_version_is_brought_back_by_deleting_what_lies_over_it)
{
	begin_locked();
	cr_assert(eq(int, put("pk/a", "true"), 0));
	cr_assert(eq(int, put("pk/ab", "another key"), 0));
	struct told t = tell_all("pk/a");
	(void)s3_stub_destroy(stub, PREFIX "pk/a", false);
	cr_expect(eq(int, store_bring_back(store, "pk/a", t.ids[0], &err), 0), "%s", err.msg);
	cr_expect(eq(str, tell_all("pk/a").text, "pk/a! 4;pk/ab! gone0;pk/ab 9;pk/ab 11;"));
	cr_expect(eq(int, store_bring_back(store, "pk/a", t.ids[0], &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_bring_back(store, "pk/a", "v/99+a", &err), -ERR_NOT_FOUND));
}

Test(s3_many, or_by_putting_it_over_what_may_not_be_deleted)
{
	begin_locked();
	set_lock(STORE_LOCK_COMPLIANCE, HOUR);
	cr_assert(eq(int, put("pk/a", "true"), 0));
	struct told t = tell_all("pk/a");
	(void)s3_stub_destroy(stub, PREFIX "pk/a", false);
	struct s3_stub_kind kind = {
		.has_versions = true, .has_lock = true, .may_not_purge = true
	};
	s3_stub_set_kind(stub, &kind);
	cr_expect(eq(int, store_bring_back(store, "pk/a", t.ids[0], &err), 0), "%s", err.msg);
	cr_expect(s3_stub_holds(stub, PREFIX "pk/a", "true", 4));
	cr_expect(eq(str, tell_all("pk/a").text, "pk/a! 4;pk/a gone0;pk/a 9;pk/a 4;"));
	cr_expect(eq(int, (int)lock_of("pk/a", NULL).mode, STORE_LOCK_COMPLIANCE),
		"it is locked, too");
}

Test(s3_many, a_server_that_knows_no_versions_says_so)
{
	begin((struct s3_stub_kind){ .has_no_condition = true });
	struct told t = { .count = 0 };
	cr_expect(eq(int, store_versions(store, "", tell, &t, &err), -ERR_UNSUPPORTED));
	cr_expect(ne(ptr, strstr(err.msg, "keeps no versions"), NULL), "%s", err.msg);
	cr_expect(eq(int, store_bring_back(store, "pk/a", "x", &err), -ERR_UNSUPPORTED));
}

Test(s3_many, faults_on_the_way_are_borne)
{
	begin_locked();
	char name[16];
	for (int i = 0; i < 40; i++) {
		(void)snprintf(name, sizeof(name), "pk/%02d", i);
		cr_assert(eq(int, put(name, "x"), 0));
	}
	struct s3_stub_fault busy = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "retention",
		.times = 9,
		.status = 503,
		.code = "SlowDown" };
	struct s3_stub_fault lose = {
		.how = S3_STUB_LOSE_REPLY, .method = "PUT", .part = "retention", .times = 3
	};
	s3_stub_break(stub, &busy);
	s3_stub_break(stub, &lose);
	struct store_item at[40];
	char names[40][16];
	for (int i = 0; i < 40; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "pk/%02d", i);
		at[i] = (struct store_item){ .name = names[i],
			.mode = STORE_LOCK_COMPLIANCE,
			.until_ns = ((int64_t)time(NULL) + HOUR) * NS };
	}
	cr_assert(eq(int, store_extend(store, at, 40, &err), 0), "%s", err.msg);
	for (int i = 0; i < 40; i++)
		cr_expect(is_about(locked(names[i]), HOUR), "%d", i);
	struct s3_stub_fault none = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "retention",
		.times = 1,
		.status = 501,
		.code = "NotImplemented" };
	s3_stub_break(stub, &none);
	cr_expect(eq(int, store_extend(store, at, 1, &err), -ERR_UNSUPPORTED));
}
