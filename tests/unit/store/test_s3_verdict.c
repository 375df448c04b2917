#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "store/s3/s3_verdict.h"

static struct err err;

static const struct s3_verdict_place place = { .host = "h:9", .bucket = "plant", .region = "eu-1" };

static struct s3_outcome answered(int status, const char *code)
{
	struct s3_outcome o = { .status = status, .detail = "" };
	(void)snprintf(o.refusal.code, sizeof(o.refusal.code), "%s", code);
	return o;
}

Test(s3_verdict, what_may_pass_is_tried_again_and_what_a_person_must_change_is_not)
{
	static const struct {
		int status;
		const char *code;
		enum s3_verdict verdict;
	} cases[] = { { 200, "", S3_VERDICT_OK }, { 204, "", S3_VERDICT_OK },
		{ 206, "", S3_VERDICT_OK }, { 408, "RequestTimeout", S3_VERDICT_AGAIN },
		{ 400, "RequestTimeout", S3_VERDICT_AGAIN }, { 400, "BadDigest", S3_VERDICT_AGAIN },
		{ 409, "ConditionalRequestConflict", S3_VERDICT_AGAIN },
		{ 409, "BucketAlreadyExists", S3_VERDICT_OVER }, { 429, "", S3_VERDICT_SLOW },
		{ 500, "InternalError", S3_VERDICT_AGAIN }, { 502, "", S3_VERDICT_AGAIN },
		{ 503, "SlowDown", S3_VERDICT_SLOW }, { 503, "", S3_VERDICT_SLOW },
		{ 504, "", S3_VERDICT_AGAIN }, { 501, "NotImplemented", S3_VERDICT_OVER },
		{ 507, "", S3_VERDICT_OVER }, { 400, "InvalidRequest", S3_VERDICT_OVER },
		{ 403, "AccessDenied", S3_VERDICT_OVER }, { 403, "QuotaExceeded", S3_VERDICT_OVER },
		{ 403, "SignatureDoesNotMatch", S3_VERDICT_OVER },
		{ 403, "RequestTimeTooSkewed", S3_VERDICT_SKEW },
		{ 400, "ExpiredToken", S3_VERDICT_FRESH }, { 404, "NoSuchKey", S3_VERDICT_OVER },
		{ 412, "PreconditionFailed", S3_VERDICT_OVER },
		{ 301, "PermanentRedirect", S3_VERDICT_OVER } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_outcome o = answered(cases[i].status, cases[i].code);
		cr_expect(eq(int, (int)s3_verdict_of(&o), (int)cases[i].verdict), "%d %s",
			cases[i].status, cases[i].code);
	}
}

Test(s3_verdict, another_region_is_followed_when_it_is_named)
{
	static const struct {
		int status;
		const char *code;
	} cases[] = { { 301, "PermanentRedirect" }, { 307, "TemporaryRedirect" },
		{ 400, "AuthorizationHeaderMalformed" }, { 301, "" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_outcome o = answered(cases[i].status, cases[i].code);
		(void)snprintf(o.refusal.region, sizeof(o.refusal.region), "us-2");
		cr_expect(eq(int, (int)s3_verdict_of(&o), (int)S3_VERDICT_REGION));
		cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), -ERR_CONFIG));
		cr_expect(eq(str, err.msg, "bucket 'plant' is in region 'us-2', not in 'eu-1'"));
		cr_expect(ne(ptr, strstr(err.hint, "region=us-2"), NULL));
	}
}

Test(s3_verdict, the_network_is_tried_again_and_a_certificate_is_not)
{
	static const int again[] = { CURLE_COULDNT_CONNECT, CURLE_OPERATION_TIMEDOUT,
		CURLE_PARTIAL_FILE, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING };
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
		struct s3_outcome o = { .curl_code = again[i], .detail = "why" };
		cr_expect(eq(int, (int)s3_verdict_of(&o), (int)S3_VERDICT_AGAIN));
		cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), -ERR_UNREACHABLE));
	}
	struct s3_outcome o = { .curl_code = CURLE_PEER_FAILED_VERIFICATION,
		.verify = X509_V_ERR_CERT_HAS_EXPIRED,
		.detail = "" };
	cr_expect(eq(int, (int)s3_verdict_of(&o), (int)S3_VERDICT_OVER));
	cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), -ERR_AUTH));
	cr_expect(eq(str, err.msg, "the certificate of 'h:9' has expired"));
	o.verify = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
	cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.hint, "ca=FILE"), NULL));
	o = (struct s3_outcome){
		.curl_code = CURLE_COULDNT_CONNECT, .os_errno = ECONNREFUSED, .detail = ""
	};
	cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), -ERR_UNREACHABLE));
	cr_expect(eq(str, err.msg, "nobody answers at 'h:9': Connection refused"));
}

Test(s3_verdict, each_refusal_has_its_code_and_its_words)
{
	static const struct {
		int status;
		const char *code;
		int rc;
		const char *msg;
	} cases[] = {
		{ 404, "NoSuchKey", -ERR_NOT_FOUND, "no such object" },
		{ 404, "NoSuchBucket", -ERR_CONFIG, "there is no bucket 'plant' at 'h:9'" },
		{ 404, "", -ERR_IO, "'h:9' answers 404 " },
		{ 403, "SignatureDoesNotMatch", -ERR_AUTH,
			"'h:9' refuses our signature: the secret key is wrong" },
		{ 403, "InvalidAccessKeyId", -ERR_AUTH, "'h:9' does not know our access key" },
		{ 403, "AccessDenied", -ERR_AUTH, "'h:9' answers 403 AccessDenied" },
		{ 403, "QuotaExceeded", -ERR_NOSPACE, "the object store is full: QuotaExceeded " },
		{ 403, "InvalidObjectState", -ERR_IO,
			"the object is archived: bring it back at the store" },
		{ 412, "PreconditionFailed", -ERR_EXISTS, "'h:9' answers 412 PreconditionFailed" },
		{ 416, "InvalidRange", -ERR_CORRUPT, "'h:9' answers 416 InvalidRange" },
		{ 501, "NotImplemented", -ERR_UNSUPPORTED, "'h:9' answers 501 NotImplemented" },
		{ 400, "EntityTooLarge", -ERR_LIMIT, "'h:9' answers 400 EntityTooLarge" },
		{ 500, "InternalError", -ERR_IO, "'h:9' answers 500 InternalError" },
		{ 400, "ExpiredToken", -ERR_AUTH, "'h:9' says that our session token has expired" },
		{ 302, "Moved", -ERR_CONFIG, "'h:9' sends us elsewhere: 302 Moved" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct s3_outcome o = answered(cases[i].status, cases[i].code);
		cr_expect(eq(int, s3_verdict_tell(&o, &place, &err), cases[i].rc), "%s",
			cases[i].code);
		cr_expect(eq(str, err.msg, (char *)cases[i].msg));
	}
}
