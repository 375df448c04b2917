#include <string.h>

#include "base/err.h"
#include "controller/fleet_internal.h"

/*
 * INVARIANTS
 * (1) Shutting out needs nobody's key and works with the next request; the config waits for the
 *     officer.
 */

int fleet_revoke(struct fleet *f, const uint8_t agent[16], const char *who, struct err *err)
{
	struct catalog_agent a;
	int rc = catalog_agent_get(f->o.db, agent, &a, err);
	if (rc != 0 || a.state == AGENT_REVOKED)
		return rc;
	a.state = AGENT_REVOKED;
	memset(a.next_key_hash, 0, sizeof(a.next_key_hash));
	return fleet_keep_agent(f, &a, who, "agent.revoke",
		fleet_lists(f, &a) ? "its key is in the config until an officer strikes it" : "",
		err);
}
