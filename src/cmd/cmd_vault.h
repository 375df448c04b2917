/*
 * cmd_vault: the verbs that tell what a vault holds and what its store keeps, and that keep its
 * door.
 */
#ifndef CMD_CMD_VAULT_H
#define CMD_CMD_VAULT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_vault_info_verb;
extern const struct cli_verb cmd_vault_prove_verb;
extern const struct cli_verb cmd_vault_serve_verb;

#endif
