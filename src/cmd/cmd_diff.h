/*
 * cmd_diff: the verb that compares two snapshots.
 */
#ifndef CMD_CMD_DIFF_H
#define CMD_CMD_DIFF_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_diff_verb;

#endif
