/*
 * cmd_demo: the verb that shows everything on a plant of its own.
 */
#ifndef CMD_CMD_DEMO_H
#define CMD_CMD_DEMO_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_demo_verb;

#endif
