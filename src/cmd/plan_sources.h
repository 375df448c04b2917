/*
 * plan_sources: do the sources that a continuity plan names have snapshots in a vault?
 */
#ifndef CMD_PLAN_SOURCES_H
#define CMD_PLAN_SOURCES_H

struct conf_problems;
struct plan;
struct snapshot_list;

/**
 * plan_sources_check(p, list, problems):
 * Add an error for each system of ${p}, which may be a draft, whose source has no snapshot in
 * ${list}, with its line and, where one is near, the name that may be meant; then order by line.
 * A source that was never backed up cannot be drilled: that is told before T0, for all at once.
 */
void plan_sources_check(
	const struct plan *p, const struct snapshot_list *list, struct conf_problems *problems);

#endif
