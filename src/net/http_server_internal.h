/*
 * http_server: what its three files share: the server, its connections, their requests.
 */
#ifndef NET_HTTP_SERVER_INTERNAL_H
#define NET_HTTP_SERVER_INTERNAL_H

#include <openssl/ssl.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "net/http_budget.h"
#include "net/http_head.h"
#include "net/http_server.h"

struct bufferevent;
struct evconnlistener;
struct event;
struct event_base;
struct http_conn;
struct sockaddr;

/* A body may take this long, and no longer: a line of 256 kbit/s is the slowest that is served. */
#define HTTP_CONN_MIN_BYTES_PER_S 32768
/* How long a refused sender is listened to, so that it can read why. */
#define HTTP_CONN_LINGER_MS 1000

/* Memory of long bodies that serves the next ones, for a while: fresh pages are dear. */
#define HTTP_SPARES 2

LIST_HEAD(http_conn_list, http_conn);
LIST_HEAD(http_request_list, http_request);

struct http_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *resume; /* accepting again after the descriptors ran out */
	SSL_CTX *tls;
	char *client_ca; /* or NULL */
	size_t max_body;
	struct http_budget budget;
	struct event *admit;          /* who waits for room may have it now */
	uint8_t *spares[HTTP_SPARES]; /* owned */
	size_t spare_count;
	struct event *tidy; /* frees them when none was used for long */
	int max_connections, max_per_address;
	int idle_s;
	bool (*on_head)(void *arg, struct http_request *r); /* or NULL */
	void (*on_request)(void *arg, struct http_request *r);
	void *arg;
	int port;
	int count; /* of `conns` */
	struct http_conn_list conns;
	struct http_request_list requests; /* also those whose connection is gone */
};

struct http_request_value {
	struct http_request_value *next;
	char text[];
};

struct http_request {
	LIST_ENTRY(http_request) link;
	struct http_conn *conn; /* NULL when it is gone */
	char *text;             /* what `head` points into */
	struct http_head head;
	struct http_server *server;
	struct http_budget_claim claim; /* for the body; in the name of `peer` */
	uint8_t *body;                  /* NULL before its turn */
	size_t body_len;
	struct http_peer peer;
	void (*gone_fn)(void *arg);
	void *gone_arg;
	struct buf extra; /* header lines of the reply */
	struct http_request_value *values;
};

/* Have those that wait for room in the budget looked at soon. */
void http_server_admit(struct http_server *s);

/**
 * http_request_new(s, head, len, status, why):
 * A request of the ${len} bytes of a whole head.  Return NULL with the HTTP status to refuse it
 * with and why.
 */
struct http_request *http_request_new(
	struct http_server *s, const uint8_t *head, size_t len, int *status, const char **why);
void http_request_free(struct http_request *r);
/* Make ${r}->body, of body_len bytes; its budget has room.  Return false when out of memory. */
bool http_request_make_body(struct http_request *r);
/* Free the memory that is kept for bodies. */
void http_request_drop_spares(struct http_server *s);

/* Take over a connection that was just accepted; on failure it is closed. */
void http_conn_accept(struct http_server *s, int fd, const char *address);
/* The body of its request may come: the budget has room for it. */
void http_conn_admit(struct http_conn *c);
/* How many there are from ${address}. */
int http_conn_count(const struct http_server *s, const char *address);
/* Bytes of replies that connections of ${peer} have not taken yet. */
size_t http_conn_unread(const struct http_server *s, const struct http_peer *peer);
/* End the one that has been without a request for longest, the half-shaken first, so that silent
 * connections keep nobody out.  Return false when all have one. */
bool http_conn_make_room(struct http_server *s);
/* End it at once; a request that waits for its reply is told when ${tell}. */
void http_conn_drop(struct http_conn *c, bool tell);
/* Send a reply; ${extra} are whole header lines. */
void http_conn_reply(struct http_conn *c, int status, const char *type, const struct buf *extra,
	const void *body, size_t len);

#endif
