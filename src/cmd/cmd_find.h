/*
 * cmd_find: the verb that finds names in snapshots.
 */
#ifndef CMD_CMD_FIND_H
#define CMD_CMD_FIND_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_find_verb;

#endif
