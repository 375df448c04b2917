/*
 * net_fixture: a CA, certificates and a server on its own thread, for tests of src/net.
 */
#ifndef LIB_NET_FIXTURE_H
#define LIB_NET_FIXTURE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loop.h"

/* PEM texts; the caller frees them.  They end the test when they cannot be made. */
struct net_ca {
	char *key, *cert;
};
struct net_id {
	char *key, *cert;
};
void net_fixture_ca(struct net_ca *ca, const char *name);
void net_fixture_id(struct net_id *id, const struct net_ca *ca, const char *uri, int64_t from_s,
	int64_t until_s);
/* A server's, for 127.0.0.1. */
void net_fixture_server_id(
	struct net_id *id, const struct net_ca *ca, int64_t from_s, int64_t until_s);
void net_fixture_free(char *key, char *cert);

/* Seconds since 1970. */
int64_t net_fixture_now(void);

struct net_fixture {
	struct net_ca ca;
	struct net_id server_id, client_id;
	struct loop *loop;
	struct http_server *server;
	pthread_t thread;
	char address[64];
	int port;
	/* what the handler does */
	void (*on_request)(struct net_fixture *f, struct http_request *r);
	void *arg;
	int count;                 /* requests seen */
	struct http_request *held; /* of a handler that answers later */
	int gone;
	int refusals; /* a counter of the handler's own */
};

/* Begin with certificates made and ${opts} filled for 127.0.0.1; the caller changes them, then...
 */
void net_fixture_init(struct net_fixture *f, struct http_server_opts *opts);
/* ...starts the server's thread. */
void net_fixture_start(struct net_fixture *f, const struct http_server_opts *opts);
/* Stop the thread, close everything. */
void net_fixture_done(struct net_fixture *f);
/* Run ${fn} on the server's thread and wait for its end. */
void net_fixture_do(struct net_fixture *f, void (*fn)(void *arg), void *arg);

/* Options of a client that trusts the fixture. */
struct http_client_opts net_fixture_client(const struct net_fixture *f);

/* A TCP connection; reading from it ends after 10 s of silence. */
int net_fixture_dial(const struct net_fixture *f);

/* A TLS connection byte by byte. */
struct net_raw;
/* Connect; NULL if the handshake fails.  ${id} may be NULL. */
struct net_raw *net_fixture_raw(const struct net_fixture *f, const struct net_id *id);
/* Send ${len} bytes.  Return false when the other end is gone. */
int net_fixture_raw_send(struct net_raw *r, const void *data, size_t len);
/* Read until the end, or ${until} was read (NULL = to the end), or 10 s of silence; a C string. */
size_t net_fixture_raw_read(struct net_raw *r, char *out, size_t size, const char *until);
int net_fixture_raw_fd(const struct net_raw *r);
void net_fixture_raw_free(struct net_raw *r);

#endif
