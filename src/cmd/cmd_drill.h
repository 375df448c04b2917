/*
 * cmd_drill: the verbs that carry out continuity plans in a sandbox.
 */
#ifndef CMD_CMD_DRILL_H
#define CMD_CMD_DRILL_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_drill_list_verb;
extern const struct cli_verb cmd_drill_run_verb;

#endif
