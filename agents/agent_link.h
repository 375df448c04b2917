/*
 * agent_link: the agent's connection to its controller: hello, polls, progress, results, renewal
 * (docs/PROTOCOL.md, Work).  One thread.
 */
#ifndef AGENTS_AGENT_LINK_H
#define AGENTS_AGENT_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "msg/msg_work.h"

struct agent_conf_values;
struct agent_link;
struct agent_state;
struct err;
struct http_client;

struct agent_link_opts {
	struct agent_state *state;            /* borrowed; a new certificate is written into it */
	const struct agent_conf_values *conf; /* borrowed */
	bool (*is_stopped)(void *arg);
	void *arg;
};
int agent_link_new(const struct agent_link_opts *opts, struct agent_link **out, struct err *err);
void agent_link_free(struct agent_link *l);
/* For the drill's ports; borrowed until free, which a renewal is too. */
struct http_client *agent_link_client(struct agent_link *l);
/* Connections of a job's own, as the same agent with the same limits: another thread may use them.
 * ${is_stopped} is asked on that thread.  Owned by the caller. */
int agent_link_connect(const struct agent_link *l, bool (*is_stopped)(void *arg), void *arg,
	struct http_client **out, struct err *err);

/* Say who we are; take over a newer config and save it.  *${poll_ms} (0..MSG_WORK_WAIT_MAX_MS) is
 * how long the controller wants polls to wait.  Return 0, -ERR_AUTH (revoked, clock),
 * -ERR_UNREACHABLE, -ERR_CORRUPT, -ERR_ROLLBACK. */
int agent_link_hello(struct agent_link *l, int64_t *poll_ms, struct err *err);
/* Ask for work.  Return 1 with an order (owned), 0, or an error. */
int agent_link_poll(struct agent_link *l, int64_t wait_ms, struct msg_order *out, struct err *err);
/* Return 0, or -ERR_INTERRUPTED with the reason: stop (the controller says no, or the attempt is
 * over).  Not being able to tell is 0: the lease decides. */
int agent_link_progress(
	struct agent_link *l, const char *job, const struct msg_progress *p, struct err *err);
/* Return 0, also when the controller does not want it any more (410). */
int agent_link_result(
	struct agent_link *l, const char *job, const struct msg_result *r, struct err *err);
/* Renew the certificate when half of its life is over, save it and connect with it.  Return 1 when
 * that was done, 0 when it is not time, or an error. */
int agent_link_renew(struct agent_link *l, int64_t now_s, struct err *err);

#endif
