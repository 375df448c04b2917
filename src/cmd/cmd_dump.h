/*
 * cmd_dump: the verb that writes a file, or a directory as a tar stream, to standard output.
 */
#ifndef CMD_CMD_DUMP_H
#define CMD_CMD_DUMP_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_dump_verb;

#endif
