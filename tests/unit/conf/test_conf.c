#include "conf/conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "conf/conf_problems.h"

static const char *const colours[] = { "red", "green", NULL };

static const struct conf_option source_table[] = {
	{ .key = "name", .type = CONF_STRING, .is_required = true, .max = 8, .help = "its name" },
	{ .key = "paths", .type = CONF_STRINGS, .is_required = true, .min = 1, .max = 3 },
	{ .key = "colour", .type = CONF_WORD, .words = colours, .fallback = "green" },
	{ .key = "every", .type = CONF_DURATION, .min = 1000000000, .max = 60000000000 },
	{ .key = "limit", .type = CONF_SIZE, .fallback = "64KiB" },
	{ .key = NULL },
};

static const struct conf_option net_table[] = {
	{ .key = "port", .type = CONF_INT, .is_required = true, .min = 1, .max = 65535 },
	{ .key = "big", .type = CONF_INT },
	{ .key = "on", .type = CONF_BOOL, .fallback = "true" },
	{ .key = NULL },
};

static const struct conf_option table[] = {
	{ .key = "sources", .type = CONF_GROUPS, .members = source_table },
	{ .key = "net", .type = CONF_GROUP, .members = net_table },
	{ .key = NULL },
};

static struct conf_problems problems;
static struct conf *conf;
static struct err err;
static struct buf text = BUF_INIT(1 << 20);

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
	conf = NULL;
	err_clear(&err);
}

static void teardown(void)
{
	conf_free(conf);
	conf_problems_done(&problems);
	buf_done(&text);
}

TestSuite(conf, .init = setup, .fini = teardown);

static int parse(const char *s)
{
	return conf_parse("a.conf", s, strlen(s), table, &conf, &problems, &err);
}

/* All problems as one text. */
static const char *told(void)
{
	buf_clear(&text);
	cr_assert(eq(int, conf_problems_format(&problems, &text, NULL), 0));
	return buf_cstr(&text);
}

Test(conf, every_type_is_read_with_its_line)
{
	int rc = parse("net = {\n"
		       "  port = 502;\n"
		       "  big = 99999999999L;\n"
		       "  on = false;\n"
		       "};\n"
		       "sources = (\n"
		       "  { name = \"hist3\"; paths = [ \"/a\", \"/b\" ]; colour = \"red\";\n"
		       "    every = \"10s\"; limit = \"1KiB\"; },\n"
		       "  { name = \"plc3\";\n"
		       "    paths = ( \"/c\" ); }\n"
		       ");\n");
	cr_assert(eq(int, rc, 0), "%s", err.msg);
	cr_assert(eq(str, (char *)told(), ""));

	const struct conf_node *root = conf_root(conf);
	const struct conf_node *net = conf_group(root, "net");
	cr_assert(ne(ptr, (void *)net, NULL));
	cr_expect(eq(i64, conf_number(net, "port", 0), 502));
	cr_expect(eq(i64, conf_number(net, "big", 0), 99999999999));
	cr_expect(eq(i64, conf_number(net, "on", 1), 0));
	cr_expect(eq(int, conf_line(net, "port"), 2));
	cr_expect(eq(int, conf_node_line(net), 1));

	cr_assert(eq(sz, conf_count(root, "sources"), 2));
	const struct conf_node *hist = conf_item(root, "sources", 0);
	const struct conf_node *plc = conf_item(root, "sources", 1);
	cr_expect(eq(str, (char *)conf_text(hist, "name"), "hist3"));
	cr_expect(eq(sz, conf_count(hist, "paths"), 2));
	cr_expect(eq(str, (char *)conf_item_text(hist, "paths", 1), "/b"));
	cr_expect(eq(str, (char *)conf_text(hist, "colour"), "red"));
	cr_expect(eq(i64, conf_number(hist, "colour", -1), 0));
	cr_expect(eq(i64, conf_number(hist, "every", -1), 10000000000));
	cr_expect(eq(i64, conf_number(hist, "limit", -1), 1024));
	cr_expect(eq(str, (char *)conf_item_text(plc, "paths", 0), "/c"));
	cr_expect(eq(int, conf_item_line(plc, "paths", 0), 10));
	cr_expect(eq(int, conf_item_line(root, "sources", 1), 9));
}

Test(conf, an_absent_member_takes_its_default_or_has_no_value)
{
	cr_assert(eq(int, parse("sources = ( { name = \"a\"; paths = [ \"/\" ]; } );"), 0));
	const struct conf_node *a = conf_item(conf_root(conf), "sources", 0);
	cr_expect(eq(str, (char *)conf_text(a, "colour"), "green"));
	cr_expect(eq(i64, conf_number(a, "limit", -1), 65536));
	cr_expect(not(conf_has(a, "every")));
	cr_expect(eq(i64, conf_number(a, "every", -7), -7));
	cr_expect(eq(ptr, (void *)conf_group(conf_root(conf), "net"), NULL));
	cr_expect(eq(int, conf_line(a, "every"), conf_node_line(a)));
}

Test(conf, everything_that_does_not_fit_is_told_at_once_in_order_of_lines)
{
	int rc = parse("net = {\n"
		       "  prot = 502;\n"
		       "  on = \"yes\";\n"
		       "};\n"
		       "sources = (\n"
		       "  { name = \"too long for it\"; paths = [];\n"
		       "    colour = \"gren\";\n"
		       "    every = \"10 minutes\";\n"
		       "    limit = 5; },\n"
		       "  7,\n"
		       "  { name = 7; paths = ( \"/a\", 8 );\n"
		       "    colour = \"ultramarine\"; every = \"2h\"; }\n"
		       ");\n"
		       "quux = 1;\n");
	cr_expect(eq(int, rc, 0));
	cr_expect(ne(ptr, conf, NULL));
	cr_expect(eq(sz, problems.errors, 14));
	cr_expect(eq(str, (char *)told(),
		"a.conf:1: error: 'port' is missing in 'net': expected a whole number from 1 to "
		"65535\n"
		"a.conf:2: error: unknown key 'prot' in 'net'; did you mean 'port'?\n"
		"a.conf:3: error: unable to use 'net.on': found \"yes\", expected true or false\n"
		"a.conf:6: error: unable to use 'sources[0].name': found a text of 15 bytes, "
		"expected a text in quotes of 1 "
		"to 8 bytes; its name\n"
		"a.conf:6: error: unable to use 'sources[0].paths': found a list of 0 members, "
		"expected a list of texts: [ "
		"\"a\", \"b\" ], with 1 to 3 members\n"
		"a.conf:7: error: unable to use 'sources[0].colour': unknown word \"gren\"; did "
		"you mean \"green\"?\n"
		"a.conf:8: error: unable to use 'sources[0].every': found \"10 minutes\", expected "
		"a duration such as "
		"\"90s\", \"10m\" or \"4h\", from 1.0 s to 1 min 00 s\n"
		"a.conf:9: error: unable to use 'sources[0].limit': found 5, expected a size such "
		"as "
		"\"64KiB\" or \"2G\", in bytes\n"
		"a.conf:10: error: unable to use 'sources[1]': found 7, expected a group: { key = "
		"value; "
		"}\n"
		"a.conf:11: error: unable to use 'sources[2].name': found 7, expected a text in "
		"quotes of 1 "
		"to 8 bytes; its name\n"
		"a.conf:11: error: unable to use 'sources[2].paths[1]': found 8, expected a text "
		"in quotes\n"
		"a.conf:12: error: unable to use 'sources[2].colour': found \"ultramarine\", "
		"expected one of \"red\", "
		"\"green\"\n"
		"a.conf:12: error: unable to use 'sources[2].every': found \"2h\", expected a "
		"duration such as "
		"\"90s\", \"10m\" or \"4h\", from 1.0 s to 1 min 00 s\n"
		"a.conf:14: error: unknown key 'quux'\n"));
}

Test(conf, what_is_wrong_is_shown_beside_what_was_expected_but_no_free_text)
{
	int rc = parse("net = { port = \"fifty-\\\"\";  on = 1.5; };\n"
		       "sources = \"s3cret\";\n"
		       "net2 = 1;\n");
	cr_expect(eq(int, rc, 0));
	cr_expect(ne(ptr, strstr(told(), "'net.port': found \"fifty-\"\", expected a"), NULL), "%s",
		told());
	cr_expect(ne(ptr, strstr(told(), "'net.on': found 1.5, expected true or false"), NULL));
	cr_expect(ne(ptr, strstr(told(), "'sources': found a text, expected a list"), NULL));
	conf_free(conf);
	conf = NULL;
	rc = parse(
		"net = ( 1 );\nsources = ( { name = \"a-s3cret-text\"; paths = { };\n"
		"every = false; limit = "
		"\"1234567890123456789012345678901234567890123456789012345678901234567890\"; },\n"
		"{ name = \"\"; paths = [ \"\" ]; } );\n");
	cr_expect(eq(int, rc, 0));
	cr_expect(
		ne(ptr, strstr(told(), "'net': found a list of 1 member, expected a group"), NULL));
	cr_expect(
		ne(ptr, strstr(told(), "name': found a text of 13 bytes, expected a text"), NULL));
	cr_expect(ne(ptr, strstr(told(), "paths': found a group, expected a list"), NULL));
	cr_expect(ne(ptr, strstr(told(), "every': found false, expected a duration"), NULL));
	cr_expect(ne(ptr,
		strstr(told(), "found \"1234567890123456789012345678901234567890"
			       "123456789012345678901234\".., expected a size"),
		NULL));
	cr_expect(ne(ptr, strstr(told(), "[1].name': found an empty text, expected"), NULL));
	cr_expect(eq(ptr, strstr(told(), "s3cret"), NULL), "%s", told());
}

Test(conf, what_does_fit_is_kept_beside_what_does_not)
{
	cr_assert(eq(int, parse("sources = ( 1, { name = \"a\"; paths = ( 2, \"/p\" ); } );"), 0));
	cr_assert(eq(sz, conf_count(conf_root(conf), "sources"), 1));
	const struct conf_node *a = conf_item(conf_root(conf), "sources", 0);
	cr_assert(eq(sz, conf_count(a, "paths"), 1));
	cr_expect(eq(str, (char *)conf_item_text(a, "paths", 0), "/p"));
	cr_expect(conf_problems_has_errors(&problems));
}

Test(conf, a_syntax_error_is_told_with_its_line_and_nothing_is_made)
{
	cr_expect(eq(int, parse("net = {\n  port = 1;\n  on = = true;\n};\n"), -ERR_CONFIG));
	cr_expect(eq(ptr, conf, NULL));
	cr_expect(eq(str, (char *)told(),
		"a.conf:3: error: syntax error; expected 'key = value;' settings in '{ }' groups, "
		"'( )' lists and '[ ]' arrays\n"));
	cr_expect(eq(int,
		strncmp(err.msg, "unable to use file 'a.conf': 1 error, first in line 3", 53), 0));
}

Test(conf, a_key_given_twice_is_an_error)
{
	cr_expect(eq(int, parse("net = { port = 1; port = 2; };"), -ERR_CONFIG));
	cr_expect(ne(ptr, strstr(told(), "a.conf:1: error: duplicate setting name"), NULL));
}

Test(conf, text_that_hides_or_turns_other_text_is_refused)
{
	cr_expect(eq(int,
		parse("sources = ( { name = \"a\xe2\x80\xae"
		      "b\"; paths = [ \"\\x07\", \"\xc3\xa9\n\t\" ]; } );"),
		0));
	cr_expect(eq(sz, problems.errors, 2));
	const struct conf_node *a = conf_item(conf_root(conf), "sources", 0);
	cr_expect(not(conf_has(a, "name")));
	cr_assert(eq(sz, conf_count(a, "paths"), 1));
	cr_expect(eq(str, (char *)conf_item_text(a, "paths", 0), "\xc3\xa9\n\t"));
}

static void write_file(const char *path, const char *s)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "w");
	cr_assert(ne(ptr, f, NULL));
	cr_assert(ge(int, fputs(s, f), 0));
}

Test(conf, load_gives_a_file_only_when_nothing_is_wrong)
{
	char dir[] = "/tmp/holdfast-conf-XXXXXX";
	char path[64];
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(path, sizeof(path), "%s/a.conf", dir); /* fits */

	cr_expect(eq(int, conf_load(path, table, &conf, &problems, &err), -ERR_NOT_FOUND));
	write_file(path, "net = { port = 70000; };");
	cr_expect(eq(int, conf_load(path, table, &conf, &problems, &err), -ERR_CONFIG));
	cr_expect(eq(ptr, conf, NULL));
	cr_expect(eq(sz, problems.errors, 1));
	conf_problems_done(&problems);
	write_file(path, "net = { port = 7; };");
	cr_expect(eq(int, conf_load(path, table, &conf, &problems, &err), 0), "%s", err.msg);
	cr_expect(ne(ptr, conf, NULL));
	conf_free(conf);
	conf = NULL;
	write_file(path, "");
	cr_expect(eq(int, conf_load(path, table, &conf, &problems, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, conf_count(conf_root(conf), "sources"), 0));
	(void)unlink(path); /* scratch */
	(void)rmdir(dir);   /* the same */
}

Test(conf, a_file_over_the_limit_is_refused)
{
	CLEANUP(cleanup_free_p) char *big = malloc(CONF_MAX_BYTES + 1);
	cr_assert(ne(ptr, big, NULL));
	memset(big, ' ', CONF_MAX_BYTES + 1);
	cr_expect(eq(int, conf_parse("b", big, CONF_MAX_BYTES + 1, table, &conf, &problems, &err),
		-ERR_LIMIT));
	cr_expect(eq(int, conf_parse("b", big, CONF_MAX_BYTES, table, &conf, &problems, &err), 0));
}

Test(conf, a_list_over_its_limit_is_refused)
{
	cr_assert(eq(int,
		parse("sources = ( { name = \"a\"; paths = [ \"1\", \"2\", \"3\", \"4\" ]; } );"),
		0));
	cr_expect(eq(sz, problems.errors, 1));
	cr_expect(eq(sz, conf_count(conf_item(conf_root(conf), "sources", 0), "paths"), 0));
}
