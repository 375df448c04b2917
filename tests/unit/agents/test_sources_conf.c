#include "agents/sources_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf_problems.h"

static char path[64];
static struct sources_conf *conf;
static struct conf_problems problems;
static struct buf told;
static struct err err;

static void setup(void)
{
	(void)snprintf(path, sizeof(path), "/tmp/test-sources.XXXXXX");
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	(void)close(fd);
	conf = NULL;
	told = (struct buf)BUF_INIT(65536);
	memset(&problems, 0, sizeof(problems));
	err_clear(&err);
}

static void teardown(void)
{
	sources_conf_free(conf);
	conf_problems_done(&problems);
	buf_done(&told);
	(void)unlink(path);
}

TestSuite(sources_conf, .init = setup, .fini = teardown);

static int load(const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL);
	cr_assert(fputs(text, f) >= 0);
	cr_assert(eq(int, fclose(f), 0));
	int rc = sources_conf_load(path, &conf, &problems, &err);
	cr_assert(eq(int, conf_problems_format(&problems, &told, NULL), 0));
	return rc;
}

static void says(const char *text)
{
	const char *all = buf_cstr(&told);
	cr_expect(strstr(all, text) != NULL, "'%s' is not in: %s", text, all);
}

Test(sources_conf, both_types_are_read_with_their_defaults)
{
	cr_assert(eq(int,
			  load("sources = (\n"
			       "{ name = \"b\"; type = \"files\"; paths = [ \"/a\", \"/c\" ];\n"
			       "  exclude = [ \"*.tmp\" ]; exclude_caches = true; },\n"
			       "{ name = \"h\"; type = \"postgres\"; conninfo = \"host=x\";\n"
			       "  passfile = \"/p\"; tags = [ \"t\" ]; } );\n"),
			  0),
		"%s", err.msg);
	cr_assert(eq(sz, sources_conf_count(conf), 2));
	const struct sources_conf_source *b = sources_conf_find(conf, "b");
	cr_assert(b != NULL);
	cr_expect(eq(int, (int)b->type, SOURCES_CONF_FILES));
	cr_expect(eq(int, (int)b->consistency, ROOT_FUZZY));
	cr_expect(eq(int, (int)b->truth, SOURCES_CONF_TRUTH_NONE));
	cr_expect(eq(sz, b->path_count, 2));
	cr_expect(eq(str, (char *)b->paths[1], "/c"));
	cr_expect(eq(str, (char *)b->exclude[0], "*.tmp"));
	cr_expect(b->is_exclude_caches);
	const struct sources_conf_source *h = sources_conf_at(conf, 1);
	cr_expect(eq(int, (int)h->consistency, ROOT_APPLICATION));
	cr_expect(eq(int, (int)h->truth, SOURCES_CONF_TRUTH_TABLES));
	cr_expect(eq(str, (char *)h->tags[0], "t"));
	cr_expect(sources_conf_find(conf, "x") == NULL);
}

Test(sources_conf, everything_wrong_is_told_at_once_with_its_line)
{
	cr_expect(eq(int,
		load("sources = (\n"
		     "{ name = \"a\"; type = \"files\"; paths = [ \"rel\" ]; conninfo = \"x\"; },\n"
		     "{ name = \"a\"; type = \"postgres\"; paths = [ \"/x\" ]; },\n"
		     "{ name = \"c\"; type = \"postgres\"; conninfo = \"password=s\"; },\n"
		     "{ name = \"d\"; type = \"files\"; },\n"
		     "{ name = \"e\"; type = \"flies\"; pahts = [ \"/x\" ]; } );\n"),
		-ERR_CONFIG));
	says(":2: error: path 'rel' is not absolute");
	says(":2: error: a source of type files has no 'conninfo'");
	says(":3: error: there are two sources 'a'");
	says(":3: error: a source of type postgres has no 'paths'");
	says(":3: error: a source of type postgres needs 'conninfo'");
	says(":4: error: a password does not belong here");
	says(":5: error: a source of type files needs 'paths'");
	says("paths");
	cr_expect(conf == NULL);
}

Test(sources_conf, a_prefix_goes_with_one_path)
{
	cr_expect(eq(int,
		load("sources = ( { name = \"a\"; type = \"files\"; prefix = \"p\";\n"
		     "paths = [ \"/x\", \"/y\" ]; } );\n"),
		-ERR_CONFIG));
	says("'prefix' goes with exactly one path");
}

Test(sources_conf, truth_fits_the_type)
{
	cr_expect(eq(int,
		load("sources = (\n"
		     "{ name = \"a\"; type = \"files\"; truth = \"tables\"; paths = [ \"/x\" ]; "
		     "},\n"
		     "{ name = \"b\"; type = \"postgres\"; truth = \"files\"; conninfo = \"x\"; "
		     "} );\n"),
		-ERR_CONFIG));
	says(":2: error: truth 'tables' is for databases");
	says(":3: error: truth of a database is 'tables' or 'none'");
}

Test(sources_conf, a_missing_file_is_not_found)
{
	cr_expect(eq(int, sources_conf_load("/nonexistent/s.conf", &conf, &problems, &err),
		-ERR_NOT_FOUND));
}
