#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/s3_uri.h"

static struct err err;

static char *text_of(struct buf *b)
{
	return (char *)buf_cstr(b);
}

Test(s3_uri, every_byte_has_one_spelling)
{
	struct buf out = BUF_INIT(4096);
	const char *key = "a b+c=d&e?f%20g/~!()'*@$,;:\xc3\xbc";
	cr_assert(eq(int, s3_uri_encode(key, strlen(key), true, &out, &err), 0));
	cr_expect(eq(str, text_of(&out),
		"a%20b%2Bc%3Dd%26e%3Ff%2520g/~%21%28%29%27%2A%40%24%2C%3B%3A%C3%BC"));
	buf_clear(&out);
	cr_assert(eq(int, s3_uri_encode("a/b\0c", 5, false, &out, &err), 0));
	cr_expect(eq(str, text_of(&out), "a%2Fb%00c"));
	buf_done(&out);
}

Test(s3_uri, what_was_encoded_comes_back)
{
	char all[256];
	struct buf coded = BUF_INIT(4096);
	struct buf plain = BUF_INIT(256);
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	cr_assert(eq(int, s3_uri_encode(all, sizeof(all), false, &coded, &err), 0));
	cr_assert(eq(int, s3_uri_decode((char *)coded.data, coded.len, &plain, &err), 0));
	cr_expect(eq(sz, plain.len, sizeof(all)));
	cr_expect(eq(int, memcmp(plain.data, all, sizeof(all)), 0));
	buf_done(&coded);
	buf_done(&plain);
}

Test(s3_uri, lists_spell_blanks_in_two_ways_and_broken_escapes_are_refused)
{
	struct buf out = BUF_INIT(64);
	cr_expect(eq(int, s3_uri_decode("a+b%20c%2fd%2F", 14, &out, &err), 0));
	cr_expect(eq(str, text_of(&out), "a b c/d/"));
	static const char *const bad[] = { "%", "%2", "%g0", "%0g", "a%" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, s3_uri_decode(bad[i], strlen(bad[i]), &out, &err), -ERR_CORRUPT),
			"%s", bad[i]);
	cr_expect(eq(str, text_of(&out), "a b c/d/"));
	buf_done(&out);
}

Test(s3_uri, a_query_is_sorted_by_encoded_name_and_then_by_value)
{
	struct buf out = BUF_INIT(4096);
	const struct s3_uri_pair pairs[] = { { "prefix", "k/ +" }, { "list-type", "2" },
		{ "uploads", NULL }, { "a-b", "1" }, { "a", "2" }, { "a", "10" }, { "B", "" } };
	cr_assert(eq(int, s3_uri_query(pairs, 7, &out, &err), 0));
	cr_expect(
		eq(str, text_of(&out), "B=&a=10&a=2&a-b=1&list-type=2&prefix=k%2F%20%2B&uploads="));
	buf_clear(&out);
	cr_expect(eq(int, s3_uri_query(pairs, 0, &out, &err), 0));
	cr_expect(eq(sz, out.len, (size_t)0));
	buf_done(&out);
}
