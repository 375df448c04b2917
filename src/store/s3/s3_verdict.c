#include "store/s3/s3_verdict.h"

#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) What a person must change is never tried again: rights, quota, 4xx but 408, 409 and 429.
 * (2) 501 is never tried again: the server will not learn it.
 */

static bool is_code(const struct s3_outcome *o, const char *code)
{
	return strcmp(o->refusal.code, code) == 0;
}

static bool is_one_of(const struct s3_outcome *o, const char *const *codes)
{
	for (; *codes != NULL; codes++) {
		if (is_code(o, *codes))
			return true;
	}
	return false;
}

static enum s3_verdict of_transport(const struct s3_outcome *o)
{
	switch (o->curl_code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_UPLOAD_FAILED:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND: /* a kept connection was closed by then */
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_AGAIN:
		return S3_VERDICT_AGAIN;
	default:
		return S3_VERDICT_OVER;
	}
}

static bool is_moved(const struct s3_outcome *o)
{
	static const char *const codes[] = { "AuthorizationHeaderMalformed", "PermanentRedirect",
		"TemporaryRedirect", "IllegalLocationConstraintException", NULL };
	return o->refusal.region[0] != '\0' &&
	       (o->status == 301 || o->status == 307 || is_one_of(o, codes));
}

enum s3_verdict s3_verdict_of(const struct s3_outcome *o)
{
	static const char *const stale[] = { "ExpiredToken", "ExpiredTokenException",
		"TokenRefreshRequired", "InvalidToken", NULL };
	static const char *const transient[] = { "RequestTimeout", "BadDigest",
		"XAmzContentSHA256Mismatch", "ConditionalRequestConflict", "OperationAborted",
		NULL };
	if (o->curl_code != CURLE_OK)
		return of_transport(o);
	if (o->status >= 200 && o->status <= 299)
		return S3_VERDICT_OK;
	if (o->status == 429 || o->status == 503 || is_code(o, "SlowDown"))
		return S3_VERDICT_SLOW;
	if (is_code(o, "RequestTimeTooSkewed"))
		return S3_VERDICT_SKEW;
	if (is_one_of(o, stale))
		return S3_VERDICT_FRESH;
	if (is_moved(o))
		return S3_VERDICT_REGION;
	if (o->status == 408 || is_one_of(o, transient))
		return S3_VERDICT_AGAIN;
	bool is_lasting = o->status == 501 || o->status == 505 || o->status == 507;
	return o->status >= 500 && !is_lasting ? S3_VERDICT_AGAIN : S3_VERDICT_OVER;
}

static int tell_certificate(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	if (o->verify == X509_V_ERR_CERT_HAS_EXPIRED) {
		(void)err_set(err, ERR_AUTH, "the certificate of '%s' has expired", place->host);
		return err_hint(err, "renew it at the server, and look at the clock of this host");
	}
	if (o->verify == X509_V_ERR_CERT_NOT_YET_VALID) {
		(void)err_set(
			err, ERR_AUTH, "the certificate of '%s' is not valid yet", place->host);
		return err_hint(err, "look at the clocks of this host and of the server");
	}
	(void)err_set(err, ERR_AUTH, "the certificate of '%s' is not trusted: %s", place->host,
		o->verify != 0 ? X509_verify_cert_error_string(o->verify) : o->detail);
	return err_hint(err, "name the file of the CA that signed it: ...?ca=FILE");
}

static int tell_transport(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	const char *why = o->os_errno != 0 ? strerror(o->os_errno)
					   : // NOLINT(concurrency-mt-unsafe)
				  o->detail[0] != '\0' ? o->detail
						       : curl_easy_strerror((CURLcode)o->curl_code);
	switch (o->curl_code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return tell_certificate(o, place, err);
	case CURLE_SSL_CACERT_BADFILE:
		(void)err_set(err, ERR_CONFIG, "the file of trusted certificates is no good: %s",
			o->detail);
		return err_hint(err, "look at ca= in the vault's place and at AWS_CA_BUNDLE");
	case CURLE_SSL_CONNECT_ERROR:
		(void)err_set(err, ERR_UNREACHABLE, "'%s' does not speak TLS with us: %s",
			place->host, o->detail);
		return err_hint(
			err, "is it a plain server? then write http:// instead of https://");
	case CURLE_COULDNT_RESOLVE_HOST:
		(void)err_set(err, ERR_UNREACHABLE, "no host is called '%s'", place->host);
		return err_hint(err, "check the name, and that the name service answers");
	case CURLE_COULDNT_CONNECT:
		(void)err_set(err, ERR_UNREACHABLE, "nobody answers at '%s': %s", place->host, why);
		return err_hint(err, "check host and port, and that the object store runs");
	case CURLE_OPERATION_TIMEDOUT:
		(void)err_set(err, ERR_UNREACHABLE, "'%s' is silent: %s", place->host, o->detail);
		return err_hint(err, "the object store, or the network on the way, does not move");
	default:
		return err_set(err, ERR_UNREACHABLE, "the connection to '%s' failed: %s",
			place->host, why);
	}
}

static int tell_moved(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	(void)err_set(err, ERR_CONFIG, "bucket '%s' is in region '%s', not in '%s'", place->bucket,
		o->refusal.region, place->region);
	return err_hint(
		err, "write region=%s in the vault's place, or leave it out", o->refusal.region);
}

/* Why the server does not let us, or 0 when it is nothing of that kind. */
static int tell_rights(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	static const char *const full[] = { "QuotaExceeded", "QuotaExceededException",
		"InsufficientStorage", "XMinioStorageFull", "StorageFull", NULL };
	if (is_one_of(o, full) || o->status == 507) {
		(void)err_set(err, ERR_NOSPACE, "the object store is full: %s %s", o->refusal.code,
			o->refusal.text);
		return err_hint(err, "raise the quota of the bucket or its user, or free space");
	}
	if (is_code(o, "SignatureDoesNotMatch")) {
		(void)err_set(err, ERR_AUTH, "'%s' refuses our signature: the secret key is wrong",
			place->host);
		return err_hint(err, "check the secret that belongs to this access key");
	}
	if (is_code(o, "InvalidAccessKeyId") || is_code(o, "InvalidAccessKey")) {
		(void)err_set(err, ERR_AUTH, "'%s' does not know our access key", place->host);
		return err_hint(err, "check the access key, and which server it is for");
	}
	if (s3_verdict_of(o) == S3_VERDICT_FRESH)
		return err_set(
			err, ERR_AUTH, "'%s' says that our session token has expired", place->host);
	if (is_code(o, "RequestTimeTooSkewed")) {
		(void)err_set(err, ERR_AUTH, "the clocks of this host and of '%s' differ too much",
			place->host);
		return err_hint(err, "set the clock of this host");
	}
	if (is_code(o, "InvalidObjectState"))
		return err_set(err, ERR_IO, "the object is archived: bring it back at the store");
	return 0;
}

static int tell_place(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	if (o->status == 404 && is_code(o, "NoSuchBucket")) {
		(void)err_set(err, ERR_CONFIG, "there is no bucket '%s' at '%s'", place->bucket,
			place->host);
		return err_hint(err, "make the bucket first, or correct its name");
	}
	if (o->status == 404 && (is_code(o, "NoSuchKey") || is_code(o, "NoSuchVersion")))
		return err_set(err, ERR_NOT_FOUND, "no such object");
	if (o->status >= 300 && o->status <= 399) {
		(void)err_set(err, ERR_CONFIG, "'%s' sends us elsewhere: %d %s", place->host,
			o->status, o->refusal.code);
		return err_hint(err, "name the address of the bucket's own region");
	}
	return 0;
}

/* A plain server behind a TLS port, as some put it. */
static bool is_scheme_wrong(const struct s3_outcome *o, const struct s3_verdict_place *place)
{
	return !place->is_https && o->status == 400 && o->refusal.code[0] == '\0';
}

int s3_verdict_tell(
	const struct s3_outcome *o, const struct s3_verdict_place *place, struct err *err)
{
	if (o->curl_code != CURLE_OK)
		return tell_transport(o, place, err);
	if (s3_verdict_of(o) == S3_VERDICT_REGION)
		return tell_moved(o, place, err);
	int rc = tell_rights(o, place, err);
	if (rc == 0)
		rc = tell_place(o, place, err);
	if (rc != 0)
		return rc;
	enum err_code code = o->status == 412                       ? ERR_EXISTS
			     : o->status == 416                     ? ERR_CORRUPT
			     : o->status == 501                     ? ERR_UNSUPPORTED
			     : is_code(o, "EntityTooLarge")         ? ERR_LIMIT
			     : o->status == 401 || o->status == 403 ? ERR_AUTH
								    : ERR_IO;
	(void)err_set(err, code, "'%s' answers %d %s%s%s", place->host, o->status, o->refusal.code,
		o->refusal.text[0] == '\0' ? "" : ": ", o->refusal.text);
	if (code == ERR_AUTH)
		(void)err_hint(err, "the key is good, its rights are not: see docs/S3.md");
	else if (is_scheme_wrong(o, place))
		(void)err_hint(err, "does it speak TLS? then write https:// instead of http://");
	return -(int)code;
}
