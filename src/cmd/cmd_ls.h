/*
 * cmd_ls: the verb that lists what a snapshot holds.
 */
#ifndef CMD_CMD_LS_H
#define CMD_CMD_LS_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_ls_verb;

#endif
