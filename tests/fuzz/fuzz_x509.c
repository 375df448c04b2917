/*
 * fuzz_x509: certificates and requests: PEM as it comes, and DER wrapped here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/x509.h"
#include "fuzz/fuzz.h"

#define NOW_S INT64_C(1795487993)

/* A CA of its own, made once: what is signed differs from run to run, what is checked does not. */
static const char *ca_pem(void)
{
	static struct buf key = BUF_INIT(X509_MAX_PEM), pem = BUF_INIT(X509_MAX_PEM);
	struct err err = ERR_INIT;
	if (pem.len == 0) {
		FUZZ_CHECK(x509_key_new(&key, &err) == 0);
		FUZZ_CHECK(x509_ca_new(buf_cstr(&key), "ca", NOW_S, 30, &pem, &err) == 0);
	}
	return buf_cstr(&pem);
}

static void look(const char *pem)
{
	struct err err = ERR_INIT;
	struct x509_info info;
	int rc = x509_inspect(pem, &info, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(memchr(info.name, '\0', sizeof(info.name)) != NULL);
		FUZZ_CHECK(memchr(info.uri, '\0', sizeof(info.uri)) != NULL);
	}
	err_clear(&err);
	rc = x509_check(ca_pem(), pem, NOW_S, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(rc != 0); /* nothing here is signed by this CA */
}

static void run(const uint8_t *data, size_t len)
{
	struct buf pem = BUF_INIT((size_t)256 << 10);
	struct err err = ERR_INIT;
	if (len < 1 || memchr(data + 1, '\0', len - 1) == NULL) {
		FUZZ_CHECK(
			buf_add(&pem, len > 1 ? data + 1 : NULL, len > 1 ? len - 1 : 0, &err) == 0);
		look(buf_cstr(&pem));
	}
	buf_clear(&pem);
	if (len > 1) {
		const char *word = (data[0] & 1) != 0 ? "CERTIFICATE REQUEST" : "CERTIFICATE";
		FUZZ_CHECK(buf_addf(&pem, &err, "-----BEGIN %s-----\n", word) == 0);
		struct buf text = BUF_INIT((size_t)128 << 10);
		FUZZ_CHECK(text_base64(data + 1, len - 1, &text, &err) == 0);
		for (size_t i = 0; i < text.len; i += 64)
			FUZZ_CHECK(buf_addf(&pem, &err, "%.*s\n",
					   (int)(text.len - i < 64 ? text.len - i : 64),
					   (const char *)text.data + i) == 0);
		FUZZ_CHECK(buf_addf(&pem, &err, "-----END %s-----\n", word) == 0);
		look(buf_cstr(&pem));
		buf_done(&text);
	}
	buf_done(&pem);
}

/* The DER of a PEM, behind the byte that says what it is. */
static void seed_der(const char *pem, uint8_t kind)
{
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES), text = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	const char *at = strchr(pem, '\n') + 1, *end = strstr(at, "-----END");
	for (; at < end; at++)
		if (*at != '\n')
			FUZZ_CHECK(buf_add8(&text, (uint8_t)*at, &err) == 0);
	FUZZ_CHECK(buf_add8(&out, kind, &err) == 0);
	FUZZ_CHECK(text_unbase64((const char *)text.data, text.len, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
	buf_done(&text);
}

static void seeds(void)
{
	struct buf key = BUF_INIT(X509_MAX_PEM), ca = BUF_INIT(X509_MAX_PEM),
		   req = BUF_INIT(X509_MAX_PEM);
	struct buf cert = BUF_INIT(X509_MAX_PEM);
	static const char *const hosts[] = { "controller.example", "192.0.2.7" };
	const struct x509_issue what = { .name = "a1",
		.uri = "holdfast:agent:00",
		.hosts = hosts,
		.host_count = 2,
		.is_server = true,
		.from_s = NOW_S,
		.until_s = NOW_S + 1000 };
	struct err err = ERR_INIT;
	FUZZ_CHECK(x509_key_new(&key, &err) == 0);
	FUZZ_CHECK(x509_ca_new(buf_cstr(&key), "ca", NOW_S, 30, &ca, &err) == 0);
	FUZZ_CHECK(x509_request_new(buf_cstr(&key), "a1", &req, &err) == 0);
	FUZZ_CHECK(
		x509_issue(buf_cstr(&ca), buf_cstr(&key), buf_cstr(&req), &what, &cert, &err) == 0);
	seed_der(buf_cstr(&ca), 0);
	seed_der(buf_cstr(&req), 1);
	seed_der(buf_cstr(&cert), 0);
	buf_done(&key);
	buf_done(&ca);
	buf_done(&req);
	buf_done(&cert);
}

const struct fuzz_target fuzz_x509 = { "x509", run, seeds };
