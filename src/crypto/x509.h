/*
 * x509: the house's own certificates: P-256 keys, a CA, requests, certificates.  Texts in, texts
 * out (PEM); no file, no network.  Thread-safe; no state.
 */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define X509_KEY_HASH_BYTES 32
#define X509_MAX_PEM ((size_t)64 << 10)
#define X509_MAX_NAMES 32

/* Append a new private key, PKCS #8 PEM.  Return 0 or as buf_add(). */
int x509_key_new(struct buf *pem, struct err *err);

/* Append a self-signed CA certificate of ${key_pem} from ${now_s} for ${days}; path length 0.
 * Return 0 or -ERR_CONFIG (the key). */
int x509_ca_new(const char *key_pem, const char *name, int64_t now_s, int days, struct buf *pem,
	struct err *err);

/* Append a certificate request with ${name} as common name, signed by its key. */
int x509_request_new(const char *key_pem, const char *name, struct buf *pem, struct err *err);

struct x509_issue {
	const char *name;         /* common name */
	const char *uri;          /* SAN URI, or NULL */
	const char *const *hosts; /* SAN DNS names and IP addresses */
	size_t host_count;        /* <= X509_MAX_NAMES */
	bool is_server;           /* extended key usage: server, else client */
	int64_t from_s, until_s;  /* since 1970 */
};

/**
 * x509_issue(ca_pem, ca_key_pem, request_pem, what, pem, err):
 * Append a certificate for the key of ${request_pem} (whose own signature is checked; every name in
 * it is ignored), with a random serial number.  Return 0, -ERR_CORRUPT (the request) or -ERR_CONFIG
 * (the CA or ${what}).
 */
int x509_issue(const char *ca_pem, const char *ca_key_pem, const char *request_pem,
	const struct x509_issue *what, struct buf *pem, struct err *err);

struct x509_info {
	uint8_t key_hash[X509_KEY_HASH_BYTES]; /* SHA-256 of SubjectPublicKeyInfo */
	char name[128], uri[128];
	int64_t from_s, until_s; /* 0 for a request */
	bool is_ca;
};

/* What the first certificate or request in ${pem} says.  Return 0 or -ERR_CORRUPT. */
int x509_inspect(const char *pem, struct x509_info *out, struct err *err);

/* Check that the first certificate of ${pem} is signed by ${ca_pem} and good at ${now_s}.
 * Return 0, -ERR_AUTH (which of the two) or -ERR_CORRUPT. */
int x509_check(const char *ca_pem, const char *pem, int64_t now_s, struct err *err);

#endif
