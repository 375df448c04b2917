#include "cmd/remote.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "restore/erase_tree.h"

static int run_nothing(struct cli *cli, struct err *err)
{
	(void)cli;
	(void)err;
	return 0;
}

static const struct cli_verb ask_verb = { .name = "ask",
	.arguments = "",
	.summary = "ask a controller",
	.json = "one object",
	.groups = CLI_SERVER,
	.run = run_nothing };
static const struct cli_verb *const verbs[] = { &ask_verb, NULL };

static struct cli cli;
static struct err err;
static char dir[64], token[96], ca[96];

static void put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL);
	cr_assert(fputs(text, f) >= 0);
	cr_assert(eq(int, fclose(f), 0));
	cr_assert(eq(int, chmod(path, mode), 0));
}

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/test-remote.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(token, sizeof(token), "%s/token", dir);
	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	memset(&cli, 0, sizeof(cli));
	err_clear(&err);
	unsetenv("HOLDFAST_SERVER");
	unsetenv("HOLDFAST_TOKEN_FILE");
	unsetenv("HOLDFAST_CA");
}

static void teardown(void)
{
	cli_done(&cli);
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, dir, NULL, NULL), 0));
}

TestSuite(remote, .init = setup, .fini = teardown);

/* What remote_open() says to "ask" with the first ${count} of server, token file and CA. */
static int try_open(int count)
{
	const char *argv[] = { "holdfast", "ask", "--server", "127.0.0.1:7444", "--token-file",
		token, "--ca", ca };
	struct remote *r = NULL;
	cr_assert(eq(int, cli_parse(&cli, verbs, 2 + 2 * count, argv, &err), 0), "%s", err.msg);
	int rc = remote_open(&cli, &r, &err);
	remote_close(r);
	return rc;
}

Test(remote, what_is_missing_is_told_with_its_variable)
{
	static const struct {
		const char *option, *variable;
	} want[] = { { "--server", "HOLDFAST_SERVER" }, { "--token-file", "HOLDFAST_TOKEN_FILE" },
		{ "--ca", "HOLDFAST_CA" } };
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, try_open(i), -ERR_USAGE));
		cr_expect(ne(ptr, strstr(err.msg, want[i].option), NULL), "%s", err.msg);
		cr_expect(ne(ptr, strstr(err.hint, want[i].variable), NULL), "%s", err.hint);
		cr_expect(eq(int, remote_is_named(&cli), i > 0));
		cli_done(&cli);
		memset(&cli, 0, sizeof(cli));
	}
}

Test(remote, the_environment_names_a_controller_too)
{
	const char *argv[] = { "holdfast", "ask" };
	(void)setenv("HOLDFAST_SERVER", "127.0.0.1:7444", 1);
	cr_assert(eq(int, cli_parse(&cli, verbs, 2, argv, &err), 0));
	cr_expect(remote_is_named(&cli));
}

Test(remote, a_token_that_others_can_read_or_that_is_none_is_refused)
{
	static const struct {
		const char *text;
		mode_t mode;
		int rc;
	} cases[] = { { "hfp-abc\n", 0644, -ERR_AUTH }, { "", 0600, -ERR_CONFIG },
		{ "\r\n\n", 0600, -ERR_CONFIG }, { "hfp-abc\nhfp-def\n", 0600, -ERR_CONFIG } };
	put(ca, "no certificate", 0644);
	cr_expect(eq(int, try_open(3), -ERR_NOT_FOUND));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cli_done(&cli);
		memset(&cli, 0, sizeof(cli));
		put(token, cases[i].text, cases[i].mode);
		cr_expect(eq(int, try_open(3), cases[i].rc), "case %zu: %s", i, err.msg);
		cr_expect(ne(ptr, strstr(err.msg, token), NULL), "%s", err.msg);
		cr_expect(eq(ptr, strstr(err.msg, "hfp-"), NULL), "a token is not told");
	}
}

Test(remote, a_word_of_a_path_needs_no_escape)
{
	static const char *const good[] = { "line3", "a.b_c-D9", ".." };
	static const char *const bad[] = { "", "a/b", "a b", "a%2f", "a?x", "\xc3\xa4", "a\n" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(eq(int, remote_check_word(good[i], &err), 0), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, remote_check_word(bad[i], &err), -ERR_USAGE), "%s", bad[i]);
}

Test(remote, members_of_another_kind_or_none_are_nothing)
{
	char at[HUMAN_BYTES];
	json_t *o = json_pack("{s:i, s:s, s:s}", "text", 7, "number", "x", "at", "yesterday");
	cr_expect(eq(str, (char *)remote_text(o, "text"), ""));
	cr_expect(eq(str, (char *)remote_text(o, "none"), ""));
	cr_expect(eq(str, (char *)remote_text(NULL, "none"), ""));
	cr_expect(eq(i64, remote_number(o, "number"), 0));
	cr_expect(eq(str, (char *)remote_time(o, "at", at), "-"));
	cr_expect(eq(str, (char *)remote_time(o, "none", at), "-"));
	json_decref(o);
}
