/*
 * cmd_controller: the verbs `controller init`, `controller run`, `controller rekey` and `catalog
 * rebuild`.
 */
#ifndef CMD_CMD_CONTROLLER_H
#define CMD_CMD_CONTROLLER_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_controller_init_verb;
extern const struct cli_verb cmd_controller_run_verb;
extern const struct cli_verb cmd_controller_rekey_verb;
extern const struct cli_verb cmd_controller_rebuild_verb;

#endif
