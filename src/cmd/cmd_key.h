/*
 * cmd_key: the verbs about keys.  No key itself is ever shown.
 */
#ifndef CMD_CMD_KEY_H
#define CMD_CMD_KEY_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_key_show_verb;
extern const struct cli_verb cmd_key_passwd_verb;
extern const struct cli_verb cmd_key_writer_verb;
extern const struct cli_verb cmd_key_drill_verb;
extern const struct cli_verb cmd_key_rotate_verb;
extern const struct cli_verb cmd_key_recovery_verb;
extern const struct cli_verb cmd_key_rewrap_verb;

#endif
