/*
 * cmd_mount: the verb that shows snapshots as a mounted file system.
 */
#ifndef CMD_CMD_MOUNT_H
#define CMD_CMD_MOUNT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_mount_verb;

#endif
