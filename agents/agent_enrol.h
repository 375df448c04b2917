/*
 * agent_enrol: from a token to an enrolled agent (docs/PROTOCOL.md, Enrolment).  Everything is kept
 * step by step, so that it goes on where it was cut off.
 */
#ifndef AGENTS_AGENT_ENROL_H
#define AGENTS_AGENT_ENROL_H

#include <stdbool.h>

#include "msg/msg_enrol.h"

struct err;

#define AGENT_ENROL_POLL_MS 5000

struct agent_enrol_opts {
	const char *dir;   /* state directory */
	const char *token; /* text; NULL = go on with what was begun.  Another than before is taken
			      until the controller has answered */
	enum msg_role role;
	const char *name;
	void *arg;
	/* Show what the approver compares.  Called once each run, before the waiting. */
	void (*on_fingerprint)(void *arg, const char *fingerprint, const char *name);
	void (*on_wait)(void *arg, int ms); /* wait, or until a stop is asked */
	bool (*is_stopped)(void *arg);
};

/**
 * agent_enrol_run(opts, err):
 * Return 0 when the agent is enrolled, -ERR_EXISTS (one is already, or waits with another token),
 * -ERR_USAGE (the token; there
 * is none and nothing was begun), -ERR_AUTH (the controller is not the token's, the token is spent,
 * or what was delivered is not what was shown), -ERR_UNREACHABLE, -ERR_INTERRUPTED (may be called
 * again without a token).
 */
int agent_enrol_run(const struct agent_enrol_opts *opts, struct err *err);

#endif
