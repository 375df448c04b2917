/*
 * cli_options: the option tables that several verbs share.
 */
#ifndef CMD_CLI_OPTIONS_H
#define CMD_CLI_OPTIONS_H

#include "cmd/cli.h"

extern const struct cli_option cli_options_common[];  /* every verb */
extern const struct cli_option cli_options_vault[];   /* CLI_VAULT */
extern const struct cli_option cli_options_pass[];    /* CLI_PASS, CLI_CONTENT */
extern const struct cli_option cli_options_content[]; /* CLI_CONTENT */
extern const struct cli_option cli_options_server[];  /* CLI_SERVER */

#endif
