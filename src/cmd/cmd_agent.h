/*
 * cmd_agent: the verbs `agent token|list|show|approve|revoke`: the fleet, through a controller.
 */
#ifndef CMD_CMD_AGENT_H
#define CMD_CMD_AGENT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_agent_token_verb;
extern const struct cli_verb cmd_agent_list_verb;
extern const struct cli_verb cmd_agent_show_verb;
extern const struct cli_verb cmd_agent_approve_verb;
extern const struct cli_verb cmd_agent_revoke_verb;

#endif
