/*
 * cmd_vault_serve: the verb that keeps the door of an append-only vault.
 */
#ifndef CMD_CMD_VAULT_SERVE_H
#define CMD_CMD_VAULT_SERVE_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_vault_serve_verb;

#endif
