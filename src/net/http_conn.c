#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http_intake_internal.h"
#include "net/http_refusal.h"
#include "net/http_server_internal.h"
#include "net/http_tls_internal.h"

/*
 * INVARIANTS
 * (1) One request at a time: what a client sends ahead waits unread, at most one read of it.
 * (2) In every state but QUEUE and WAIT a timer runs that ends the connection.  QUEUE ends with the
 *     turn of its body, which comes since those before it are under such timers; WAIT ends with the
 *     reply or with the other end going away, for which reading stays on.
 * (3) After a refusal nothing more of the sender is understood: the answer is flushed, the socket
 *     half closed, and what still comes is thrown away for HTTP_CONN_LINGER_MS, because closing a
 *     socket with unread bytes would take the answer back.
 * (4) A body has no memory and is not read before the server's budget has room for the whole of it;
 *     one of at most HEAD_READ_BYTES does not ask: what a connection may hold anyway.  Who may not
 *     make the request is answered before it asks (on_head).
 * (5) While intake is there the bufferevent does not read.
 */

#define HEAD_READ_BYTES ((size_t)16 << 10)
#define SCRAP_BYTES 65536
/* So often in its idle time one that waits for its turn hears that we are there: senders give a
 * silent server up. */
#define SIGNS 4
#define MS_PER_S INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)

enum state { HANDSHAKE, HEAD, QUEUE, BODY, WAIT, REPLY, LINGER };

struct http_conn {
	LIST_ENTRY(http_conn) link;
	struct http_server *s;
	enum state state;
	struct bufferevent *be; /* NULL in LINGER */
	struct event *timer;
	int linger_fd; /* -1 before LINGER */
	struct event *linger;
	struct http_peer peer;
	struct http_request *r;     /* in QUEUE, BODY and WAIT */
	size_t scanned;             /* bytes of the head that were looked at */
	struct http_intake *intake; /* in BODY, of one over HEAD_READ_BYTES */
	size_t body_got;
	int64_t body_end_ms; /* the body must be there by then */
	bool is_last;        /* closed after the reply */
};

static int64_t now_ms(void)
{
	return env_mono_ns() / NS_PER_MS;
}

static void arm(struct http_conn *c, int64_t ms)
{
	struct timeval tv = { .tv_sec = ms / MS_PER_S, .tv_usec = ms % MS_PER_S * 1000 };
	(void)event_add(c->timer, &tv); /* the heap of timers grew when the event was made */
}

void http_conn_drop(struct http_conn *c, bool tell)
{
	if (c == NULL)
		return;
	struct http_request *r = TAKE(c->r);
	bool was_waiting = c->state == WAIT;
	http_intake_free(c->intake);
	if (c->be != NULL)
		bufferevent_free(c->be);
	if (c->linger != NULL)
		event_free(c->linger);
	if (c->linger_fd >= 0)
		(void)close(c->linger_fd); /* nothing is left to be written */
	if (c->timer != NULL)
		event_free(c->timer);
	LIST_REMOVE(c, link);
	c->s->count--;
	free(c);
	if (r == NULL)
		return;
	r->conn = NULL;
	if (!was_waiting)
		http_request_free(r); /* nobody saw it */
	else if (tell && r->gone_fn != NULL)
		r->gone_fn(r->gone_arg);
}

static void on_linger(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	static uint8_t scrap[SCRAP_BYTES];
	ssize_t n = read(fd, scrap, sizeof(scrap));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		http_conn_drop(arg, false);
}

/* Half close and listen to the end, see (3). */
static void linger(struct http_conn *c)
{
	SSL *ssl = bufferevent_openssl_get_ssl(c->be);
	if (SSL_is_init_finished(ssl))
		(void)SSL_shutdown(ssl); /* if it cannot be sent, the end of the stream tells */
	ERR_clear_error();
	c->linger_fd = fcntl(bufferevent_getfd(c->be), F_DUPFD_CLOEXEC, 0);
	bufferevent_free(TAKE(c->be));
	c->state = LINGER;
	c->linger = c->linger_fd < 0 ? NULL
				     : event_new(c->s->base, c->linger_fd, EV_READ | EV_PERSIST,
					       on_linger, c);
	if (c->linger == NULL || event_add(c->linger, NULL) != 0 ||
		shutdown(c->linger_fd, SHUT_WR) != 0) {
		http_conn_drop(c, false);
		return;
	}
	arm(c, HTTP_CONN_LINGER_MS);
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} table[] = { { 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" }, { 408, "Request Timeout" },
		{ 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
		{ 413, "Content Too Large" }, { 417, "Expectation Failed" },
		{ 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" } };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].status == status)
			return table[i].text;
	}
	return "Other";
}

static void add_date(struct evbuffer *out)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(env_now_ns() / (NS_PER_MS * MS_PER_S));
	struct tm tm;
	if (gmtime_r(&now, &tm) == NULL)
		return;
	(void)evbuffer_add_printf(out, /* a lost line is seen by the add of the body */
		"Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n", days + 3 * (ptrdiff_t)tm.tm_wday,
		tm.tm_mday, months + 3 * (ptrdiff_t)tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
		tm.tm_min, tm.tm_sec);
}

void http_conn_reply(struct http_conn *c, int status, const char *type, const struct buf *extra,
	const void *body, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(c->be);
	if (c->state == HEAD && c->r != NULL) { /* of on_head: the body stays unread, see (3) */
		(void)bufferevent_disable(c->be, EV_READ);
		c->is_last = true;
	}
	c->is_last = c->is_last || (c->r != NULL && c->r->head.is_last);
	c->r = NULL;
	c->state = REPLY;
	arm(c, c->s->idle_s * MS_PER_S + (int64_t)(len / HTTP_CONN_MIN_BYTES_PER_S) * MS_PER_S);
	bool has_length = status >= 200 && status != 204 && status != 304;
	int rc = evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, reason(status));
	add_date(out);
	if (rc >= 0 && has_length)
		rc = evbuffer_add_printf(out, "Content-Length: %zu\r\n", len);
	if (rc >= 0 && type != NULL && len > 0)
		rc = evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	if (rc >= 0 && extra != NULL && extra->len > 0)
		rc = evbuffer_add(out, extra->data, extra->len);
	if (rc >= 0)
		rc = evbuffer_add_printf(out,
			"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
			"Connection: %s\r\n\r\n",
			c->is_last ? "close" : "keep-alive");
	if (rc >= 0 && has_length && len > 0)
		rc = evbuffer_add(out, body, len);
	if (rc < 0)
		arm(c, 0); /* out of memory: half a reply must not stand; callers still hold c */
}

/* Answer for the server itself and end the connection. */
static void refuse(struct http_conn *c, int status, const char *why)
{
	struct err refusal = ERR_INIT;
	(void)err_set(&refusal, status == 413 || status == 431 ? ERR_LIMIT : ERR_USAGE, "%s", why);
	log_debug("http_conn.refuse", "address=%s status=%d why=\"%s\"", c->peer.address, status,
		why);
	CLEANUP(buf_done) struct buf json = BUF_INIT(8192);
	(void)http_refusal_encode(&refusal, &json, NULL); /* an empty body says enough */
	http_intake_free(TAKE(c->intake));
	struct http_request *r = TAKE(c->r);
	http_request_free(r);
	(void)bufferevent_disable(c->be, EV_READ); /* nothing more is understood, see (3) */
	c->is_last = true;
	http_conn_reply(c, status, "application/json", NULL, json.data, json.len);
}

static void process(struct http_conn *c);
static void on_intake(void *arg);

static void go_on(struct http_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	(void)bufferevent_write(c->be, text, sizeof(text) - 1); /* it is only polite */
}

/* There is room for the body. */
static void start_body(struct http_conn *c)
{
	struct http_request *r = c->r;
	const size_t len = r->body_len;
	c->state = BODY;
	c->body_got = 0;
	c->body_end_ms = now_ms() + c->s->idle_s * MS_PER_S +
			 (int64_t)(len / HTTP_CONN_MIN_BYTES_PER_S) * MS_PER_S;
	if (r->head.has_expect && len > 0)
		go_on(c);
	bool is_ready = http_request_make_body(r);
	if (is_ready && len > HEAD_READ_BYTES) {
		c->intake = http_intake_new(c->s->base, c->be, on_intake, c);
		is_ready = c->intake != NULL;
	}
	if (!is_ready)
		refuse(c, 503, "out of memory");
}

/* The head is whole: the body, when its turn comes. */
static void ask_body(struct http_conn *c)
{
	struct http_request *r = c->r;
	r->conn = c;
	r->peer = c->peer;
	const bool is_small = r->body_len <= HEAD_READ_BYTES;
	if (!is_small && c->s->on_head != NULL && !c->s->on_head(c->s->arg, r))
		return; /* it was answered, and is gone */
	if (is_small || http_budget_ask(&c->s->budget, &r->claim, &r->peer, r->body_len)) {
		start_body(c);
		return;
	}
	c->state = QUEUE;
	(void)bufferevent_disable(c->be, EV_READ); /* else one more read of it waits in memory */
	arm(c, c->s->idle_s * MS_PER_S / SIGNS);
}

void http_conn_admit(struct http_conn *c)
{
	start_body(c);
	if (c->state == BODY)
		process(c);
}

/* Return true when a whole head was taken. */
static bool take_head(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->be);
	size_t len = evbuffer_get_length(in);
	if (len == 0)
		return false;
	if (c->scanned == 0)
		arm(c, c->s->idle_s * MS_PER_S); /* the head must be here by then */
	if (len > HTTP_HEAD_MAX_BYTES)
		len = HTTP_HEAD_MAX_BYTES;
	const uint8_t *data = evbuffer_pullup(in, (ssize_t)len);
	if (data == NULL) {
		refuse(c, 503, "out of memory");
		return false;
	}
	int n = http_head_scan(data, len, &c->scanned);
	if (n < 0) {
		refuse(c, -n, n == -431 ? "the head is too long" : "this is no HTTP/1.1 request");
		return false;
	}
	if (n == 0)
		return false;
	int status = 0;
	const char *why = NULL;
	c->r = http_request_new(c->s, data, (size_t)n, &status, &why);
	if (c->r == NULL) {
		refuse(c, status, why);
		return false;
	}
	(void)evbuffer_drain(in, (size_t)n); /* they are there: were just looked at */
	c->scanned = 0;
	ask_body(c);
	return c->state == BODY;
}

/* Return true when the body is whole; with false the connection may be gone. */
static bool take_body(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->be);
	struct http_request *r = c->r;
	if (c->body_got < r->body_len) { /* the beginning came with the head */
		int n = evbuffer_remove(in, r->body + c->body_got, r->body_len - c->body_got);
		c->body_got += n > 0 ? (size_t)n : 0;
	}
	if (c->intake != NULL) {
		size_t got = 0;
		if (!http_intake_read(
			    c->intake, r->body + c->body_got, r->body_len - c->body_got, &got)) {
			http_conn_drop(c, true);
			return false;
		}
		c->body_got += got;
	}
	if (c->body_got == r->body_len)
		return true;
	int64_t left_ms = c->body_end_ms - now_ms();
	int64_t idle_ms = c->s->idle_s * MS_PER_S;
	arm(c, left_ms < 0 ? 0 : left_ms < idle_ms ? left_ms : idle_ms);
	return false;
}

static void process(struct http_conn *c)
{
	if (c->state == HEAD && !take_head(c))
		return;
	if (c->state == BODY) {
		if (!take_body(c))
			return;
		c->state = WAIT;
		(void)event_del(c->timer); /* fails only on an event that was never made */
		if (c->intake != NULL) {
			http_intake_end(TAKE(c->intake));
			(void)bufferevent_enable(
				c->be, EV_READ); /* else nobody sees who goes away */
		}
		c->s->on_request(c->s->arg, c->r);
		return;
	}
	/* a read may be told after on_write() has taken its bytes: then nothing was sent ahead */
	bool has_more = evbuffer_get_length(bufferevent_get_input(c->be)) > 0;
	if (has_more && (c->state == WAIT || c->state == REPLY))
		(void)bufferevent_disable(c->be, EV_READ); /* sent ahead, see (1) */
}

static void on_read(struct bufferevent *be, void *arg)
{
	(void)be;
	process(arg);
}

static void on_intake(void *arg)
{
	process(arg);
}

static void on_write(struct bufferevent *be, void *arg)
{
	struct http_conn *c = arg;
	if (c->state != REPLY || evbuffer_get_length(bufferevent_get_output(be)) > 0)
		return;
	if (c->is_last) {
		linger(c);
		return;
	}
	c->state = HEAD;
	arm(c, c->s->idle_s * MS_PER_S);
	(void)bufferevent_enable(be, EV_READ); /* else the timer ends it */
	process(c);
}

static void on_event(struct bufferevent *be, short what, void *arg)
{
	struct http_conn *c = arg;
	struct err err = ERR_INIT;
	ERR_clear_error();
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		if (http_tls_peer(bufferevent_openssl_get_ssl(be), &c->peer, &err) != 0) {
			log_debug("http_conn.peer", "address=%s %s", c->peer.address, err.msg);
			http_conn_drop(c, false);
			return;
		}
		c->state = HEAD;
		arm(c, c->s->idle_s * MS_PER_S);
		return;
	}
	if (c->state == HANDSHAKE && (what & BEV_EVENT_ERROR) != 0) {
		linger(c); /* so that the alert arrives */
		return;
	}
	http_conn_drop(c, true);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct http_conn *c = arg;
	if (c->state == QUEUE) {
		go_on(c); /* to one that is gone this fails, and ends it */
		arm(c, c->s->idle_s * MS_PER_S / SIGNS);
		return;
	}
	if (c->state == BODY && c->intake != NULL && now_ms() < c->body_end_ms &&
		http_intake_has_more(c->intake)) {
		process(c); /* it came, too little to be woken up for */
		return;
	}
	if (c->state == BODY || (c->state == HEAD && c->scanned > 0))
		refuse(c, 408, "the request did not arrive in time");
	else
		http_conn_drop(c, true);
}

int http_conn_count(const struct http_server *s, const char *address)
{
	int n = 0;
	const struct http_conn *c = NULL;
	LIST_FOREACH(c, &s->conns, link)
	n += strcmp(c->peer.address, address) == 0 ? 1 : 0;
	return n;
}

bool http_conn_make_room(struct http_server *s)
{
	struct http_conn *c = NULL, *silent = NULL;
	LIST_FOREACH(c, &s->conns, link) /* the newest first: the last that fits is the oldest */
	{
		if (c->state == HANDSHAKE ||
			(c->state == HEAD && (silent == NULL || silent->state == HEAD)))
			silent = c;
	}
	http_conn_drop(silent, false);
	return silent != NULL;
}

size_t http_conn_unread(const struct http_server *s, const struct http_peer *peer)
{
	size_t sum = 0;
	const struct http_conn *c = NULL;
	LIST_FOREACH(c, &s->conns, link)
	{
		if (c->state == REPLY && http_budget_is_same(&c->peer, peer))
			sum += evbuffer_get_length(bufferevent_get_output(c->be));
	}
	return sum;
}

void http_conn_accept(struct http_server *s, int fd, const char *address)
{
	struct http_conn *c = calloc(1, sizeof(*c));
	SSL *ssl = c == NULL ? NULL : SSL_new(s->tls);
	if (ssl != NULL)
		c->be = bufferevent_openssl_socket_new(s->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
			BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c == NULL || ssl == NULL || c->be == NULL) {
		(void)close(fd); /* nobody wrote to it; a failed bufferevent freed the ssl */
		free(c);
		return;
	}
	c->s = s;
	c->linger_fd = -1;
	(void)snprintf(c->peer.address, sizeof(c->peer.address), "%s", address); /* fits */
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->count++;
	c->timer = evtimer_new(s->base, on_timer, c);
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only slower */
	bufferevent_openssl_set_allow_dirty_shutdown(c->be, 1);
	bufferevent_setcb(c->be, on_read, on_write, on_event, c);
	if (c->timer == NULL || bufferevent_enable(c->be, EV_READ | EV_WRITE) != 0) {
		http_conn_drop(c, false);
		return;
	}
	arm(c, s->idle_s * MS_PER_S);
}
