/*
 * cmd_init: the verb that makes a vault.
 */
#ifndef CMD_CMD_INIT_H
#define CMD_CMD_INIT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_init_verb;

#endif
