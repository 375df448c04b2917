/*
 * cmd_maintenance: the verbs `maintenance run|preview`, through a controller.
 */
#ifndef CMD_CMD_MAINTENANCE_H
#define CMD_CMD_MAINTENANCE_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_maintenance_run_verb;
extern const struct cli_verb cmd_maintenance_preview_verb;

#endif
