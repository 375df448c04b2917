#include "net/http_fault_internal.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/err.h"

#define ALERT "OpenSSL SSL_read: error:0A000415:SSL routines::"

static const struct {
	struct http_fault fault;
	int code;
	const char *says, *hints;
} cases[] = {
	{ { .curl_code = CURLE_COULDNT_RESOLVE_HOST }, ERR_UNREACHABLE, "cannot be resolved",
		"DNS" },
	{ { .curl_code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED }, ERR_UNREACHABLE,
		"connection refused", "runs there" },
	{ { .curl_code = CURLE_COULDNT_CONNECT, .os_errno = ENETUNREACH }, ERR_UNREACHABLE,
		"Network is unreachable", "firewall" },
	{ { .curl_code = CURLE_OPERATION_TIMEDOUT }, ERR_UNREACHABLE, "does not answer",
		"firewall" },
	{ { .curl_code = CURLE_OPERATION_TIMEDOUT, .was_connected = true }, ERR_UNREACHABLE,
		"stopped answering", "network" },
	{ { .curl_code = CURLE_PEER_FAILED_VERIFICATION, .verify = X509_V_ERR_CERT_HAS_EXPIRED },
		ERR_AUTH, "has expired", "clocks" },
	{ { .curl_code = CURLE_PEER_FAILED_VERIFICATION, .verify = X509_V_ERR_CERT_NOT_YET_VALID },
		ERR_AUTH, "not valid yet", "clocks" },
	{ { .curl_code = CURLE_PEER_FAILED_VERIFICATION,
		  .verify = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN },
		ERR_AUTH, "not of our CA", "wrong CA" },
	{ { .curl_code = CURLE_PEER_FAILED_VERIFICATION,
		  .verify = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
		  .ca_from = "/etc/ca.pem" },
		ERR_AUTH, "not of our CA in '/etc/ca.pem'", "wrong CA" },
	{ { .curl_code = CURLE_SSL_CACERT_BADFILE, .ca_from = "/etc/ca.pem" }, ERR_CONFIG,
		"our copy of the CA in '/etc/ca.pem' is no good", "" },
	{ { .curl_code = CURLE_PEER_FAILED_VERIFICATION,
		  .verify = 1,
		  .detail = "SSL: no alternative certificate subject name matches" },
		ERR_AUTH, "for another name", "lists" },
	{ { .curl_code = CURLE_RECV_ERROR, .detail = ALERT "sslv3 alert certificate expired" },
		ERR_AUTH, "refused our certificate: it has expired", "clocks" },
	{ { .curl_code = CURLE_RECV_ERROR, .detail = ALERT "tlsv13 alert certificate required" },
		ERR_AUTH, "we showed none", "enrol" },
	{ { .curl_code = CURLE_SEND_ERROR, .detail = ALERT "tlsv1 alert unknown ca" }, ERR_AUTH,
		"refused our certificate", "enrol" },
	{ { .curl_code = CURLE_SSL_CERTPROBLEM }, ERR_CONFIG, "our own certificate", "" },
	/* the library leaves `verify` at 1 when it came to no check */
	{ { .curl_code = CURLE_SSL_CONNECT_ERROR, .verify = 1, .detail = "reset\033[2J" },
		ERR_UNREACHABLE, "no TLS 1.3 with plant:1 (reset\\x1b[2J)", "TLS port" },
	{ { .curl_code = CURLE_GOT_NOTHING }, ERR_UNREACHABLE, "was lost", "again" },
	{ { .curl_code = CURLE_WEIRD_SERVER_REPLY }, ERR_CORRUPT, "does not speak HTTP", "" },
};

Test(http_fault, each_fault_has_its_own_text_code_and_hint)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_fault f = cases[i].fault;
		f.address = "plant:1";
		f.detail = f.detail == NULL ? "" : f.detail;
		struct err err = ERR_INIT;
		cr_expect(eq(int, http_fault_tell(&f, &err), -cases[i].code), "%zu", i);
		cr_expect(eq(int, err.code, cases[i].code), "%zu", i);
		cr_expect(ne(ptr, strstr(err.msg, cases[i].says), NULL), "%zu: %s", i, err.msg);
		cr_expect(ne(ptr, strstr(err.hint, cases[i].hints), NULL), "%zu: %s", i, err.hint);
		for (size_t k = 0; k < i; k++)
			cr_expect(eq(int, cases[k].says == cases[i].says, 0));
	}
}
