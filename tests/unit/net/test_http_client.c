#include "net/http_client.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "lib/net_fixture.h"

static void begin(struct net_fixture *f, void (*fn)(struct net_fixture *, struct http_request *))
{
	struct http_server_opts opts;
	net_fixture_init(f, &opts);
	f->on_request = fn;
	net_fixture_start(f, &opts);
}

static void refuse(struct http_request *r, int status, const char *json)
{
	http_request_reply(r, status, "application/json", json, strlen(json));
}

/* The first f->refusals requests are refused with the status in f->arg. */
static void refuse_some(struct net_fixture *f, struct http_request *r)
{
	if (f->refusals-- > 0)
		refuse(r, *(const int *)f->arg,
			"{\"error\":\"busy\",\"message\":\"not now\",\"hint\":\"later\"}");
	else
		http_request_reply(r, 200, "text/plain", "done", 4);
}

static struct http_client *new_client(struct http_client_opts opts)
{
	struct http_client *c = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, http_client_new(&opts, &c, &err), 0), "%s", err.msg);
	return c;
}

static const struct http_call get = { .method = HTTP_GET, .path = "/v1/work", .max_answer = 100 };

Test(http_client, a_503_and_a_429_are_tried_again_and_other_refusals_are_not)
{
	static const struct {
		int status, refusals, retry_ms, calls, rc;
	} cases[] = { { 503, 2, 20000, 3, 0 }, { 429, 1, 20000, 2, 0 }, { 503, 1, 0, 1, -ERR_BUSY },
		{ 500, 1, 20000, 1, -ERR_BUSY }, { 409, 1, 20000, 1, -ERR_BUSY } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_fixture f;
		begin(&f, refuse_some);
		int status = cases[i].status;
		f.refusals = cases[i].refusals;
		f.arg = &status;
		struct http_client_opts opts = net_fixture_client(&f);
		opts.retry_ms = cases[i].retry_ms;
		struct http_client *c = new_client(opts);
		struct err err = ERR_INIT;
		struct buf answer = BUF_INIT(100);
		int got = 0;
		cr_expect(eq(int, http_client_call(c, &get, &got, &answer, &err), cases[i].rc));
		cr_expect(eq(int, f.count, cases[i].calls));
		if (cases[i].rc == 0) {
			cr_expect(eq(str, (char *)buf_cstr(&answer), "done"));
			cr_expect(eq(int, got, 200));
		} else {
			cr_expect(eq(int, got, cases[i].status));
			cr_expect(eq(str, err.msg, "not now"));
			cr_expect(eq(str, err.hint, "later"));
			cr_expect(eq(sz, answer.len, 0));
		}
		buf_done(&answer);
		http_client_free(c);
		net_fixture_done(&f);
	}
}

static void answer(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	http_request_reply(r, 200, "text/plain", "done", 4);
}

/* Takes two connections and drops both in the handshake. */
static void *serve_raw(void *arg)
{
	int listener = *(int *)arg;
	for (int i = 0; i < 2; i++) {
		int fd = accept(listener, NULL, NULL);
		char byte;
		(void)!read(fd, &byte, 1);
		(void)close(fd);
	}
	(void)close(listener);
	return NULL;
}

static int listen_raw(int *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);
	cr_assert(eq(int, bind(fd, (struct sockaddr *)&at, sizeof(at)), 0));
	cr_assert(eq(int, listen(fd, 8), 0));
	cr_assert(eq(int, getsockname(fd, (struct sockaddr *)&at, &len), 0));
	*port = ntohs(at.sin_port);
	return fd;
}

Test(http_client, each_way_not_to_get_through_has_its_own_text_and_hint)
{
	struct net_fixture f;
	begin(&f, answer);
	struct net_ca other;
	net_fixture_ca(&other, "another CA");
	int port = 0;
	int fd = listen_raw(&port);
	(void)close(fd); /* nobody listens there now */
	char closed[64], name[64];
	(void)snprintf(closed, sizeof(closed), "127.0.0.1:%d", port);
	(void)snprintf(name, sizeof(name), "localhost:%d", f.port);
	struct {
		const char *address, *ca;
		int rc;
		const char *msg;
	} cases[] = { { closed, f.ca.cert, -ERR_UNREACHABLE, "connection refused" },
		{ f.address, other.cert, -ERR_AUTH, "is not of our CA" },
		{ name, f.ca.cert, -ERR_AUTH, "is for another name" },
		{ f.address, f.ca.cert, 0, "" }, { f.address, NULL, 0, "" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_client_opts opts = net_fixture_client(&f);
		opts.address = cases[i].address;
		opts.ca_pem = cases[i].ca;
		struct http_client *c = new_client(opts);
		struct err err = ERR_INIT;
		int rc = http_client_call(c, &get, NULL, NULL, &err);
		cr_expect(eq(int, rc, cases[i].rc), "%zu: %s", i, err.msg);
		cr_expect(ne(ptr, strstr(err.msg, cases[i].msg), NULL), "%zu: %s", i, err.msg);
		cr_expect(eq(int, rc == 0 || err.hint[0] != '\0', 1), "%zu: %s", i, err.msg);
		http_client_free(c);
	}
	net_fixture_free(other.key, other.cert);
	net_fixture_done(&f);
}

Test(http_client, a_lost_connection_is_tried_again_until_the_time_is_over)
{
	struct net_fixture f;
	begin(&f, answer);
	int port = 0;
	int listener = listen_raw(&port);
	char address[64];
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	pthread_t thread;
	cr_assert(eq(int, pthread_create(&thread, NULL, serve_raw, &listener), 0));
	struct http_client_opts opts = net_fixture_client(&f);
	opts.address = address;
	opts.retry_ms = 1500; /* then the listener is gone as well, and it is refused */
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	cr_expect(eq(int, http_client_call(c, &get, NULL, NULL, &err), -ERR_UNREACHABLE));
	(void)pthread_join(thread, NULL); /* both attempts came: else this would not end */
	http_client_free(c);
	net_fixture_done(&f);
}

static atomic_int asked;

static bool is_stopped_soon(void *arg)
{
	return ++asked > *(const int *)arg;
}

static void hold(struct net_fixture *f, struct http_request *r)
{
	f->held = r;
}

Test(http_client, a_stop_ends_calls_sends_and_waits)
{
	struct net_fixture f;
	begin(&f, hold);
	int limit = 3;
	struct http_client_opts opts = net_fixture_client(&f);
	opts.is_stopped = is_stopped_soon;
	opts.arg = &limit;
	opts.connections = 1;
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	int64_t start = env_mono_ns();
	asked = 0;
	cr_expect(eq(int, http_client_call(c, &get, NULL, NULL, &err), -ERR_INTERRUPTED));
	asked = 0;
	cr_expect(eq(int, http_client_send(c, &get, &err), 0));
	cr_expect(eq(int, http_client_send(c, &get, &err), -ERR_INTERRUPTED));
	asked = 0;
	cr_expect(eq(int, http_client_send(c, &get, &err), 0));
	cr_expect(eq(int, http_client_drain(c, &err), -ERR_INTERRUPTED));
	/* far from the minute that silence is allowed */
	cr_expect(lt(i64, env_mono_ns() - start, INT64_C(30000000000)));
	http_client_free(c);
	net_fixture_done(&f);
}

static bool is_stopped_now(void *arg)
{
	(void)arg;
	return true;
}

Test(http_client, a_last_word_goes_out_after_a_stop_but_not_for_long)
{
	struct net_fixture f;
	begin(&f, answer);
	struct http_client_opts opts = net_fixture_client(&f);
	opts.is_stopped = is_stopped_now;
	struct http_client *c = new_client(opts);
	struct http_call call = { .method = HTTP_DELETE, .path = "/v1/sessions/1" };
	struct err err = ERR_INIT;
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), -ERR_INTERRUPTED));
	call.parting_ms = 20000;
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), 0), "%s", err.msg);
	cr_expect(eq(int, f.count, 1));
	f.on_request = hold;
	call.parting_ms = 300;
	int64_t start = env_mono_ns();
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), -ERR_INTERRUPTED));
	cr_expect(ge(i64, env_mono_ns() - start, INT64_C(300000000)));
	cr_expect(eq(int, f.count, 2));
	call.parting_ms = 0; /* and nothing of it is left for others */
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, f.count, 2));
	http_client_free(c);
	net_fixture_done(&f);
}

Test(http_client, silence_ends_a_call_but_a_long_poll_may_be_silent_for_longer)
{
	struct net_fixture f;
	begin(&f, hold);
	struct http_client_opts opts = net_fixture_client(&f);
	opts.stall_ms = 200;
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	struct http_call call = get;
	int64_t start = env_mono_ns();
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), -ERR_UNREACHABLE));
	cr_expect(ne(ptr, strstr(err.msg, "stopped answering"), NULL), "%s", err.msg);
	int64_t middle = env_mono_ns();
	call.wait_ms = 700;
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), -ERR_UNREACHABLE));
	cr_expect(ge(i64, middle - start, INT64_C(200000000)));
	cr_expect(ge(i64, env_mono_ns() - middle, INT64_C(900000000)));
	http_client_free(c);
	net_fixture_done(&f);
}

static void answer_long(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	char text[200];
	memset(text, 'x', sizeof(text));
	http_request_reply(r, 200, "text/plain", text, sizeof(text));
}

Test(http_client, an_answer_over_the_limit_is_refused_and_one_nobody_wants_is_dropped)
{
	struct net_fixture f;
	begin(&f, answer_long);
	struct http_client *c = new_client(net_fixture_client(&f));
	struct err err = ERR_INIT;
	struct buf answer = BUF_INIT(1000);
	cr_expect(eq(int, http_client_call(c, &get, NULL, &answer, &err), -ERR_LIMIT));
	cr_expect(eq(sz, answer.len, 0));
	cr_expect(eq(int, http_client_call(c, &get, NULL, NULL, &err), 0));
	struct http_call call = get;
	call.max_answer = 200;
	cr_expect(eq(int, http_client_call(c, &call, NULL, &answer, &err), 0));
	cr_expect(eq(sz, answer.len, 200));
	buf_done(&answer);
	http_client_free(c);
	net_fixture_done(&f);
}

/* Counts bodies whose every byte is the one that the path names. */
static void count_good(struct net_fixture *f, struct http_request *r)
{
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	long want = strtol(http_request_path(r) + 1, NULL, 10);
	bool good = len == 100000;
	for (size_t i = 0; good && i < len; i++)
		good = body[i] == (uint8_t)want;
	if (want == 13 && f->arg != NULL) {
		refuse(r, 507, "{\"error\":\"no-space\",\"message\":\"full\"}");
		return;
	}
	f->refusals += good ? 1 : 0;
	http_request_reply(r, 204, NULL, NULL, 0);
}

static int send_all(struct http_client *c, int count, int *first_refused, struct err *err)
{
	uint8_t *body = malloc(100000);
	int rc = 0;
	for (int i = 0; i < count && rc == 0; i++) {
		char path[16];
		(void)snprintf(path, sizeof(path), "/%d", i);
		memset(body, i, 100000); /* it is copied by the send before */
		struct http_call call = {
			.method = HTTP_PUT, .path = path, .body = body, .len = 100000
		};
		rc = http_client_send(c, &call, err);
		if (rc != 0)
			*first_refused = i;
	}
	free(body);
	return rc;
}

Test(http_client, sends_go_over_several_connections_and_all_arrive)
{
	struct net_fixture f;
	begin(&f, count_good);
	struct http_client_opts opts = net_fixture_client(&f);
	opts.connections = 4;
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	int at = 0;
	cr_expect(eq(int, send_all(c, 40, &at, &err), 0));
	struct http_call call = get;
	call.path = "/200"; /* between them */
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, &err), 0));
	cr_expect(eq(int, http_client_drain(c, &err), 0));
	cr_expect(eq(int, f.refusals, 40));
	cr_expect(eq(u64, http_client_sent(c), 4000000));
	http_client_free(c);
	net_fixture_done(&f);
}

Test(http_client, what_was_sent_moves_while_it_is_tended_and_only_then)
{
	struct net_fixture f;
	begin(&f, count_good);
	struct http_client_opts opts = net_fixture_client(&f);
	opts.stall_ms = 300;
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	int at = 0, rc, turns = 0;
	cr_expect(eq(int, http_client_tend(c, &err), 0), "nothing was sent yet");
	cr_expect(eq(int, send_all(c, 1, &at, &err), 0));
	while ((rc = http_client_tend(c, &err)) == 1 && turns < 1000)
		turns++;
	cr_expect(eq(int, rc, 0), "%s", err.msg);
	cr_expect(eq(int, f.refusals, 1));
	usleep(500000); /* longer than the time after which silence is a failure */
	cr_expect(eq(int, http_client_drain(c, &err), 0), "%s", err.msg);
	http_client_free(c);
	net_fixture_done(&f);
}

Test(http_client, what_is_dropped_is_forgotten_with_its_errors)
{
	struct net_fixture f;
	begin(&f, count_good);
	f.arg = &f;
	struct http_client *c = new_client(net_fixture_client(&f));
	struct err err = ERR_INIT;
	int at = 0;
	cr_expect(eq(int, send_all(c, 40, &at, &err), -ERR_NOSPACE));
	http_client_drop(c);
	cr_expect(eq(int, http_client_tend(c, &err), 0));
	cr_expect(eq(int, send_all(c, 5, &at, &err), 0));
	cr_expect(eq(int, http_client_drain(c, &err), 0));
	http_client_free(c);
	net_fixture_done(&f);
}

Test(http_client, the_first_failed_send_stops_the_others_and_drain_tells_it)
{
	struct net_fixture f;
	begin(&f, count_good);
	f.arg = &f;
	struct http_client_opts opts = net_fixture_client(&f);
	opts.connections = 2;
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	int at = 0;
	cr_expect(eq(int, send_all(c, 40, &at, &err), -ERR_NOSPACE));
	cr_expect(ge(int, at, 14));
	cr_expect(lt(int, at, 20));
	int seen = f.count;
	err_clear(&err);
	cr_expect(eq(int, http_client_drain(c, &err), -ERR_NOSPACE));
	cr_expect(eq(str, err.msg, "full"));
	cr_expect(le(int, f.count, seen + 2));
	cr_expect(eq(int, http_client_drain(c, &err), 0)); /* told once */
	cr_expect(eq(int, send_all(c, 5, &at, &err), 0));
	cr_expect(eq(int, http_client_drain(c, &err), 0));
	http_client_free(c);
	net_fixture_done(&f);
}

static void show_token(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	const char *token = http_request_header(r, "Authorization");
	const char *expect = http_request_header(r, "Expect");
	if (token == NULL || expect != NULL)
		token = "-";
	http_request_reply(r, 200, "text/plain", token, strlen(token));
}

Test(http_client, a_bearer_token_is_sent_and_no_proxy_of_the_environment_used)
{
	struct net_fixture f;
	begin(&f, show_token);
	(void)setenv("https_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	struct http_client_opts opts = net_fixture_client(&f);
	opts.bearer = "s3cret";
	struct http_client *c = new_client(opts);
	struct err err = ERR_INIT;
	struct buf answer = BUF_INIT(100);
	cr_expect(eq(int, http_client_call(c, &get, NULL, &answer, &err), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&answer), "Bearer s3cret"));
	buf_done(&answer);
	http_client_free(c);
	net_fixture_done(&f);
}

static void redirect(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	http_request_add_header(r, "Location", "/elsewhere");
	http_request_reply(r, 302, NULL, NULL, 0);
}

Test(http_client, a_redirect_is_not_followed)
{
	struct net_fixture f;
	begin(&f, redirect);
	struct http_client *c = new_client(net_fixture_client(&f));
	struct err err = ERR_INIT;
	int status = 0;
	cr_expect(eq(int, http_client_call(c, &get, &status, NULL, &err), -ERR_FAILED));
	cr_expect(eq(int, status, 302));
	cr_expect(eq(int, f.count, 1));
	http_client_free(c);
	net_fixture_done(&f);
}

Test(http_client, options_that_are_no_good_are_found_before_connecting)
{
	static const char *const bad[] = { "", "host", ":1", "host:", "host:x", "host:123456",
		"h/x:1", "u@h:1", "h?a:1", "h#a:1", "h a:1" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_client_opts opts = { .address = bad[i] };
		struct http_client *c = NULL;
		struct err err = ERR_INIT;
		cr_expect(eq(int, http_client_new(&opts, &c, &err), -ERR_CONFIG), "%s", bad[i]);
		cr_expect(ne(str, err.hint, ""));
	}
	struct http_client_opts opts = { .address = "[::1]:1", .ca_pem = "no PEM" };
	struct http_client *c = NULL;
	cr_expect(eq(int, http_client_new(&opts, &c, NULL), -ERR_CONFIG));
	opts.ca_pem = NULL;
	opts.key_pem = "k";
	cr_expect(eq(int, http_client_new(&opts, &c, NULL), -ERR_CONFIG));
	c = new_client((struct http_client_opts){ .address = "[::1]:1" });
	struct http_call call = { .method = HTTP_GET, .path = "/a b" };
	cr_expect(eq(int, http_client_call(c, &call, NULL, NULL, NULL), -ERR_USAGE));
	http_client_free(c);
}
