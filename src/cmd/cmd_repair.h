/*
 * cmd_repair: the verb that brings back what is damaged or lost.
 */
#ifndef CMD_CMD_REPAIR_H
#define CMD_CMD_REPAIR_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_repair_verb;

#endif
