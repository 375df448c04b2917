#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lib/net_fixture.h"
#include "net/http_client.h"
#include "net/http_server.h"

/* Memory for bodies; what else a connection does is tested with its server. */

#define BIG ((size_t)16 << 20)

/* Answers with path and length of the body. */
static void echo(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	size_t len = 0;
	(void)http_request_body(r, &len);
	char text[512];
	(void)snprintf(text, sizeof(text), "%s %zu", http_request_path(r), len);
	http_request_reply(r, 200, "text/plain", text, strlen(text));
}

static void hold(struct net_fixture *f, struct http_request *r)
{
	size_t len = 0;
	(void)http_request_body(r, &len);
	cr_expect(eq(sz, len, 65536));
	f->held = r;
}

static void look_held(void *arg)
{
	struct net_fixture *f = arg;
	f->arg = f->held;
}

/* On the server's thread, so that nothing is read while it is written. */
static bool is_held(struct net_fixture *f)
{
	net_fixture_do(f, look_held, f);
	return f->arg != NULL;
}

static void reply_to_held(void *arg)
{
	struct net_fixture *f = arg;
	http_request_reply(f->held, 200, "text/plain", "done", 4);
}

#define MIDDLE 65536
static const char middle_head[] = "PUT /m HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n";

/* A server with room for one body of MIDDLE bytes. */
static void begin_narrow(struct net_fixture *f, int idle_s)
{
	struct http_server_opts opts;
	net_fixture_init(f, &opts);
	f->on_request = echo;
	opts.max_body = MIDDLE;
	opts.body_memory = MIDDLE;
	opts.idle_s = idle_s;
	net_fixture_start(f, &opts);
}

static void send_zeros(struct net_raw *r, size_t len)
{
	static const char zeros[MIDDLE];
	cr_assert(net_fixture_raw_send(r, zeros, len));
}

/* A sender that has said how much comes, and sent ${len} bytes of it. */
static struct net_raw *sender(struct net_fixture *f, size_t len)
{
	struct net_raw *r = net_fixture_raw(f, &f->client_id);
	cr_assert(ne(ptr, r, NULL));
	cr_assert(net_fixture_raw_send(r, middle_head, sizeof(middle_head) - 1));
	send_zeros(r, len);
	return r;
}

static void is_answered(struct net_raw *r, const char *body)
{
	char out[4096];
	(void)net_fixture_raw_read(r, out, sizeof(out), body);
	cr_expect(ne(ptr, strstr(out, body), NULL), "%s", out);
}

/* All that was sent before has come to the server: a request of another connection came back. */
static void is_small_answered(struct net_fixture *f)
{
	static const char text[] = "GET /s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	struct net_raw *r = net_fixture_raw(f, &f->client_id);
	cr_assert(ne(ptr, r, NULL));
	cr_assert(net_fixture_raw_send(r, text, sizeof(text) - 1));
	is_answered(r, "/s 0");
	net_fixture_raw_free(r);
}

Test(http_conn, a_body_over_the_memory_waits_for_the_one_before_and_small_ones_do_not)
{
	struct net_fixture f;
	begin_narrow(&f, 20);
	struct net_raw *first = sender(&f, 1);
	is_small_answered(&f);
	struct net_raw *second = sender(&f, MIDDLE);
	is_small_answered(&f);
	is_small_answered(&f);
	cr_expect(eq(int, f.count, 3)); /* the second is whole, and not read */
	send_zeros(first, MIDDLE - 1);
	is_answered(first, "/m 65536");
	is_answered(second, "/m 65536");
	cr_expect(eq(int, f.count, 5));
	net_fixture_raw_free(first);
	net_fixture_raw_free(second);
	net_fixture_done(&f);
}

static bool refuse_head(void *arg, struct http_request *r)
{
	(void)arg;
	http_request_reply(r, 403, "text/plain", "not you", 7);
	return false;
}

Test(http_conn, who_may_not_send_a_body_is_told_after_its_head_and_holds_nothing)
{
	struct net_fixture f;
	struct http_server_opts opts;
	net_fixture_init(&f, &opts);
	f.on_request = echo;
	opts.max_body = opts.body_memory = MIDDLE;
	opts.on_head = refuse_head;
	net_fixture_start(&f, &opts);
	struct net_raw *first = sender(&f, 1);
	struct net_raw *second = sender(&f, 1); /* would wait for the first otherwise */
	char out[4096];
	(void)net_fixture_raw_read(
		first, out, sizeof(out), NULL); /* to the end of the connection */
	cr_expect(ne(ptr, strstr(out, "HTTP/1.1 403"), NULL), "%s", out);
	cr_expect(ne(ptr, strstr(out, "Connection: close"), NULL), "%s", out);
	cr_expect(ne(ptr, strstr(out, "not you"), NULL), "%s", out);
	is_answered(second, "not you");
	is_small_answered(&f); /* a small body or none is not asked about */
	cr_expect(eq(int, f.count, 1));
	net_fixture_raw_free(first);
	net_fixture_raw_free(second);
	net_fixture_done(&f);
}

Test(http_conn, memory_is_held_until_the_reply)
{
	struct net_fixture f;
	begin_narrow(&f, 20);
	f.on_request = hold;
	struct net_raw *first = sender(&f, MIDDLE);
	while (!is_held(&f))
		continue;
	f.on_request = echo;
	struct net_raw *second = sender(&f, MIDDLE);
	is_small_answered(&f);
	is_small_answered(&f);
	cr_expect(eq(int, f.count, 3));
	net_fixture_do(&f, reply_to_held, &f);
	is_answered(first, "done");
	is_answered(second, "/m 65536");
	net_fixture_raw_free(first);
	net_fixture_raw_free(second);
	net_fixture_done(&f);
}

Test(http_conn, a_slow_sender_holds_memory_only_until_it_is_cut_off_and_who_waits_hears_of_us)
{
	struct net_fixture f;
	begin_narrow(&f, 1);
	struct net_raw *slow = sender(&f, 1);
	is_small_answered(&f);
	struct net_raw *next = sender(&f, MIDDLE);
	is_answered(next, "HTTP/1.1 100 Continue\r\n\r\n");
	is_answered(next, "/m 65536");
	is_answered(slow, "HTTP/1.1 408");
	net_fixture_raw_free(slow);
	net_fixture_raw_free(next);
	net_fixture_done(&f);
}

Test(http_conn, a_client_of_ours_waits_for_its_turn_longer_than_it_bears_silence)
{
	struct net_fixture f;
	struct http_server_opts opts;
	net_fixture_init(&f, &opts);
	f.on_request = echo;
	opts.body_memory = BIG;
	opts.idle_s = 2;
	net_fixture_start(&f, &opts);
	static const char text[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 16777216\r\n\r\n";
	struct net_raw *slow = net_fixture_raw(&f, &f.client_id);
	cr_assert(ne(ptr, slow, NULL));
	cr_assert(net_fixture_raw_send(slow, text, sizeof(text) - 1));
	is_small_answered(&f);
	uint8_t *body = calloc(1, BIG); /* more than the sockets between hold */
	struct http_client_opts patience = net_fixture_client(&f);
	patience.stall_ms = 1000; /* the slow one has 2 s */
	struct http_call c = {
		.method = HTTP_PUT, .path = "/b", .body = body, .len = BIG, .max_answer = 4096
	};
	int status = 0;
	struct http_client *client = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, http_client_new(&patience, &client, &err), 0));
	(void)http_client_call(client, &c, &status, NULL, &err);
	http_client_free(client);
	cr_expect(eq(str, err.msg, ""));
	cr_expect(eq(int, status, 200));
	is_answered(slow, "HTTP/1.1 408");
	free(body);
	net_fixture_raw_free(slow);
	net_fixture_done(&f);
}

Test(http_conn, who_goes_away_while_it_waits_or_sends_gives_its_room_up)
{
	struct net_fixture f;
	begin_narrow(&f, 20);
	struct net_raw *first = sender(&f, 1);
	is_small_answered(&f);
	struct net_raw *gone = sender(&f, 10);
	is_small_answered(&f);
	struct net_raw *last = sender(&f, MIDDLE);
	is_small_answered(&f);
	net_fixture_raw_free(gone);
	net_fixture_raw_free(first);
	is_answered(last, "/m 65536");
	cr_expect(eq(int, f.count, 4));
	net_fixture_raw_free(last);
	net_fixture_done(&f);
}

Test(http_conn, at_its_end_it_drops_who_waits_for_memory)
{
	struct net_fixture f;
	begin_narrow(&f, 20);
	struct net_raw *first = sender(&f, 1);
	is_small_answered(&f);
	struct net_raw *second = sender(&f, 1);
	is_small_answered(&f);
	net_fixture_done(&f);
	net_fixture_raw_free(first);
	net_fixture_raw_free(second);
}
