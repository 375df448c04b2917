/*
 * The contract every store driver keeps, asked through store.c, of each driver bare and behind the
 * fault driver.  A new driver joins by one more kind here.
 * The s3 driver has a stub for its server, or the one where HOLDFAST_TEST_S3 ("http://HOST/BUCKET")
 * says (make test-s3).
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/fault/store_fault.h"
#include "store/local/store_local.h"
#include "store/mem/store_mem.h"
#include "store/s3/store_s3.h"
#include "store/store.h"
#include "store/unix/store_unix.h"
#include "tests/contract/store_kinds.h"
#include "tests/lib/door_fixture.h"
#include "tests/lib/s3_stub.h"
#include "tests/lib/store_scratch.h"

#define MAX_BYTES (STORE_MAX_OBJECT_BYTES + 16)

/* One store under test; all of it is made by begin() and ended by teardown(). */
static struct {
	enum kind kind;
	const char *dir; /* NULL for mem and s3 */
	char place[200]; /* of s3, else "" */
	struct s3_stub *stub;
	struct door_fixture *door; /* of unix */
	struct store *s;
	struct store_mem *mem;     /* borrowed from s */
	struct store_fault *fault; /* borrowed from s; NULL when bare */
} fx;

static struct err err;

static void teardown(void)
{
	store_free(fx.s);
	fx.s = NULL;
	store_scratch_done();
	fx.dir = NULL;
	s3_stub_free(fx.stub);
	fx.stub = NULL;
	door_fixture_free(fx.door);
	fx.door = NULL;
	fx.place[0] = '\0';
}

TestSuite(store_contract, .fini = teardown, .timeout = 120);

/* Put the policy, and the fault driver if the kind has one, in front of a driver. */
static void wrap(const struct store_driver *driver, void *take_self, bool is_read_only)
{
	struct store_opts opts = { .is_read_only = is_read_only };
	fx.fault = NULL;
	if (fx.kind >= LOCAL_BEHIND_FAULT) {
		cr_assert(eq(int, store_fault_new(driver, take_self, &fx.fault, &err), 0));
		driver = store_fault_driver(fx.fault);
		take_self = fx.fault;
	}
	cr_assert(eq(int, store_new(driver, take_self, &opts, &fx.s, &err), 0));
}

static void open_local(bool is_read_only)
{
	struct store_local *local = NULL;
	struct store_local_opts opts = { .is_read_only = is_read_only };
	cr_assert(eq(int, store_local_new(fx.dir, &opts, &local, &err), 0), "%s", err.msg);
	wrap(&store_local_driver, local, is_read_only);
}

static void open_s3(bool is_read_only)
{
	struct store_s3 *s3 = NULL;
	struct store_s3_opts opts = { .create = !is_read_only, .is_read_only = is_read_only };
	cr_assert(eq(int, store_s3_new(fx.place, &opts, &s3, &err), 0), "%s", err.msg);
	wrap(store_s3_driver(s3), s3, is_read_only);
}

static void open_unix(bool is_read_only)
{
	struct store_unix *u = NULL;
	cr_assert(eq(int, store_unix_new(door_fixture_path(fx.door), &u, &err), 0), "%s", err.msg);
	wrap(&store_unix_driver, u, is_read_only);
}

/* A prefix that is empty and nobody else's. */
static void find_place(void)
{
	static unsigned count;
	const char *real = getenv("HOLDFAST_TEST_S3");
	if (real != NULL) {
		(void)snprintf(fx.place, sizeof(fx.place), "%s/contract%%20%d/%u", real,
			(int)getpid(), count++);
		return;
	}
	const bool is_locking = fx.kind == S3_LOCKING || fx.kind == S3_LOCKING_BEHIND_FAULT;
	const struct s3_stub_kind kind = { .has_versions = is_locking, .has_lock = is_locking };
	fx.stub = s3_stub_new(&kind);
	s3_stub_environment();
	(void)snprintf(fx.place, sizeof(fx.place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(fx.stub));
}

static void begin(enum kind kind)
{
	fx.kind = kind;
	fx.mem = NULL;
	if (kind == S3 || kind == S3_LOCKING || kind == S3_BEHIND_FAULT ||
		kind == S3_LOCKING_BEHIND_FAULT) {
		find_place();
		open_s3(false);
		return;
	}
	if (kind == UNIX) {
		fx.door = door_fixture_new(store_scratch_new(), NULL);
		open_unix(false);
		return;
	}
	if (kind == LOCAL || kind == LOCAL_BEHIND_FAULT) {
		fx.dir = store_scratch_new();
		cr_assert(ne(ptr, (void *)fx.dir, NULL));
		open_local(false);
		return;
	}
	cr_assert(eq(int, store_mem_new(&fx.mem, &err), 0));
	wrap(&store_mem_driver, fx.mem, false);
}

/* End the process that uses the store and open it again: what was staged is gone. */
static void reopen(bool is_read_only)
{
	struct store_mem *left = NULL;
	if (fx.mem == NULL) {
		store_free(fx.s);
		if (fx.dir != NULL)
			open_local(is_read_only);
		else if (fx.door != NULL)
			open_unix(is_read_only);
		else
			open_s3(is_read_only);
		return;
	}
	cr_assert(eq(int, store_mem_crash(fx.mem, 0, &left, &err), 0));
	store_free(fx.s);
	fx.mem = left;
	wrap(&store_mem_driver, left, is_read_only);
}

/* Criterion wants a char * to compare. */
static char *text_of(struct buf *b)
{
	return (char *)buf_cstr(b);
}

static int put(const char *name, const char *text)
{
	return store_put(fx.s, name, text, strlen(text), &err);
}

static void put_now(const char *name, const char *text)
{
	cr_assert(eq(int, put(name, text), 0), "%s: %s", name, err.msg);
	cr_assert(eq(int, store_barrier(fx.s, &err), 0), "%s: %s", name, err.msg);
}

struct seen {
	char names[16][STORE_MAX_NAME_BYTES + 1];
	uint64_t sizes[16];
	size_t count;
	size_t stop_after; /* 0 = never */
};

static int note(void *arg, const char *name, uint64_t size)
{
	struct seen *seen = arg;
	cr_assert(lt(sz, seen->count, (size_t)16));
	(void)snprintf(seen->names[seen->count], sizeof(seen->names[0]), "%s", name);
	seen->sizes[seen->count++] = size;
	return seen->count == seen->stop_after ? 77 : 0;
}

/* How often the list of ${prefix} holds the name; its size goes to *size. */
static int times_listed(const char *prefix, const char *name, uint64_t *size)
{
	struct seen seen = { .count = 0 };
	cr_assert(eq(int, store_list(fx.s, prefix, note, &seen, &err), 0), "%s", err.msg);
	int times = 0;
	for (size_t i = 0; i < seen.count; i++) {
		if (strcmp(seen.names[i], name) == 0) {
			times++;
			*size = seen.sizes[i];
		}
	}
	return times;
}

/* True if the object is there with exactly this content, by get, stat and list. */
static bool holds(const char *name, const char *text)
{
	struct buf got = BUF_INIT(4096);
	uint64_t stat_size = 0;
	uint64_t list_size = 0;
	size_t len = strlen(text);
	bool is_right = store_get(fx.s, name, &got, &err) == 0 && got.len == len &&
			(len == 0 || memcmp(got.data, text, len) == 0) &&
			store_stat(fx.s, name, &stat_size, &err) == 0 && stat_size == len &&
			times_listed("", name, &list_size) == 1 && list_size == len;
	buf_done(&got);
	return is_right;
}

/* True if no verb shows anything under the name. */
static bool lacks(const char *name)
{
	struct buf got = BUF_INIT(4096);
	uint64_t size = 0;
	bool is_right = store_get(fx.s, name, &got, &err) == -ERR_NOT_FOUND && got.len == 0 &&
			store_get_range(fx.s, name, 0, 0, &got, &err) == -ERR_NOT_FOUND &&
			store_stat(fx.s, name, &size, &err) == -ERR_NOT_FOUND &&
			times_listed("", name, &size) == 0;
	buf_done(&got);
	return is_right;
}

/* What was put without a barrier, after the end of who put it: gone; or there and whole, with a
 * driver that makes each object visible by itself. */
static bool is_given_up(const char *name, const char *text)
{
	bool may_be_there = (store_features(fx.s) & STORE_NEEDS_BARRIER) == 0;
	return lacks(name) || (may_be_there && holds(name, text));
}

#define FOR_EACH_DRIVER(test)                                                                      \
	ParameterizedTestParameters(store_contract, test)                                          \
	{                                                                                          \
		static enum kind kinds[] = { LOCAL, MEM, S3, S3_LOCKING, UNIX, LOCAL_BEHIND_FAULT, \
			MEM_BEHIND_FAULT, S3_BEHIND_FAULT, S3_LOCKING_BEHIND_FAULT };              \
		return cr_make_param_array(                                                        \
			enum kind, kinds, sizeof(kinds) / sizeof(kinds[0]), NULL);                 \
	}                                                                                          \
	ParameterizedTest(enum kind *kind, store_contract, test)

FOR_EACH_DRIVER(an_object_is_there_after_the_barrier_and_after_a_reopen)
{
	begin(*kind);
	put_now("pk/ab/one", "first");

	cr_expect(holds("pk/ab/one", "first"), "%s: %s", kind_names[*kind], err.msg);
	reopen(false);
	cr_expect(holds("pk/ab/one", "first"), "%s: %s", kind_names[*kind], err.msg);
}

FOR_EACH_DRIVER(without_a_barrier_nothing_survives_and_nothing_half_is_seen)
{
	begin(*kind);
	cr_assert(eq(int, put("sn/one", "staged"), 0));

	cr_expect(holds("sn/one", "staged") || lacks("sn/one"));
	reopen(false);
	cr_expect(is_given_up("sn/one", "staged"), "%s", kind_names[*kind]);
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(is_given_up("sn/one", "staged"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(a_taken_name_accepts_the_same_content_and_refuses_another)
{
	begin(*kind);
	put_now("ks/one", "content");

	cr_expect(eq(int, put("ks/one", "content"), 0));
	cr_expect(eq(int, put("ks/one", "CONTENT"), -ERR_EXISTS));
	cr_expect(eq(int, put("ks/one", "content and more"), -ERR_EXISTS));
	cr_expect(eq(int, put("ks/one", ""), -ERR_EXISTS));
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(holds("ks/one", "content"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(a_staged_name_accepts_the_same_content_and_refuses_another)
{
	begin(*kind);
	cr_assert(eq(int, put("ks/one", "content"), 0));

	cr_expect(eq(int, put("ks/one", "content"), 0));
	cr_expect(eq(int, put("ks/one", "CONTENT"), -ERR_EXISTS));
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(holds("ks/one", "content"), "%s", kind_names[*kind]);
}

/* ${text} in pieces of 3 bytes. */
static struct store_draft *draft_of(const char *text)
{
	struct store_draft *d = NULL;
	size_t len = strlen(text);
	cr_assert(eq(int, store_draft_new(fx.s, &d, &err), 0), "%s", err.msg);
	for (size_t at = 0; at < len; at += 3)
		cr_assert(eq(
			int, store_draft_add(d, text + at, len - at < 3 ? len - at : 3, &err), 0));
	cr_assert(eq(int, store_draft_add(d, NULL, 0, &err), 0));
	return d;
}

FOR_EACH_DRIVER(an_object_in_pieces_is_as_if_it_was_put_whole)
{
	begin(*kind);
	struct store_draft *d = draft_of("ten pieces of an object");
	struct store_draft *other = draft_of("at the same time");
	cr_expect(lacks("pk/ab/one"));
	put_now("pk/ab/else", "a barrier between"); /* concerns no draft */
	cr_assert(eq(int, store_draft_put(d, "pk/ab/one", &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_draft_put(other, "pk/ab/two", &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(holds("pk/ab/one", "ten pieces of an object"), "%s", kind_names[*kind]);
	reopen(false);
	cr_expect(holds("pk/ab/one", "ten pieces of an object"), "%s", kind_names[*kind]);
	cr_expect(holds("pk/ab/two", "at the same time"), "%s", kind_names[*kind]);
	cr_expect(holds("pk/ab/else", "a barrier between"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(pieces_that_are_not_put_or_have_a_bad_name_leave_nothing)
{
	begin(*kind);
	store_draft_free(draft_of("dropped"));
	cr_expect(eq(int, store_draft_put(draft_of("x"), "../out", &err), -ERR_USAGE));
	cr_assert(eq(int, store_draft_put(draft_of("staged"), "sn/one", &err), 0));
	reopen(false);
	cr_expect(is_given_up("sn/one", "staged"), "%s", kind_names[*kind]);
	struct store_draft *d = NULL;
	reopen(true);
	cr_expect(eq(int, store_draft_new(fx.s, &d, &err), -ERR_READONLY));
}

FOR_EACH_DRIVER(pieces_under_a_taken_or_staged_name_must_be_the_same)
{
	begin(*kind);
	put_now("ks/one", "content");
	cr_assert(eq(int, put("ks/two", "staged"), 0));
	cr_expect(eq(int, store_draft_put(draft_of("content"), "ks/one", &err), 0));
	cr_expect(eq(int, store_draft_put(draft_of("content"), "ks/one", &err), 0));
	cr_expect(eq(int, store_draft_put(draft_of("CONTENT"), "ks/one", &err), -ERR_EXISTS));
	cr_expect(eq(int, store_draft_put(draft_of("conten"), "ks/one", &err), -ERR_EXISTS));
	cr_expect(eq(int, store_draft_put(draft_of("staged"), "ks/two", &err), 0));
	cr_expect(eq(int, store_draft_put(draft_of("STAGED"), "ks/two", &err), -ERR_EXISTS));
	cr_expect(eq(int, put("ks/two", "staged"), 0));
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(holds("ks/one", "content"), "%s", kind_names[*kind]);
	cr_expect(holds("ks/two", "staged"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(an_empty_object_is_an_object)
{
	begin(*kind);
	cr_assert(eq(int, store_put(fx.s, "se/empty", NULL, 0, &err), 0));
	cr_assert(eq(int, store_barrier(fx.s, &err), 0));
	struct buf got = BUF_INIT(1);

	cr_expect(holds("se/empty", ""), "%s", kind_names[*kind]);
	cr_expect(eq(int, store_get_range(fx.s, "se/empty", 0, 0, &got, &err), 0));
	cr_expect(eq(int, store_get_range(fx.s, "se/empty", 0, 1, &got, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, got.len, (size_t)0));
	buf_done(&got);
}

FOR_EACH_DRIVER(a_range_is_exact_and_appended)
{
	begin(*kind);
	put_now("pk/range", "0123456789");
	struct buf got = BUF_INIT(64);

	cr_expect(eq(int, store_get_range(fx.s, "pk/range", 3, 4, &got, &err), 0));
	cr_expect(eq(int, store_get_range(fx.s, "pk/range", 0, 2, &got, &err), 0));
	cr_expect(eq(int, store_get_range(fx.s, "pk/range", 10, 0, &got, &err), 0));
	cr_expect(eq(str, text_of(&got), "345601"));
	cr_expect(eq(int, store_get_range(fx.s, "pk/range", 8, 3, &got, &err), -ERR_CORRUPT));
	cr_expect(eq(int, store_get_range(fx.s, "pk/range", 11, 0, &got, &err), -ERR_CORRUPT));
	cr_expect(
		eq(int, store_get_range(fx.s, "pk/range", UINT64_MAX, 1, &got, &err), -ERR_LIMIT));
	cr_expect(eq(str, text_of(&got), "345601"));
	buf_done(&got);
}

FOR_EACH_DRIVER(a_read_longer_than_the_buffer_allows_is_refused)
{
	begin(*kind);
	put_now("pk/long", "0123456789");
	struct buf got = BUF_INIT(9);

	cr_expect(eq(int, store_get(fx.s, "pk/long", &got, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_get_range(fx.s, "pk/long", 0, 10, &got, &err), -ERR_LIMIT));
	cr_expect(eq(sz, got.len, (size_t)0));
	buf_done(&got);
}

FOR_EACH_DRIVER(a_list_is_cut_by_prefix_and_stops_when_told)
{
	begin(*kind);
	cr_assert(eq(int, put("README.txt", "r"), 0));
	cr_assert(eq(int, put("pk/ab/x", "1"), 0));
	cr_assert(eq(int, put("pk/ac/y", "22"), 0));
	cr_assert(eq(int, put("pkx/z", "333"), 0));
	cr_assert(eq(int, store_barrier(fx.s, &err), 0));
	static const struct {
		const char *prefix;
		size_t count;
	} cases[] = { { "", 4 }, { "pk", 3 }, { "pk/", 2 }, { "pk/a", 2 }, { "pk/ab", 1 },
		{ "pk/ab/x", 1 }, { "pk/ab/xx", 0 }, { "q", 0 }, { "README", 1 }, { "/", 0 },
		{ "pk//", 0 }, { "README.txt/", 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = { .count = 0 };
		cr_expect(eq(int, store_list(fx.s, cases[i].prefix, note, &seen, &err), 0));
		cr_expect(eq(sz, seen.count, cases[i].count), "%s prefix '%s'", kind_names[*kind],
			cases[i].prefix);
	}
	struct seen seen = { .stop_after = 2 };
	cr_expect(eq(int, store_list(fx.s, NULL, note, &seen, &err), 77));
	cr_expect(eq(sz, seen.count, (size_t)2));
}

FOR_EACH_DRIVER(a_removed_object_is_gone_and_a_missing_one_is_no_error)
{
	begin(*kind);
	put_now("dd/one", "content");
	cr_assert(eq(int, put("dd/two", "staged"), 0));
	if (*kind == UNIX) { /* for its owner alone */
		cr_expect(eq(int, store_remove(fx.s, "dd/one", &err), -ERR_READONLY));
		cr_expect(eq(int, store_barrier(fx.s, &err), 0));
		cr_expect(holds("dd/one", "content") && holds("dd/two", "staged"));
		return;
	}

	cr_expect(eq(int, store_remove(fx.s, "dd/one", &err), 0));
	cr_expect(eq(int, store_remove(fx.s, "dd/two", &err), 0));
	cr_expect(eq(int, store_remove(fx.s, "dd/three", &err), 0));
	cr_expect(eq(int, store_remove(fx.s, "no/such/place", &err), 0));
	cr_expect(lacks("dd/one"));
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(lacks("dd/one") && lacks("dd/two"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(names_outside_the_grammar_are_refused_by_every_verb)
{
	begin(*kind);
	char longest[STORE_MAX_NAME_BYTES + 2];
	memset(longest, 'n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	const char *bad[] = { "", ".", "..", "/a", "a/", "a//b", "a/../b", "./a", "a/.", "a b",
		"a\nb", "a\\b", "\xc3\xa4", "a+b", "tmp", "tmp/a", longest };
	struct buf got = BUF_INIT(16);
	uint64_t size = 5;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(eq(int, put(bad[i], "x"), -ERR_USAGE), "'%s'", bad[i]);
		cr_expect(eq(int, store_get(fx.s, bad[i], &got, &err), -ERR_USAGE));
		cr_expect(eq(int, store_get_range(fx.s, bad[i], 0, 1, &got, &err), -ERR_USAGE));
		cr_expect(eq(int, store_stat(fx.s, bad[i], &size, &err), -ERR_USAGE));
		cr_expect(eq(int, store_remove(fx.s, bad[i], &err), -ERR_USAGE));
	}
	cr_expect(eq(u64, size, (uint64_t)5));
	cr_expect(eq(int, store_list(fx.s, "a b", note, NULL, &err), -ERR_USAGE));
	longest[STORE_MAX_NAME_BYTES] = '\0';
	longest[100] = '/'; /* file systems allow 255 bytes in a component */
	put_now(longest, "longest");
	cr_expect(holds(longest, "longest"), "%s", kind_names[*kind]);
	put_now("..a/.b/tmp", "odd");
	cr_expect(holds("..a/.b/tmp", "odd"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(a_read_only_store_reads_and_refuses_to_change)
{
	begin(*kind);
	put_now("sn/one", "content");
	reopen(true);

	cr_expect(eq(int, store_is_read_only(fx.s), 1));
	cr_expect(eq(int, put("sn/two", "x"), -ERR_READONLY));
	cr_expect(eq(int, store_remove(fx.s, "sn/one", &err), -ERR_READONLY));
	cr_expect(eq(int, store_barrier(fx.s, &err), 0));
	cr_expect(holds("sn/one", "content") && lacks("sn/two"), "%s", kind_names[*kind]);
}

FOR_EACH_DRIVER(many_objects_in_one_barrier_all_arrive)
{
	begin(*kind);
	enum { MANY = 150 };
	char name[32];
	char text[32];
	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "pk/%02x/object-%u", i % 7, i);
		(void)snprintf(text, sizeof(text), "content %u", i);
		cr_assert(eq(int, put(name, text), 0), "%s", err.msg);
	}
	cr_assert(eq(int, store_barrier(fx.s, &err), 0), "%s", err.msg);
	struct buf got = BUF_INIT(64);

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "pk/%02x/object-%u", i % 7, i);
		(void)snprintf(text, sizeof(text), "content %u", i);
		buf_clear(&got);
		cr_expect(eq(int, store_get(fx.s, name, &got, &err), 0), "%s", err.msg);
		cr_expect(eq(str, text_of(&got), text));
	}
	buf_done(&got);
}

FOR_EACH_DRIVER(errors_name_the_operation_and_the_object)
{
	begin(*kind);
	struct buf got = BUF_INIT(16);
	put_now("a/b", "content");

	(void)store_get(fx.s, "a/c", &got, &err);
	cr_expect(eq(str, err.msg, "unable to read object 'a/c': no such object"));
	(void)store_stat(fx.s, "a/c", NULL, &err);
	cr_expect(eq(str, err.msg, "unable to look up object 'a/c': no such object"));
	(void)put("a/b", "other");
	cr_expect(eq(
		str, err.msg, "unable to write object 'a/b': the name is taken by other content"));
	cr_expect(eq(int, store_get(fx.s, "a/c", &got, NULL), -ERR_NOT_FOUND));
}

struct history {
	char id[64]; /* of the oldest version */
	unsigned versions, markers;
	bool is_hidden;
};

static int note_version(void *arg, const struct store_version *v, struct err *e)
{
	struct history *h = arg;
	(void)e;
	cr_expect(eq(int, strcmp(v->name, "ev/one"), 0), "%s", v->name);
	h->versions += !v->is_marker;
	h->markers += v->is_marker;
	h->is_hidden |= v->is_marker && v->is_current;
	if (!v->is_marker)
		(void)snprintf(h->id, sizeof(h->id), "%s", v->id);
	return 0;
}

/* A store that keeps no versions says so, and one that does keeps what was removed. */
FOR_EACH_DRIVER(what_a_store_says_of_versions_is_so)
{
	begin(*kind);
	put_now("ev/one", "content");
	if (*kind != UNIX) { /* for its owner alone */
		cr_assert(eq(int, store_remove(fx.s, "ev/one", &err), 0));
		cr_assert(eq(int, store_barrier(fx.s, &err), 0), "%s", err.msg);
	}
	struct history h = { .versions = 0 };
	struct buf got = BUF_INIT(16);
	struct store_item item = { .name = "ev/one", .id = "1" };
	int rc = store_versions(fx.s, "ev/", note_version, &h, &err);
	if ((store_features(fx.s) & STORE_HAS_VERSIONS) == 0) {
		cr_expect(eq(int, rc, -ERR_UNSUPPORTED));
		cr_expect(ne(ptr, strstr(err.msg, "keeps no versions"), NULL), "%s", err.msg);
		cr_expect(eq(int, store_read_version(fx.s, "ev/one", "1", &got, &err),
			-ERR_UNSUPPORTED));
		cr_expect(eq(int, store_bring_back(fx.s, "ev/one", "1", &err), -ERR_UNSUPPORTED));
		cr_expect(eq(int, store_purge(fx.s, &item, 1, &err), -ERR_UNSUPPORTED));
		return;
	}
	cr_assert(eq(int, rc, 0), "%s", err.msg);
	cr_expect(eq(uint, h.versions, 1u));
	cr_expect(eq(uint, h.markers, 1u));
	cr_expect(h.is_hidden && lacks("ev/one"));
	cr_expect(eq(int, store_read_version(fx.s, "ev/one", h.id, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, text_of(&got), "content"));
	cr_expect(eq(int, store_bring_back(fx.s, "ev/one", h.id, &err), 0), "%s", err.msg);
	cr_expect(holds("ev/one", "content"));
	item.id = h.id;
	cr_expect(eq(int, store_purge(fx.s, &item, 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, item.rc, 0), "%s", item.why.msg);
	cr_expect(lacks("ev/one"));
	h = (struct history){ .versions = 0 };
	cr_expect(eq(int, store_versions(fx.s, "ev/", note_version, &h, &err), 0));
	cr_expect(eq(uint, h.versions + h.markers, 0u), "nothing is left of it");
	buf_done(&got);
}

/* One that locks keeps a version against its deletion, and one that does not says so. */
FOR_EACH_DRIVER(what_a_store_says_of_locks_is_so)
{
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, STORE_LOCK_MIN_NS };
	struct store_lock now;
	struct store_item item = { .name = "ev/one", .mode = STORE_LOCK_COMPLIANCE };
	begin(*kind);
	put_now("ev/one", "content");
	item.until_ns = env_now_ns() + 10 * INT64_C(1000000000);
	store_locks_by(fx.s, &now);
	cr_expect(eq(int, (int)now.mode, STORE_LOCK_NONE), "nobody asked for it");
	if ((store_features(fx.s) & STORE_HAS_OBJECT_LOCK) == 0) {
		cr_expect(lt(int, store_set_lock(fx.s, &lock, &err), 0));
		cr_expect(ne(ptr, strstr(err.msg, "not lock objects"), NULL), "%s", err.msg);
		cr_expect(ne(str, err.hint, ""));
		cr_expect(eq(int, store_see_locks(fx.s, &item, 1, &err), -ERR_UNSUPPORTED));
		cr_expect(eq(int, store_extend(fx.s, &item, 1, &err), -ERR_UNSUPPORTED));
		return;
	}
	int64_t until = item.until_ns;
	cr_assert(eq(int, store_extend(fx.s, &item, 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, item.rc, 0), "%s", item.why.msg);
	cr_assert(eq(int, store_see_locks(fx.s, &item, 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, (int)item.mode, STORE_LOCK_COMPLIANCE));
	cr_expect(ge(i64, item.until_ns, until));
	struct history h = { .versions = 0 };
	cr_assert(eq(int, store_versions(fx.s, "ev/", note_version, &h, &err), 0), "%s", err.msg);
	item.id = h.id;
	cr_expect(eq(int, store_purge(fx.s, &item, 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, item.rc, -ERR_AUTH), "%s", item.why.msg);
	cr_expect(holds("ev/one", "content"));
	cr_assert(eq(int, store_set_lock(fx.s, &lock, &err), 0), "%s", err.msg);
	store_locks_by(fx.s, &now);
	cr_expect(eq(int, (int)now.mode, STORE_LOCK_COMPLIANCE));
}

/* Objects that were lost, torn or half removed show up here. */
struct promise {
	bool has_first;  /* the first barrier returned 0 */
	bool has_second; /* the second one did */
	bool is_removed; /* the removal returned 0 */
	bool is_removal_tried;
};

/* A little of everything; stops at the first failure and returns it. */
static int scenario(struct promise *p)
{
	struct buf got = BUF_INIT(64);
	struct seen seen = { .count = 0 };
	uint64_t size = 0;
	int rc = put("pk/aa/one", "first object");
	if (rc == 0)
		rc = put("pk/bb/two", "second object");
	if (rc == 0)
		rc = put("ix/gone", "to be removed");
	if (rc == 0)
		rc = store_barrier(fx.s, &err);
	p->has_first |= rc == 0;
	if (rc == 0)
		rc = store_list(fx.s, "pk/", note, &seen, &err);
	if (rc == 0)
		rc = store_get(fx.s, "pk/aa/one", &got, &err);
	if (rc == 0)
		rc = store_get_range(fx.s, "pk/bb/two", 7, 6, &got, &err);
	if (rc == 0)
		rc = store_stat(fx.s, "pk/bb/two", &size, &err);
	p->is_removal_tried |= rc == 0;
	if (rc == 0)
		rc = store_remove(fx.s, "ix/gone", &err);
	p->is_removed |= rc == 0 && p->is_removal_tried;
	if (rc == 0)
		rc = put("sn/last", "the commit point");
	if (rc == 0)
		rc = store_barrier(fx.s, &err);
	p->has_second |= rc == 0;
	buf_done(&got);
	return rc;
}

static void expect_promise(const struct promise *p, const char *when, uint64_t n)
{
	const char *k = kind_names[fx.kind];
	bool first = p->has_first;
	cr_expect(first ? holds("pk/aa/one", "first object") : lacks("pk/aa/one"), "%s %s %lu", k,
		when, n);
	cr_expect(first ? holds("pk/bb/two", "second object") : lacks("pk/bb/two"), "%s %s %lu", k,
		when, n);
	cr_expect(p->has_second ? holds("sn/last", "the commit point") : lacks("sn/last"),
		"%s %s %lu", k, when, n);
	if (!first || p->is_removed)
		cr_expect(lacks("ix/gone"), "%s %s %lu", k, when, n);
	else
		cr_expect(holds("ix/gone", "to be removed") ||
				  (p->is_removal_tried && lacks("ix/gone")),
			"%s %s %lu", k, when, n);
}

enum how { FAILING, TEARING, CRASHING };

/* Let the ${n}th operation of the scenario go wrong.  Return false when it has fewer. */
static bool break_at(enum kind kind, enum how how, uint64_t n)
{
	struct promise p = { .has_first = false };
	begin(kind);
	if (how == FAILING)
		store_fault_fail(fx.fault, STORE_FAULT_ANY, n, 1, ERR_NOSPACE);
	else if (how == TEARING)
		store_fault_tear(fx.fault, STORE_FAULT_ANY, n, ERR_IO);
	else
		store_fault_crash(fx.fault, n);
	int rc = scenario(&p);
	bool is_broken = rc != 0;
	if (is_broken) {
		cr_expect(eq(int, rc, how == FAILING ? -ERR_NOSPACE : -ERR_IO));
		uint64_t made = store_fault_count(fx.fault, STORE_FAULT_ANY);
		cr_expect(eq(u64, made, n));
		/* a set whose put or barrier failed is given up, as a caller would */
		store_fault_reset(fx.fault);
		expect_promise(&p, "at once", n);
		reopen(false);
		expect_promise(&p, "reopened", n);
		cr_expect(eq(int, store_barrier(fx.s, &err), 0));
		expect_promise(&p, "after a barrier", n);
		cr_expect(eq(int, scenario(&p), 0), "%s", err.msg);
		expect_promise(&p, "done again", n);
	}
	teardown();
	return is_broken;
}

static void break_everywhere(enum kind kind, enum how how)
{
	uint64_t n = 1;
	while (n < 100 && break_at(kind, how, n))
		n++;
	cr_expect(eq(u64, n, (uint64_t)12), "the scenario has 11 operations");
}

Test(store_contract, whatever_operation_fails_promises_are_kept)
{
	break_everywhere(MEM_BEHIND_FAULT, FAILING);
	break_everywhere(LOCAL_BEHIND_FAULT, FAILING);
}

Test(store_contract, whatever_operation_is_torn_promises_are_kept)
{
	break_everywhere(MEM_BEHIND_FAULT, TEARING);
	break_everywhere(LOCAL_BEHIND_FAULT, TEARING);
}

Test(store_contract, wherever_a_crash_hits_promises_are_kept)
{
	break_everywhere(MEM_BEHIND_FAULT, CRASHING);
	break_everywhere(LOCAL_BEHIND_FAULT, CRASHING);
}

static void expect_failed_barrier_to_drop(enum kind kind)
{
	begin(kind);
	put_now("pk/before", "content");
	cr_assert(eq(int, put("pk/before", "content"), 0)); /* there already: must stay */
	cr_assert(eq(int, put("pk/lost", "content"), 0));
	store_fault_fail(fx.fault, STORE_FAULT_BARRIER, 2, 1, ERR_IO);

	cr_expect(eq(int, store_barrier(fx.s, &err), -ERR_IO));
	cr_expect(eq(str, err.msg, "unable to make the written objects durable: injected failure"));
	cr_expect(lacks("pk/lost"));
	put_now("pk/after", "content");
	cr_expect(lacks("pk/lost"), "%s", kind_names[kind]);
	cr_expect(holds("pk/before", "content") && holds("pk/after", "content"));
	put_now("pk/lost", "found");
	cr_expect(holds("pk/lost", "found"), "%s", kind_names[kind]);
	teardown();
}

Test(store_contract, a_set_whose_barrier_failed_never_appears)
{
	expect_failed_barrier_to_drop(MEM_BEHIND_FAULT);
	expect_failed_barrier_to_drop(LOCAL_BEHIND_FAULT);
}

static void expect_limit(enum kind kind)
{
	begin(kind);
	size_t len = (size_t)STORE_MAX_OBJECT_BYTES + 1;
	char *data = calloc(1, len);
	cr_assert(ne(ptr, data, NULL));
	struct buf got = BUF_INIT(MAX_BYTES);

	cr_expect(eq(int, store_put(fx.s, "pk/over", data, len, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_put(fx.s, "pk/full", data, len - 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_barrier(fx.s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_get(fx.s, "pk/full", &got, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, got.len, len - 1));
	cr_expect(lacks("pk/over"));
	buf_done(&got);
	free(data);
	teardown();
}

Test(store_contract, an_object_of_the_limit_fits_and_one_byte_more_does_not)
{
	expect_limit(LOCAL);
	expect_limit(S3);
	expect_limit(UNIX);
}
