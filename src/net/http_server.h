/*
 * http_server: HTTP/1.1 over TLS 1.3 on one listening socket of a loop.
 * Knows: limits (connections in all and per address, header, body, time), client certificates,
 * refusal of smuggled requests (Content-Length with Transfer-Encoding, two lengths, a bare LF..).
 * Hides: libevent and the TLS library.  One thread: the loop's.  Makes the process ignore SIGPIPE.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct http_request;
struct http_server;
struct loop;

enum http_method { HTTP_GET = 1, HTTP_POST, HTTP_PUT, HTTP_DELETE };

/* Who is at the other end. */
struct http_peer {
	char address[64];     /* numeric, without the port */
	bool has_cert;        /* checked by the handshake against opts.client_ca */
	uint8_t key_hash[32]; /* SHA-256 of its public key (SubjectPublicKeyInfo) */
	char uri[128];        /* the first SAN URI, or "" */
};

struct http_server_opts {
	struct loop *loop;    /* borrowed */
	const char *host;     /* address to listen on: "0.0.0.0", "::", "127.0.0.1" */
	int port;             /* 0 = any free one */
	const char *cert_pem; /* chain; all texts are copied */
	const char *key_pem;
	const char *client_ca; /* PEM: clients must show a certificate of it; NULL = none asked */
	size_t max_body;       /* bytes; more is answered with 413 */
	/* Bytes of bodies in memory at once, from their heads to their replies; at least max_body.
	 * A body of more than 16 KiB that would exceed them is not read before others are answered:
	 * its sender waits, and hears "100 Continue" at times.  Peers take turns, and none holds
	 * more than half by several bodies. */
	size_t body_memory;
	int max_connections; /* one more ends the longest without a request, else is closed */
	int max_per_address;
	/* A connection may be silent for so long; handshake and head must be done by then, a body
	 * (and the taking of a reply) by then and one second more for each 32 KiB: slow senders are
	 * cut off.  A request that waits for its reply, or for room in body_memory, has no limit.
	 */
	int idle_s;
	/* A verdict on a request whose head is whole, before a body of more than 16 KiB takes
	 * memory or is read: true = go on; false = it was answered at once, which ends the
	 * connection. NULL = all go on. */
	bool (*on_head)(void *arg, struct http_request *r);
	/* Called for each whole request.  It is answered by http_request_reply() now or later, on
	 * the loop's thread, exactly once. */
	void (*on_request)(void *arg, struct http_request *r);
	void *arg;
};

/**
 * http_server_open(opts, out, err):
 * Listen.  Return 0, -ERR_BUSY (the port is taken: says who may hold it and what to do),
 * -ERR_CONFIG (address, certificate or key are no good) or -ERR_IO.
 */
int http_server_open(
	const struct http_server_opts *opts, struct http_server **out, struct err *err);
/* Requests that were not answered are dropped; their pointers are dead afterwards.  Not from within
 * on_request or an on_gone function. */
void http_server_close(struct http_server *s);

/* The port that is listened on. */
int http_server_port(const struct http_server *s);
/* New connections get this certificate from now on.  Return 0 or -ERR_CONFIG. */
int http_server_set_cert(
	struct http_server *s, const char *cert_pem, const char *key_pem, struct err *err);
/* Accept no new connections; those that are there go on. */
void http_server_pause(struct http_server *s);

/* Borrowed until the reply. */
enum http_method http_request_method(const struct http_request *r);
/* Decoded path, always beginning with '/': "/v1/work"; a path with NUL or "//" never gets here. */
const char *http_request_path(const struct http_request *r);
/* The decoded value of a query parameter, or NULL. */
const char *http_request_query(struct http_request *r, const char *name);
/* A header, or NULL. */
const char *http_request_header(const struct http_request *r, const char *name);
/* NULL when empty.  Another thread may read it. */
const uint8_t *http_request_body(const struct http_request *r, size_t *len);
const struct http_peer *http_request_peer(const struct http_request *r);
/* Bytes of replies that the same peer (certificate, without one the address) has on its other
 * connections and does not read: they are in memory until it does or is cut off. */
size_t http_request_unread(const struct http_request *r);

/* Have ${fn} called if the other end goes away before the reply; the request must still be
 * replied to (which then only frees it).  NULL fn = no longer. */
void http_request_on_gone(struct http_request *r, void (*fn)(void *arg), void *arg);

/* Add a header to the reply. */
void http_request_add_header(struct http_request *r, const char *name, const char *value);
/* Answer and end ${r}.  ${type} may be NULL when there is no body. */
void http_request_reply(
	struct http_request *r, int status, const char *type, const void *body, size_t len);

#endif
