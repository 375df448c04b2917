/*
 * cmd_officer: the verbs `agent approve|revoke|strike`: what an officer signs about an agent, on
 * this host, with a key that no controller has.
 */
#ifndef CMD_CMD_OFFICER_H
#define CMD_CMD_OFFICER_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_officer_approve_verb;
extern const struct cli_verb cmd_officer_revoke_verb;
extern const struct cli_verb cmd_officer_strike_verb;

#endif
