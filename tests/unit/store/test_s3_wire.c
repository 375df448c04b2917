/* Requests against a stub that breaks them in every way. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/s3/s3_location.h"
#include "store/s3/s3_wire.h"
#include "tests/lib/s3_stub.h"

#define BIG_BYTES ((size_t)300000)

static struct err err;
static struct s3_stub *stub;
static struct s3_location place;
static struct s3_wire *wire;
static char *big;

static void open_wire(const struct s3_stub_kind *kind, const char *options, int budget_ms)
{
	char text[256];
	stub = s3_stub_new(kind);
	s3_stub_environment();
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/p%s",
		s3_stub_port(stub), options);
	cr_assert(eq(int, s3_location_parse(text, &place, &err), 0), "%s", err.msg);
	struct s3_wire_opts opts = {
		.place = &place, .connections = 4, .stall_s = 1, .budget_ms = budget_ms
	};
	cr_assert(eq(int, s3_wire_new(&opts, &wire, &err), 0), "%s", err.msg);
	big = malloc(BIG_BYTES);
	for (size_t i = 0; i < BIG_BYTES; i++)
		big[i] = (char)(i * 7 + i / 251);
	s3_stub_put(stub, "p/big", big, BIG_BYTES);
}

static void done(void)
{
	s3_wire_free(wire);
	s3_location_done(&place);
	s3_stub_free(stub);
	free(big);
}

TestSuite(s3_wire, .fini = done, .timeout = 120);

#define USUAL "?region=" S3_STUB_REGION

static int put(const char *key, const char *text)
{
	struct s3_wire_call call = {
		.method = S3_WIRE_PUT, .key = key, .body = text, .len = strlen(text)
	};
	return s3_wire_run(wire, &call, &err);
}

/* The big object by one GET: is it right? */
static bool reads_big(void)
{
	struct buf got = BUF_INIT(BIG_BYTES);
	struct s3_wire_call call = { .method = S3_WIRE_GET, .key = "p/big", .answer = &got };
	int rc = s3_wire_run(wire, &call, &err);
	bool is = rc == 0 && got.len == BIG_BYTES && memcmp(got.data, big, BIG_BYTES) == 0;
	buf_done(&got);
	return is;
}

Test(s3_wire, awkward_keys_are_signed_right)
{
	static const char *const keys[] = { "p/a b+c=d&e?f%20g",
		"p/~!()'*@$,;:", "p/\xc3\xbc\xe2\x82\xac", "p//b/./c/../d", "p/%2F%",
		"p/\"<>\\^`{|}#[]", "p/a\tb\x7f" };
	open_wire(NULL, USUAL, 2000);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct buf got = BUF_INIT(64);
		cr_expect(eq(int, put(keys[i], keys[i]), 0), "%s: %s", keys[i], err.msg);
		cr_expect(s3_stub_holds(stub, keys[i], keys[i], strlen(keys[i])), "%s", keys[i]);
		struct s3_wire_call get = { .method = S3_WIRE_GET, .key = keys[i], .answer = &got };
		cr_expect(eq(int, s3_wire_run(wire, &get, &err), 0), "%s: %s", keys[i], err.msg);
		cr_expect(eq(str, (char *)buf_cstr(&got), (char *)keys[i]));
		buf_done(&got);
	}
	cr_expect(eq(uint, s3_stub_connections(stub), 1u), "one connection is kept");
}

Test(s3_wire, queries_in_any_order_and_without_values_are_signed_right)
{
	open_wire(NULL, USUAL, 2000);
	struct buf got = BUF_INIT(65536);
	struct s3_wire_call list = { .method = S3_WIRE_GET,
		.query = { { "prefix", "p/ +&=%/\xc3\xbc" }, { "list-type", "2" },
			{ "uploads", NULL } },
		.query_count = 3,
		.answer = &got };
	cr_expect(eq(int, s3_wire_run(wire, &list, &err), 0), "%s", err.msg);
	static const char body[] = "<Delete><Object><Key>p/x</Key></Object></Delete>";
	struct s3_wire_call post = { .method = S3_WIRE_POST,
		.query = { { "delete", NULL } },
		.query_count = 1,
		.body = body,
		.len = strlen(body) };
	cr_expect(eq(int, s3_wire_run(wire, &post, &err), 0), "%s", err.msg);
	struct s3_wire_call del = { .method = S3_WIRE_DELETE, .key = "p/big" };
	cr_expect(eq(int, s3_wire_run(wire, &del, &err), 0), "%s", err.msg);
	struct s3_wire_call put_meta = { .method = S3_WIRE_PUT,
		.key = "p/meta",
		.headers = { { "x-amz-meta-a-b", " two  words " }, { "x-amz-meta-a", "1" } },
		.header_count = 2 };
	cr_expect(eq(int, s3_wire_run(wire, &put_meta, &err), 0), "an empty body: %s", err.msg);
	buf_done(&got);
}

Test(s3_wire, a_session_token_is_signed)
{
	struct s3_stub_kind kind = { .token = "session+token/1==" };
	open_wire(&kind, USUAL, 2000);
	setenv("AWS_SESSION_TOKEN", "session+token/1==", 1);
	cr_expect(eq(int, put("p/a", "x"), 0), "%s", err.msg);
}

Test(s3_wire, an_expired_token_is_renewed_once)
{
	struct s3_stub_kind kind = { .token = "one" };
	open_wire(&kind, USUAL, 2000);
	setenv("AWS_SESSION_TOKEN", "one", 1);
	cr_expect(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	kind.token = "two";
	s3_stub_set_kind(stub, &kind);
	cr_expect(eq(int, put("p/b", "x"), -ERR_AUTH));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/b"), 2u));
	cr_expect(ne(ptr, strstr(err.msg, "session token has expired"), NULL), "%s", err.msg);
	setenv("AWS_SESSION_TOKEN", "two", 1);
	cr_expect(eq(int, put("p/c", "x"), 0), "%s", err.msg);
}

Test(s3_wire, the_servers_clock_counts)
{
	struct s3_stub_kind kind = { .skew_s = 1200 };
	open_wire(&kind, USUAL, 2000);
	cr_expect(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	cr_expect(eq(int, put("p/b", "x"), 0), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/"), 3u), "the difference is kept");
}

Test(s3_wire, the_region_is_learnt_when_nobody_gave_it)
{
	open_wire(NULL, "", 2000);
	cr_expect(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)s3_wire_region(wire), S3_STUB_REGION));
	cr_expect(eq(int, put("p/b", "x"), 0), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/"), 3u));
}

Test(s3_wire, a_region_that_was_given_wrong_is_an_error)
{
	open_wire(NULL, "?region=us-west-9", 2000);
	cr_expect(eq(int, put("p/a", "x"), -ERR_CONFIG));
	cr_expect(eq(str, err.msg,
		"bucket '" S3_STUB_BUCKET "' is in region '" S3_STUB_REGION
		"', not in 'us-west-9'"));
}

Test(s3_wire, a_get_that_breaks_off_goes_on_from_its_last_byte)
{
	open_wire(NULL, USUAL, 4000);
	struct s3_stub_fault cut = { .how = S3_STUB_CUT, .method = "GET", .times = 4, .at = 65536 };
	s3_stub_break(stub, &cut);
	cr_expect(reads_big(), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "GET", "p/big"), 5u));
}

Test(s3_wire, a_get_without_a_tag_begins_anew)
{
	struct s3_stub_kind kind = { .sends_no_tags = true };
	open_wire(&kind, USUAL, 4000);
	struct s3_stub_fault cut = { .how = S3_STUB_CUT, .method = "GET", .times = 2, .at = 65536 };
	s3_stub_break(stub, &cut);
	cr_expect(reads_big(), "%s", err.msg);
}

Test(s3_wire, an_object_that_changed_meanwhile_is_read_anew)
{
	open_wire(NULL, USUAL, 4000);
	struct s3_stub_fault cut = { .how = S3_STUB_CUT, .method = "GET", .times = 1, .at = 65536 };
	struct s3_stub_fault other = { .how = S3_STUB_STATUS,
		.method = "GET",
		.times = 1,
		.status = 412,
		.code = "PreconditionFailed" };
	s3_stub_break(stub, &cut);
	s3_stub_break(stub, &other);
	cr_expect(reads_big(), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "GET", "p/big"), 3u));
}

Test(s3_wire, a_range_is_cut_and_gone_on_with)
{
	open_wire(NULL, USUAL, 4000);
	struct s3_stub_fault cut = { .how = S3_STUB_CUT, .method = "GET", .times = 3, .at = 1000 };
	s3_stub_break(stub, &cut);
	struct buf got = BUF_INIT(65536);
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.key = "p/big",
		.is_range = true,
		.offset = 12345,
		.want = 5000,
		.answer = &got };
	cr_assert(eq(int, s3_wire_run(wire, &call, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, got.len, (size_t)5000));
	cr_expect(eq(int, memcmp(got.data, big + 12345, 5000), 0));
	cr_expect(eq(u64, call.total, (uint64_t)BIG_BYTES));
	buf_done(&got);
}

Test(s3_wire, what_may_pass_is_tried_again)
{
	static const struct s3_stub_fault faults[] = {
		{ .how = S3_STUB_STATUS, .status = 503, .code = "SlowDown", .times = 2 },
		{ .how = S3_STUB_STATUS, .status = 500, .code = "InternalError", .times = 2 },
		{ .how = S3_STUB_STATUS, .status = 408, .code = "RequestTimeout", .times = 1 },
		{ .how = S3_STUB_STATUS, .status = 400, .code = "BadDigest", .times = 1 },
		{ .how = S3_STUB_RESET, .times = 2 },
		{ .how = S3_STUB_LOSE_REPLY, .times = 1 },
		{ .how = S3_STUB_HANG, .times = 1 },
	};
	open_wire(NULL, USUAL, 20000);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "p/%zu", i);
		s3_stub_break(stub, &faults[i]);
		cr_expect(eq(int, put(key, "x"), 0), "%s", err.msg);
		cr_expect(eq(uint, s3_stub_count(stub, "PUT", key), faults[i].times + 1), "%zu", i);
		cr_expect(s3_stub_holds(stub, key, "x", 1));
	}
}

Test(s3_wire, what_a_person_must_change_is_not_tried_again)
{
	static const struct {
		int status;
		const char *code;
		int rc;
	} cases[] = { { 403, "AccessDenied", -ERR_AUTH }, { 403, "QuotaExceeded", -ERR_NOSPACE },
		{ 501, "NotImplemented", -ERR_UNSUPPORTED }, { 400, "InvalidRequest", -ERR_IO } };
	open_wire(NULL, USUAL, 20000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_stub_fault f = { .how = S3_STUB_STATUS,
			.status = cases[i].status,
			.code = cases[i].code,
			.times = 1 };
		s3_stub_break(stub, &f);
		cr_expect(eq(int, put("p/a", "x"), cases[i].rc), "%s", cases[i].code);
	}
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/a"), 4u));
}

Test(s3_wire, time_for_tries_ends_and_the_cause_is_told)
{
	open_wire(NULL, USUAL, 600);
	struct s3_stub_fault f = {
		.how = S3_STUB_STATUS, .status = 503, .code = "SlowDown", .times = 1000
	};
	cr_assert(eq(int, put("p/met", "x"), 0));
	s3_stub_break(stub, &f);
	cr_expect(eq(int, put("p/a", "x"), -ERR_IO));
	cr_expect(ne(ptr, strstr(err.msg, "503 SlowDown"), NULL), "%s", err.msg);
	cr_expect(ge(uint, s3_stub_count(stub, "PUT", "p/a"), 2u));
}

Test(s3_wire, slow_down_makes_it_fewer_at_once)
{
	open_wire(NULL, USUAL, 20000);
	struct s3_stub_fault f = {
		.how = S3_STUB_STATUS, .status = 503, .code = "SlowDown", .times = 1
	};
	cr_expect(eq(int, s3_wire_width(wire), 4));
	s3_stub_break(stub, &f);
	cr_assert(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	cr_expect(eq(int, s3_wire_width(wire), 2));
	for (int i = 0; i < 20; i++)
		cr_assert(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	cr_expect(eq(int, s3_wire_width(wire), 4));
}

Test(s3_wire, several_are_under_way_at_once)
{
	enum { MANY = 12 };
	struct s3_wire_call calls[MANY];
	char keys[MANY][16];
	open_wire(NULL, USUAL, 2000);
	memset(calls, 0, sizeof(calls));
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "p/m%d", i);
		calls[i] = (struct s3_wire_call){
			.method = S3_WIRE_PUT, .key = keys[i], .body = big, .len = BIG_BYTES
		};
		s3_wire_start(wire, &calls[i]);
	}
	for (int i = 0; i < MANY; i++) {
		cr_expect(eq(int, s3_wire_wait(wire, &calls[i], &err), 0), "%s", err.msg);
		cr_expect(s3_wire_is_done(wire, &calls[i]));
		cr_expect(s3_stub_holds(stub, keys[i], big, BIG_BYTES));
	}
	cr_expect(le(uint, s3_stub_connections(stub), 4u));
}

Test(s3_wire, an_answer_longer_than_allowed_is_refused)
{
	open_wire(NULL, USUAL, 2000);
	struct buf got = BUF_INIT(BIG_BYTES - 1);
	cr_assert(eq(int, buf_add(&got, "", 0, &err), 0));
	struct s3_wire_call call = { .method = S3_WIRE_GET, .key = "p/big", .answer = &got };
	cr_expect(eq(int, s3_wire_run(wire, &call, &err), -ERR_LIMIT));
	cr_expect(eq(sz, got.len, (size_t)0));
	buf_done(&got);
}

Test(s3_wire, a_wrong_secret_is_said_and_not_shown)
{
	open_wire(NULL, USUAL, 2000);
	setenv("AWS_SECRET_ACCESS_KEY", "verysecret", 1);
	cr_expect(eq(int, put("p/a", "x"), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "the secret key is wrong"), NULL), "%s", err.msg);
	cr_expect(eq(ptr, strstr(err.msg, "verysecret"), NULL));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/a"), 1u));
}

Test(s3_wire, nobody_there_is_said_within_seconds)
{
	open_wire(NULL, USUAL, 300000);
	s3_stub_free(stub);
	stub = NULL;
	int64_t from = env_mono_ns();
	cr_expect(eq(int, put("p/a", "x"), -ERR_UNREACHABLE));
	cr_expect(lt(i64, env_mono_ns() - from, INT64_C(10000000000)));
	cr_expect(ne(ptr, strstr(err.msg, "nobody answers at '127.0.0.1:"), NULL), "%s", err.msg);
}

Test(s3_wire, who_takes_connections_is_tried_more_often)
{
	struct s3_stub_fault f = { .how = S3_STUB_RESET, .times = S3_WIRE_FIRST_TRIES + 1 };
	open_wire(NULL, USUAL, 300000);
	s3_stub_break(stub, &f);
	cr_expect(eq(int, put("p/a", "x"), 0), "%s", err.msg);
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", "p/a"), f.times + 1));
}

static bool is_stop_asked;

static bool is_stopped(void *arg)
{
	(void)arg;
	return __atomic_load_n(&is_stop_asked, __ATOMIC_RELAXED);
}

Test(s3_wire, a_stop_ends_the_waiting_for_another_try)
{
	open_wire(NULL, USUAL, 2000);
	s3_wire_free(wire);
	struct s3_wire_opts opts = { .place = &place, .is_stopped = is_stopped };
	cr_assert(eq(int, s3_wire_new(&opts, &wire, &err), 0));
	cr_assert(eq(int, put("p/a", "x"), 0));
	struct s3_stub_fault f = {
		.how = S3_STUB_STATUS, .status = 500, .code = "InternalError", .times = 100000
	};
	s3_stub_break(stub, &f);
	struct s3_wire_call call = { .method = S3_WIRE_PUT, .key = "p/b", .body = "x", .len = 1 };
	s3_wire_start(wire, &call);
	while (s3_stub_count(stub, "PUT", "p/b") < 2)
		;
	__atomic_store_n(&is_stop_asked, true, __ATOMIC_RELAXED);
	int rc = s3_wire_wait(wire, &call, &err);
	cr_expect(rc == -ERR_INTERRUPTED || rc == -ERR_IO, "%d %s", rc, err.msg);
}
