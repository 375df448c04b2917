/*
 * drill_far: drills that a controller has a sandbox agent carry out: ordered, listed, and their
 * reports fetched.
 */
#ifndef CMD_DRILL_FAR_H
#define CMD_DRILL_FAR_H

#include <stdbool.h>

struct cli;
struct err;

/* True if 'drill run' is meant for a controller: --server or --agent is given. */
bool drill_far_is_meant(const struct cli *cli);
/* 'drill run --server': order, wait, fetch and check the report, tell as a drill of this host. */
int drill_far_run(struct cli *cli, struct err *err);
/* 'drill list --server'. */
int drill_far_list(struct cli *cli, struct err *err);
/* 'report get EXERCISE': fetch, check, keep, tell. */
int drill_far_get(struct cli *cli, struct err *err);

#endif
