#include "net/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http_server_internal.h"
#include "net/http_tls_internal.h"
#include "net/loop_internal.h"

/*
 * INVARIANTS
 * (1) A connection over a limit is closed before anything is allocated for it, unless one that
 * asks for nothing can make room for it.
 * (2) Who waits for room in the budget is let in from the loop, never from within the end of
 * another request: its connection may be on the stack. (3) When the process has no descriptors
 * left, accepting rests instead of spinning.
 */

#define BACKLOG 128
#define REST_MS 250

DEFINE_CLEANUP(struct http_server *, http_server_close)

static bool to_text(const struct sockaddr *addr, char *out, size_t size)
{
	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)addr;
		return inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size) != NULL;
	}
	if (addr->sa_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)addr;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, (socklen_t)size) != NULL;
	return inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size) != NULL;
}

static void on_accept(
	struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	(void)l;
	(void)len;
	struct http_server *s = arg;
	char address[INET6_ADDRSTRLEN];
	if (!to_text(addr, address, sizeof(address)) ||
		http_conn_count(s, address) >= s->max_per_address ||
		(s->count >= s->max_connections && !http_conn_make_room(s))) {
		(void)close(fd); /* nobody wrote to it */
		return;
	}
	http_conn_accept(s, fd, address);
}

static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct http_server *s = arg;
	log_debug("http_server.accept", "errno=%d", errno);
	struct timeval rest = { .tv_sec = 0, .tv_usec = REST_MS * 1000 };
	if (event_add(s->resume, &rest) == 0)
		(void)evconnlistener_disable(l); /* then it spins: slower, not wrong */
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct http_server *s = arg;
	(void)evconnlistener_enable(s->listener); /* it was enabled before: only memory is short */
}

void http_server_admit(struct http_server *s)
{
	if (!TAILQ_EMPTY(&s->budget.waiting))
		event_active(s->admit, EV_TIMEOUT, 0);
}

static void on_admit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct http_server *s = arg;
	struct http_budget_claim *claim = NULL;
	while ((claim = http_budget_next(&s->budget)) != NULL) {
		/* the claim is a member of its request, and waits only while that has a connection
		 */
		struct http_request *r =
			(struct http_request *)(void *)((char *)claim -
							offsetof(struct http_request, claim));
		http_conn_admit(r->conn);
	}
}

static void on_tidy(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	http_request_drop_spares(arg);
}

static int tell_no_listen(const struct http_server_opts *opts, struct err *err)
{
	switch (errno) {
	case EADDRINUSE:
		(void)err_set(err, ERR_BUSY,
			"port %d of %s is taken: another program, perhaps another controller, "
			"listens there",
			opts->port, opts->host);
		(void)err_hint(err, "see who: ss -ltnp 'sport = :%d'; stop it, or set another port",
			opts->port);
		return -ERR_BUSY;
	case EADDRNOTAVAIL:
		(void)err_set(err, ERR_CONFIG, "this machine has no address %s", opts->host);
		(void)err_hint(
			err, "see its addresses: ip address; 0.0.0.0 listens on all of them");
		return -ERR_CONFIG;
	case EACCES:
		(void)err_set(
			err, ERR_CONFIG, "port %d may be listened on by root only", opts->port);
		(void)err_hint(err, "set a port over 1023");
		return -ERR_CONFIG;
	default:
		return err_sys(
			err, ERR_IO, "unable to listen on port %d of %s", opts->port, opts->host);
	}
}

static int listen_on(struct http_server *s, const struct http_server_opts *opts, struct err *err)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char port[16];
	(void)snprintf(port, sizeof(port), "%d", opts->port); /* fits */
	if (opts->port < 0 || opts->port > 65535)
		return err_set(err, ERR_CONFIG, "there is no port %d", opts->port);
	if (getaddrinfo(opts->host, port, &hints, &found) != 0) {
		(void)err_set(err, ERR_CONFIG, "'%.64s' is no IP address", opts->host);
		(void)err_hint(err, "give the address to listen on in numbers, such as 0.0.0.0");
		return -ERR_CONFIG;
	}
	errno = 0;
	s->listener = evconnlistener_new_bind(s->base, on_accept, s,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
		found->ai_addr, (int)found->ai_addrlen);
	int rc = s->listener == NULL ? tell_no_listen(opts, err) : 0;
	freeaddrinfo(found);
	if (rc != 0)
		return rc;
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} bound;
	memset(&bound, 0, sizeof(bound));
	socklen_t len = sizeof(bound);
	if (getsockname(evconnlistener_get_fd(s->listener), &bound.any, &len) != 0)
		return err_sys(err, ERR_IO, "unable to learn the port");
	s->port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
	return 0;
}

int http_server_open(const struct http_server_opts *opts, struct http_server **out, struct err *err)
{
	CLEANUP(http_server_close_p) struct http_server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a server");
	s->base = loop_base(opts->loop);
	s->max_body = opts->max_body;
	s->max_connections = opts->max_connections;
	s->max_per_address = opts->max_per_address;
	s->idle_s = opts->idle_s;
	s->on_head = opts->on_head;
	s->on_request = opts->on_request;
	s->arg = opts->arg;
	LIST_INIT(&s->conns);
	LIST_INIT(&s->requests);
	http_budget_init(&s->budget,
		opts->body_memory > opts->max_body ? opts->body_memory : opts->max_body);
	s->resume = evtimer_new(s->base, on_resume, s);
	s->admit = evtimer_new(s->base, on_admit, s);
	s->tidy = evtimer_new(s->base, on_tidy, s);
	s->client_ca = opts->client_ca == NULL ? NULL : strdup(opts->client_ca);
	if (s->resume == NULL || s->admit == NULL || s->tidy == NULL ||
		(opts->client_ca != NULL && s->client_ca == NULL))
		return err_set(err, ERR_NOMEM, "out of memory for a server");
	int rc = http_server_set_cert(s, opts->cert_pem, opts->key_pem, err);
	if (rc == 0)
		rc = listen_on(s, opts, err);
	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

void http_server_close(struct http_server *s)
{
	if (s == NULL)
		return;
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	while (!LIST_EMPTY(&s->conns))
		http_conn_drop(LIST_FIRST(&s->conns), false);
	while (!LIST_EMPTY(&s->requests))
		http_request_free(LIST_FIRST(&s->requests));
	http_request_drop_spares(s);
	if (s->tidy != NULL)
		event_free(s->tidy);
	if (s->resume != NULL)
		event_free(s->resume);
	if (s->admit != NULL)
		event_free(s->admit);
	SSL_CTX_free(s->tls);
	free(s->client_ca);
	free(s);
}

int http_server_port(const struct http_server *s)
{
	return s->port;
}

int http_server_set_cert(
	struct http_server *s, const char *cert_pem, const char *key_pem, struct err *err)
{
	SSL_CTX *tls = NULL;
	int rc = http_tls_new(cert_pem, key_pem, s->client_ca, &tls, err);
	if (rc != 0)
		return rc;
	SSL_CTX_free(s->tls); /* connections that use it hold it */
	s->tls = tls;
	return 0;
}

void http_server_pause(struct http_server *s)
{
	(void)event_del(s->resume);                /* fails only on an event that was never made */
	(void)evconnlistener_disable(s->listener); /* fails only when it is not there */
}
