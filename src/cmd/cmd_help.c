#include "cmd/cmd_help.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/version.h"
#include "cmd/cli_help.h"

#define HELP_MAX_BYTES ((size_t)1 << 20)

static int show_object(struct cli *cli, const struct cli_verb *verb, struct err *err)
{
	json_t *rows = json_array();
	for (size_t i = 0; cli->verbs[i] != NULL; i++) {
		const struct cli_verb *v = cli->verbs[i];
		const struct cli_option *tables[CLI_MAX_TABLES];
		if (verb != NULL && v != verb)
			continue;
		json_t *options = json_array();
		size_t count = cli_tables(v, tables);
		for (size_t t = 0; t < count; t++) {
			for (const struct cli_option *o = tables[t]; o->name != NULL; o++)
				(void)json_array_append_new(options,
					json_pack("{s:s, s:s?, s:s?, s:s}", "name", o->name,
						"argument", o->argument, "env", o->env, "help",
						o->help)); /* NULL is seen below */
		}
		if (json_array_append_new(rows,
			    json_pack("{s:s, s:s, s:s, s:o}", "name", v->name, "arguments",
				    v->arguments, "summary", v->summary, "options", options)) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (console_object(&cli->console, "help", NULL, json_pack("{s:o}", "verbs", rows)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

int cmd_help_show(struct cli *cli, const struct cli_verb *verb, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(HELP_MAX_BYTES);
	if (cli->console.is_json)
		return show_object(cli, verb, err);
	int rc = verb != NULL ? cli_help_verb(verb, &text, err)
			      : cli_help_list(cli->verbs, &text, err);
	if (rc == 0)
		(void)fwrite(text.data, 1, text.len, stdout); /* console_flush() tells */
	return rc;
}

static int run_help(struct cli *cli, struct err *err)
{
	size_t taken = 0;
	if (cli_is_set(cli, "markdown")) {
		CLEANUP(buf_done) struct buf text = BUF_INIT(HELP_MAX_BYTES);
		int rc = cli_help_markdown(cli->verbs, &text, err);
		if (rc == 0)
			(void)fwrite(text.data, 1, text.len, stdout); /* as above */
		return rc;
	}
	if (cli->arg_count == 0)
		return cmd_help_show(cli, NULL, err);
	const struct cli_verb *verb = cli_find(cli->verbs, cli->args, cli->arg_count, &taken);
	if (verb != NULL && taken == cli->arg_count)
		return cmd_help_show(cli, verb, err);
	err_set(err, ERR_USAGE, "there is no verb '%s%s%s'", cli->args[0],
		cli->arg_count > 1 ? " " : "", cli->arg_count > 1 ? cli->args[1] : "");
	return err_hint(err, "see 'holdfast help'");
}

int cmd_help_version(struct cli *cli, struct err *err)
{
	if (!cli->console.is_json) {
		console_print(&cli->console, "holdfast %s\n", VERSION_TEXT);
		return 0;
	}
	if (console_object(&cli->console, "version", NULL,
		    json_pack("{s:s, s:s, s:s, s:s}", "version", VERSION_TEXT, "format", "hf1",
			    "openssl", OpenSSL_version(OPENSSL_VERSION_STRING), "zstd",
			    ZSTD_versionString())) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static const struct cli_option help_options[] = {
	{ .name = "markdown", .help = "print the reference of all verbs for docs/CLI.md" },
	{ .name = NULL },
};

const struct cli_verb cmd_help_verb = {
	.name = "help",
	.arguments = "[VERB]",
	.summary = "list the verbs, or explain one",
	.json = "one object",
	.options = help_options,
	.max_args = 2,
	.run = run_help,
};

const struct cli_verb cmd_help_version_verb = {
	.name = "version",
	.arguments = "",
	.summary = "print the version",
	.json = "one object",
	.run = cmd_help_version,
};
