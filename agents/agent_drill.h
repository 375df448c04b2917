/*
 * agent_drill: does one drill order on a sandbox host: reads what was granted, carries the plan out
 * in the sandbox, signs, hands report and evidence to the controller and keeps both here.
 */
#ifndef AGENTS_AGENT_DRILL_H
#define AGENTS_AGENT_DRILL_H

#include <stdbool.h>
#include <stdint.h>

#include "msg/msg_work.h"

struct agent_conf_values;
struct agent_link;
struct agent_state;
struct buf;

struct agent_drill_opts {
	const struct agent_state *state;
	const struct agent_conf_values *conf;
	struct agent_link *link;
	void *arg;
	bool (*is_stopped)(void *arg); /* the agent is asked to end */
	void (*on_beat)(void *arg);    /* called at least every few seconds while it works */
};

/* Fill ${out}: what became of it, also when it failed.  A drill that was carried out and did not
 * meet its objectives is ERR_OBJECTIVE, with the verdict. */
void agent_drill_run(
	const struct agent_drill_opts *opts, const struct msg_order *order, struct msg_result *out);

/* How long ago the disruption of ${order} was declared, in ms: as it said when it came, at
 * ${received_ns} of env_mono_ns(), and since. */
int64_t agent_drill_since(const struct msg_order *order, int64_t received_ns);

/* Is ${back} the signed report ${sent} with the controller's signature added, and nothing else?
 * Return 0, -ERR_CORRUPT (another report) or -ERR_AUTH (the controller has not signed). */
int agent_drill_check_answer(const struct buf *sent, const struct buf *back,
	const uint8_t agent_pk[32], const uint8_t controller_pk[32], struct err *err);

/* Can drills restore to where ${conf} says?  Return 0 or -ERR_CONFIG: key and path. */
int agent_drill_check(const struct agent_conf_values *conf, struct err *err);

#endif
