/*
 * cmd_retention: the verbs that say and carry out which snapshots go.
 */
#ifndef CMD_CMD_RETENTION_H
#define CMD_CMD_RETENTION_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_retention_preview_verb;
extern const struct cli_verb cmd_retention_apply_verb;

#endif
