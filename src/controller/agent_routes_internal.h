/*
 * agent_routes_internal: what the two halves of agent_routes share.
 */
#ifndef CONTROLLER_AGENT_ROUTES_INTERNAL_H
#define CONTROLLER_AGENT_ROUTES_INTERNAL_H

#include "controller/agent_routes.h"
#include "controller/audit.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_job.h"
#include "msg/msg_work.h"

struct agent_seen;
struct buf;
struct http_request;
struct loop_timer;

#define JSON_TYPE "application/json"

struct poll;

/* A request that a thread of the gateway works on. */
struct call {
	struct call *next;
	struct agent_routes *r;
	struct http_request *q;
	uint8_t agent_id[16];
	char job[MSG_ID_HEX];
	int64_t attempt;
	const char *type; /* of the answer; NULL = 204 */
	bool is_large;    /* up to MSG_MAX_BODY of it */
};

struct agent_routes {
	struct agent_routes_opts o;
	struct poll *polls;
	struct loop_timer *timer; /* set for the first poll to end */
	struct call *calls;
	struct agent_seen *seen; /* owned */
	struct audit_some refusals;
};

/* Answer with ${why}. */
void agent_routes_refuse(struct http_request *q, const struct err *why);
/* There is no such request. */
void agent_routes_no_route(struct http_request *q);
/* Answer with 204 if ${rc} is 0, else with ${why}. */
void agent_routes_empty(struct http_request *q, int rc, const struct err *why);

/* The attempt of a drill that runs now on this agent; a sandbox that was given up has said hello
 * since, and runs none.  Return as dispatch_touch(). */
int agent_routes_vault_drill(struct agent_routes *r, const struct catalog_agent *a, const char *job,
	struct catalog_job *j, struct err *err);

/* Whether the agent may ask for another large answer.  Return 0 or -ERR_UNREACHABLE (503). */
int agent_routes_vault_owed(const struct agent_routes *r, const struct http_request *q,
	const struct catalog_agent *a, struct err *err);

/* POST /v1/sessions, what follows /v1/sessions/S, and /v1/grants/JOB. */
void agent_routes_vault_begin(
	struct agent_routes *r, struct http_request *q, const struct catalog_agent *a);
void agent_routes_vault_session(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *session, const char *what, const char *which);
void agent_routes_vault_grant(struct agent_routes *r, struct http_request *q,
	const struct catalog_agent *a, const char *job, const char *what);

#endif
