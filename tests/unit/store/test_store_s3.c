/* The driver on servers that are stricter, poorer or more broken than the one of the contract. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/s3/s3_caps.h"
#include "store/s3/store_s3.h"
#include "tests/lib/s3_stub.h"

#define PREFIX "plant a/+%"
#define PREFIX_FORMAT "plant a/+%%"
#define PREFIX_IN_PLACE "plant%20a/%2B%25"
#define BIG_BYTES ((size_t)3 << 20)
#define MS INT64_C(1000000)

static struct err err;
static struct s3_stub *stub;
static struct store *store;
static char place[256];
static uint8_t *big;

static int open_store(bool create)
{
	struct store_s3_opts opts = {
		.create = create, .stall_s = 1, .budget_ms = 20000, .window_bytes = 2 * BIG_BYTES
	};
	store_free(store);
	store = NULL;
	return store_s3_open(place, &opts, &store, &err);
}

static void begin(const struct s3_stub_kind *kind)
{
	stub = s3_stub_new(kind);
	s3_stub_environment();
	(void)snprintf(place, sizeof(place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/%s",
		s3_stub_port(stub), PREFIX_IN_PLACE);
	cr_assert(eq(int, open_store(true), 0), "%s", err.msg);
	big = malloc(BIG_BYTES);
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (uint8_t)(i * 5 + i / 255);
}

static void done(void)
{
	store_free(store);
	s3_stub_free(stub);
	free(big);
}

TestSuite(store_s3, .fini = done, .timeout = 120);

static int put(const char *name, const char *text)
{
	return store_put(store, name, text, strlen(text), &err);
}

static bool holds(const char *name, const char *text)
{
	char key[300];
	(void)snprintf(key, sizeof(key), PREFIX_FORMAT "/%s", name);
	return s3_stub_holds(stub, key, text, strlen(text));
}

struct facts {
	char text[1024];
};

static int note_fact(void *arg, const char *name, const char *value)
{
	struct facts *f = arg;
	size_t n = strlen(f->text);
	(void)snprintf(f->text + n, sizeof(f->text) - n, "%s=%s;", name, value);
	return 0;
}

static bool has_fact(const char *fact)
{
	struct facts f = { "" };
	cr_assert(eq(int, store_facts(store, note_fact, &f), 0));
	return strstr(f.text, fact) != NULL;
}

Test(store_s3, what_the_server_can_is_tried_at_init_and_remembered)
{
	begin(NULL);
	cr_expect(has_fact("conditional-put=yes;"));
	cr_expect(has_fact("versioning=no;object-lock=no;"));
	cr_expect(has_fact("bucket=" S3_STUB_BUCKET ";"));
	cr_expect(has_fact("credentials=environment;"));
	cr_expect(has_fact("region=" S3_STUB_REGION ";"), "it was learnt");
	cr_expect(ne(uint, store_features(store) & STORE_HAS_IF_ABSENT, 0u));
	cr_expect(holds("tmp/s3", "holdfast s3 1\nconditional-put=yes\nversioning=no\n"
				  "object-lock=no\nobject-lock-kept=no\n"));
	cr_expect(eq(sz, s3_stub_objects(stub), (size_t)1), "nothing else is left");
	unsigned puts = s3_stub_count(stub, "PUT", "");
	cr_expect(eq(int, open_store(true), 0));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", ""), puts), "not tried again");
	cr_expect(has_fact("conditional-put=yes;"));
}

Test(store_s3, a_server_that_replaces_is_not_believed_in)
{
	struct s3_stub_kind kind = { .ignores_condition = true };
	begin(&kind);
	cr_expect(has_fact("conditional-put=no;"));
	cr_expect(eq(uint, store_features(store) & STORE_HAS_IF_ABSENT, 0u));
	cr_assert(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/a", "two"), -ERR_EXISTS));
	cr_expect(holds("ks/a", "one"));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "ks/a"), 1u));
	cr_expect(eq(int, put("ks/empty", ""), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/empty", ""), 0), "%s", err.msg);
	cr_expect(holds("ks/empty", ""));
}

Test(store_s3, a_server_without_conditions_is_looked_at_first)
{
	struct s3_stub_kind kind = { .has_no_condition = true };
	begin(&kind);
	cr_expect(has_fact("conditional-put=no;"));
	cr_assert(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/a", "two"), -ERR_EXISTS));
}

Test(store_s3, a_condition_that_is_refused_later_is_done_without)
{
	begin(NULL);
	struct s3_stub_kind kind = { .has_no_condition = true };
	s3_stub_set_kind(stub, &kind);
	cr_expect(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/a", "two"), -ERR_EXISTS));
	cr_expect(holds("ks/a", "one"));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "ks/a"), 2u), "one in vain, one done");
}

Test(store_s3, a_put_whose_reply_was_lost_is_settled_by_reading_back)
{
	struct s3_stub_fault lose = {
		.how = S3_STUB_LOSE_REPLY, .method = "PUT", .part = "/ks/", .times = 1
	};
	begin(NULL);
	s3_stub_break(stub, &lose);
	cr_expect(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "ks/a"), 2u));
	cr_expect(eq(uint, s3_stub_count(stub, "GET", "ks/a"), 1u));
	s3_stub_heal(stub);
	struct s3_stub_kind kind = { .has_no_condition = true };
	s3_stub_set_kind(stub, &kind);
	cr_assert(eq(int, put("ks/first", "learns it"), 0));
	s3_stub_break(stub, &lose);
	cr_expect(eq(int, put("ks/b", "two"), 0), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "ks/b"), 1u), "no second version");
	cr_expect(holds("ks/b", "two"));
}

Test(store_s3, large_objects_go_beside_each_other_and_small_ones_after_them)
{
	struct s3_stub_fault slow = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "/pk/0",
		.times = 2,
		.status = 500,
		.code = "InternalError" };
	begin(NULL);
	s3_stub_break(stub, &slow);
	for (int i = 0; i < 5; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "pk/%d", i);
		cr_assert(eq(int, store_put(store, name, big, BIG_BYTES - (size_t)i, &err), 0),
			"%s", err.msg);
	}
	cr_assert(eq(int, put("ix/a", "after them"), 0), "%s", err.msg);
	for (int i = 0; i < 5; i++) {
		char key[64];
		(void)snprintf(key, sizeof(key), PREFIX_FORMAT "/pk/%d", i);
		cr_expect(s3_stub_holds(stub, key, big, BIG_BYTES - (size_t)i), "%d", i);
	}
	cr_expect(eq(int, store_barrier(store, &err), 0), "%s", err.msg);
}

Test(store_s3, a_large_object_that_fails_is_told_by_puts_and_once_by_the_barrier)
{
	struct s3_stub_fault full = { .how = S3_STUB_STATUS,
		.method = "PUT",
		.part = "/pk/a",
		.times = 1,
		.status = 403,
		.code = "QuotaExceeded" };
	begin(NULL);
	s3_stub_break(stub, &full);
	cr_assert(eq(int, store_put(store, "pk/a", big, BIG_BYTES, &err), 0));
	cr_expect(eq(int, put("sn/a", "needs it"), -ERR_NOSPACE));
	cr_expect(ne(ptr, strstr(err.msg, "the object store is full"), NULL), "%s", err.msg);
	cr_expect(not(holds("sn/a", "needs it")));
	cr_expect(eq(int, store_barrier(store, &err), -ERR_NOSPACE));
	cr_expect(eq(int, store_barrier(store, &err), 0));
	cr_expect(eq(int, put("sn/b", "anew"), 0), "%s", err.msg);
}

Test(store_s3, a_taken_name_of_a_large_object_is_told_at_the_barrier)
{
	begin(NULL);
	cr_assert(eq(int, store_put(store, "pk/a", big, BIG_BYTES, &err), 0));
	cr_assert(eq(int, store_put(store, "pk/a", big, BIG_BYTES, &err), 0));
	cr_expect(eq(int, store_barrier(store, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_put(store, "pk/a", big, BIG_BYTES - 1, &err), 0));
	cr_expect(eq(int, store_barrier(store, &err), -ERR_EXISTS));
}

struct names {
	unsigned count;
	uint64_t bytes;
};

/* A lower bound: nothing here waits for a time, the transfers take it. */
Test(store_s3, a_transfer_is_spread_to_its_limit_each_way)
{
	struct store_s3_opts opts = { .send_bps = 2 << 20, .receive_bps = 4 << 20 };
	struct buf got = BUF_INIT(BIG_BYTES);
	begin(NULL);
	store_free(store);
	store = NULL;
	cr_assert(eq(int, store_s3_open(place, &opts, &store, &err), 0), "%s", err.msg);
	int64_t from = env_mono_ns();
	cr_expect(eq(int, store_put(store, "pk/a", big, BIG_BYTES, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_barrier(store, &err), 0), "%s", err.msg);
	cr_expect(ge(i64, env_mono_ns() - from, 1200 * MS),
		"3 MiB at 2 MiB a second, less a quarter");
	from = env_mono_ns();
	cr_expect(eq(int, store_get(store, "pk/a", &got, &err), 0), "%s", err.msg);
	cr_expect(ge(i64, env_mono_ns() - from, 450 * MS), "at 4 MiB a second");
	cr_expect(eq(sz, got.len, BIG_BYTES));
	buf_done(&got);
}

static int count_names(void *arg, const char *name, uint64_t size)
{
	struct names *n = arg;
	cr_expect(eq(int, strncmp(name, "tmp/", 4) == 0, 0), "%s", name);
	n->count++;
	n->bytes += size;
	return 0;
}

Test(store_s3, a_list_of_many_pages_is_whole)
{
	struct s3_stub_kind kind = { .page = 7, .has_empty_pages = true };
	begin(&kind);
	for (int i = 0; i < 50; i++) {
		char key[64];
		(void)snprintf(key, sizeof(key), PREFIX_FORMAT "/pk/%02d", i);
		s3_stub_put(stub, key, "abc", 3);
	}
	s3_stub_put(stub, PREFIX "/pk/no name", "x", 1);
	s3_stub_put(stub, "plant a", "x", 1);
	s3_stub_put(stub, PREFIX "x/pk/00", "x", 1);
	struct names n = { .count = 0 };
	cr_expect(eq(int, store_list(store, "", count_names, &n, &err), 0), "%s", err.msg);
	cr_expect(eq(uint, n.count, 50u));
	cr_expect(eq(u64, n.bytes, (uint64_t)150));
	struct s3_stub_fault cut = {
		.how = S3_STUB_CUT, .method = "GET", .part = "list-type", .times = 2, .at = 100
	};
	s3_stub_break(stub, &cut);
	n = (struct names){ .count = 0 };
	cr_expect(eq(int, store_list(store, "pk/1", count_names, &n, &err), 0), "%s", err.msg);
	cr_expect(eq(uint, n.count, 10u));
}

static void remove_many(unsigned expected_posts, unsigned expected_deletes)
{
	enum { MANY = 1203 };
	char name[16];
	char key[64];
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(key, sizeof(key), PREFIX_FORMAT "/pk/%d", i);
		s3_stub_put(stub, key, "x", 1);
	}
	unsigned deletes = s3_stub_count(stub, "DELETE", "");
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "pk/%d", i);
		cr_assert(eq(int, store_remove(store, name, &err), 0), "%s", err.msg);
	}
	cr_expect(eq(int, store_barrier(store, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, s3_stub_objects(stub), (size_t)1));
	cr_expect(eq(uint, s3_stub_count(stub, "POST", "?delete="), expected_posts));
	cr_expect(eq(uint, s3_stub_count(stub, "DELETE", "") - deletes, expected_deletes));
}

Test(store_s3, many_are_removed_by_few_requests)
{
	begin(NULL);
	remove_many(2, 0);
}

Test(store_s3, what_is_not_removed_with_the_others_is_removed_alone)
{
	struct s3_stub_kind kind = { .refuses_in_delete_many = true };
	begin(&kind);
	remove_many(2, 601);
}

Test(store_s3, a_server_that_removes_one_by_one_is_asked_so)
{
	struct s3_stub_kind kind = { .has_no_delete_many = true };
	begin(&kind);
	remove_many(1, 1203);
}

Test(store_s3, a_removal_that_is_refused_is_told_at_the_barrier)
{
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "DELETE",
		.times = 1,
		.status = 403,
		.code = "AccessDenied" };
	begin(NULL);
	cr_assert(eq(int, put("dd/a", "x"), 0));
	s3_stub_break(stub, &deny);
	cr_expect(eq(int, store_remove(store, "dd/a", &err), 0));
	cr_expect(eq(int, store_barrier(store, &err), -ERR_AUTH));
	cr_expect(holds("dd/a", "x"));
}

Test(store_s3, removals_that_nobody_waited_for_are_done_at_the_end)
{
	begin(NULL);
	cr_assert(eq(int, put("dd/a", "x"), 0));
	cr_expect(eq(int, store_remove(store, "dd/a", &err), 0));
	store_free(store);
	store = NULL;
	cr_expect(not(holds("dd/a", "x")));
}

Test(store_s3, the_oldest_versions_are_read_behind_what_came_over_them)
{
	const struct s3_stub_kind kind = { .has_versions = true };
	char name[16];
	begin(&kind);
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "pk/%d", i);
		cr_assert(eq(int, put(name, name), 0), "%s", err.msg);
	}
	(void)s3_stub_destroy(stub, PREFIX "/pk/", false);
	uint64_t size = 0;
	cr_expect(eq(int, store_stat(store, "pk/0", &size, &err), -ERR_NOT_FOUND));
	strcat(place, "?view=oldest");
	cr_expect(eq(int, open_store(false), -ERR_READONLY));
	struct store_s3_opts opts = { .is_read_only = true };
	cr_assert(eq(int, store_s3_open(place, &opts, &store, &err), 0), "%s", err.msg);
	struct names n = { .count = 0 };
	cr_expect(eq(int, store_list(store, "pk/", count_names, &n, &err), 0));
	cr_expect(eq(uint, n.count, 5u));
	cr_expect(eq(u64, n.bytes, (uint64_t)20));
	struct buf got = BUF_INIT(64);
	cr_expect(eq(int, store_get(store, "pk/3", &got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_get_range(store, "pk/4", 1, 3, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&got), "pk/3k/4"));
	cr_expect(eq(int, store_stat(store, "pk/2", &size, &err), 0));
	cr_expect(eq(u64, size, (uint64_t)4));
	cr_expect(eq(int, store_get(store, "pk/9", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, put("pk/new", "x"), -ERR_READONLY));
	buf_done(&got);
}

/* The newest first. */
static int keep_id(void *arg, const struct store_version *v, struct err *why)
{
	char(*ids)[64] = arg;
	(void)why;
	for (size_t i = 0; i < 3; i++) {
		if (ids[i][0] != '\0')
			continue;
		(void)snprintf(ids[i], sizeof(ids[i]), "%s", v->id); /* fits */
		break;
	}
	return 0;
}

Test(store_s3, a_version_that_cannot_be_read_does_not_end_the_search_for_the_right_one)
{
	const struct s3_stub_kind kind = { .has_versions = true };
	char key[128] = PREFIX "/pk/";
	const char *name = key + sizeof(PREFIX);
	char ids[3][64] = { "", "", "" }, part[64];
	uint8_t hash[HASH_BYTES];
	struct buf got = BUF_INIT(64);
	begin(&kind);
	hash_sha256("right", 5, hash);
	text_hex(hash, sizeof(hash), key + strlen(key));
	s3_stub_put(stub, key, "damaged", 7);
	s3_stub_put(stub, key, "hidden", 6);
	s3_stub_put(stub, key, "right", 5);
	cr_assert(eq(int, store_versions(store, name, keep_id, ids, &err), 0), "%s", err.msg);
	ids[1][strcspn(ids[1], "+")] = '\0'; /* v/NUMBER+ */
	(void)snprintf(part, sizeof(part), "versionId=v%%2F%s%%2B", ids[1] + 2);
	const struct s3_stub_fault fault = { .how = S3_STUB_STATUS,
		.status = 403,
		.code = "AccessDenied",
		.method = "GET",
		.part = part,
		.times = 1 };
	s3_stub_break(stub, &fault);
	strcat(place, "?view=oldest");
	struct store_s3_opts opts = { .is_read_only = true };
	store_free(store);
	cr_assert(eq(int, store_s3_open(place, &opts, &store, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_get(store, name, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&got), "right"));
	cr_expect(eq(uint, s3_stub_count(stub, "GET", part), 1u), "it was asked for");
	buf_done(&got);
}

Test(store_s3, a_bucket_without_locks_does_not_keep_the_canary)
{
	begin(NULL);
	struct facts f = { "" };
	bool is_kept = true;
	cr_assert(eq(int, store_prove(store, note_fact, &f, &is_kept, &err), 0), "%s", err.msg);
	cr_expect(eq(
		str, f.text, "lock=none;overwritten=done;deleted=done;read back=no such object;"));
	cr_expect(not(is_kept));
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "DELETE",
		.times = 1,
		.status = 403,
		.code = "AccessDenied" };
	s3_stub_break(stub, &deny);
	f.text[0] = '\0';
	cr_assert(eq(int, store_prove(store, note_fact, &f, &is_kept, &err), 0), "%s", err.msg);
	cr_expect(ne(ptr, strstr(f.text, "deleted=refused: "), NULL), "%s", f.text);
	cr_expect(ne(ptr, strstr(f.text, "read back=other bytes;"), NULL), "%s", f.text);
	cr_expect(not(is_kept));
}

Test(store_s3, a_canary_that_is_locked_as_objects_are_outlives_our_key)
{
	const struct s3_stub_kind kind = { .has_versions = true, .has_lock = true };
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, INT64_C(86400) * 1000000000 };
	struct facts f = { "" };
	bool is_kept = true;
	begin(&kind);
	cr_assert(eq(int, store_prove(store, note_fact, &f, &is_kept, &err), 0), "%s", err.msg);
	cr_expect(not(is_kept), "nothing is to be locked: %s", f.text);
	cr_assert(eq(int, store_set_lock(store, &lock, &err), 0), "%s", err.msg);
	f.text[0] = '\0';
	cr_assert(eq(int, store_prove(store, note_fact, &f, &is_kept, &err), 0), "%s", err.msg);
	cr_expect(is_kept, "%s", f.text);
	cr_expect(ne(ptr, strstr(f.text, "lock=COMPLIANCE until "), NULL), "%s", f.text);
	cr_expect(ne(ptr, strstr(f.text, "shortened=refused"), NULL), "%s", f.text);
	cr_expect(ne(ptr, strstr(f.text, "version deleted=refused"), NULL), "%s", f.text);
}

static void expect_refusal(const char *at, int rc, const char *words)
{
	struct store *s = NULL;
	cr_expect(eq(int, store_s3_open(at, NULL, &s, &err), rc), "%s", at);
	cr_expect(ne(ptr, strstr(err.msg, words), NULL), "%s", err.msg);
	cr_expect(ne(str, err.hint, ""), "%s", err.msg);
	store_free(s);
}

Test(store_s3, each_mistake_has_words_of_its_own)
{
	char at[256];
	begin(NULL);
	int port = s3_stub_port(stub);
	(void)snprintf(at, sizeof(at), "http://127.0.0.1:%d/other", port);
	expect_refusal(at, -ERR_CONFIG, "there is no bucket 'other'");
	(void)snprintf(at, sizeof(at), "http://127.0.0.1:%d/" S3_STUB_BUCKET "?region=mars", port);
	expect_refusal(at, -ERR_CONFIG, "is in region '" S3_STUB_REGION "', not in 'mars'");
	(void)snprintf(at, sizeof(at), "https://127.0.0.1:%d/" S3_STUB_BUCKET, port);
	expect_refusal(at, -ERR_UNREACHABLE, "does not speak TLS");
	expect_refusal("ftp://x/y", -ERR_USAGE, "begins with https://");
	setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	expect_refusal(place, -ERR_AUTH, "the secret key is wrong");
	setenv("AWS_ACCESS_KEY_ID", "WRONG", 1);
	expect_refusal(place, -ERR_AUTH, "does not know our access key");
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("HOME", "/nonexistent", 1);
	expect_refusal(place, -ERR_AUTH, "no credentials");
}

Test(store_s3, notes_are_read_as_they_were_written_and_damage_counts_as_none)
{
	struct s3_caps caps = { .is_known = true,
		.has_if_absent = true,
		.is_lock_kept = true,
		.lock = { STORE_LOCK_GOVERNANCE, INT64_C(90) * 1000000000 } };
	struct s3_caps got = { .is_known = false };
	struct buf text = BUF_INIT(S3_CAPS_MAX_BYTES);
	cr_assert(eq(int, s3_caps_format(&caps, &text, &err), 0));
	cr_assert(eq(int, s3_caps_parse((char *)text.data, text.len, &got, &err), 0));
	cr_expect(got.is_known && got.has_if_absent && got.is_lock_kept && !got.has_lock);
	cr_expect(eq(int, (int)got.lock.mode, STORE_LOCK_GOVERNANCE));
	cr_expect(eq(i64, got.lock.keep_ns, caps.lock.keep_ns));
	cr_assert(eq(int, s3_caps_parse("holdfast s3 1\nlock=never\n", 25, &got, &err), 0));
	cr_expect(eq(int, (int)got.lock.mode, STORE_LOCK_NONE));
	cr_expect(eq(int, s3_caps_parse("holdfast s3 2\n", 14, &got, &err), -ERR_CORRUPT));
	cr_expect(eq(int, s3_caps_parse("", 0, &got, &err), -ERR_CORRUPT));
	buf_done(&text);
	begin(NULL);
	s3_stub_put(stub, PREFIX "/tmp/s3", "rubbish", 7);
	cr_expect(eq(int, open_store(false), 0));
	cr_expect(has_fact("conditional-put=not tried;"));
	cr_expect(eq(int, put("ks/a", "one"), 0), "%s", err.msg);
	cr_expect(eq(int, put("ks/a", "two"), -ERR_EXISTS));
}
