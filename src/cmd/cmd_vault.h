/*
 * cmd_vault: the verbs that tell what a vault holds and what its store keeps, that see to its
 * locks, and that bring back what somebody removed.
 */
#ifndef CMD_CMD_VAULT_H
#define CMD_CMD_VAULT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_vault_info_verb;
extern const struct cli_verb cmd_vault_prove_verb;
extern const struct cli_verb cmd_vault_lock_verb;
extern const struct cli_verb cmd_vault_undelete_verb;

#endif
