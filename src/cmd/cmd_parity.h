/*
 * cmd_parity: parity made and kept up to date.
 */
#ifndef CMD_CMD_PARITY_H
#define CMD_CMD_PARITY_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_parity_verb;

#endif
