/*
 * cmd_help: the verbs that explain the program itself.
 */
#ifndef CMD_CMD_HELP_H
#define CMD_CMD_HELP_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_help_verb;
extern const struct cli_verb cmd_help_version_verb;

/**
 * cmd_help_show(cli, verb, err):
 * Print what ${verb} does, or the list of verbs for NULL.  Return 0 or -ERR_NOMEM.
 */
int cmd_help_show(struct cli *cli, const struct cli_verb *verb, struct err *err);

/* Print the version. */
int cmd_help_version(struct cli *cli, struct err *err);

#endif
