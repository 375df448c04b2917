/*
 * cmd_snapshot: the verbs that show snapshots without opening them: the writer key is enough.
 */
#ifndef CMD_CMD_SNAPSHOT_H
#define CMD_CMD_SNAPSHOT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_snapshot_list_verb;
extern const struct cli_verb cmd_snapshot_show_verb;

#endif
