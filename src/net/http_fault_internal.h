/*
 * http_fault: what a failed transfer means to a person, and whether to try it again.
 */
#ifndef NET_HTTP_FAULT_INTERNAL_H
#define NET_HTTP_FAULT_INTERNAL_H

#include <stdbool.h>

struct err;

struct http_fault {
	int curl_code;       /* CURLcode, not CURLE_OK */
	long verify;         /* X509_V_*: what the check of the server's certificate said */
	long os_errno;       /* of the connect */
	bool was_connected;  /* TCP was, so a time out was not the connect's */
	const char *detail;  /* the library's own text, "" when there is none */
	const char *address; /* "host:port" */
	const char *ca_from; /* the file of our CA, NULL when it is not known */
};

/* Fill ${err}.  Return -ERR_UNREACHABLE (worth another try), -ERR_AUTH, -ERR_CONFIG.. */
int http_fault_tell(const struct http_fault *f, struct err *err);

#endif
