#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/http_intake_internal.h"

/*
 * INVARIANTS
 * (1) What the TLS library has read ahead is never waited for: a read ends when nothing more can be
 *     had of it, or asks to be called again; the end of the body hands it on.
 * (2) low is what the socket wakes us up for, and never more than what is sure to come: a record
 *     that is half there lies in the library, not in the socket.
 */

#define AHEAD_BYTES ((size_t)64 << 10) /* the library's memory while a body is read */
#define LOW_BYTES ((size_t)48 << 10)
#define RECORD_BYTES ((size_t)17 << 10) /* no TLS record is longer */
#define TURN_BYTES ((size_t)1 << 20)    /* then the others have their turn */
#define PIECE_BYTES 16384

struct http_intake {
	struct bufferevent *be; /* borrowed */
	SSL *ssl;               /* borrowed */
	struct event *event;
	int low;
	void (*fn)(void *arg);
	void *arg;
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct http_intake *i = arg;
	i->fn(i->arg);
}

static void set_low(struct http_intake *i, size_t left)
{
	const size_t sure = left > 2 * RECORD_BYTES ? left - RECORD_BYTES : 1;
	const int low = (int)(sure < LOW_BYTES ? sure : LOW_BYTES);
	if (low == i->low)
		return;
	i->low = low;
	/* without it we are only woken up more often */
	(void)setsockopt(bufferevent_getfd(i->be), SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low));
}

DEFINE_CLEANUP(struct http_intake *, http_intake_free)

struct http_intake *http_intake_new(
	struct event_base *base, struct bufferevent *be, void (*fn)(void *arg), void *arg)
{
	CLEANUP(http_intake_free_p) struct http_intake *i = calloc(1, sizeof(*i));
	(void)bufferevent_disable(be, EV_READ); /* only stops it */
	if (i == NULL)
		return NULL;
	i->be = be;
	i->ssl = bufferevent_openssl_get_ssl(be);
	i->low = 1;
	i->fn = fn;
	i->arg = arg;
	i->event = event_new(base, bufferevent_getfd(be), EV_READ | EV_PERSIST, on_ready, i);
	if (i->event == NULL || event_add(i->event, NULL) != 0)
		return NULL;
	SSL_set_default_read_buffer_len(i->ssl, AHEAD_BYTES);
	SSL_set_read_ahead(i->ssl, 1);
	return TAKE(i);
}

void http_intake_free(struct http_intake *i)
{
	if (i == NULL)
		return;
	set_low(i, 0); /* who listens on must hear every byte */
	SSL_set_read_ahead(i->ssl, 0);
	SSL_set_default_read_buffer_len(i->ssl, 0);
	if (i->event != NULL)
		event_free(i->event);
	free(i);
}

void http_intake_end(struct http_intake *take_intake)
{
	struct evbuffer *in = bufferevent_get_input(take_intake->be);
	uint8_t piece[PIECE_BYTES];
	int n = 1;
	SSL_set_read_ahead(
		take_intake->ssl, 0); /* else each piece would bring more from the socket */
	ERR_clear_error();
	while (n > 0 && SSL_has_pending(take_intake->ssl)) {
		n = SSL_read(take_intake->ssl, piece, sizeof(piece));
		if (n > 0 && evbuffer_add(in, piece, (size_t)n) != 0)
			n = 0; /* out of memory: the next head is broken, and refused */
	}
	ERR_clear_error(); /* a failure shows again when the bufferevent reads */
	http_intake_free(take_intake);
}

bool http_intake_read(struct http_intake *i, void *at, size_t left, size_t *got)
{
	uint8_t *to = at;
	*got = 0;
	ERR_clear_error();
	while (*got < left && *got < TURN_BYTES) {
		size_t n = 0;
		if (SSL_read_ex(i->ssl, to + *got, left - *got, &n) == 1) {
			*got += n;
			continue;
		}
		const int why = SSL_get_error(i->ssl, 0);
		ERR_clear_error();
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			return false;
		set_low(i, left - *got);
		return true;
	}
	if (*got < left)
		event_active(i->event, EV_READ, 0);
	return true;
}

bool http_intake_has_more(const struct http_intake *i)
{
	uint8_t first;
	return recv(bufferevent_getfd(i->be), &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
