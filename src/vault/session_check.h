/*
 * session_check: what a vault must check before it makes a snapshot (docs/FORMAT.md section 5, "at
 * commit").  A verdict over bytes and sets; only is_stored may look at the store.
 */
#ifndef VAULT_SESSION_CHECK_H
#define VAULT_SESSION_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "vault/domain.h"
#include "vault/port.h"

struct err;
struct id_marks;
struct id_set;
struct session_base;

struct session_check {
	const struct domain *domain;
	const uint8_t *agent_id, *source_id; /* of the session */
	const struct session_base *base;     /* what the snapshot must continue */
	const struct id_marks *own;          /* references of this agent's unpruned snapshots */
	/* The snapshot is one of another store of this vault: signed and put into its chain long
	 * ago, by a key that may be revoked since.  base and own are NULL; what was not put must be
	 * stored. */
	bool is_copy;
	const struct id_set *puts; /* records put in this session */
	/* Is a record in a pack that counts?  1, 0 or an error. */
	int (*is_stored)(void *arg, const uint8_t id[32], struct err *err);
	void *arg;
};

/* Return 0, or -ERR_CORRUPT with the rule that is broken, or what is_stored failed with. */
int session_check_commit(
	const struct session_check *s, const struct port_commit *c, struct err *err);

#endif
