/*
 * cmd_vault: the verb that tells what a vault holds.
 */
#ifndef CMD_CMD_VAULT_H
#define CMD_CMD_VAULT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_vault_info_verb;

#endif
