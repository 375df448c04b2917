/*
 * cmd_agent: the verbs `agent token|list|show`: the fleet, through a controller.
 */
#ifndef CMD_CMD_AGENT_H
#define CMD_CMD_AGENT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_agent_token_verb;
extern const struct cli_verb cmd_agent_list_verb;
extern const struct cli_verb cmd_agent_show_verb;

/* "agents/NAME" and ${tail}.  Return 0 or -ERR_USAGE (no name). */
int cmd_agent_path(const char *name, const char *tail, char out[256], struct err *err);

#endif
