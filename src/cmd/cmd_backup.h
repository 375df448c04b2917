/*
 * cmd_backup: the verb that makes a snapshot.
 */
#ifndef CMD_CMD_BACKUP_H
#define CMD_CMD_BACKUP_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_backup_verb;

#endif
