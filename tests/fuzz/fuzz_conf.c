/*
 * fuzz_conf: configuration files.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "fuzz/fuzz.h"

static const char *const words[] = { "one", "two", NULL };
static const struct conf_option members[] = {
	{ .key = "name", .type = CONF_STRING, .is_required = true, .max = 20, .help = "a name" },
	{ .key = "list", .type = CONF_STRINGS, .max = 4, .help = "some" },
	{ .key = NULL },
};
static const struct conf_option options[] = {
	{ .key = "text", .type = CONF_STRING, .fallback = "t", .help = "a text" },
	{ .key = "word", .type = CONF_WORD, .words = words, .help = "one or two" },
	{ .key = "number", .type = CONF_INT, .min = -5, .max = 500, .help = "a number" },
	{ .key = "flag", .type = CONF_BOOL, .help = "true or false" },
	{ .key = "wait", .type = CONF_DURATION, .fallback = "10m", .help = "how long" },
	{ .key = "size", .type = CONF_SIZE, .help = "how much" },
	{ .key = "group", .type = CONF_GROUP, .members = members, .help = "one" },
	{ .key = "groups", .type = CONF_GROUPS, .members = members, .max = 8, .help = "some" },
	{ .key = NULL },
};

static void read_group(const struct conf_node *g)
{
	const char *name = conf_text(g, "name");
	FUZZ_CHECK(name != NULL && name[0] != '\0' && strlen(name) <= 20);
	for (size_t i = 0; i < conf_count(g, "list"); i++)
		FUZZ_CHECK(conf_item_text(g, "list", i) != NULL);
}

static void run(const uint8_t *data, size_t len)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct buf text = BUF_INIT((size_t)4 << 20);
	struct err err = ERR_INIT;
	struct conf *c = NULL;
	int rc = conf_parse("a.conf", (const char *)data, len, options, &c, &problems, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0 && !conf_problems_has_errors(&problems)) {
		const struct conf_node *root = conf_root(c);
		int64_t n = conf_number(root, "number", 0);
		FUZZ_CHECK(n >= -5 && n <= 500);
		FUZZ_CHECK(conf_text(root, "text") != NULL);
		if (conf_has(root, "group"))
			read_group(conf_group(root, "group"));
		for (size_t i = 0; i < conf_count(root, "groups"); i++)
			read_group(conf_item(root, "groups", i));
	}
	FUZZ_CHECK(conf_problems_format(&problems, &text, &err) == 0);
	conf_free(c);
	conf_problems_done(&problems);
	buf_done(&text);
}

static void seeds(void)
{
	static const char good[] = "text = \"x\";\nword = \"two\";\nnumber = 0x1F;\nflag = true;\n"
				   "wait = \"1h30m\";\nsize = \"64KiB\";\n// a remark\n"
				   "group = { name = \"g\"; list = [ \"a\", \"b\" ]; };\n"
				   "groups = ( { name = \"p\"; }, { name = \"q\\n\"; } );\n";
	fuzz_seed(good, sizeof(good) - 1);
}

const struct fuzz_target fuzz_conf = { "conf", run, seeds };
