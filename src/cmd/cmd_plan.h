/*
 * cmd_plan: the verbs about continuity plans.
 */
#ifndef CMD_CMD_PLAN_H
#define CMD_CMD_PLAN_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_plan_lint_verb;
extern const struct cli_verb cmd_plan_show_verb;

#endif
