/*
 * http_tls: the server's side of TLS 1.3: one context for a certificate and the CA of the clients.
 */
#ifndef NET_HTTP_TLS_INTERNAL_H
#define NET_HTTP_TLS_INTERNAL_H

#include <openssl/ssl.h>

struct err;
struct http_peer;

/**
 * http_tls_new(cert_pem, key_pem, client_ca, out, err):
 * ${client_ca} (may be NULL): clients must show a certificate of it, good now.  Return 0,
 * -ERR_CONFIG or -ERR_NOMEM.  The caller ends it with SSL_CTX_free().
 */
int http_tls_new(const char *cert_pem, const char *key_pem, const char *client_ca, SSL_CTX **out,
	struct err *err);

/* Fill in who is at the other end of a finished handshake.  Return 0 or -ERR_CORRUPT. */
int http_tls_peer(const SSL *ssl, struct http_peer *out, struct err *err);

#endif
