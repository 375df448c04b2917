/*
 * cmd_people: the verbs `token new|list|revoke` and `audit`, through a controller.
 */
#ifndef CMD_CMD_PEOPLE_H
#define CMD_CMD_PEOPLE_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_people_new_verb;
extern const struct cli_verb cmd_people_list_verb;
extern const struct cli_verb cmd_people_revoke_verb;
extern const struct cli_verb cmd_people_audit_verb;

#endif
