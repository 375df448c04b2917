/*
 * agent_routes: what agents may ask, request by request (docs/PROTOCOL.md): checks who calls and
 * with which role, reads the message, asks the room that knows, answers.
 * Hides: waiting polls and requests whose answer a thread still works on.  The loop's thread.
 */
#ifndef CONTROLLER_AGENT_ROUTES_H
#define CONTROLLER_AGENT_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

struct agent_routes;
struct db;
struct dispatch;
struct drill_desk;
struct err;
struct fleet;
struct gateway;
struct http_request;
struct loop;

struct agent_routes_opts {
	struct loop *loop; /* borrowed, as all here */
	struct db *db;
	struct fleet *fleet;
	struct dispatch *dispatch;
	struct gateway *gateway;
	struct drill_desk *desk;
	const char *name; /* of the controller */
	const char *ca_pem;
	/* An agent's clock is far off: somebody should look. */
	void (*on_alarm)(void *arg, const char *agent, const char *text);
	void *arg;
};
int agent_routes_new(
	const struct agent_routes_opts *opts, struct agent_routes **out, struct err *err);
/* Answers what still waits with "busy"; after the gateway has ended. */
void agent_routes_free(struct agent_routes *r);

/* Whether who sends this head to the agents' port may make the request; if not, it is answered. */
bool agent_routes_admit(struct agent_routes *r, struct http_request *q);
/* A request of the agents' port; answers it, now or later. */
void agent_routes_handle(struct agent_routes *r, struct http_request *q);
/* A request of the people's port: answer it and return true if it belongs to enrolment. */
bool agent_routes_enrol(struct agent_routes *r, struct http_request *q);

/* There may be work for this agent: look again for its waiting poll. */
void agent_routes_wake(struct agent_routes *r, const uint8_t agent_id[16]);
/* An agent was revoked: its waiting poll ends without an order. */
void agent_routes_drop(struct agent_routes *r, const uint8_t agent_id[16]);
/* End polls whose agent is gone, keep leases of requests in work; return when to come again. */
int64_t agent_routes_tick(struct agent_routes *r, int64_t now_ms);

#endif
