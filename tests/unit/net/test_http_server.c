#include "net/http_server.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/x509.h"
#include "lib/net_fixture.h"

#define BIG ((size_t)16 << 20)
#define HEAD "GET /v1/x HTTP/1.1\r\nHost: h\r\n"

/* Answers with method, path, query `q`, the peer's URI and the length of the body. */
static void echo(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	unsigned long sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += body[i];
	const char *q = http_request_query(r, "q");
	char text[512];
	(void)snprintf(text, sizeof(text), "%d %s %s %s %zu %lu", (int)http_request_method(r),
		http_request_path(r), q == NULL ? "-" : q, http_request_peer(r)->uri, len, sum);
	http_request_reply(r, 200, "text/plain", text, strlen(text));
}

static void hold(struct net_fixture *f, struct http_request *r)
{
	f->held = r;
}

static void begin(struct net_fixture *f, void (*fn)(struct net_fixture *, struct http_request *))
{
	struct http_server_opts opts;
	net_fixture_init(f, &opts);
	f->on_request = fn;
	net_fixture_start(f, &opts);
}

/* Send ${text} on a new connection; what comes until the server closes. */
static size_t ask(struct net_fixture *f, const char *text, size_t len, char *out, size_t size)
{
	struct net_raw *r = net_fixture_raw(f, &f->client_id);
	cr_assert(ne(ptr, r, NULL));
	(void)net_fixture_raw_send(r, text, len);
	size_t n = net_fixture_raw_read(r, out, size, NULL);
	net_fixture_raw_free(r);
	return n;
}

static struct err call(struct net_fixture *f, struct http_client_opts opts, struct http_call c,
	int *status, struct buf *answer)
{
	(void)f;
	struct err err = ERR_INIT;
	struct http_client *client = NULL;
	cr_assert(eq(int, http_client_new(&opts, &client, &err), 0));
	(void)http_client_call(client, &c, status, answer, &err);
	http_client_free(client);
	return err;
}

Test(http_server, a_request_and_its_answer_go_around)
{
	struct net_fixture f;
	begin(&f, echo);
	struct buf answer = BUF_INIT(4096);
	int status = 0;
	struct http_call c = { .method = HTTP_POST,
		.path = "/v1/a%20b?x=1&q=c+d%2Be",
		.body = "\1\2\3",
		.len = 3,
		.max_answer = 4096 };

	struct err err = call(&f, net_fixture_client(&f), c, &status, &answer);

	cr_expect(eq(str, err.msg, ""));
	cr_expect(eq(int, status, 200));
	cr_expect(eq(str, (char *)buf_cstr(&answer),
		"2 /v1/a b c d+e holdfast:agent:00112233445566778899aabbccddeeff 3 6"));
	buf_done(&answer);
	net_fixture_done(&f);
}

Test(http_server, a_body_of_the_largest_size_arrives_and_one_more_byte_is_413)
{
	struct net_fixture f;
	begin(&f, echo);
	uint8_t *body = malloc(BIG + 1);
	memset(body, 1, BIG + 1);
	struct buf answer = BUF_INIT(4096);
	int status = 0;
	struct http_call c = {
		.method = HTTP_PUT, .path = "/b", .body = body, .len = BIG, .max_answer = 4096
	};

	struct err err = call(&f, net_fixture_client(&f), c, &status, &answer);
	cr_expect(eq(str, err.msg, ""));
	cr_expect(ne(ptr, strstr(buf_cstr(&answer), " 16777216 16777216"), NULL));

	c.len = BIG + 1;
	err = call(&f, net_fixture_client(&f), c, &status, &answer);
	cr_expect(eq(int, status, 413));
	cr_expect(eq(int, err.code, ERR_LIMIT));
	cr_expect(eq(int, f.count, 1));
	free(body);
	buf_done(&answer);
	net_fixture_done(&f);
}

Test(http_server, only_a_good_certificate_of_the_ca_gets_in)
{
	struct net_fixture f;
	begin(&f, echo);
	int64_t now = net_fixture_now();
	struct net_ca other;
	net_fixture_ca(&other, "test CA"); /* the same name, another key */
	struct net_id stranger, expired, early, server;
	net_fixture_id(&stranger, &other, "holdfast:agent:x", now - 86400, now + 86400);
	net_fixture_id(&expired, &f.ca, "holdfast:agent:x", now - 86400, now - 60);
	net_fixture_id(&early, &f.ca, "holdfast:agent:x", now + 3600, now + 86400);
	net_fixture_server_id(&server, &f.ca, now - 86400, now + 86400);
	const struct net_id *bad[] = { NULL, &stranger, &expired, &early, &server };
	const char *const told[] = { "we showed none", "refused our certificate",
		"it has expired or is not valid yet", "refused our certificate",
		"refused our certificate" };
	struct http_call c = { .method = HTTP_GET, .path = "/" };
	for (size_t i = 0; i < 5; i++) {
		struct http_client_opts opts = net_fixture_client(&f);
		opts.cert_pem = bad[i] == NULL ? NULL : bad[i]->cert;
		opts.key_pem = bad[i] == NULL ? NULL : bad[i]->key;
		struct err err = call(&f, opts, c, NULL, NULL);
		cr_expect(eq(int, err.code, ERR_AUTH), "%zu: %s", i, err.msg);
		cr_expect(ne(ptr, strstr(err.msg, told[i]), NULL), "%zu: %s", i, err.msg);
		cr_expect(ne(str, err.hint, ""));
	}
	cr_expect(eq(int, f.count, 0));
	net_fixture_free(other.key, other.cert);
	net_fixture_free(stranger.key, stranger.cert);
	net_fixture_free(expired.key, expired.cert);
	net_fixture_free(early.key, early.cert);
	net_fixture_free(server.key, server.cert);
	net_fixture_done(&f);
}

/* Two readers could disagree about each of these. */
Test(http_server, what_could_be_read_in_two_ways_is_refused_and_the_connection_ends)
{
	static const char *const bad[] = {
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
		"\r\n0\r\n\r\nGET /s HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 1\r\n\r\nx",
		HEAD "X: a\r\n b\r\n\r\n",
		HEAD "X: a\n\r\n",
		"GET / HTTP/1.1\nHost: h\n\n",
		HEAD "X: a\rb\r\n\r\n",
		HEAD "X: a\001b\r\n\r\n",
		HEAD ": a\r\n\r\n",
		HEAD "X\r\n\r\n",
		"\r\n" HEAD "\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a//b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET //b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a/%2e%2E HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a/. HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a%0ab HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /?q=%00 HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: h\r\n\r\n",
		"GET /\r\nHost: h\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	};
	struct net_fixture f;
	begin(&f, echo);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char out[4096];
		size_t n = ask(&f, bad[i], strlen(bad[i]), out, sizeof(out));
		cr_expect(ge(sz, n, 1), "%s", bad[i]);
		cr_expect(eq(int,
				  strncmp(out, "HTTP/1.1 4", 10) == 0 ||
					  strncmp(out, "HTTP/1.1 505", 12) == 0,
				  1),
			"%s -> %s", bad[i], out);
		cr_expect(ne(ptr, strstr(out, "Connection: close"), NULL));
		/* one answer only */
		cr_expect(eq(ptr, strstr(out, "}HTTP/1.1 "), NULL), "%s -> %s", bad[i], out);
	}
	char nul[] = HEAD "X: a?b\r\n\r\n";
	*strchr(nul, '?') = '\0';
	char out[4096];
	(void)ask(&f, nul, sizeof(nul) - 1, out, sizeof(out));
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 400", 12), 0));
	cr_expect(eq(int, f.count, 0));
	net_fixture_done(&f);
}

Test(http_server, a_head_over_16_KiB_is_431)
{
	struct net_fixture f;
	begin(&f, echo);
	size_t size = (size_t)20 << 10;
	char *text = malloc(size);
	memset(text, 'a', size);
	memcpy(text, HEAD "X: ", strlen(HEAD "X: "));
	char out[4096];
	(void)ask(&f, text, size, out, sizeof(out));
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 431", 12), 0), "%s", out);
	free(text);
	net_fixture_done(&f);
}

Test(http_server, a_head_may_come_byte_by_byte_and_requests_one_after_another)
{
	struct net_fixture f;
	begin(&f, echo);
	static const char text[] = "POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"
				   "GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	struct net_raw *r = net_fixture_raw(&f, &f.client_id);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		cr_assert(eq(int, net_fixture_raw_send(r, text + i, 1), 1));
	char out[4096];
	(void)net_fixture_raw_read(r, out, sizeof(out), NULL);
	const char *first = strstr(out, "2 /1 - ");
	cr_assert(ne(ptr, (void *)first, NULL), "%s", out);
	cr_expect(ne(ptr, strstr(first, "1 /2 - "), NULL), "%s", out);
	cr_expect(ne(ptr, strstr(out, "Cache-Control: no-store\r\n"), NULL));
	cr_expect(ne(ptr, strstr(out, "X-Content-Type-Options: nosniff\r\n"), NULL));
	cr_expect(ne(ptr, strstr(out, "Connection: keep-alive\r\n"), NULL));
	cr_expect(eq(ptr, strstr(out, "Server:"), NULL));
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

static void answer_held(void *arg)
{
	struct net_fixture *f = arg;
	if (f->held == NULL)
		return;
	http_request_add_header(f->held, "X-Late", "yes\r\nX-Forged: yes");
	http_request_reply(f->held, 204, NULL, NULL, 0);
	f->held = NULL;
}

/* Let the server's loop turn until it saw ${count} requests. */
static void look(void *arg)
{
	(void)arg;
}
static void wait_for(struct net_fixture *f, const int *what, int count)
{
	int64_t until = env_mono_ns() + INT64_C(10000000000);
	do
		net_fixture_do(f, look, NULL);
	while (*(const volatile int *)what < count && env_mono_ns() < until);
	cr_assert(ge(int, *(const volatile int *)what, count));
}

Test(http_server, a_reply_may_come_later_and_cannot_be_given_another_header)
{
	struct net_fixture f;
	begin(&f, hold);
	struct net_raw *r = net_fixture_raw(&f, &f.client_id);
	static const char text[] = HEAD "Connection: close\r\n\r\n";
	(void)net_fixture_raw_send(r, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 1);
	net_fixture_do(&f, answer_held, &f);
	char out[4096];
	(void)net_fixture_raw_read(r, out, sizeof(out), NULL);
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 204 No Content\r\n", 25), 0), "%s", out);
	cr_expect(ne(ptr, strstr(out, "X-Late: yes"), NULL));
	cr_expect(eq(ptr, strstr(out, "\nX-Forged"), NULL));
	cr_expect(eq(ptr, strstr(out, "Content-Length"), NULL));
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

/* Several that wait. */
static struct http_request *many[8];
static size_t many_count;

static void hold_many(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	many[many_count++] = r;
}

static void answer_many(void *arg)
{
	(void)arg;
	while (many_count > 0)
		http_request_reply(many[--many_count], 204, NULL, NULL, 0);
}

#define MUCH_BYTES ((size_t)32 << 20)
static size_t unread;

static void answer_much(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	unread = http_request_unread(r);
	void *much = calloc(1, MUCH_BYTES);
	cr_assert(ne(ptr, much, NULL));
	http_request_reply(r, 200, "application/octet-stream", much, MUCH_BYTES);
	free(much);
}

static void on_gone(void *arg)
{
	struct net_fixture *f = arg;
	f->gone++;
}

static void hold_and_watch(struct net_fixture *f, struct http_request *r)
{
	f->held = r;
	http_request_on_gone(r, on_gone, f);
}

Test(http_server, a_client_that_goes_away_is_noticed_and_can_still_be_answered)
{
	struct net_fixture f;
	begin(&f, hold_and_watch);
	struct net_raw *r = net_fixture_raw(&f, &f.client_id);
	static const char text[] = HEAD "\r\n";
	(void)net_fixture_raw_send(r, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 1);
	cr_expect(eq(int, f.gone, 0));
	net_fixture_raw_free(r);
	wait_for(&f, &f.gone, 1);
	net_fixture_do(&f, answer_held, &f);
	cr_expect(eq(int, f.gone, 1));

	/* and one that is never answered goes with the server */
	r = net_fixture_raw(&f, &f.client_id);
	(void)net_fixture_raw_send(r, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 2);
	net_fixture_done(&f);
	cr_expect(eq(int, f.gone, 1));
	net_fixture_raw_free(r);
}

/* Its second request was half read while the first waited, and is whole when reading goes on. */
Test(http_server, one_that_sent_ahead_and_goes_away_is_noticed_too)
{
	struct net_fixture f;
	begin(&f, hold_and_watch);
	struct net_raw *r = net_fixture_raw(&f, &f.client_id);
	cr_assert(ne(ptr, r, NULL));
	static const char text[] = HEAD "\r\n";
	(void)net_fixture_raw_send(r, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 1);
	(void)net_fixture_raw_send(r, text, 10);
	for (int turn = 0; turn < 10; turn++)
		net_fixture_do(&f, look, NULL);
	(void)net_fixture_raw_send(r, text + 10, sizeof(text) - 1 - 10);
	net_fixture_do(&f, answer_held, &f);
	wait_for(&f, &f.count, 2);
	for (int turn = 0; turn < 10; turn++)
		net_fixture_do(&f, look, NULL);
	cr_expect(eq(int, f.gone, 0));
	net_fixture_raw_free(r);
	wait_for(&f, &f.gone, 1);
	net_fixture_done(&f);
}

Test(http_server, connections_over_a_limit_are_closed_and_room_comes_back)
{
	struct net_fixture f;
	struct http_server_opts opts;
	net_fixture_init(&f, &opts);
	f.on_request = echo;
	opts.max_per_address = 3;
	net_fixture_start(&f, &opts);
	struct net_raw *r[4];
	for (size_t i = 0; i < 4; i++)
		r[i] = net_fixture_raw(&f, &f.client_id);
	cr_expect(ne(ptr, r[2], NULL));
	cr_expect(eq(ptr, r[3], NULL));
	net_fixture_raw_free(r[0]);
	static const char text[] = HEAD "Connection: close\r\n\r\n";
	char out[4096];
	/* the one that was closed is counted down before this answer comes */
	(void)net_fixture_raw_send(r[1], text, sizeof(text) - 1);
	(void)net_fixture_raw_read(r[1], out, sizeof(out), NULL);
	r[3] = net_fixture_raw(&f, &f.client_id);
	cr_expect(ne(ptr, r[3], NULL));
	for (size_t i = 1; i < 4; i++)
		net_fixture_raw_free(r[i]);
	net_fixture_done(&f);
}

Test(http_server, silent_connections_keep_nobody_out_and_requests_stay)
{
	enum { MOST = 3 };
	struct net_fixture f;
	struct http_server_opts opts;
	static const char text[] = HEAD "Connection: close\r\n\r\n";
	char out[4096];
	int silent[MOST];
	struct net_raw *asking[MOST];
	net_fixture_init(&f, &opts);
	f.on_request = hold_many;
	opts.max_connections = MOST;
	net_fixture_start(&f, &opts);
	for (size_t i = 0; i < MOST; i++)
		silent[i] = net_fixture_dial(&f);
	for (size_t i = 0; i < MOST; i++) {
		asking[i] = net_fixture_raw(&f, &f.client_id);
		cr_assert(ne(ptr, asking[i], NULL), "%zu", i);
		(void)net_fixture_raw_send(asking[i], text, sizeof(text) - 1);
		wait_for(&f, &f.count, (int)i + 1);
		cr_expect(eq(int, (int)read(silent[i], out, 1), 0)); /* the oldest made room */
	}
	/* whoever waits for an answer is not sent away */
	cr_expect(eq(ptr, net_fixture_raw(&f, &f.client_id), NULL));
	net_fixture_do(&f, answer_many, &f);
	for (size_t i = 0; i < MOST; i++) {
		(void)net_fixture_raw_read(asking[i], out, sizeof(out), NULL);
		cr_expect(eq(int, strncmp(out, "HTTP/1.1 204", 12), 0), "%s", out);
		net_fixture_raw_free(asking[i]);
		(void)close(silent[i]);
	}
	net_fixture_done(&f);
}

Test(http_server, what_a_peer_does_not_read_is_counted)
{
	struct net_fixture f;
	struct http_server_opts opts;
	static const char text[] = HEAD "\r\n";
	net_fixture_init(&f, &opts);
	f.on_request = answer_much;
	net_fixture_start(&f, &opts);
	struct net_raw *deaf = net_fixture_raw(&f, &f.client_id);
	cr_assert(ne(ptr, deaf, NULL));
	(void)net_fixture_raw_send(deaf, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 1);
	cr_expect(eq(sz, unread, 0));
	struct net_raw *next = net_fixture_raw(&f, &f.client_id);
	cr_assert(ne(ptr, next, NULL));
	(void)net_fixture_raw_send(next, text, sizeof(text) - 1);
	wait_for(&f, &f.count, 2);
	/* all but what the kernel took */
	cr_expect(ge(sz, unread, (MUCH_BYTES / 4) + 1));
	cr_expect(le(sz, unread, MUCH_BYTES + 1024));
	net_fixture_raw_free(deaf);
	net_fixture_raw_free(next);
	net_fixture_done(&f);
}

Test(http_server, a_slow_sender_is_cut_off_and_told)
{
	struct net_fixture f;
	struct http_server_opts opts;
	net_fixture_init(&f, &opts);
	f.on_request = echo;
	opts.idle_s = 1;
	net_fixture_start(&f, &opts);
	int silent = net_fixture_dial(&f); /* stops before its handshake */
	struct net_raw *head = net_fixture_raw(&f, &f.client_id);
	struct net_raw *body = net_fixture_raw(&f, &f.client_id);
	cr_assert(eq(int, head != NULL && body != NULL, 1));
	(void)net_fixture_raw_send(head, "GET ", 4);
	static const char text[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc";
	(void)net_fixture_raw_send(body, text, sizeof(text) - 1);
	char out[4096];
	(void)net_fixture_raw_read(head, out, sizeof(out), NULL);
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 408", 12), 0), "%s", out);
	(void)net_fixture_raw_read(body, out, sizeof(out), NULL);
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 408", 12), 0), "%s", out);
	cr_expect(eq(int, (int)read(silent, out, 1), 0));
	(void)close(silent);
	cr_expect(eq(int, f.count, 0));
	net_fixture_raw_free(head);
	net_fixture_raw_free(body);
	net_fixture_done(&f);
}

Test(http_server, a_taken_port_and_a_strange_address_say_what_to_do)
{
	struct net_fixture f;
	begin(&f, echo);
	struct http_server_opts opts = { .loop = f.loop,
		.host = "127.0.0.1",
		.port = f.port,
		.cert_pem = f.server_id.cert,
		.key_pem = f.server_id.key,
		.idle_s = 1 };
	struct http_server *s = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, http_server_open(&opts, &s, &err), -ERR_BUSY));
	cr_expect(ne(ptr, strstr(err.msg, "is taken"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "ss -ltnp"), NULL));
	opts.host = "192.0.2.1";
	cr_expect(eq(int, http_server_open(&opts, &s, &err), -ERR_CONFIG));
	cr_expect(ne(str, err.hint, ""));
	opts.host = "plant";
	cr_expect(eq(int, http_server_open(&opts, &s, &err), -ERR_CONFIG));
	opts.host = "127.0.0.1";
	opts.port = 0;
	opts.key_pem = f.client_id.key; /* of another certificate */
	cr_expect(eq(int, http_server_open(&opts, &s, &err), -ERR_CONFIG));
	opts.cert_pem = "no PEM";
	cr_expect(eq(int, http_server_open(&opts, &s, &err), -ERR_CONFIG));
	net_fixture_done(&f);
}

struct swap {
	struct net_fixture *f;
	const struct net_id *id;
	int rc;
};
static void swap_cert(void *arg)
{
	struct swap *s = arg;
	s->rc = http_server_set_cert(s->f->server, s->id->cert, s->id->key, NULL);
}

Test(http_server, a_new_certificate_counts_for_new_connections)
{
	struct net_fixture f;
	begin(&f, echo);
	int64_t now = net_fixture_now();
	struct net_id old;
	net_fixture_server_id(&old, &f.ca, now - 86400, now - 60);
	struct http_call c = { .method = HTTP_GET, .path = "/" };
	struct swap s = { .f = &f, .id = &old, .rc = -1 };
	net_fixture_do(&f, swap_cert, &s);
	cr_expect(eq(int, s.rc, 0));
	struct err err = call(&f, net_fixture_client(&f), c, NULL, NULL);
	cr_expect(eq(int, err.code, ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "has expired"), NULL), "%s", err.msg);

	s = (struct swap){ .f = &f, .id = &f.server_id, .rc = -1 };
	net_fixture_do(&f, swap_cert, &s);
	err = call(&f, net_fixture_client(&f), c, NULL, NULL);
	cr_expect(eq(str, err.msg, ""));

	struct net_id bad = { .key = f.client_id.key, .cert = f.server_id.cert };
	s = (struct swap){ .f = &f, .id = &bad, .rc = 0 };
	net_fixture_do(&f, swap_cert, &s);
	cr_expect(eq(int, s.rc, -ERR_CONFIG));
	net_fixture_free(old.key, old.cert);
	net_fixture_done(&f);
}

static void pause_server(void *arg)
{
	struct net_fixture *f = arg;
	http_server_pause(f->server);
}

Test(http_server, paused_it_serves_the_connections_it_has)
{
	struct net_fixture f;
	begin(&f, echo);
	struct net_raw *r = net_fixture_raw(&f, &f.client_id);
	net_fixture_do(&f, pause_server, &f);
	static const char text[] = HEAD "Connection: close\r\n\r\n";
	(void)net_fixture_raw_send(r, text, sizeof(text) - 1);
	char out[4096];
	(void)net_fixture_raw_read(r, out, sizeof(out), NULL);
	cr_expect(eq(int, strncmp(out, "HTTP/1.1 200", 12), 0), "%s", out);
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

/* A sanitizer keeps freed memory for a while, and finds what is never freed by itself. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX_KB (300L << 10)
#else
#define GROWTH_MAX_KB (8L << 10)
#endif

static long rss_kb(void)
{
	FILE *in = fopen("/proc/self/statm", "re");
	long size = 0, pages = 0;
	cr_assert(ne(ptr, in, NULL));
	cr_assert(eq(int, fscanf(in, "%ld %ld", &size, &pages), 2));
	(void)fclose(in);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* A connection that speaks no TLS, or stops in the middle. */
static void garbage(struct net_fixture *f, uint32_t *state)
{
	int fd = net_fixture_dial(f);
	uint8_t bytes[512];
	for (size_t i = 0; i < sizeof(bytes); i++) {
		*state = *state * 1664525U + 1013904223U;
		bytes[i] = (uint8_t)(*state >> 24);
	}
	if ((*state & 1U) != 0)
		memcpy(bytes, "\x16\x03\x01\x01\xf0\x01\x00\x01\xec\x03\x03", 11);
	(void)!write(fd, bytes, sizeof(bytes));
	(void)close(fd);
}

Test(http_server, hundreds_of_malformed_requests_leave_it_well_and_no_larger)
{
	struct net_fixture f;
	begin(&f, echo);
	static const char good[] =
		"PUT /v1/x?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX-Y: a b\r\n"
		"Connection: close\r\n\r\nhello";
	uint32_t state = 20261126;
	long before = 0;
	for (int round = 0; round < 400; round++) {
		char text[sizeof(good)];
		memcpy(text, good, sizeof(good));
		size_t len = sizeof(good) - 1;
		for (int change = 0; change < 1 + round % 4; change++) {
			state = state * 1664525U + 1013904223U;
			text[(state >> 8) % len] = (char)(state >> 24);
		}
		if (round % 3 == 0)
			len = (state >> 4) % len;
		struct net_raw *r = net_fixture_raw(&f, &f.client_id);
		cr_assert(ne(ptr, r, NULL));
		(void)net_fixture_raw_send(r, text, len);
		char out[4096];
		if (round % 3 == 1 && strstr(text, "\r\n\r\n") != NULL && (state & 4U) != 0)
			(void)net_fixture_raw_read(r, out, 16, NULL); /* else goes away at once */
		net_fixture_raw_free(r);
		garbage(&f, &state);
		if (round == 100)
			before = rss_kb();
	}
	long after = rss_kb();
	cr_expect(lt(long, after - before, GROWTH_MAX_KB), "%ld -> %ld KiB", before, after);

	struct http_call c = { .method = HTTP_GET, .path = "/" };
	int status = 0;
	struct err err = call(&f, net_fixture_client(&f), c, &status, NULL);
	cr_expect(eq(int, status, 200), "%s", err.msg);
	net_fixture_done(&f);
}
