/*
 * drill_show: what a drill came to, for people and programs, wherever it was carried out.
 */
#ifndef CMD_DRILL_SHOW_H
#define CMD_DRILL_SHOW_H

#include <jansson.h>

struct cli;
struct console;
struct err;
struct report;
struct report_shelf_paths;

/* What docs/schema calls a drill; a new reference or NULL. */
json_t *drill_show_object(const struct report *r);
/* A table of its systems. */
void drill_show_systems(struct console *c, const struct report *r);
/* All of it, and the exit status that follows.  Return 0, -ERR_INTERRUPTED (it was) or
 * -ERR_NOMEM. */
int drill_show_tell(struct cli *cli, const struct report *r, const struct report_shelf_paths *paths,
	struct err *err);

#endif
