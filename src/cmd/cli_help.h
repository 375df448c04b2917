/*
 * cli_help: the tables of cli.h as text for people: the list of verbs, one verb, and the reference
 * in docs/CLI.md.
 */
#ifndef CMD_CLI_HELP_H
#define CMD_CLI_HELP_H

#include "cmd/cli.h"

struct buf;

/* Append the list of verbs.  Return as buf_add(). */
int cli_help_list(const struct cli_verb *const *verbs, struct buf *out, struct err *err);

/* Append what one verb does and takes. */
int cli_help_verb(const struct cli_verb *verb, struct buf *out, struct err *err);

/* Append the reference of all verbs in Markdown. */
int cli_help_markdown(const struct cli_verb *const *verbs, struct buf *out, struct err *err);

#endif
