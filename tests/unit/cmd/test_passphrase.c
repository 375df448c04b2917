#include "cmd/passphrase.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cmd/cli.h"
#include "crypto/secret.h"

static char path[64];
static struct err err;
static struct secret pass;
static struct cli cli;

static void setup(void)
{
	(void)snprintf(path, sizeof(path), "/tmp/test-passphrase.XXXXXX");
	int fd = mkstemp(path);
	cr_assert(fd >= 0);
	(void)close(fd);
	unsetenv("HOLDFAST_PASSPHRASE_FILE");
	unsetenv("HOLDFAST_PASSPHRASE_COMMAND");
	err_clear(&err);
	memset(&cli, 0, sizeof(cli));
}

static void teardown(void)
{
	secret_done(&pass);
	(void)unlink(path);
}

TestSuite(passphrase, .init = setup, .fini = teardown);

static void fill(const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL);
	cr_assert(fputs(text, f) >= 0);
	cr_assert(eq(int, fclose(f), 0));
}

static void is(const char *want)
{
	cr_assert(eq(sz, pass.len, strlen(want)));
	cr_expect(memcmp(pass.data, want, pass.len) == 0);
}

Test(passphrase, a_file_gives_its_first_line)
{
	fill("open sesame \r\nsecond\n");
	cr_assert(eq(int, passphrase_of_file(path, &pass, &err), 0), "%s", err.msg);
	is("open sesame ");
}

Test(passphrase, an_empty_first_line_is_refused)
{
	fill("\nsecond\n");
	cr_expect(eq(int, passphrase_of_file(path, &pass, &err), -ERR_USAGE));
	cr_expect(pass.data == NULL);
}

Test(passphrase, a_missing_file_is_named)
{
	cr_expect(eq(int, passphrase_of_file("/nonexistent/pass", &pass, &err), -ERR_NOT_FOUND));
	cr_expect(strstr(err.msg, "/nonexistent/pass") != NULL, "%s", err.msg);
}

Test(passphrase, a_command_is_split_without_a_shell)
{
	setenv("HOLDFAST_PASSPHRASE_COMMAND", "printf '%s' \"a \\\"$HOME\\\"\"\\ b", 1);
	cr_expect(passphrase_is_given(&cli));
	cr_assert(eq(int, passphrase_get(&cli, &pass, &err), 0), "%s", err.msg);
	is("a \"$HOME\" b");
}

Test(passphrase, a_command_that_fails_is_told_with_what_it_said)
{
	setenv("HOLDFAST_PASSPHRASE_COMMAND", "sh -c 'echo token is locked >&2; exit 3'", 1);
	cr_expect(lt(int, passphrase_get(&cli, &pass, &err), 0));
	cr_expect(strstr(err.msg, "token is locked") != NULL, "%s", err.msg);
}

Test(passphrase, an_open_quote_and_an_unknown_program_are_refused)
{
	setenv("HOLDFAST_PASSPHRASE_COMMAND", "cat 'half", 1);
	cr_expect(eq(int, passphrase_get(&cli, &pass, &err), -ERR_USAGE));
	setenv("HOLDFAST_PASSPHRASE_COMMAND", "no-such-program-anywhere", 1);
	cr_expect(eq(int, passphrase_get(&cli, &pass, &err), -ERR_NOT_FOUND));
}

static int as_generated(const char *said)
{
	struct secret in = SECRET_INIT;
	secret_done(&pass);
	cr_assert(eq(int, secret_set(&in, said, strlen(said), &err), 0));
	int rc = passphrase_as_generated(&in, &pass, &err);
	secret_done(&in);
	return rc;
}

Test(passphrase, a_generated_one_may_be_typed_in_small_letters_and_with_blanks)
{
	static const char shown[] = "FZF6-JR6C-DEHP-27ZW-TEN4-AT6W-IE";
	cr_expect(eq(int, as_generated("fzf6-jr6c-dehp-27zw-ten4-at6w-ie"), 1));
	is(shown);
	cr_expect(eq(int, as_generated(" FZF6JR6C DEHP27ZW\tten4at6w ie "), 1));
	is(shown);
}

Test(passphrase, one_of_another_form_is_taken_as_it_is_only)
{
	cr_expect(eq(int, as_generated("FZF6-JR6C-DEHP-27ZW-TEN4-AT6W-IE"), 0));
	cr_expect(eq(int, as_generated("fzf6-jr6c-dehp-27zw-ten4-at6w-i"), 0));
	cr_expect(eq(int, as_generated("fzf6-jr6c-dehp-27zw-ten4-at6w-iea"), 0));
	cr_expect(eq(int, as_generated("fzf6-jr6c-dehp-27zw-ten4-at6w-ie!"), 0));
	cr_expect(eq(int, as_generated("fzf6-jr6c-dehp-27zw-ten4-at6w-i1"), 0));
	cr_expect(eq(int, as_generated("correct horse battery staple"), 0));
	cr_expect(pass.data == NULL);
}
