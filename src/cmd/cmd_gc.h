/*
 * cmd_gc: the verb that takes space back.
 */
#ifndef CMD_CMD_GC_H
#define CMD_CMD_GC_H

#include "cmd/cli.h"

extern const struct cli_verb cmd_gc_verb;

#endif
