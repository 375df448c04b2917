#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/wire.h"
#include "vault/label.h"

TestSuite(label);

Test(label, what_goes_in_comes_out)
{
	struct err err = ERR_INIT;
	char *paths[] = { (char *)"/srv/a", (char *)"/srv/b\xff\n" };
	char *tags[] = { (char *)"nightly" };
	struct label in = { .source = (char *)"hist3",
		.host = (char *)"srv3",
		.tool = (char *)"holdfast 0.1",
		.paths = paths,
		.path_count = 2,
		.tags = tags,
		.tag_count = 1,
		.files = 1,
		.dirs = 2,
		.others = 3,
		.new_bytes = UINT64_MAX,
		.left_out = 7 };
	struct label out;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	cr_assert(eq(int, label_encode(&in, &b, &err), 0), "%s", err.msg);
	cr_assert(eq(int, label_decode(b.data, b.len, &out, &err), 0), "%s", err.msg);
	cr_expect(eq(str, out.source, in.source));
	cr_expect(eq(str, out.tool, in.tool));
	cr_expect(eq(sz, out.path_count, 2));
	cr_expect(eq(str, out.paths[1], paths[1]));
	cr_expect(eq(str, out.tags[0], tags[0]));
	cr_expect(eq(u64, out.new_bytes, UINT64_MAX));
	cr_expect(eq(u64, out.left_out, 7));
	label_done(&out);
}

Test(label, an_empty_one_decodes_to_empty_texts)
{
	struct err err = ERR_INIT;
	struct label out;
	cr_assert(eq(int, label_decode((const uint8_t *)"", 0, &out, &err), 0));
	cr_expect(eq(str, out.source, (char *)""));
	label_done(&out);
}

Test(label, every_truncation_and_odd_field_is_refused)
{
	struct err err = ERR_INIT;
	struct label in = { .source = (char *)"x", .host = (char *)"y" };
	struct label out;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	cr_assert(eq(int, label_encode(&in, &b, &err), 0));
	for (size_t n = 1; n < b.len; n++) {
		if (n == 3 || n == 6)
			continue; /* between fields a shorter label is whole */
		cr_expect(lt(int, label_decode(b.data, n, &out, &err), 0), "length %d", (int)n);
	}
	static const uint8_t twice[] = { 1, 1, 'a', 1, 1, 'b' };
	static const uint8_t unknown[] = { 77, 1, 'a' };
	static const uint8_t later[] = { 200, 1, 'a' };
	static const uint8_t nul[] = { 1, 1, 0 };
	cr_expect(eq(int, label_decode(twice, sizeof(twice), &out, &err), -ERR_CORRUPT));
	cr_expect(eq(int, label_decode(nul, sizeof(nul), &out, &err), -ERR_CORRUPT));
	cr_expect(eq(int, label_decode(unknown, sizeof(unknown), &out, &err), -ERR_UNSUPPORTED));
	cr_assert(eq(int, label_decode(later, sizeof(later), &out, &err), 0));
	label_done(&out);
}

Test(label, a_text_past_the_limit_is_refused)
{
	struct err err = ERR_INIT;
	static char text[LABEL_MAX_TEXT + 2];
	memset(text, 'a', LABEL_MAX_TEXT + 1);
	struct label in = { .source = text };
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	cr_expect(eq(int, label_encode(&in, &b, &err), -ERR_LIMIT));
}
