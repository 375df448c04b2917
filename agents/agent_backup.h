/*
 * agent_backup: does one backup order: opens the source, runs the pipeline over port_far, tells the
 * controller how it goes.
 */
#ifndef AGENTS_AGENT_BACKUP_H
#define AGENTS_AGENT_BACKUP_H

#include <stdbool.h>

#include "msg/msg_work.h"

struct agent_conf_values;
struct agent_link;
struct agent_state;
struct source_kinds;

struct agent_backup_opts {
	const struct agent_state *state;
	const struct agent_conf_values *conf;
	struct agent_link *link;
	const struct source_kinds *kinds;
	const char *host; /* for the label */
	void *arg;
	bool (*is_stopped)(void *arg); /* the agent is asked to end */
	void (*on_beat)(void *arg);    /* called at least every few seconds while it works */
};

/* Fill ${out}: what became of it, also when it failed. */
void agent_backup_run(const struct agent_backup_opts *opts, const struct msg_order *order,
	struct msg_result *out);

#endif
