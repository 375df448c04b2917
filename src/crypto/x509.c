#include "crypto/x509.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) Only P-256 keys with a named curve and an uncompressed point are taken: then a key has one
 *     SubjectPublicKeyInfo, of SPKI_BYTES bytes, and one hash.
 * (2) Names go into a certificate as values, never through the library's text syntax, where a comma
 *     would begin another name.
 * (3) The library never asks a terminal for a passphrase, and its error queue is empty on return.
 */

#define SPKI_BYTES 91
#define SERIAL_BYTES 16
#define SECONDS_PER_DAY INT64_C(86400)
#define TIME_MAX_S INT64_C(253402300799) /* the end of the year 9999: the last that can be said */

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free)
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)

static int failed(struct err *err, enum err_code code, const char *what)
{
	char why[256] = "no reason given";
	unsigned long e = ERR_peek_last_error();
	if (e != 0)
		ERR_error_string_n(e, why, sizeof(why));
	ERR_clear_error();
	return err_set(err, code, "%s (%s)", what, why);
}

/* Answers "there is none" where the library would ask for a passphrase. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *open_text(const char *pem)
{
	size_t len = strnlen(pem, X509_MAX_PEM + 1);
	return len > X509_MAX_PEM ? NULL : BIO_new_mem_buf(pem, (int)len);
}

static int add_text(BIO *bio, struct buf *pem, struct err *err)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	return buf_add(pem, data, (size_t)len, err);
}

/* Store the hash of the public key.  Return false if it is not one of ours, see (1). */
static bool hash_key(X509_PUBKEY *key, uint8_t out[X509_KEY_HASH_BYTES])
{
	EVP_PKEY *pkey = X509_PUBKEY_get0(key);
	char group[32];
	size_t len = 0;
	unsigned char *der = NULL;
	if (pkey == NULL || !EVP_PKEY_is_a(pkey, "EC") ||
		EVP_PKEY_get_group_name(pkey, group, sizeof(group), &len) != 1 ||
		strcmp(group, SN_X9_62_prime256v1) != 0)
		return false;
	int n = i2d_X509_PUBKEY(key, &der);
	bool ok = n == SPKI_BYTES;
	if (ok)
		hash_sha256(der, SPKI_BYTES, out);
	OPENSSL_free(der);
	return ok;
}

static EVP_PKEY *load_key(const char *pem)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	if (bio == NULL)
		return NULL;
	CLEANUP(EVP_PKEY_free_p)
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	char group[32];
	size_t len = 0;
	if (key == NULL || !EVP_PKEY_is_a(key, "EC") ||
		EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1 ||
		strcmp(group, SN_X9_62_prime256v1) != 0)
		return NULL;
	return TAKE(key);
}

static X509 *load_cert(const char *pem)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	return bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
}

int x509_key_new(struct buf *pem, struct err *err)
{
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = EVP_EC_gen(SN_X9_62_prime256v1);
	CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	if (key == NULL || bio == NULL ||
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return failed(err, ERR_FAILED, "unable to make a key");
	return add_text(bio, pem, err);
}

static bool set_name(X509_NAME *to, const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= 64 &&
	       X509_NAME_add_entry_by_NID(to, NID_commonName, MBSTRING_UTF8,
		       (const unsigned char *)name, (int)len, -1, 0) == 1;
}

static bool set_times(X509 *cert, int64_t from_s, int64_t until_s)
{
	return from_s >= 0 && from_s < until_s && until_s <= TIME_MAX_S &&
	       ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from_s) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)until_s) != NULL;
}

static int set_serial(X509 *cert, struct err *err)
{
	uint8_t bytes[SERIAL_BYTES];
	int rc = env_random(bytes, sizeof(bytes), err);
	if (rc != 0)
		return rc;
	bytes[0] |= 0x40; /* never zero, and always of one length but for the sign's byte */
	CLEANUP(BN_free_p) BIGNUM *n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	if (n == NULL || BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) == NULL)
		return failed(err, ERR_NOMEM, "unable to set a serial number");
	return 0;
}

/* Fixed texts only, see (2). */
static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

int x509_ca_new(const char *key_pem, const char *name, int64_t now_s, int days, struct buf *pem,
	struct err *err)
{
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = load_key(key_pem);
	if (key == NULL)
		return failed(err, ERR_CONFIG, "the CA's key is not a P-256 private key");
	CLEANUP(X509_free_p) X509 *cert = X509_new();
	CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	if (cert == NULL || bio == NULL)
		return failed(err, ERR_NOMEM, "out of memory for a certificate");
	int rc = set_serial(cert, err);
	if (rc != 0)
		return rc;
	if (!set_times(cert, now_s, now_s + days * SECONDS_PER_DAY))
		return failed(err, ERR_CONFIG, "a CA cannot be valid for that time");
	X509_NAME *subject = X509_get_subject_name(cert);
	if (!set_name(subject, name))
		return failed(err, ERR_CONFIG, "the CA's name must have 1 to 64 bytes of UTF-8");
	if (X509_set_version(cert, X509_VERSION_3) != 1 || X509_set_pubkey(cert, key) != 1 ||
		X509_set_issuer_name(cert, subject) != 1 ||
		!add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
		!add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
		!add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
		!add_extension(cert, cert, NID_authority_key_identifier, "keyid:always") ||
		X509_sign(cert, key, EVP_sha256()) == 0 || PEM_write_bio_X509(bio, cert) != 1)
		return failed(err, ERR_FAILED, "unable to make the CA's certificate");
	return add_text(bio, pem, err);
}

int x509_request_new(const char *key_pem, const char *name, struct buf *pem, struct err *err)
{
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = load_key(key_pem);
	if (key == NULL)
		return failed(err, ERR_CONFIG, "the key is not a P-256 private key");
	CLEANUP(X509_REQ_free_p) X509_REQ *req = X509_REQ_new();
	CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	if (req == NULL || bio == NULL)
		return failed(err, ERR_NOMEM, "out of memory for a request");
	if (!set_name(X509_REQ_get_subject_name(req), name))
		return failed(err, ERR_CONFIG, "a name must have 1 to 64 bytes of UTF-8");
	if (X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
		X509_REQ_set_pubkey(req, key) != 1 || X509_REQ_sign(req, key, EVP_sha256()) == 0 ||
		PEM_write_bio_X509_REQ(bio, req) != 1)
		return failed(err, ERR_FAILED, "unable to make a certificate request");
	return add_text(bio, pem, err);
}

/* Give ${names} one more name with ${value}, which is consumed. */
static bool add_name(GENERAL_NAMES *names, int type, void *value)
{
	GENERAL_NAME *one = GENERAL_NAME_new();
	if (one == NULL || value == NULL) {
		GENERAL_NAME_free(one);
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(one, type, value);
	if (sk_GENERAL_NAME_push(names, one) > 0)
		return true;
	GENERAL_NAME_free(one);
	return false;
}

static bool add_text_name(GENERAL_NAMES *names, int type, const char *text)
{
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	if (value != NULL && ASN1_STRING_set(value, text, -1) != 1) {
		ASN1_IA5STRING_free(value);
		value = NULL;
	}
	return add_name(names, type, value);
}

static bool is_host_name(const char *host)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-.";
	size_t len = strlen(host);
	return len > 0 && len <= 253 && strspn(host, legal) == len && host[0] != '.' &&
	       host[0] != '-';
}

static int add_host(GENERAL_NAMES *names, const char *host, struct err *err)
{
	unsigned char raw[sizeof(struct in6_addr)];
	bool is_ip = inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
	if (!is_ip && !is_host_name(host))
		return err_set(err, ERR_CONFIG, "'%.64s' is no host name and no IP address", host);
	bool ok = is_ip ? add_name(names, GEN_IPADD, a2i_IPADDRESS(host))
			: add_text_name(names, GEN_DNS, host);
	return ok ? 0 : failed(err, ERR_NOMEM, "out of memory for a name");
}

static int add_alt_names(X509 *cert, const struct x509_issue *what, struct err *err)
{
	if (what->host_count > X509_MAX_NAMES)
		return err_set(
			err, ERR_CONFIG, "a certificate has at most %d names", X509_MAX_NAMES);
	CLEANUP(GENERAL_NAMES_free_p) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	if (names == NULL)
		return failed(err, ERR_NOMEM, "out of memory for names");
	if (what->uri != NULL) {
		size_t len = strlen(what->uri);
		for (size_t i = 0; i < len; i++) {
			if (what->uri[i] <= ' ' || what->uri[i] > '~')
				return err_set(err, ERR_CONFIG, "a URI is printable ASCII");
		}
		if (len == 0 || len >= sizeof(((struct x509_info *)0)->uri))
			return err_set(err, ERR_CONFIG, "a URI has 1 to 127 bytes");
		if (!add_text_name(names, GEN_URI, what->uri))
			return failed(err, ERR_NOMEM, "out of memory for a name");
	}
	for (size_t i = 0; i < what->host_count; i++) {
		int rc = add_host(names, what->hosts[i], err);
		if (rc != 0)
			return rc;
	}
	if (sk_GENERAL_NAME_num(names) > 0 &&
		X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
		return failed(err, ERR_NOMEM, "out of memory for names");
	return 0;
}

/* Load the request; its signature is good and its key is ours, see (1). */
static int load_request(const char *pem, X509_REQ **out, struct err *err)
{
	CLEANUP(BIO_free_all_p) BIO *bio = open_text(pem);
	CLEANUP(X509_REQ_free_p)
	X509_REQ *req = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL);
	uint8_t hash[X509_KEY_HASH_BYTES];
	if (req == NULL)
		return failed(err, ERR_CORRUPT, "this is not a certificate request");
	if (!hash_key(X509_REQ_get_X509_PUBKEY(req), hash))
		return failed(err, ERR_CORRUPT, "the request's key is not on the curve P-256");
	if (X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) != 1)
		return failed(err, ERR_CORRUPT, "the request is not signed by its own key");
	*out = TAKE(req);
	return 0;
}

static bool to_seconds(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm = { .tm_year = 0 };
	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

int x509_issue(const char *ca_pem, const char *ca_key_pem, const char *request_pem,
	const struct x509_issue *what, struct buf *pem, struct err *err)
{
	CLEANUP(X509_free_p) X509 *ca = load_cert(ca_pem);
	CLEANUP(EVP_PKEY_free_p) EVP_PKEY *ca_key = load_key(ca_key_pem);
	int64_t ca_until_s = 0;
	if (ca == NULL || ca_key == NULL || X509_check_private_key(ca, ca_key) != 1 ||
		X509_check_ca(ca) != 1 || !to_seconds(X509_get0_notAfter(ca), &ca_until_s))
		return failed(err, ERR_CONFIG, "the CA's certificate and key do not go together");
	CLEANUP(X509_REQ_free_p) X509_REQ *req = NULL;
	int rc = load_request(request_pem, &req, err);
	if (rc != 0)
		return rc;
	CLEANUP(X509_free_p) X509 *cert = X509_new();
	CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	if (cert == NULL || bio == NULL)
		return failed(err, ERR_NOMEM, "out of memory for a certificate");
	if ((rc = set_serial(cert, err)) != 0 || (rc = add_alt_names(cert, what, err)) != 0)
		return rc;
	int64_t until_s = what->until_s < ca_until_s ? what->until_s : ca_until_s;
	if (!set_times(cert, what->from_s, until_s))
		return failed(err, ERR_CONFIG, "a certificate cannot be valid for that time");
	if (!set_name(X509_get_subject_name(cert), what->name))
		return failed(err, ERR_CONFIG, "a name must have 1 to 64 bytes of UTF-8");
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
		X509_set_pubkey(cert, X509_REQ_get0_pubkey(req)) != 1 ||
		X509_set_issuer_name(cert, X509_get_subject_name(ca)) != 1 ||
		!add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
		!add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") ||
		!add_extension(cert, ca, NID_ext_key_usage,
			what->is_server ? "serverAuth" : "clientAuth") ||
		!add_extension(cert, ca, NID_subject_key_identifier, "hash") ||
		!add_extension(cert, ca, NID_authority_key_identifier, "keyid:always") ||
		X509_sign(cert, ca_key, EVP_sha256()) == 0 || PEM_write_bio_X509(bio, cert) != 1)
		return failed(err, ERR_FAILED, "unable to make a certificate");
	return add_text(bio, pem, err);
}

/* Copy the common name.  Return false if there is a NUL in it or no room. */
static bool copy_name(const X509_NAME *from, char *out, size_t size)
{
	int at = X509_NAME_get_index_by_NID(from, NID_commonName, -1);
	out[0] = '\0';
	if (at < 0)
		return true;
	unsigned char *text = NULL;
	const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(from, at));
	int len = ASN1_STRING_to_UTF8(&text, value);
	bool ok = len >= 0 && (size_t)len < size && memchr(text, 0, (size_t)len) == NULL;
	if (ok) {
		memcpy(out, text, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(text);
	return ok;
}

/* Copy the first URI among the alternative names. */
static bool copy_uri(const X509 *cert, char *out, size_t size)
{
	out[0] = '\0';
	CLEANUP(GENERAL_NAMES_free_p)
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(names, i);
		if (one->type != GEN_URI)
			continue;
		const ASN1_IA5STRING *value = one->d.uniformResourceIdentifier;
		size_t len = (size_t)ASN1_STRING_length(value);
		const unsigned char *text = ASN1_STRING_get0_data(value);
		if (len >= size || memchr(text, 0, len) != NULL)
			return false;
		memcpy(out, text, len);
		out[len] = '\0';
		return true;
	}
	return true;
}

static int inspect_cert(X509 *cert, struct x509_info *info, struct err *err)
{
	if (!hash_key(X509_get_X509_PUBKEY(cert), info->key_hash))
		return failed(err, ERR_CORRUPT, "the certificate's key is not on the curve P-256");
	if (!copy_name(X509_get_subject_name(cert), info->name, sizeof(info->name)) ||
		!copy_uri(cert, info->uri, sizeof(info->uri)) ||
		!to_seconds(X509_get0_notBefore(cert), &info->from_s) ||
		!to_seconds(X509_get0_notAfter(cert), &info->until_s))
		return failed(
			err, ERR_CORRUPT, "the certificate's names or times are not readable");
	info->is_ca = X509_check_ca(cert) == 1;
	ERR_clear_error();
	return 0;
}

int x509_inspect(const char *pem, struct x509_info *out, struct err *err)
{
	struct x509_info info = { .is_ca = false };
	const char *first = strstr(pem, "-----BEGIN ");
	if (first != NULL && strncmp(first, "-----BEGIN CERTIFICATE REQ", 26) == 0) {
		CLEANUP(X509_REQ_free_p) X509_REQ *req = NULL;
		int rc = load_request(pem, &req, err);
		if (rc != 0)
			return rc;
		(void)hash_key(X509_REQ_get_X509_PUBKEY(req), info.key_hash); /* was good there */
		if (!copy_name(X509_REQ_get_subject_name(req), info.name, sizeof(info.name)))
			return failed(err, ERR_CORRUPT, "the request's name is not readable");
		*out = info;
		return 0;
	}
	CLEANUP(X509_free_p) X509 *cert = load_cert(pem);
	if (cert == NULL)
		return failed(err, ERR_CORRUPT, "this is neither a certificate nor a request");
	int rc = inspect_cert(cert, &info, err);
	if (rc == 0)
		*out = info;
	return rc;
}

static int tell_verdict(int why, int depth, struct err *err)
{
	const char *which = depth == 0 ? "the certificate" : "the CA's certificate";
	if (why == X509_V_ERR_CERT_HAS_EXPIRED)
		return err_set(err, ERR_AUTH, "%s has expired", which);
	if (why == X509_V_ERR_CERT_NOT_YET_VALID)
		return err_set(err, ERR_AUTH, "%s is not valid yet", which);
	return err_set(err, ERR_AUTH, "the certificate is not of this CA (%s)",
		X509_verify_cert_error_string(why));
}

int x509_check(const char *ca_pem, const char *pem, int64_t now_s, struct err *err)
{
	CLEANUP(X509_free_p) X509 *ca = load_cert(ca_pem);
	CLEANUP(X509_free_p) X509 *cert = load_cert(pem);
	if (ca == NULL || cert == NULL)
		return failed(err, ERR_CORRUPT, "this is not a certificate");
	CLEANUP(X509_STORE_free_p) X509_STORE *store = X509_STORE_new();
	CLEANUP(X509_STORE_CTX_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (store == NULL || ctx == NULL || X509_STORE_add_cert(store, ca) != 1 ||
		X509_STORE_CTX_init(ctx, store, cert, NULL) != 1)
		return failed(err, ERR_NOMEM, "out of memory for a check");
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now_s);
	int ok = X509_verify_cert(ctx);
	int why = X509_STORE_CTX_get_error(ctx);
	ERR_clear_error();
	if (ok == 1)
		return 0;
	return tell_verdict(why, X509_STORE_CTX_get_error_depth(ctx), err);
}
