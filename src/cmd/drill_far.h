/*
 * drill_far: drills that a controller has a sandbox agent carry out: ordered, listed, and their
 * reports fetched.
 */
#ifndef CMD_DRILL_FAR_H
#define CMD_DRILL_FAR_H

#include <stdbool.h>

struct cli;
struct err;
struct report;

/* True if 'drill run' is meant for a controller: --server or --agent is given. */
bool drill_far_is_meant(const struct cli *cli);
/* 'drill run --server': order, wait, fetch and check the report, tell as a drill of this host. */
int drill_far_run(struct cli *cli, struct err *err);
/* Is ${r} the report of ${exercise}, and of the plan with the SHA-256 ${plan_sha256} (hex; NULL =
 * whatever plan)?  Return 0 or -ERR_CORRUPT. */
int drill_far_check(
	const struct report *r, const char *exercise, const char *plan_sha256, struct err *err);
/* 'drill list --server'. */
int drill_far_list(struct cli *cli, struct err *err);
/* 'report get EXERCISE': fetch, check, keep, tell. */
int drill_far_get(struct cli *cli, struct err *err);

#endif
