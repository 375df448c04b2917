#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net_fixture.h"
#include "net/http_server_internal.h"

/* How a long body comes in; how much memory bodies take is tested with their connection. */

#define LONG 200000
#define TINY 700
#define MIDDLE 65536

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 251);
}

/* Says how many bytes of the body are as they were sent. */
static void judge(struct net_fixture *f, struct http_request *r)
{
	(void)f;
	size_t len = 0, good = 0;
	const uint8_t *body = http_request_body(r, &len);
	while (good < len && body[good] == byte_at(good))
		good++;
	char text[128];
	(void)snprintf(text, sizeof(text), "%s: %zu of %zu;", http_request_path(r), good, len);
	http_request_reply(r, 200, "text/plain", text, strlen(text));
}

static void begin(struct net_fixture *f, int idle_s)
{
	struct http_server_opts opts;
	net_fixture_init(f, &opts);
	f->on_request = judge;
	opts.max_body = opts.body_memory = 2 * LONG;
	opts.idle_s = idle_s;
	net_fixture_start(f, &opts);
}

static void fill(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = byte_at(i);
}

static void is_answered(struct net_raw *r, const char *text)
{
	char out[4096];
	(void)net_fixture_raw_read(r, out, sizeof(out), text);
	cr_expect(ne(ptr, strstr(out, text), NULL), "%s", out);
}

static struct net_raw *dial(const struct net_fixture *f)
{
	struct net_raw *r = net_fixture_raw(f, &f->client_id);
	cr_assert(ne(ptr, r, NULL));
	return r;
}

/* Ask something small on another connection: the server has seen what came before. */
static void pass_by(const struct net_fixture *f)
{
	static const char text[] = "GET /by HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	struct net_raw *r = dial(f);
	cr_assert(net_fixture_raw_send(r, text, sizeof(text) - 1));
	is_answered(r, "/by: 0 of 0;");
	net_fixture_raw_free(r);
}

Test(http_intake, a_body_in_many_small_pieces_arrives_whole_and_the_connection_goes_on)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n";
	static uint8_t body[LONG];
	struct net_fixture f;
	begin(&f, 20);
	fill(body, sizeof(body));
	struct net_raw *r = dial(&f);
	for (int i = 0; i < 3; i++) {
		cr_assert(net_fixture_raw_send(r, head, sizeof(head) - 1));
		for (size_t at = 0; at < LONG; at += TINY)
			cr_assert(net_fixture_raw_send(
				r, body + at, LONG - at < TINY ? LONG - at : TINY));
		is_answered(r, "/a: 200000 of 200000;");
	}
	cr_expect(eq(int, f.count, 3));
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

Test(http_intake, what_was_sent_behind_a_body_is_the_next_request)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n";
	static const char next[] = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
	static uint8_t all[sizeof(head) + LONG + 2 * sizeof(next)];
	struct net_fixture f;
	begin(&f, 20);
	memcpy(all, head, sizeof(head) - 1);
	fill(all + sizeof(head) - 1, LONG);
	size_t len = sizeof(head) - 1 + LONG;
	for (int i = 0; i < 2; i++, len += sizeof(next) - 1)
		memcpy(all + len, next, sizeof(next) - 1);
	struct net_raw *r = dial(&f);
	cr_assert(net_fixture_raw_send(r, all, len));
	is_answered(r, "/a: 200000 of 200000;");
	is_answered(r, "/b: 0 of 0;");
	is_answered(r, "/b: 0 of 0;");
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

Test(http_intake, the_begin_of_a_request_behind_a_body_waits_for_its_end)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n";
	static const char next[] = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
	static uint8_t all[sizeof(head) + LONG + sizeof(next)];
	const size_t cut = 9;
	struct net_fixture f;
	begin(&f, 20);
	memcpy(all, head, sizeof(head) - 1);
	fill(all + sizeof(head) - 1, LONG);
	size_t len = sizeof(head) - 1 + LONG;
	memcpy(all + len, next, cut);
	struct net_raw *r = dial(&f);
	cr_assert(net_fixture_raw_send(r, all, len + cut));
	is_answered(r, "/a: 200000 of 200000;");
	cr_assert(net_fixture_raw_send(r, next + cut, sizeof(next) - 1 - cut));
	is_answered(r, "/b: 0 of 0;");
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

Test(http_intake, too_little_to_be_woken_up_for_is_no_silence)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n";
	static uint8_t body[MIDDLE];
	struct net_fixture f;
	begin(&f, 1);
	fill(body, sizeof(body));
	struct net_raw *r = dial(&f);
	cr_assert(net_fixture_raw_send(r, head, sizeof(head) - 1));
	cr_assert(net_fixture_raw_send(r, body, 1));
	pass_by(&f);
	cr_assert(net_fixture_raw_send(r, body + 1, 999));
	struct net_raw *silent = dial(&f);
	char out[64];
	(void)net_fixture_raw_read(
		silent, out, sizeof(out), NULL); /* its second, and ours, is over */
	cr_assert(net_fixture_raw_send(r, body + 1000, MIDDLE - 1000));
	is_answered(r, "/a: 65536 of 65536;");
	net_fixture_raw_free(silent);
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}

Test(http_intake, who_goes_away_amid_a_body_is_dropped_and_its_room_is_free)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n";
	static uint8_t body[2 * LONG];
	struct net_fixture f;
	begin(&f, 20);
	fill(body, sizeof(body));
	for (int i = 0; i < 3; i++) { /* each takes all the room there is */
		struct net_raw *r = dial(&f);
		cr_assert(net_fixture_raw_send(r, head, sizeof(head) - 1));
		cr_assert(net_fixture_raw_send(r, body, LONG));
		net_fixture_raw_free(r);
	}
	struct net_raw *last = dial(&f);
	cr_assert(net_fixture_raw_send(last, head, sizeof(head) - 1));
	cr_assert(net_fixture_raw_send(last, body, sizeof(body)));
	is_answered(last, "/a: 400000 of 400000;");
	cr_expect(eq(int, f.count, 1));
	net_fixture_raw_free(last);
	net_fixture_done(&f);
}

static void count_spares(void *arg)
{
	struct net_fixture *f = arg;
	f->refusals = (int)f->server->spare_count;
	http_request_drop_spares(f->server);
}

Test(http_intake, the_memory_of_a_few_long_bodies_is_kept_for_the_next)
{
	static const char head[] = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 400000\r\n\r\n";
	static uint8_t body[2 * LONG];
	struct net_fixture f;
	begin(&f, 20);
	fill(body, sizeof(body));
	struct net_raw *r = dial(&f);
	for (int i = 0; i < 3; i++) {
		cr_assert(net_fixture_raw_send(r, head, sizeof(head) - 1));
		cr_assert(net_fixture_raw_send(r, body, sizeof(body)));
		is_answered(r, "/a: 400000 of 400000;");
	}
	net_fixture_do(&f, count_spares, &f);
	cr_expect(eq(int, f.refusals, 1), "one after the other they need one");
	net_fixture_do(&f, count_spares, &f);
	cr_expect(eq(int, f.refusals, 0));
	pass_by(&f);
	net_fixture_do(&f, count_spares, &f);
	cr_expect(eq(int, f.refusals, 0), "short ones have memory of their own");
	net_fixture_raw_free(r);
	net_fixture_done(&f);
}
