#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/x509.h"
#include "net/http_server.h"
#include "net/http_tls_internal.h"

/*
 * INVARIANTS
 * (1) TLS 1.3 only, and no resumption: every connection checks its certificates anew.
 * (2) The library never asks a terminal for a passphrase, and its error queue is empty on return.
 */

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
DEFINE_CLEANUP(X509 *, X509_free)

static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int failed(struct err *err, enum err_code code, const char *what)
{
	char why[256] = "no reason given";
	unsigned long e = ERR_peek_last_error();
	if (e != 0)
		ERR_error_string_n(e, why, sizeof(why));
	ERR_clear_error();
	return err_set(err, code, "%s (%s)", what, why);
}

static BIO *open_text(const char *pem)
{
	size_t len = strnlen(pem, X509_MAX_PEM + 1);
	return len > X509_MAX_PEM ? NULL : BIO_new_mem_buf(pem, (int)len);
}

static bool use_cert(SSL_CTX *ctx, const char *pem)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	if (bio == NULL)
		return false;
	bool is_first = true;
	for (;; is_first = false) {
		CLEANUP(X509_free_p) X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (cert == NULL)
			break;
		if (is_first ? SSL_CTX_use_certificate(ctx, cert) != 1
			     : SSL_CTX_add1_chain_cert(ctx, cert) != 1)
			return false;
	}
	if (!is_first)
		ERR_clear_error(); /* the end of the text is told as an error */
	return !is_first;
}

static bool use_key(SSL_CTX *ctx, const char *pem)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	CLEANUP(EVP_PKEY_free_p)
	EVP_PKEY *key =
		bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	return key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	       SSL_CTX_check_private_key(ctx) == 1;
}

static bool trust_clients(SSL_CTX *ctx, const char *pem)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	if (bio == NULL)
		return false;
	int count = 0;
	for (;; count++) {
		CLEANUP(X509_free_p) X509 *ca = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
		if (ca == NULL)
			break;
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca) != 1 ||
			SSL_CTX_add_client_CA(ctx, ca) != 1)
			return false;
	}
	if (count > 0)
		ERR_clear_error(); /* the end of the text is told as an error */
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, 1);
	return count > 0;
}

int http_tls_new(const char *cert_pem, const char *key_pem, const char *client_ca, SSL_CTX **out,
	struct err *err)
{
	CLEANUP(SSL_CTX_free_p) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return failed(err, ERR_NOMEM, "unable to set up TLS");
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* returns the old mode */
	/* an idle connection gives its 34 KiB of buffers back */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
	if (!use_cert(ctx, cert_pem))
		return failed(err, ERR_CONFIG, "the server's certificate is no good");
	if (!use_key(ctx, key_pem))
		return failed(err, ERR_CONFIG, "the server's key does not go with its certificate");
	if (client_ca != NULL && !trust_clients(ctx, client_ca))
		return failed(err, ERR_CONFIG, "the CA of the clients is no good");
	*out = TAKE(ctx);
	return 0;
}

int http_tls_peer(const SSL *ssl, struct http_peer *out, struct err *err)
{
	const X509 *cert = SSL_get0_peer_certificate(ssl);
	if (cert == NULL)
		return 0;
	CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	if (bio == NULL || PEM_write_bio_X509(bio, cert) != 1 || BIO_write(bio, "", 1) != 1)
		return failed(err, ERR_CORRUPT, "the client's certificate is not readable");
	char *pem = NULL;
	(void)BIO_get_mem_data(bio, &pem); /* ends with the NUL written above */
	struct x509_info info;
	int rc = x509_inspect(pem, &info, err);
	if (rc != 0)
		return rc;
	memcpy(out->key_hash, info.key_hash, sizeof(out->key_hash));
	memcpy(out->uri, info.uri, sizeof(out->uri));
	out->has_cert = true;
	return 0;
}
