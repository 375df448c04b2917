#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "controller/audit.h"
#include "controller/fleet_internal.h"

/*
 * INVARIANTS
 * (1) Only the key of an agent that is shut out is struck: one that works is in the config.
 * (2) The config is durable on the store before the audit record says so.
 */

/* What was struck, for the audit record. */
static void describe(const struct fleet *f, const struct catalog_agent *a, char out[256])
{
	size_t left = 0;
	for (size_t i = 0; i < f->domain.group_count; i++)
		left += strcmp(f->domain.groups[i].name, a->group) == 0;
	if (a->role == MSG_ROLE_SANDBOX)
		(void)snprintf(out, 256,
			"config %u, fingerprint %s, drill key of group '%s' with %zu others left",
			f->domain.epoch, a->fingerprint, a->group, left); /* fits */
	else
		(void)snprintf(out, 256, "config %u, fingerprint %s, identity key", f->domain.epoch,
			a->fingerprint); /* fits */
}

static int strike(struct fleet *f, const struct catalog_agent *a, const void *config, size_t len,
	const char *who, struct err *err)
{
	char detail[256];
	bool is_current =
		len == f->config.len && len > 0 && memcmp(config, f->config.data, len) == 0;
	if (a->state != AGENT_REVOKED) {
		(void)err_set(err, ERR_USAGE, "agent '%s' is not revoked", a->name);
		return err_hint(err, "revoke it first");
	}
	if (is_current && !fleet_lists(f, a))
		return 0; /* the answer was lost */
	int rc = fleet_approve_install(f, FLEET_STRIKE, a, config, len, err);
	if (rc != 0)
		return rc;
	describe(f, a, detail);
	return audit_add(f->o.db, who, "", "agent.strike", a->name, "ok", detail, err);
}

int fleet_strike(struct fleet *f, const uint8_t agent[16], const void *config, size_t len,
	const char *who, struct err *err)
{
	struct err why = ERR_INIT;
	struct catalog_agent a;
	int rc = catalog_agent_get(f->o.db, agent, &a, &why);
	if (rc == 0) {
		rc = strike(f, &a, config, len, who, &why);
		if (rc != 0) /* the answer is what counts */
			(void)audit_add(f->o.db, who, "", "agent.strike", a.name, err_id(rc),
				why.msg, NULL);
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}
