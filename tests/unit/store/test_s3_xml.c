#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/s3_xml.h"

static struct err err;
static struct buf told = BUF_INIT(65536);

static int note(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	cr_expect(eq(sz, len, strlen(text)));
	return buf_addf(arg, e, "%s=%s;", path, text);
}

static int walk(const char *text)
{
	buf_clear(&told);
	return s3_xml_walk(text, strlen(text), note, &told, &err);
}

static char *said(void)
{
	return (char *)buf_cstr(&told);
}

static void done(void)
{
	buf_done(&told);
}

TestSuite(s3_xml, .fini = done);

Test(s3_xml, each_element_is_told_at_its_end_with_its_place)
{
	cr_assert(eq(int,
			  walk("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a > comment -->"
			       "<L xmlns='http://x/' a=\"1\">\n <ns:A>one</ns:A><B/>"
			       "<C ><D>two</D> </C>\n</L >\n<?end?>"),
			  0),
		"%s", err.msg);
	cr_expect(eq(str, said(), "L/A=one;L/B=;L/C/D=two;L/C=;L=;"));
}

Test(s3_xml, text_is_decoded_once)
{
	cr_assert(eq(int,
			  walk("<K>a&amp;lt;&lt;&gt;&quot;&apos;&#65;&#x42;&#xfc;&#8364;&#x1F600;"
			       "<![CDATA[<&amp;>]]>z</K>"),
			  0),
		"%s", err.msg);
	cr_expect(eq(str, said(), "K=a&lt;<>\"'AB\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80<&amp;>z;"));
}

Test(s3_xml, whatever_is_broken_is_refused)
{
	static const char *const bad[] = { "", "  ", "text", "<", "<a", "<a>", "<a></b>", "<a></a",
		"<a></a>x", "<a></a><b></b>", "<a b></a>", "<a b=c></a>", "<a b='c></a>",
		"<a b='<'></a>", "<a>&</a>", "<a>&amp</a>", "<a>&nbsp;</a>", "<a>&#0;</a>",
		"<a>&#;</a>", "<a>&#xd800;</a>", "<a>&#x110000;</a>", "<a>&#99999999999;</a>",
		"<a>&#1 ;</a>", "<a><![CDATA[x]]</a>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
		"<a><!DOCTYPE b></a>", "<?xml", "<!-- x", "<a/>&amp;", "<:/>", "<1/>", "<a:/>",
		"</a>", "<a><b></a></b>" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, walk(bad[i]), -ERR_CORRUPT), "%s", bad[i]);
	cr_expect(eq(int, s3_xml_walk("<a>\0</a>", 8, note, &told, &err), -ERR_CORRUPT));
}

Test(s3_xml, depth_and_text_are_bounded)
{
	struct buf deep = BUF_INIT(65536);
	for (int i = 0; i < S3_XML_MAX_DEPTH + 1; i++)
		cr_assert(eq(int, buf_addf(&deep, &err, "<a>"), 0));
	for (int i = 0; i < S3_XML_MAX_DEPTH + 1; i++)
		cr_assert(eq(int, buf_addf(&deep, &err, "</a>"), 0));
	cr_expect(eq(int, walk(buf_cstr(&deep)), -ERR_CORRUPT));
	cr_expect(eq(int, walk(buf_cstr(&deep) + 3), -ERR_CORRUPT)); /* one end too many */
	size_t len = deep.len - 7;
	cr_expect(eq(int, s3_xml_walk(deep.data + 3, len, note, &told, &err), 0), "%s", err.msg);
	buf_clear(&deep);
	cr_assert(eq(
		int, buf_addf(&deep, &err, "<a>%*s</a>", (int)S3_XML_MAX_TEXT_BYTES + 1, "x"), 0));
	cr_expect(eq(int, walk(buf_cstr(&deep)), -ERR_LIMIT));
	buf_done(&deep);
}

static int refuse(void *arg, const char *path, const char *text, size_t len, struct err *e)
{
	(void)arg;
	(void)path;
	(void)text;
	(void)len;
	return err_set(e, ERR_EXISTS, "enough");
}

Test(s3_xml, who_listens_may_end_it)
{
	cr_expect(eq(int, s3_xml_walk("<a><b/><c/></a>", 15, refuse, NULL, &err), -ERR_EXISTS));
}
