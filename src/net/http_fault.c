#include "net/http_fault_internal.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/escape.h"

#define DETAIL_BYTES 512
#define PLACE_BYTES 512
#define CLOCK_HINT "compare the clocks of both machines (date -u); else renew the certificate"

/* " in 'FILE'", or nothing. */
static const char *place_of_ca(const struct http_fault *f, char out[PLACE_BYTES])
{
	out[0] = '\0';
	if (f->ca_from != NULL)
		(void)snprintf(out, PLACE_BYTES, " in '%s'", f->ca_from); /* cut is fine */
	return out;
}

static int tell_verify(const struct http_fault *f, struct err *err)
{
	if (f->verify == X509_V_ERR_CERT_HAS_EXPIRED) {
		(void)err_set(err, ERR_AUTH, "the certificate of %s has expired", f->address);
		(void)err_hint(err, CLOCK_HINT);
	} else if (f->verify == X509_V_ERR_CERT_NOT_YET_VALID) {
		(void)err_set(err, ERR_AUTH, "the certificate of %s is not valid yet", f->address);
		(void)err_hint(err, CLOCK_HINT);
	} else if (strstr(f->detail, "subject name") != NULL) {
		(void)err_set(
			err, ERR_AUTH, "the certificate of %s is for another name", f->address);
		(void)err_hint(err, "connect by a name or address that the certificate lists, or "
				    "have this one added to it");
	} else {
		char ca[PLACE_BYTES];
		(void)err_set(err, ERR_AUTH, "the certificate of %s is not of our CA%s", f->address,
			place_of_ca(f, ca));
		(void)err_hint(err,
			"this may be another server, or the wrong CA here; do not go on before "
			"you know which");
	}
	return -ERR_AUTH;
}

static int tell_connect(const struct http_fault *f, struct err *err)
{
	if (f->os_errno == ECONNREFUSED) {
		(void)err_set(err, ERR_UNREACHABLE, "nothing listens on %s (connection refused)",
			f->address);
		(void)err_hint(err, "check that the server runs there, and its port");
	} else {
		(void)err_set(err, ERR_UNREACHABLE, "unable to connect to %s (%s)", f->address,
			f->os_errno != 0 ? strerror((int)f->os_errno) : "no connection");
		(void)err_hint(err, "check the network between the machines and the firewall");
	}
	return -ERR_UNREACHABLE;
}

static int tell_time(const struct http_fault *f, struct err *err)
{
	(void)err_set(err, ERR_UNREACHABLE,
		f->was_connected ? "%s stopped answering" : "%s does not answer", f->address);
	(void)err_hint(err, "check the address, the network and the firewall between the machines");
	return -ERR_UNREACHABLE;
}

/* The other end ended the handshake, or the connection, with an alert about our certificate. */
static bool is_our_cert(const char *detail)
{
	static const char *const alerts[] = { "alert certificate", "alert bad certificate",
		"alert unknown ca", "alert unsupported certificate", "alert access denied",
		"alert decrypt error" };
	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
		if (strstr(detail, alerts[i]) != NULL)
			return true;
	}
	return false;
}

static int tell_our_cert(const struct http_fault *f, struct err *err)
{
	bool none = strstr(f->detail, "certificate required") != NULL;
	bool expired = strstr(f->detail, "certificate expired") != NULL;
	(void)err_set(err, ERR_AUTH, "%s refused our certificate%s", f->address,
		none      ? ": we showed none"
		: expired ? ": it has expired or is not valid yet"
			  : "");
	if (expired)
		(void)err_hint(err, "compare the clocks of both machines (date -u); else enrol "
				    "this machine with that server again");
	else
		(void)err_hint(err, "enrol this machine with that server");
	return -ERR_AUTH;
}

int http_fault_tell(const struct http_fault *f, struct err *err)
{
	if (is_our_cert(f->detail))
		return tell_our_cert(f, err);
	char shown[DETAIL_BYTES], ca[PLACE_BYTES];
	(void)escape_str(shown, sizeof(shown), f->detail);
	switch (f->curl_code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		(void)err_set(
			err, ERR_UNREACHABLE, "the name in %s cannot be resolved", f->address);
		(void)err_hint(err, "check the name, the DNS server or /etc/hosts; an IP address "
				    "works without");
		return -ERR_UNREACHABLE;
	case CURLE_COULDNT_CONNECT:
		return tell_connect(f, err);
	case CURLE_OPERATION_TIMEDOUT:
		return tell_time(f, err);
	case CURLE_PEER_FAILED_VERIFICATION:
		return tell_verify(f, err);
	case CURLE_SSL_CERTPROBLEM:
		return err_set(
			err, ERR_CONFIG, "our own certificate or key is no good (%s)", shown);
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, ERR_CONFIG, "our copy of the CA%s is no good (%s)",
			place_of_ca(f, ca), shown);
	case CURLE_SSL_CONNECT_ERROR:
		(void)err_set(err, ERR_UNREACHABLE, "no TLS 1.3 with %s (%s)", f->address, shown);
		(void)err_hint(err, "check that this is the server's TLS port");
		return -ERR_UNREACHABLE;
	case CURLE_OUT_OF_MEMORY:
		return err_set(err, ERR_NOMEM, "out of memory for a request");
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, ERR_CORRUPT, "%s does not speak HTTP (%s)", f->address, shown);
	default:
		(void)err_set(err, ERR_UNREACHABLE, "the connection to %s was lost (%s)",
			f->address,
			shown[0] != '\0' ? shown : curl_easy_strerror((CURLcode)f->curl_code));
		(void)err_hint(err, "the request can be sent again");
		return -ERR_UNREACHABLE;
	}
}
