/*
 * cmd_verify: the verb that proves what the vault holds.
 */
#ifndef CMD_CMD_VERIFY_H
#define CMD_CMD_VERIFY_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_verify_verb;

#endif
