#include "cmd/cli.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "cmd/cli_help.h"

static int run_nothing(struct cli *cli, struct err *err)
{
	(void)cli;
	(void)err;
	return 0;
}

static const char *const rules[] = { "never", "always", NULL };

static const struct cli_option put_options[] = {
	{ .name = "tag", .kind = CLI_TEXT, .is_many = true, .argument = "TAG", .help = "a tag" },
	{ .name = "host",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.env = "TEST_HOST",
		.help = "host" },
	{ .name = "rule",
		.kind = CLI_WORD,
		.argument = "never|always",
		.words = rules,
		.help = "a rule" },
	{ .name = "limit", .kind = CLI_SIZE, .argument = "SIZE", .help = "a size" },
	{ .name = "latest", .kind = CLI_COUNT, .argument = "N", .help = "a number" },
	{ .name = "dry-run", .letter = 'n', .help = "change nothing" },
	{ .name = NULL },
};

static const struct cli_verb put_verb = { .name = "put",
	.arguments = "PATH...",
	.summary = "put paths",
	.json = "one object",
	.options = put_options,
	.min_args = 1,
	.max_args = CLI_ANY,
	.run = run_nothing };
static const struct cli_verb list_verb = { .name = "thing list",
	.arguments = "",
	.summary = "list things",
	.json = "one object",
	.groups = CLI_VAULT,
	.run = run_nothing };
static const struct cli_verb show_verb = { .name = "thing show",
	.arguments = "THING",
	.summary = "show a thing",
	.json = "one object",
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = 1,
	.run = run_nothing };
static const struct cli_verb *const verbs[] = { &put_verb, &list_verb, &show_verb, NULL };

static struct cli cli;
static struct err err;

static void setup(void)
{
	memset(&cli, 0, sizeof(cli));
	err_clear(&err);
	unsetenv("TEST_HOST");
	unsetenv("HOLDFAST_VAULT");
}

static void teardown(void)
{
	cli_done(&cli);
}

TestSuite(cli, .init = setup, .fini = teardown);

#define PARSE(...)                                                                                 \
	({                                                                                         \
		static const char *const argv_[] = { "holdfast", __VA_ARGS__, NULL };              \
		cli_parse(&cli, verbs, (int)(sizeof(argv_) / sizeof(argv_[0])) - 1, argv_, &err);  \
	})

Test(cli, options_stand_anywhere_in_both_forms)
{
	cr_assert(eq(int, PARSE("--host=h", "put", "a", "--tag", "x", "b", "-n", "--tag=y"), 0),
		"%s", err.msg);
	cr_expect(cli.verb == &put_verb);
	cr_expect(eq(sz, cli.arg_count, 2));
	cr_expect(eq(str, (char *)cli.args[0], "a"));
	cr_expect(eq(str, (char *)cli.args[1], "b"));
	cr_expect(eq(str, (char *)cli_text(&cli, "host"), "h"));
	cr_expect(eq(str, (char *)cli_nth(&cli, "tag", 0), "x"));
	cr_expect(eq(str, (char *)cli_nth(&cli, "tag", 1), "y"));
	cr_expect(cli_nth(&cli, "tag", 2) == NULL);
	cr_expect(cli_is_set(&cli, "dry-run"));
}

Test(cli, verbs_have_one_or_two_words)
{
	cr_assert(eq(int, PARSE("thing", "--vault", "/v", "show", "one"), 0), "%s", err.msg);
	cr_expect(cli.verb == &show_verb);
	cr_expect(eq(sz, cli.arg_count, 1));
	cr_expect(eq(str, (char *)cli.args[0], "one"));
	cr_expect(eq(str, (char *)cli_text(&cli, "vault"), "/v"));
}

Test(cli, an_option_before_the_verb_keeps_its_argument)
{
	cr_assert(eq(int, PARSE("--vault", "thing", "thing", "list"), 0), "%s", err.msg);
	cr_expect(cli.verb == &list_verb);
	cr_expect(eq(str, (char *)cli_text(&cli, "vault"), "thing"));
}

Test(cli, everything_behind_two_dashes_is_an_argument)
{
	cr_assert(eq(int, PARSE("put", "--", "-n", "--tag", "--"), 0), "%s", err.msg);
	cr_expect(eq(sz, cli.arg_count, 3));
	cr_expect(not(cli_is_set(&cli, "dry-run")));
	cr_expect(eq(str, (char *)cli.args[2], "--"));
}

Test(cli, a_single_dash_is_an_argument)
{
	cr_assert(eq(int, PARSE("put", "-"), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)cli.args[0], "-"));
}

Test(cli, all_mistakes_are_told_at_once_with_what_was_meant)
{
	cr_assert(eq(int, PARSE("put", "--dry-rum", "--limit", "x", "--latest=0", "--rule=maybe"),
		-ERR_USAGE));
	cr_expect(strstr(err.msg, "did you mean '--dry-run'") != NULL, "%s", err.msg);
	cr_expect(strstr(err.msg, "--limit wants a size") != NULL, "%s", err.msg);
	cr_expect(strstr(err.msg, "--latest wants a number") != NULL, "%s", err.msg);
	cr_expect(strstr(err.msg, "--rule wants never|always") != NULL, "%s", err.msg);
	cr_expect(strstr(err.msg, "'put' wants PATH...") != NULL, "%s", err.msg);
	cr_expect(strstr(err.hint, "holdfast put --help") != NULL, "%s", err.hint);
}

Test(cli, numbers_sizes_and_words_are_read)
{
	cr_assert(eq(int, PARSE("put", "a", "--limit=2K", "--latest", "7", "--rule", "always"), 0));
	cr_expect(eq(i64, cli_number(&cli, "limit", -1), 2048));
	cr_expect(eq(i64, cli_number(&cli, "latest", -1), 7));
	cr_expect(eq(i64, cli_number(&cli, "rule", -1), 1));
	cr_expect(eq(i64, cli_number(&cli, "tag", -1), -1));
}

Test(cli, a_single_option_is_not_given_twice)
{
	cr_expect(eq(int, PARSE("put", "a", "--host", "x", "--host", "y"), -ERR_USAGE));
	cr_expect(strstr(err.msg, "--host is given twice") != NULL, "%s", err.msg);
}

Test(cli, a_missing_or_surplus_argument_of_an_option_is_told)
{
	cr_expect(eq(int, PARSE("put", "a", "--dry-run=1", "--host"), -ERR_USAGE));
	cr_expect(strstr(err.msg, "--dry-run takes no argument") != NULL, "%s", err.msg);
	cr_expect(strstr(err.msg, "--host wants an argument: NAME") != NULL, "%s", err.msg);
}

Test(cli, an_option_wins_over_its_variable)
{
	setenv("TEST_HOST", "from-env", 1);
	cr_assert(eq(int, PARSE("put", "a"), 0));
	cr_expect(eq(str, (char *)cli_text(&cli, "host"), "from-env"));
	cr_expect(not(cli_is_set(&cli, "host")));
	cli_done(&cli);
	memset(&cli, 0, sizeof(cli));
	cr_assert(eq(int, PARSE("put", "a", "--host", "given"), 0));
	cr_expect(eq(str, (char *)cli_text(&cli, "host"), "given"));
}

Test(cli, an_empty_variable_counts_as_none)
{
	setenv("TEST_HOST", "", 1);
	cr_assert(eq(int, PARSE("put", "a"), 0));
	cr_expect(cli_text(&cli, "host") == NULL);
}

Test(cli, a_slip_in_a_verb_is_answered_with_the_right_one)
{
	cr_expect(eq(int, PARSE("thing", "lst"), -ERR_USAGE));
	cr_expect(strstr(err.msg, "did you mean 'thing list'") != NULL, "%s", err.msg);
}

Test(cli, the_first_word_of_a_family_alone_lists_the_second_ones)
{
	cr_expect(eq(int, PARSE("thing"), -ERR_USAGE));
	cr_expect(strstr(err.msg, "wants a second word: list, show") != NULL, "%s", err.msg);
}

Test(cli, arguments_past_the_last_are_refused)
{
	cr_expect(eq(int, PARSE("thing", "list", "x"), -ERR_USAGE));
	cr_expect(strstr(err.msg, "takes no argument 'x'") != NULL, "%s", err.msg);
}

Test(cli, json_is_known_even_when_the_rest_is_wrong)
{
	cr_expect(eq(int, PARSE("nothing", "--json"), -ERR_USAGE));
	cr_expect(cli.console.is_json);
}

Test(cli, help_needs_no_arguments)
{
	cr_expect(eq(int, PARSE("put", "-h"), 0), "%s", err.msg);
	cr_expect(cli.wants_help);
}

Test(cli, help_and_reference_name_every_option_of_a_verb)
{
	struct buf text = BUF_INIT(65536);
	cr_assert(eq(int, cli_help_verb(&put_verb, &text, &err), 0));
	for (const struct cli_option *o = put_options; o->name != NULL; o++)
		cr_expect(strstr(buf_cstr(&text), o->name) != NULL, "%s", o->name);
	buf_clear(&text);
	cr_assert(eq(int, cli_help_markdown(verbs, &text, &err), 0));
	cr_expect(strstr(buf_cstr(&text), "| `--rule never\\|always` | a rule |") != NULL);
	cr_expect(strstr(buf_cstr(&text), "(`TEST_HOST`)") != NULL);
	buf_done(&text);
}
