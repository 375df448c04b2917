#include "tests/lib/net_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/x509.h"

#define DAY INT64_C(86400)

static void must(int rc, const struct err *err, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "net_fixture: %s: %s\n", what, err != NULL ? err->msg : "");
	abort();
}

static char *take_text(struct buf *b)
{
	char *text = strdup(buf_cstr(b));
	buf_done(b);
	return text;
}

int64_t net_fixture_now(void)
{
	return env_now_ns() / 1000000000;
}

void net_fixture_ca(struct net_ca *ca, const char *name)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT(X509_MAX_PEM);
	must(x509_key_new(&b, &err), &err, "key");
	ca->key = take_text(&b);
	must(x509_ca_new(ca->key, name, net_fixture_now() - 100 * DAY, 1000, &b, &err), &err, "ca");
	ca->cert = take_text(&b);
}

static void issue(struct net_id *id, const struct net_ca *ca, const struct x509_issue *what)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT(X509_MAX_PEM);
	must(x509_key_new(&b, &err), &err, "key");
	id->key = take_text(&b);
	must(x509_request_new(id->key, "test", &b, &err), &err, "request");
	char *request = take_text(&b);
	must(x509_issue(ca->cert, ca->key, request, what, &b, &err), &err, "issue");
	id->cert = take_text(&b);
	free(request);
}

void net_fixture_id(struct net_id *id, const struct net_ca *ca, const char *uri, int64_t from_s,
	int64_t until_s)
{
	struct x509_issue what = {
		.name = "client", .uri = uri, .from_s = from_s, .until_s = until_s
	};
	issue(id, ca, &what);
}

void net_fixture_server_id(
	struct net_id *id, const struct net_ca *ca, int64_t from_s, int64_t until_s)
{
	const char *const hosts[] = { "127.0.0.1" };
	struct x509_issue what = { .name = "server",
		.hosts = hosts,
		.host_count = 1,
		.is_server = true,
		.from_s = from_s,
		.until_s = until_s };
	issue(id, ca, &what);
}

void net_fixture_free(char *key, char *cert)
{
	free(key);
	free(cert);
}

static void on_request(void *arg, struct http_request *r)
{
	struct net_fixture *f = arg;
	f->count++;
	f->on_request(f, r);
}

void net_fixture_init(struct net_fixture *f, struct http_server_opts *opts)
{
	struct err err = ERR_INIT;
	int64_t now = net_fixture_now();
	*f = (struct net_fixture){ .count = 0 };
	net_fixture_ca(&f->ca, "test CA");
	net_fixture_server_id(&f->server_id, &f->ca, now - DAY, now + DAY);
	net_fixture_id(&f->client_id, &f->ca, "holdfast:agent:00112233445566778899aabbccddeeff",
		now - DAY, now + DAY);
	must(loop_new(&f->loop, &err), &err, "loop");
	*opts = (struct http_server_opts){ .loop = f->loop,
		.host = "127.0.0.1",
		.cert_pem = f->server_id.cert,
		.key_pem = f->server_id.key,
		.client_ca = f->ca.cert,
		.max_body = (size_t)16 << 20,
		.body_memory = (size_t)64 << 20,
		.max_connections = 64,
		.max_per_address = 64,
		.idle_s = 20,
		.on_request = on_request,
		.arg = f };
}

static void *run(void *arg)
{
	struct net_fixture *f = arg;
	struct err err = ERR_INIT;
	must(loop_run(f->loop, &err), &err, "run");
	return NULL;
}

void net_fixture_start(struct net_fixture *f, const struct http_server_opts *opts)
{
	struct err err = ERR_INIT;
	must(http_server_open(opts, &f->server, &err), &err, "open");
	f->port = http_server_port(f->server);
	(void)snprintf(f->address, sizeof(f->address), "127.0.0.1:%d", f->port);
	must(pthread_create(&f->thread, NULL, run, f), NULL, "thread");
}

void net_fixture_done(struct net_fixture *f)
{
	loop_stop(f->loop);
	(void)pthread_join(f->thread, NULL);
	http_server_close(f->server);
	loop_free(f->loop);
	net_fixture_free(f->ca.key, f->ca.cert);
	net_fixture_free(f->server_id.key, f->server_id.cert);
	net_fixture_free(f->client_id.key, f->client_id.cert);
}

struct job {
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void run_job(void *arg)
{
	struct job *j = arg;
	j->fn(j->arg);
	(void)sem_post(&j->done);
}

void net_fixture_do(struct net_fixture *f, void (*fn)(void *arg), void *arg)
{
	struct job j = { .fn = fn, .arg = arg };
	(void)sem_init(&j.done, 0, 0);
	must(loop_post(f->loop, run_job, &j, NULL), NULL, "post");
	(void)sem_wait(&j.done);
	(void)sem_destroy(&j.done);
}

struct http_client_opts net_fixture_client(const struct net_fixture *f)
{
	return (struct http_client_opts){ .address = f->address,
		.ca_pem = f->ca.cert,
		.cert_pem = f->client_id.cert,
		.key_pem = f->client_id.key };
}

struct net_raw {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
};

int net_fixture_dial(const struct net_fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)f->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval limit = { .tv_sec = 10 };
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	must(connect(fd, (struct sockaddr *)&to, sizeof(to)), NULL, "connect");
	return fd;
}

struct net_raw *net_fixture_raw(const struct net_fixture *f, const struct net_id *id)
{
	struct net_raw *r = calloc(1, sizeof(*r));
	r->fd = net_fixture_dial(f);
	r->ctx = SSL_CTX_new(TLS_client_method());
	if (id != NULL) {
		BIO *bio = BIO_new_mem_buf(id->cert, -1);
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		BIO_free(bio);
		bio = BIO_new_mem_buf(id->key, -1);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
		SSL_CTX_use_certificate(r->ctx, cert);
		SSL_CTX_use_PrivateKey(r->ctx, key);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
	r->ssl = SSL_new(r->ctx);
	SSL_set_fd(r->ssl, r->fd);
	if (SSL_connect(r->ssl) == 1)
		return r;
	net_fixture_raw_free(r);
	return NULL;
}

int net_fixture_raw_send(struct net_raw *r, const void *data, size_t len)
{
	size_t n = 0;
	return len == 0 || (SSL_write_ex(r->ssl, data, len, &n) == 1 && n == len);
}

size_t net_fixture_raw_read(struct net_raw *r, char *out, size_t size, const char *until)
{
	size_t len = 0;
	out[0] = '\0';
	while (len + 1 < size && (until == NULL || strstr(out, until) == NULL)) {
		size_t n = 0;
		if (SSL_read_ex(r->ssl, out + len, size - 1 - len, &n) != 1)
			break;
		len += n;
		out[len] = '\0';
	}
	return len;
}

int net_fixture_raw_fd(const struct net_raw *r)
{
	return r->fd;
}

void net_fixture_raw_free(struct net_raw *r)
{
	if (r == NULL)
		return;
	SSL_free(r->ssl);
	SSL_CTX_free(r->ctx);
	(void)close(r->fd);
	free(r);
	ERR_clear_error();
}
