/*
 * fuzz_s3_reply: what an object store answers with: lists, versions, refusals, results.
 */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "store/s3/s3_reply.h"

static int on_object(void *arg, const char *key, uint64_t size, struct err *err)
{
	(void)size;
	(void)err;
	FUZZ_CHECK(strlen(key) <= S3_REPLY_MAX_KEY_BYTES);
	++*(size_t *)arg;
	return 0;
}

static int on_key(void *arg, const char *key, const char *code, struct err *err)
{
	(void)err;
	FUZZ_CHECK(strlen(key) <= S3_REPLY_MAX_KEY_BYTES && strlen(code) < S3_REPLY_CODE_BYTES);
	++*(size_t *)arg;
	return 0;
}

static int on_version(void *arg, const struct s3_reply_version *v, struct err *err)
{
	(void)err;
	FUZZ_CHECK(strlen(v->key) <= S3_REPLY_MAX_KEY_BYTES && strlen(v->id) < sizeof(v->id));
	++*(size_t *)arg;
	return 0;
}

static void run(const uint8_t *data, size_t len)
{
	struct s3_reply_page page = { .token = BUF_INIT(S3_REPLY_MAX_TOKEN_BYTES) };
	struct s3_reply_versions versions = { .key_marker = BUF_INIT(1024),
		.id_marker = BUF_INIT(1024) };
	struct s3_reply_refusal refusal;
	struct err err = ERR_INIT;
	size_t n = 0;
	bool is_on = false;
	fuzz_verdict(s3_reply_list(data, len, on_object, &n, &page, &err), &err);
	FUZZ_CHECK(!page.is_truncated || page.token.len > 0 || err.code != 0);
	err_clear(&err);
	fuzz_verdict(s3_reply_versions(data, len, on_version, &n, &versions, &err), &err);
	err_clear(&err);
	fuzz_verdict(s3_reply_delete(data, len, on_key, &n, &err), &err);
	err_clear(&err);
	fuzz_verdict(s3_reply_versioning(data, len, &is_on, &err), &err);
	err_clear(&err);
	fuzz_verdict(s3_reply_object_lock(data, len, &is_on, &err), &err);
	s3_reply_refusal(data, len, &refusal);
	FUZZ_CHECK(strlen(refusal.code) < sizeof(refusal.code));
	buf_done(&page.token);
	buf_done(&versions.key_marker);
	buf_done(&versions.id_marker);
}

static void seeds(void)
{
	static const char *const texts[] = {
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3/\">"
		"<Name>b</Name><EncodingType>url</EncodingType><Contents><Key>p%2Fa+b</Key>"
		"<Size>17</Size><ETag>&quot;x&#65;&quot;</ETag></Contents><IsTruncated>true"
		"</IsTruncated><NextContinuationToken>t/+=</NextContinuationToken>"
		"</ListBucketResult>",
		"<ListVersionsResult><Version><Key>k</Key><VersionId>v1</VersionId><Size>1</Size>"
		"<IsLatest>true</IsLatest></Version><DeleteMarker><Key>k</Key><VersionId>v2"
		"</VersionId></DeleteMarker><IsTruncated>false</IsTruncated></ListVersionsResult>",
		"<DeleteResult><Error><Key>a&lt;</Key><Code>AccessDenied</Code></Error>"
		"</DeleteResult>",
		"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
		"</ObjectLockConfiguration>",
		"<!-- c --><Error><Code>SlowDown</Code><Message><![CDATA[<wait>]]></Message>"
		"<Region>r</Region></Error>",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fuzz_seed(texts[i], strlen(texts[i]));
}

const struct fuzz_target fuzz_s3_reply = { "s3_reply", run, seeds };
