#include "crypto/cryptolib_internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/aead.h"

/*
 * INVARIANTS
 * (1) After fetch_all() every pointer of lib is set and never changes.
 * (2) lib.hmac has its digest but no key, and is only ever copied.
 */
static struct {
	EVP_MD *sha256;
	EVP_CIPHER *aes256gcm;
	EVP_CIPHER *chacha20;
	EVP_MAC_CTX *hmac;
} lib;

static pthread_once_t fetched = PTHREAD_ONCE_INIT;

void cryptolib_die(const char *what)
{
	char why[256];
	ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
	(void)fprintf(stderr, "fatal: the crypto library failed in %s: %s\n", what, why);
	abort();
}

static void fetch_all(void)
{
	lib.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	lib.aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	lib.chacha20 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	if (lib.sha256 == NULL || lib.aes256gcm == NULL || lib.chacha20 == NULL)
		cryptolib_die("fetching its algorithms");

	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac == NULL)
		cryptolib_die("fetching HMAC");
	lib.hmac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac); /* the context holds its own reference */
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	if (lib.hmac == NULL || EVP_MAC_CTX_set_params(lib.hmac, params) != 1)
		cryptolib_die("setting up HMAC");
}

static void fetch_once(void)
{
	if (pthread_once(&fetched, fetch_all) != 0)
		cryptolib_die("pthread_once");
}

const EVP_MD *cryptolib_sha256(void)
{
	fetch_once();
	return lib.sha256;
}

const EVP_CIPHER *cryptolib_cipher(int suite)
{
	fetch_once();
	switch (suite) {
	case AEAD_AES256GCM:
		return lib.aes256gcm;
	case AEAD_CHACHA20:
		return lib.chacha20;
	default:
		return NULL;
	}
}

EVP_MAC_CTX *cryptolib_hmac(void)
{
	fetch_once();
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(lib.hmac);
	if (ctx == NULL)
		cryptolib_die("copying an HMAC context");
	return ctx;
}
