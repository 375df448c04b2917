/*
 * cli: the command line as tables: one row per verb, one row per option.  The parser, --help,
 * suggestions and docs/CLI.md all come from them.
 * Hides: how values are kept.  One thread.
 */
#ifndef CMD_CLI_H
#define CMD_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/console.h"

struct buf;
struct cli;
struct err;

#define CLI_MAX_TABLES 6 /* of options that one verb takes */
#define CLI_MAX_VALUES 65536
#define CLI_ANY SIZE_MAX

enum cli_kind {
	CLI_SWITCH, /* no argument */
	CLI_TEXT,   /* any text, not empty */
	CLI_COUNT,  /* a whole number from 1 */
	CLI_SIZE,   /* "64KiB": bytes */
	CLI_WORD,   /* one of the words in ${words} */
};

struct cli_option {
	const char *name; /* long name without dashes; NULL ends a table */
	char letter;      /* short name, or 0 */
	enum cli_kind kind;
	bool is_many;             /* may be given more than once */
	const char *argument;     /* what help calls it: "FILE" */
	const char *env;          /* variable that stands in when the option is absent, or NULL */
	const char *const *words; /* CLI_WORD; ends with NULL */
	const char *help;
};

/* Options that many verbs share (cli_options.h). */
enum cli_group {
	CLI_VAULT = 1 << 0,   /* --vault and what finds its keys */
	CLI_PASS = 1 << 1,    /* a passphrase */
	CLI_CONTENT = 1 << 2, /* a key that opens content: recovery file or drill key */
	CLI_SERVER = 1 << 3,  /* a controller and a token for it */
};

struct cli_verb {
	const char *name;                 /* "backup", "snapshot list" */
	const char *arguments;            /* "SNAP [PATH...]", or "" */
	const char *summary;              /* one line, lower case, no period */
	const char *about;                /* paragraphs for --help, or NULL */
	const char *json;                 /* what --json prints: "one object", "JSON lines" */
	const struct cli_option *options; /* its own, or NULL */
	unsigned groups;                  /* enum cli_group */
	size_t min_args, max_args;
	/*
	 * Return 0 (the exit status is then cli->status) or an error.  A verb that ends with
	 * warnings or an objective not met sets the status and returns 0.
	 */
	int (*run)(struct cli *cli, struct err *err);
};

struct cli_value {
	const struct cli_option *option;
	const char *text; /* borrowed from the arguments or the environment; NULL for a switch */
	int64_t number;   /* CLI_COUNT, CLI_SIZE, CLI_WORD (index) */
};

/* One parsed command line, handed to the verb. */
struct cli {
	const struct cli_verb *const *verbs; /* the whole table; ends with NULL */
	const struct cli_verb *verb;
	struct cli_value *values; /* owned */
	size_t value_count, value_cap;
	const char **args; /* owned; texts borrowed */
	size_t arg_count;
	bool wants_help, wants_version;
	struct console console;
	int status; /* enum exit_status of a run that returns 0 */
};

/**
 * cli_parse(cli, verbs, argc, argv, err):
 * Fill ${cli} (zeroed by the caller, who ends it with cli_done()).  ${argv} is borrowed as long as
 * ${cli}.  Everything that is wrong is told at once.  cli->console is set up even when this fails.
 * Return 0 or -ERR_USAGE (or -ERR_NOMEM).
 */
int cli_parse(struct cli *cli, const struct cli_verb *const *verbs, int argc,
	const char *const *argv, struct err *err);
void cli_done(struct cli *cli);

/* Store the option tables of ${verb} (may be NULL: what every verb takes) and return how many. */
size_t cli_tables(const struct cli_verb *verb, const struct cli_option *tables[CLI_MAX_TABLES]);

/* True if the option was given; its variable does not count. */
bool cli_is_set(const struct cli *cli, const char *name);
/* The last text given, or that of the variable; NULL when there is none. */
const char *cli_text(const struct cli *cli, const char *name);
/* The number of CLI_COUNT, CLI_SIZE, CLI_WORD; ${other} when absent. */
int64_t cli_number(const struct cli *cli, const char *name, int64_t other);
/* The nth text (from 0) of an option that may be given more than once; NULL past the last. */
const char *cli_nth(const struct cli *cli, const char *name, size_t nth);

/* The verb that ${words} (at most 2) begin with, and how many of them it took; or NULL. */
const struct cli_verb *cli_find(
	const struct cli_verb *const *verbs, const char *const *words, size_t count, size_t *taken);

#endif
