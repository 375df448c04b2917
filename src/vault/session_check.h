/*
 * session_check: what a vault must check before it makes a snapshot (docs/FORMAT.md section 5, "at
 * commit").  Pure: a verdict over bytes and sets.
 */
#ifndef VAULT_SESSION_CHECK_H
#define VAULT_SESSION_CHECK_H

#include <stdint.h>

#include "vault/domain.h"
#include "vault/port.h"

struct err;
struct id_set;

struct session_check {
	const struct domain *domain;
	const uint8_t *agent_id, *source_id; /* of the session */
	const uint8_t *base;                 /* SNAPREC_BYTES of the newest snapshot, or NULL */
	const struct id_set *own;            /* references of this agent's unpruned snapshots */
	const struct id_set *puts;           /* records put in this session */
};

/* Return 0, or -ERR_CORRUPT with the rule that is broken. */
int session_check_commit(
	const struct session_check *s, const struct port_commit *c, struct err *err);

#endif
