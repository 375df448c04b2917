#include "crypto/x509.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#define NOW INT64_C(1800000000)
#define DAY INT64_C(86400)

static char *text_of(struct buf *b)
{
	char *text = strdup(buf_cstr(b));
	buf_done(b);
	return text;
}

static char *new_key(void)
{
	struct buf b = BUF_INIT(X509_MAX_PEM);
	cr_assert(eq(int, x509_key_new(&b, NULL), 0));
	return text_of(&b);
}

static char *new_ca(const char *key)
{
	struct buf b = BUF_INIT(X509_MAX_PEM);
	struct err err = ERR_INIT;
	cr_assert(eq(int, x509_ca_new(key, "Plant CA", NOW, 3650, &b, &err), 0), "%s", err.msg);
	return text_of(&b);
}

static char *new_request(const char *key, const char *name)
{
	struct buf b = BUF_INIT(X509_MAX_PEM);
	cr_assert(eq(int, x509_request_new(key, name, &b, NULL), 0));
	return text_of(&b);
}

static X509 *parse(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	cr_assert(ne(ptr, x, NULL));
	return x;
}

struct set {
	char *ca_key, *ca, *key, *request;
};

static struct set new_set(void)
{
	struct set s = { .ca_key = new_key() };
	s.ca = new_ca(s.ca_key);
	s.key = new_key();
	s.request = new_request(s.key, "line3");
	return s;
}

static void free_set(struct set *s)
{
	free(s->ca_key);
	free(s->ca);
	free(s->key);
	free(s->request);
}

static int issue(const struct set *s, const struct x509_issue *what, char **pem, struct err *err)
{
	struct buf b = BUF_INIT(X509_MAX_PEM);
	int rc = x509_issue(s->ca, s->ca_key, s->request, what, &b, err);
	if (rc == 0)
		*pem = text_of(&b);
	else
		cr_expect(eq(sz, b.len, 0));
	return rc;
}

Test(x509, an_issued_certificate_says_what_was_asked_and_is_of_the_ca)
{
	struct set s = new_set();
	const char *const hosts[] = { "controller.plant", "192.0.2.7", "2001:db8::1" };
	struct x509_issue what = { .name = "line3, CN=evil",
		.uri = "holdfast:agent:00ff",
		.hosts = hosts,
		.host_count = 3,
		.is_server = true,
		.from_s = NOW + 10,
		.until_s = NOW + 30 * DAY };
	char *pem = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, issue(&s, &what, &pem, &err), 0), "%s", err.msg);

	struct x509_info info, request, ca;
	cr_assert(eq(int, x509_inspect(pem, &info, NULL), 0));
	cr_assert(eq(int, x509_inspect(s.request, &request, NULL), 0));
	cr_assert(eq(int, x509_inspect(s.ca, &ca, NULL), 0));
	cr_expect(eq(int, memcmp(info.key_hash, request.key_hash, 32), 0));
	cr_expect(ne(int, memcmp(info.key_hash, ca.key_hash, 32), 0));
	cr_expect(eq(str, info.name, "line3, CN=evil"));
	cr_expect(eq(str, request.name, "line3"));
	cr_expect(eq(str, info.uri, "holdfast:agent:00ff"));
	cr_expect(eq(i64, info.from_s, NOW + 10));
	cr_expect(eq(i64, info.until_s, NOW + 30 * DAY));
	cr_expect(eq(i64, request.until_s, 0));
	cr_expect(eq(int, info.is_ca, 0));
	cr_expect(eq(int, ca.is_ca, 1));

	X509 *x = parse(pem);
	cr_expect(eq(int, X509_check_host(x, "controller.plant", 0, 0, NULL), 1));
	cr_expect(eq(int, X509_check_ip_asc(x, "192.0.2.7", 0), 1));
	cr_expect(eq(int, X509_check_ip_asc(x, "2001:db8::1", 0), 1));
	cr_expect(eq(int, X509_check_host(x, "evil", 0, 0, NULL), 0));
	cr_expect(eq(int, (int)X509_get_extended_key_usage(x), XKU_SSL_SERVER));
	cr_expect(eq(int, (int)X509_get_key_usage(x), KU_DIGITAL_SIGNATURE));
	cr_expect(eq(int, X509_get_signature_nid(x), NID_ecdsa_with_SHA256));
	cr_expect(ge(int, ASN1_STRING_length(X509_get_serialNumber(x)), 16));
	cr_expect(ne(ptr, (void *)X509_get0_subject_key_id(x), NULL));
	X509 *root = parse(s.ca);
	cr_expect(eq(int,
		ASN1_OCTET_STRING_cmp(
			X509_get0_authority_key_id(x), X509_get0_subject_key_id(root)),
		0));
	cr_expect(eq(int, (int)X509_get_pathlen(root), 0));
	cr_expect(eq(int, (int)X509_get_key_usage(root), KU_KEY_CERT_SIGN | KU_CRL_SIGN));
	static const int critical[] = { NID_basic_constraints, NID_key_usage };
	for (size_t i = 0; i < 2; i++) {
		X509 *const both[] = { x, root };
		for (size_t k = 0; k < 2; k++)
			cr_expect(eq(int,
				X509_EXTENSION_get_critical(X509_get_ext(
					both[k], X509_get_ext_by_NID(both[k], critical[i], -1))),
				1));
	}
	X509_free(x);
	X509_free(root);
	free(pem);
	free_set(&s);
}

Test(x509, check_tells_another_ca_from_a_wrong_time)
{
	struct set s = new_set();
	struct set other = new_set(); /* the same names, other keys */
	struct x509_issue what = { .name = "a", .from_s = NOW, .until_s = NOW + DAY };
	char *pem = NULL;
	cr_assert(eq(int, issue(&s, &what, &pem, NULL), 0));
	struct err err = ERR_INIT;
	cr_expect(eq(int, x509_check(s.ca, pem, NOW + 1, &err), 0), "%s", err.msg);
	cr_expect(eq(int, x509_check(other.ca, pem, NOW + 1, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, "not of this CA"), NULL), "%s", err.msg);
	cr_expect(eq(int, x509_check(s.ca, pem, NOW + DAY + 1, &err), -ERR_AUTH));
	cr_expect(eq(str, err.msg, "the certificate has expired"));
	cr_expect(eq(int, x509_check(s.ca, pem, NOW - 1, &err), -ERR_AUTH));
	cr_expect(eq(str, err.msg, "the CA's certificate is not valid yet"));
	cr_expect(eq(int, x509_check(s.ca, "junk", NOW, &err), -ERR_CORRUPT));
	cr_expect(eq(int, x509_check(s.ca, s.request, NOW, &err), -ERR_CORRUPT));
	free(pem);
	free_set(&s);
	free_set(&other);
}

Test(x509, a_certificate_ends_with_its_ca_and_two_are_never_the_same)
{
	struct set s = new_set();
	struct x509_issue what = { .name = "a", .from_s = NOW, .until_s = NOW + 9999 * DAY };
	char *one = NULL;
	char *two = NULL;
	cr_assert(eq(int, issue(&s, &what, &one, NULL), 0));
	cr_assert(eq(int, issue(&s, &what, &two, NULL), 0));
	struct x509_info info;
	cr_assert(eq(int, x509_inspect(one, &info, NULL), 0));
	cr_expect(eq(i64, info.until_s, NOW + 3650 * DAY));
	X509 *a = parse(one);
	X509 *b = parse(two);
	cr_expect(
		ne(int, ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)), 0));
	X509_free(a);
	X509_free(b);
	free(one);
	free(two);
	free_set(&s);
}

Test(x509, names_that_are_no_good_make_no_certificate)
{
	struct set s = new_set();
	static const char *const bad_hosts[] = { "", "a,DNS:evil", "a b", "-a", ".a", "a\nb", "*.a",
		"b\xc3\xbc.de" };
	char *pem = NULL;
	for (size_t i = 0; i < sizeof(bad_hosts) / sizeof(bad_hosts[0]); i++) {
		struct x509_issue what = { .name = "a",
			.hosts = &bad_hosts[i],
			.host_count = 1,
			.from_s = NOW,
			.until_s = NOW + DAY };
		cr_expect(eq(int, issue(&s, &what, &pem, NULL), -ERR_CONFIG), "%s", bad_hosts[i]);
	}
	char long_text[200];
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[199] = '\0';
	const struct x509_issue bad[] = {
		{ .name = "", .from_s = NOW, .until_s = NOW + 1 },
		{ .name = long_text, .from_s = NOW, .until_s = NOW + 1 },
		{ .name = "a", .from_s = NOW, .until_s = NOW },
		{ .name = "a", .from_s = -1, .until_s = NOW },
		{ .name = "a", .uri = "", .from_s = NOW, .until_s = NOW + 1 },
		{ .name = "a", .uri = "a b", .from_s = NOW, .until_s = NOW + 1 },
		{ .name = "a", .uri = long_text, .from_s = NOW, .until_s = NOW + 1 },
		{ .name = "a", .host_count = X509_MAX_NAMES + 1, .from_s = NOW, .until_s = NOW + 1 }
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, issue(&s, &bad[i], &pem, NULL), -ERR_CONFIG), "%zu", i);
	free_set(&s);
}

/* Change one character of the base64 in the middle of the last lines. */
static char *damaged(const char *pem)
{
	char *text = strdup(pem);
	char *end = strstr(text, "\n-----END");
	cr_assert(ne(ptr, end, NULL));
	char *c = end - 12;
	*c = *c == 'A' ? 'B' : 'A';
	return text;
}

Test(x509, a_request_must_be_signed_by_its_own_key)
{
	struct set s = new_set();
	struct x509_issue what = { .name = "a", .from_s = NOW, .until_s = NOW + DAY };
	char *good = s.request;
	char *pem = NULL;
	struct x509_info info;
	s.request = damaged(good);
	cr_expect(eq(int, issue(&s, &what, &pem, NULL), -ERR_CORRUPT));
	cr_expect(eq(int, x509_inspect(s.request, &info, NULL), -ERR_CORRUPT));
	free(s.request);
	static const char *const bad[] = { "", "junk",
		"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		s.request = strdup(bad[i]);
		cr_expect(eq(int, issue(&s, &what, &pem, NULL), -ERR_CORRUPT));
		cr_expect(eq(int, x509_inspect(bad[i], &info, NULL), -ERR_CORRUPT));
		free(s.request);
	}
	char *big = malloc(X509_MAX_PEM + 100);
	memset(big, '\n', X509_MAX_PEM + 99);
	memcpy(big + X509_MAX_PEM + 99 - strlen("x"), "x", 2);
	cr_expect(eq(int, x509_inspect(big, &info, NULL), -ERR_CORRUPT));
	free(big);
	s.request = good;
	free_set(&s);
}

static char *key_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	cr_assert(eq(int, PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1));
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return text;
}

Test(x509, only_p256_keys_are_taken)
{
	char *keys[] = { key_of(EVP_EC_gen("P-384")), key_of(EVP_RSA_gen(2048)),
		key_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), strdup("") };
	for (size_t i = 0; i < 4; i++) {
		struct buf b = BUF_INIT(X509_MAX_PEM);
		cr_expect(eq(int, x509_ca_new(keys[i], "a", NOW, 1, &b, NULL), -ERR_CONFIG));
		cr_expect(eq(int, x509_request_new(keys[i], "a", &b, NULL), -ERR_CONFIG));
		cr_expect(eq(sz, b.len, 0));
		free(keys[i]);
	}
}

Test(x509, a_ca_and_a_key_that_do_not_go_together_issue_nothing)
{
	struct set s = new_set();
	struct x509_issue what = { .name = "a", .from_s = NOW, .until_s = NOW + DAY };
	char *leaf = NULL;
	char *pem = NULL;
	cr_assert(eq(int, issue(&s, &what, &leaf, NULL), 0));
	struct set wrong = { .ca_key = s.key, .ca = s.ca, .key = s.key, .request = s.request };
	cr_expect(eq(int, issue(&wrong, &what, &pem, NULL), -ERR_CONFIG));
	wrong.ca = leaf; /* its own key, but no CA */
	cr_expect(eq(int, issue(&wrong, &what, &pem, NULL), -ERR_CONFIG));
	free(leaf);
	free_set(&s);
}
