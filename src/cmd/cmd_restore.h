/*
 * cmd_restore: the verb that gives a snapshot back.
 */
#ifndef CMD_CMD_RESTORE_H
#define CMD_CMD_RESTORE_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_restore_verb;

#endif
