/* Published vectors: the AWS Signature Version 4 test suite (service "service") and the examples of
 * the S3 API reference (service "s3"). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/s3_sign.h"
#include "store/s3/s3_uri.h"

#define SUITE_DATE "20150830T123600Z"
#define S3_DATE "20130524T000000Z"

static struct err err;

static const struct s3_sign_key suite = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	"us-east-1", "service" };
static const struct s3_sign_key s3 = { "AKIAIOSFODNN7EXAMPLE",
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3" };

static void expect(const struct s3_sign_key *key, const struct s3_sign_request *r,
	const char *names, const char *signature)
{
	struct buf out = BUF_INIT(4096);
	struct buf want = BUF_INIT(4096);
	cr_assert(eq(int, s3_sign_request(key, r, &out, &err), 0));
	cr_assert(eq(int,
		buf_addf(&want, &err,
			"AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request,"
			"SignedHeaders=%s,Signature=%s",
			key->access_key, r->date, key->service, names, signature),
		0));
	cr_expect(eq(str, (char *)buf_cstr(&out), (char *)buf_cstr(&want)));
	buf_done(&out);
	buf_done(&want);
}

static void expect_suite(const char *method, const char *query,
	const struct s3_sign_header *headers, size_t count, const char *names,
	const char *signature)
{
	struct s3_sign_request r = { .method = method,
		.path = "/",
		.query = query,
		.headers = headers,
		.header_count = count,
		.payload = S3_SIGN_NO_BODY,
		.date = SUITE_DATE };
	expect(&suite, &r, names, signature);
}

Test(s3_sign, the_test_suite_is_signed_as_published)
{
	static const struct s3_sign_header plain[] = { { "x-amz-date", SUITE_DATE },
		{ "host", "example.amazonaws.com" } };
	expect_suite("GET", "", plain, 2, "host;x-amz-date",
		"5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	expect_suite("POST", "", plain, 2, "host;x-amz-date",
		"5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
	expect_suite("GET", "Param1=value1&Param2=value2", plain, 2, "host;x-amz-date",
		"b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

Test(s3_sign, headers_of_one_name_are_joined_in_their_order)
{
	static const struct s3_sign_header doubled[] = { { "host", "example.amazonaws.com" },
		{ "my-header1", "value2" }, { "my-header1", "value2" }, { "my-header1", "value1" },
		{ "x-amz-date", SUITE_DATE } };
	expect_suite("GET", "", doubled, 5, "host;my-header1;x-amz-date",
		"c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea");
	static const struct s3_sign_header lines[] = { { "x-amz-date", SUITE_DATE },
		{ "my-header1", "value1" }, { "my-header1", "\n  value2" },
		{ "my-header1", "  value3 \n" }, { "host", "example.amazonaws.com" } };
	expect_suite("GET", "", lines, 5, "host;my-header1;x-amz-date",
		"ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790");
}

Test(s3_sign, the_examples_of_s3_are_signed_as_published)
{
	static const struct s3_sign_header get[] = { { "range", "bytes=0-9" },
		{ "x-amz-content-sha256", S3_SIGN_NO_BODY }, { "x-amz-date", S3_DATE },
		{ "host", "examplebucket.s3.amazonaws.com" } };
	struct s3_sign_request r = { .method = "GET",
		.path = "/test.txt",
		.query = "",
		.headers = get,
		.header_count = 4,
		.payload = S3_SIGN_NO_BODY,
		.date = S3_DATE };
	expect(&s3, &r, "host;range;x-amz-content-sha256;x-amz-date",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	r.headers++; /* without the range */
	r.header_count--;
	r.path = "/";
	r.query = "lifecycle=";
	expect(&s3, &r, "host;x-amz-content-sha256;x-amz-date",
		"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	r.query = "max-keys=2&prefix=J";
	expect(&s3, &r, "host;x-amz-content-sha256;x-amz-date",
		"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

Test(s3_sign, a_put_with_an_odd_key_is_signed_as_published)
{
	static const char payload[] =
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	const struct s3_sign_header headers[] = { { "date", "Fri, 24 May 2013 00:00:00 GMT" },
		{ "host", "examplebucket.s3.amazonaws.com" }, { "x-amz-date", S3_DATE },
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "x-amz-content-sha256", payload } };
	struct buf path = BUF_INIT(256);
	cr_assert(eq(int, s3_uri_encode("/test$file.text", 15, true, &path, &err), 0));
	struct s3_sign_request r = { .method = "PUT",
		.path = buf_cstr(&path),
		.query = "",
		.headers = headers,
		.header_count = 5,
		.payload = payload,
		.date = S3_DATE };
	expect(&s3, &r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	buf_done(&path);
}

/* Sorting whole lines would put x-amz-meta-a-b before x-amz-meta-a: '-' is below ':'. */
Test(s3_sign, a_name_that_begins_another_comes_first)
{
	static const struct s3_sign_header headers[] = { { "x-amz-object-lock-mode-x", "1" },
		{ "x-amz-object-lock-mode", "2" }, { "host", "h" } };
	struct s3_sign_request r = { .method = "GET",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = 3,
		.payload = S3_SIGN_NO_BODY,
		.date = S3_DATE };
	struct buf out = BUF_INIT(4096);
	cr_assert(eq(int, s3_sign_request(&s3, &r, &out, &err), 0));
	cr_expect(ne(ptr,
		strstr(buf_cstr(&out), "SignedHeaders=host;x-amz-object-lock-mode;"
				       "x-amz-object-lock-mode-x,"),
		NULL));
	buf_done(&out);
}

Test(s3_sign, a_time_is_written_in_utc)
{
	char date[S3_SIGN_DATE_BYTES];
	s3_sign_date(INT64_C(1440938160) * 1000000000, date);
	cr_expect(eq(str, date, SUITE_DATE));
	s3_sign_date(INT64_C(1709164800) * 1000000000 + 999999999, date);
	cr_expect(eq(str, date, "20240229T000000Z"));
	s3_sign_date(0, date);
	cr_expect(eq(str, date, "19700101T000000Z"));
}
