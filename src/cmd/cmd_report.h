/*
 * cmd_report: the verbs about signed drill reports: verify one, list them, make the key that signs.
 */
#ifndef CMD_CMD_REPORT_H
#define CMD_CMD_REPORT_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_report_key_verb;
extern const struct cli_verb cmd_report_get_verb;
extern const struct cli_verb cmd_report_list_verb;
extern const struct cli_verb cmd_report_verify_verb;

#endif
