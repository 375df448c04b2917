#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/s3_reply.h"

static struct err err;
static struct buf told = BUF_INIT(65536);
static struct s3_reply_page page = { .token = BUF_INIT(S3_REPLY_MAX_TOKEN_BYTES) };

static void done(void)
{
	buf_done(&told);
	buf_done(&page.token);
}

TestSuite(s3_reply, .fini = done);

static int note(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)arg;
	return buf_addf(&told, e, "%s:%llu;", key, (unsigned long long)size);
}

static int list(const char *xml)
{
	buf_clear(&told);
	return s3_reply_list(xml, strlen(xml), note, NULL, &page, &err);
}

#define PAGE(inside) "<ListBucketResult>" inside "</ListBucketResult>"
#define ONE(key) "<Contents><Key>" key "</Key><Size>7</Size></Contents>"

Test(s3_reply, a_page_of_a_list_is_read_with_its_next)
{
	cr_assert(
		eq(int,
			list(PAGE(ONE("a/b") "<IsTruncated>true</IsTruncated>" ONE(
				"c&amp;d") "<NextContinuationToken>1/+=</NextContinuationToken>")),
			0),
		"%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&told), "a/b:7;c&d:7;"));
	cr_expect(page.is_truncated);
	cr_expect(eq(str, (char *)buf_cstr(&page.token), "1/+="));
	cr_assert(eq(int, list(PAGE("<IsTruncated>false</IsTruncated>")), 0));
	cr_expect(not(page.is_truncated));
	cr_expect(eq(sz, page.token.len, (size_t)0));
}

Test(s3_reply, keys_are_decoded_when_the_server_says_that_it_encoded_them)
{
	cr_assert(eq(int,
			  list(PAGE(ONE("a%2Fb+c%2B%C3%BC") "<IsTruncated>false</IsTruncated>"
							    "<EncodingType>url</EncodingType>")),
			  0),
		"%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&told), "a/b c+\xc3\xbc:7;"));
	cr_assert(eq(int, list(PAGE(ONE("a%2Fb+c") "<IsTruncated>false</IsTruncated>")), 0));
	cr_expect(eq(str, (char *)buf_cstr(&told), "a%2Fb+c:7;"));
}

Test(s3_reply, a_list_that_is_cut_or_something_else_is_no_list)
{
	static const char *const bad[] = { "<ListBucketResult>" ONE("a"), "", PAGE(ONE("a")),
		"<Error><Code>InternalError</Code></Error>",
		PAGE("<Contents><Key>a</Key></Contents><IsTruncated>false</IsTruncated>"),
		PAGE("<Contents><Size>1</Size></Contents><IsTruncated>false</IsTruncated>"),
		PAGE("<Contents><Key>a</Key><Size>-1</Size></Contents>"
		     "<IsTruncated>false</IsTruncated>"),
		PAGE("<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>"
		     "<IsTruncated>false</IsTruncated>"),
		PAGE("<IsTruncated>true</IsTruncated>"),
		PAGE(ONE("a%2") "<IsTruncated>false</IsTruncated><EncodingType>url</"
				"EncodingType>") };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, list(bad[i]), -ERR_CORRUPT), "%s", bad[i]);
}

Test(s3_reply, a_refusal_tells_code_words_and_region)
{
	static const char xml[] = "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code>"
				  "<Message>go\x1b[31m away</Message><Region>eu-2</Region></Error>";
	struct s3_reply_refusal r;
	s3_reply_refusal(xml, strlen(xml), &r);
	cr_expect(eq(str, r.code, "PermanentRedirect"));
	cr_expect(eq(str, r.text, "go\\x1b[31m away"));
	cr_expect(eq(str, r.region, "eu-2"));
	s3_reply_refusal(xml, strlen(xml) - 20, &r); /* cut: what was whole counts */
	cr_expect(eq(str, r.code, "PermanentRedirect"));
	s3_reply_refusal("<html><body>no</body></html>", 28, &r);
	cr_expect(eq(str, r.code, ""));
}

static int note_key(void *arg, const char *key, const char *code, struct err *e)
{
	(void)arg;
	return buf_addf(&told, e, "%s:%s;", key, code);
}

Test(s3_reply, keys_that_were_not_deleted_are_told)
{
	static const char xml[] =
		"<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b&lt;</Key>"
		"<Code>AccessDenied</Code></Error><Error><Key>c</Key></Error></DeleteResult>";
	cr_assert(eq(int, s3_reply_delete(xml, strlen(xml), note_key, NULL, &err), 0));
	cr_expect(eq(str, (char *)buf_cstr(&told), "b<:AccessDenied;c:;"));
	cr_expect(eq(int, s3_reply_delete("<Error/>", 8, note_key, NULL, &err), -ERR_CORRUPT));
	cr_expect(
		eq(int, s3_reply_delete(xml, strlen(xml) - 3, note_key, NULL, &err), -ERR_CORRUPT));
}

static int note_version(void *arg, const struct s3_reply_version *v, struct err *e)
{
	(void)arg;
	return buf_addf(&told, e, "%s@%s:%llu%s%s;", v->key, v->id, (unsigned long long)v->size,
		v->is_marker ? " marker" : "", v->is_latest ? " latest" : "");
}

Test(s3_reply, versions_and_markers_are_told_apart)
{
	static const char xml[] =
		"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</"
		"NextKeyMarker>"
		"<NextVersionIdMarker>v0</NextVersionIdMarker>"
		"<DeleteMarker><Key>a</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest>"
		"</DeleteMarker><Version><Key>a</Key><VersionId>v1</VersionId><Size>5</Size>"
		"<IsLatest>false</IsLatest><Owner><ID>x</ID></Owner></Version></"
		"ListVersionsResult>";
	struct s3_reply_versions next = { .key_marker = BUF_INIT(1024),
		.id_marker = BUF_INIT(256) };
	cr_assert(eq(int, s3_reply_versions(xml, strlen(xml), note_version, NULL, &next, &err), 0),
		"%s", err.msg);
	cr_expect(eq(str, (char *)buf_cstr(&told), "a@v3:0 marker latest;a@v1:5;"));
	cr_expect(next.is_truncated);
	cr_expect(eq(str, (char *)buf_cstr(&next.key_marker), "k"));
	cr_expect(eq(str, (char *)buf_cstr(&next.id_marker), "v0"));
	cr_expect(eq(int,
		s3_reply_versions("<ListBucketResult/>", 19, note_version, NULL, &next, &err),
		-ERR_CORRUPT));
	buf_done(&next.key_marker);
	buf_done(&next.id_marker);
}

Test(s3_reply, the_state_of_a_bucket_is_read)
{
	static const struct {
		const char *xml;
		int rc;
		bool is_on;
	} cases[] = {
		{ "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", 0,
			true },
		{ "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
			0, false },
		{ "<VersioningConfiguration/>", 0, false },
		{ "<Other><Status>Enabled</Status></Other>", -ERR_CORRUPT, false },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_on = false;
		cr_expect(eq(int,
			s3_reply_versioning(cases[i].xml, strlen(cases[i].xml), &is_on, &err),
			cases[i].rc));
		cr_expect(eq(int, is_on, cases[i].is_on), "%s", cases[i].xml);
	}
	static const char lock[] = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
				   "</ObjectLockEnabled></ObjectLockConfiguration>";
	bool is_on = false;
	cr_expect(eq(int, s3_reply_object_lock(lock, strlen(lock), &is_on, &err), 0));
	cr_expect(is_on);
}
