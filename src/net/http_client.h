/*
 * http_client: HTTP/1.1 over TLS 1.3 to one server, several requests at once.
 * Knows: trust in exactly one CA (never the system's), a client certificate, bandwidth, retries of
 * what never reached the server or was answered 503.
 * Hides: libcurl.  One thread.  Makes the process ignore SIGPIPE.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/http_server.h" /* enum http_method */

struct err;
struct http_client;

struct http_client_opts {
	const char *address;  /* "host:port"; texts are copied */
	const char *ca_pem;   /* NULL: any certificate is taken (only to fetch the CA itself) */
	const char *ca_from;  /* OPTIONAL: the file that ca_pem is from, for texts */
	const char *cert_pem; /* with key_pem; NULL = none */
	const char *key_pem;
	const char *bearer;            /* token, or NULL */
	int connect_ms;                /* 0 = 10 s */
	int stall_ms;                  /* no byte for so long ends a request; 0 = 60 s */
	int retry_ms;                  /* total time a request is tried again for; 0 = not */
	int connections;               /* at once; 0 = 4 */
	int64_t bytes_per_s;           /* sent, over all connections; 0 = no limit */
	bool (*is_stopped)(void *arg); /* may be NULL; true ends calls with -ERR_INTERRUPTED */
	void *arg;
};

int http_client_new(const struct http_client_opts *opts, struct http_client **out, struct err *err);
void http_client_free(struct http_client *c);

struct http_call {
	enum http_method method;
	const char *path; /* "/v1/work" */
	const char *type; /* of the body, or NULL */
	const void *body; /* borrowed for a call, copied for a send */
	size_t len;
	size_t max_answer; /* bytes; a longer one is -ERR_LIMIT */
	int wait_ms;       /* the server may be silent for so long (long poll) on top of stall_ms */
	int parting_ms; /* a last word: it goes out although is_stopped says so, for so long; 0 = no
			 */
};

/**
 * http_client_call(c, call, status, answer, err):
 * One request and its whole answer, appended to ${answer} (may be NULL).  A status of 2xx is 0.
 * Any other becomes the error that the answer's JSON names (msg is the server's, hint too), or
 * -ERR_FAILED with the status when there is none.  *${status} (may be NULL) is 0 when nothing came.
 * Return also -ERR_UNREACHABLE (names the address and why: refused, name, time), -ERR_AUTH (TLS:
 * the certificate is not of our CA, is expired, or ours was refused: says which).
 */
int http_client_call(struct http_client *c, const struct http_call *call, int *status,
	struct buf *answer, struct err *err);

/**
 * http_client_send(c, call, err):
 * Queue a request whose answer nobody needs; blocks while ${connections} are busy.  Return 0, or
 * the first error of any request sent before (then nothing more is sent).
 */
int http_client_send(struct http_client *c, const struct http_call *call, struct err *err);
/* Wait for everything sent.  Return 0 or the first error. */
int http_client_drain(struct http_client *c, struct err *err);

/* Keep what was sent moving for a moment, for whoever has nothing else to ask: nothing moves
 * between calls.  Return 1 while something is under way, 0 when nothing is, or the first error of
 * any. */
int http_client_tend(struct http_client *c, struct err *err);
/* Give up what was sent and is not answered yet, and forget its errors. */
void http_client_drop(struct http_client *c);
/* What opts.is_stopped says now. */
bool http_client_is_stopped(const struct http_client *c);

/* Bytes sent since new, for progress. */
uint64_t http_client_sent(const struct http_client *c);

#endif
