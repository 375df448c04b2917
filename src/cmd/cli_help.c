#include "cmd/cli_help.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "cmd/cli_options.h"

#define HELP_WIDTH 80
#define HELP_INDENT 6

/* Append words, broken at HELP_WIDTH, each line behind ${indent} blanks; '\n' begins a line. */
static int add_wrapped(struct buf *out, const char *text, int indent, struct err *err)
{
	int column = 0;
	int rc = 0;
	while (rc == 0 && *text != '\0') {
		if (*text == '\n') {
			rc = buf_add8(out, '\n', err);
			column = 0;
			text++;
			continue;
		}
		int len = (int)strcspn(text, " \n");
		if (column > 0 && column + 1 + len > HELP_WIDTH) {
			rc = buf_add8(out, '\n', err);
			column = 0;
		}
		if (rc == 0 && column == 0)
			rc = buf_addf(out, err, "%*s%.*s", indent, "", len, text);
		else if (rc == 0)
			rc = buf_addf(out, err, " %.*s", len, text);
		column = column == 0 ? indent + len : column + 1 + len;
		text += len;
		text += *text == ' ';
	}
	return rc != 0 ? rc : buf_add8(out, '\n', err);
}

static int add_option(struct buf *out, const struct cli_option *o, struct err *err)
{
	int rc = o->letter != 0 ? buf_addf(out, err, "  -%c, --%s", o->letter, o->name)
				: buf_addf(out, err, "  --%s", o->name);
	if (rc == 0 && o->kind != CLI_SWITCH)
		rc = buf_addf(out, err, " %s", o->argument);
	if (rc == 0 && o->is_many && o->kind != CLI_SWITCH)
		rc = buf_addf(out, err, " ...");
	if (rc == 0 && o->env != NULL)
		rc = buf_addf(out, err, "  [%s]", o->env);
	if (rc == 0)
		rc = buf_add8(out, '\n', err);
	return rc != 0 ? rc : add_wrapped(out, o->help, HELP_INDENT, err);
}

int cli_help_list(const struct cli_verb *const *verbs, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err,
		"usage: holdfast VERB [OPTION...] [ARGUMENT...]\n\n"
		"Backups that are proven by recovery drills.\n\nverbs:\n");
	for (size_t i = 0; rc == 0 && verbs[i] != NULL; i++)
		rc = buf_addf(out, err, "  %-16s %s\n", verbs[i]->name, verbs[i]->summary);
	if (rc == 0)
		rc = buf_addf(out, err,
			"\n'holdfast VERB --help' explains one of them.  Every verb takes --json.\n"
			"exit status: 0 done, 1 failed, 2 usage, 3 done with warnings, "
			"4 objective not met,\n  10 not found, 11 busy, 12 wrong key, "
			"13 unreachable, 14 integrity, 128+N signal N\n");
	return rc;
}

int cli_help_verb(const struct cli_verb *verb, struct buf *out, struct err *err)
{
	const struct cli_option *tables[CLI_MAX_TABLES];
	size_t count = cli_tables(verb, tables);
	int rc = buf_addf(out, err, "usage: holdfast %s [OPTION...]%s%s\n\n", verb->name,
		*verb->arguments != '\0' ? " " : "", verb->arguments);
	if (rc == 0)
		rc = add_wrapped(out, verb->summary, 0, err);
	if (rc == 0 && verb->about != NULL)
		rc = buf_add8(out, '\n', err);
	if (rc == 0 && verb->about != NULL)
		rc = add_wrapped(out, verb->about, 0, err);
	if (rc == 0)
		rc = buf_addf(out, err, "\noptions:\n");
	for (size_t t = 0; t < count; t++) {
		for (const struct cli_option *o = tables[t]; rc == 0 && o->name != NULL; o++)
			rc = add_option(out, o, err);
	}
	return rc != 0 ? rc : buf_addf(out, err, "\n--json prints %s.\n", verb->json);
}

static int add_row(struct buf *out, const struct cli_option *o, struct err *err)
{
	int rc = buf_addf(out, err, "| `");
	if (rc == 0 && o->letter != 0)
		rc = buf_addf(out, err, "-%c`, `", o->letter);
	if (rc == 0)
		rc = buf_addf(out, err, "--%s", o->name);
	for (const char *c = o->kind == CLI_SWITCH ? "" : o->argument; rc == 0 && *c != '\0'; c++) {
		if (c == o->argument)
			rc = buf_add8(out, ' ', err);
		if (rc == 0)
			rc = buf_addf(out, err, "%s%c", *c == '|' ? "\\" : "", *c);
	}
	if (rc == 0)
		rc = buf_addf(out, err, "`%s | %s%s%s%s |\n",
			o->is_many && o->kind != CLI_SWITCH ? " ..." : "", o->help,
			o->env != NULL ? " (`" : "", o->env != NULL ? o->env : "",
			o->env != NULL ? "`)" : "");
	return rc;
}

static int add_table(struct buf *out, const struct cli_option *o, struct err *err)
{
	int rc = buf_addf(out, err, "| option | meaning |\n|---|---|\n");
	for (; rc == 0 && o->name != NULL; o++)
		rc = add_row(out, o, err);
	return rc != 0 ? rc : buf_add8(out, '\n', err);
}

static int add_verb(struct buf *out, const struct cli_verb *verb, struct err *err)
{
	int rc = buf_addf(out, err, "### holdfast %s\n\n`holdfast %s%s%s`: %s.", verb->name,
		verb->name, *verb->arguments != '\0' ? " " : "", verb->arguments, verb->summary);
	if (rc == 0)
		rc = buf_addf(out, err, " `--json` prints %s.\n\n", verb->json);
	if (rc == 0 && verb->about != NULL)
		rc = buf_addf(out, err, "%s\n\n", verb->about);
	const char *pass = (verb->groups & (CLI_CONTENT | CLI_PASS)) != 0 ? ", passphrase" : "";
	if (rc == 0 && (verb->groups & CLI_VAULT) != 0)
		rc = buf_addf(out, err, "Also takes the options of: vault%s%s.\n\n",
			(verb->groups & CLI_CONTENT) != 0 ? ", content" : "", pass);
	if (rc == 0 && verb->options != NULL)
		rc = add_table(out, verb->options, err);
	return rc;
}

int cli_help_markdown(const struct cli_verb *const *verbs, struct buf *out, struct err *err)
{
	static const struct {
		const char *title;
		const struct cli_option *options;
	} shared[] = {
		{ "Options of every verb", cli_options_common },
		{ "Options: vault", cli_options_vault },
		{ "Options: content", cli_options_content },
		{ "Options: passphrase", cli_options_pass },
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(shared) / sizeof(shared[0]); i++) {
		rc = buf_addf(out, err, "### %s\n\n", shared[i].title);
		if (rc == 0)
			rc = add_table(out, shared[i].options, err);
	}
	for (size_t i = 0; rc == 0 && verbs[i] != NULL; i++)
		rc = add_verb(out, verbs[i], err);
	return rc;
}
