/*
 * cmd_copy: holdfast copy: snapshots brought to another store of the same vault.
 */
#ifndef CMD_CMD_COPY_H
#define CMD_CMD_COPY_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_copy_verb;

#endif
