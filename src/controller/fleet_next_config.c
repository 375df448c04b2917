#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/fleet_internal.h"

/*
 * INVARIANTS
 * (1) Whoever approves and the controller make the same config from the same two things, so that
 *     any other difference shows.
 * (2) A key is added or struck, never replaced.  Sandboxes of a group have a key each, and what is
 *     struck is one key: the others of the group go on.
 * (3) Everybody a snapshot is sealed to fits into one list of envelopes.
 */

/* An identity whose key is ${ik}, or NULL. */
static const struct domain_agent *find_identity(const struct domain *d, const uint8_t ik[32])
{
	for (size_t i = 0; i < d->agent_count; i++) {
		if (memcmp(d->agents[i].ik_pk, ik, 32) == 0)
			return &d->agents[i];
	}
	return NULL;
}

static const struct domain_group *find_group_key(const struct domain *d, const uint8_t dk[32])
{
	for (size_t i = 0; i < d->group_count; i++) {
		if (memcmp(d->groups[i].dk_pk, dk, 32) == 0)
			return &d->groups[i];
	}
	return NULL;
}

bool fleet_next_config_has(const struct domain *d, const struct catalog_agent *agent)
{
	if (agent->role == MSG_ROLE_SANDBOX) {
		const struct domain_group *g = find_group_key(d, agent->dk);
		return g != NULL && strcmp(g->name, agent->group) == 0;
	}
	const struct domain_agent *a = find_identity(d, agent->ik);
	return a != NULL && !a->is_revoked && memcmp(a->agent_id, agent->id, 16) == 0;
}

static int add_group(struct domain *d, const struct catalog_agent *agent, struct err *err)
{
	const struct domain_group *known = find_group_key(d, agent->dk);
	if (known != NULL)
		return err_set(err, ERR_CONFIG,
			"drill key of agent '%s' is in the config as that of group '%s'",
			agent->name, known->name);
	if (agent->group[0] == '\0')
		return err_set(err, ERR_USAGE, "agent '%s' has no drill group", agent->name);
	if (d->group_count + d->recovery_count >= DOMAIN_MAX_KEYS) {
		(void)err_set(
			err, ERR_LIMIT, "more than %d recovery and drill keys", DOMAIN_MAX_KEYS);
		return err_hint(err, "revoke sandboxes that are not used, with the officer's key");
	}
	struct domain_group *g = &d->groups[d->group_count++];
	(void)snprintf(g->name, sizeof(g->name), "%s", agent->group); /* no longer than it */
	memcpy(g->dk_pk, agent->dk, sizeof(g->dk_pk));
	return 0;
}

static int add_identity(struct domain *d, const struct catalog_agent *agent, struct err *err)
{
	int rc = domain_add_agent(d, agent->id, agent->ik, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_CONFIG,
			"identity key of agent '%s' is in the config as another's, or revoked",
			agent->name);
	return rc;
}

static void strike_group(struct domain *d, const struct catalog_agent *agent)
{
	size_t at = (size_t)(find_group_key(d, agent->dk) - d->groups); /* it is there */
	size_t behind = d->group_count - at - 1;
	memmove(&d->groups[at], &d->groups[at + 1], behind * sizeof(d->groups[0]));
	memset(&d->groups[--d->group_count], 0, sizeof(d->groups[0]));
}

/* The identity stays: its kid is in the snapshots it signed. */
static void strike_identity(struct domain *d, const struct catalog_agent *agent)
{
	for (size_t i = 0; i < d->agent_count; i++) {
		if (memcmp(d->agents[i].ik_pk, agent->ik, 32) == 0)
			d->agents[i].is_revoked = true;
	}
}

static int add(struct domain *d, const struct catalog_agent *agent, struct err *err)
{
	if (fleet_next_config_has(d, agent))
		return 0; /* a config that changes nothing but the epoch */
	return agent->role == MSG_ROLE_SANDBOX ? add_group(d, agent, err)
					       : add_identity(d, agent, err);
}

static int strike(struct domain *d, const struct catalog_agent *agent, struct err *err)
{
	if (!fleet_next_config_has(d, agent))
		return err_set(err, ERR_NOT_FOUND, "config has no key of agent '%s' to strike",
			agent->name);
	if (agent->role == MSG_ROLE_SANDBOX)
		strike_group(d, agent);
	else
		strike_identity(d, agent);
	return 0;
}

/* ${out} is empty. */
static int copy(const struct domain *from, struct domain *out, struct err *err)
{
	for (size_t i = 0; i < from->agent_count; i++) {
		const struct domain_agent *a = &from->agents[i];
		int rc = domain_add_agent(out, a->agent_id, a->ik_pk, err);
		if (rc != 0)
			return rc;
		out->agents[i].is_revoked = a->is_revoked;
	}
	out->epoch = from->epoch;
	memcpy(out->domain_id, from->domain_id, sizeof(out->domain_id));
	memcpy(out->groups, from->groups, sizeof(out->groups));
	memcpy(out->recovery_pk, from->recovery_pk, sizeof(out->recovery_pk));
	memcpy(out->officer_pk, from->officer_pk, sizeof(out->officer_pk));
	out->group_count = from->group_count;
	out->recovery_count = from->recovery_count;
	out->officer_count = from->officer_count;
	return 0;
}

int fleet_next_config_make(const struct domain *now, enum fleet_change change,
	const struct catalog_agent *agent, struct domain *out, struct err *err)
{
	CLEANUP(domain_done) struct domain d = { .agents = NULL };
	if (now->epoch == UINT32_MAX)
		return err_set(err, ERR_LIMIT, "config has no epoch left");
	int rc = copy(now, &d, err);
	if (rc == 0)
		rc = change == FLEET_ADD ? add(&d, agent, err) : strike(&d, agent, err);
	if (rc != 0)
		return rc;
	d.epoch++;
	*out = d;
	d.agents = NULL;
	return 0;
}

int fleet_next_config(const void *config, size_t len, const uint8_t officer_pk[32],
	enum fleet_change change, const struct catalog_agent *agent, struct domain *out,
	struct err *err)
{
	CLEANUP(domain_done) struct domain now = { .agents = NULL };
	int rc = domain_decode(config, len, officer_pk, &now, err);
	return rc != 0 ? rc : fleet_next_config_make(&now, change, agent, out, err);
}

/* ---- comparing ----------------------------------------------------------------------------------
 */

#define HINT "sign the config that 'holdfast agent approve' or 'revoke' makes, nothing else"

static int differs(struct err *err, const char *what, const uint8_t *key, size_t len)
{
	char hex[65];
	text_hex(key, len, hex);
	(void)err_set(err, ERR_CONFIG, "config changes more than this agent: %s %.16s", what, hex);
	return err_hint(err, HINT);
}

static int check_count(const char *what, size_t wanted, size_t given, struct err *err)
{
	if (wanted == given)
		return 0;
	(void)err_set(err, ERR_CONFIG, "config has %zu %s where %zu must be", given, what, wanted);
	return err_hint(err, HINT);
}

static int check_agents(const struct domain *wanted, const struct domain *given, struct err *err)
{
	for (size_t i = 0; i < wanted->agent_count && i < given->agent_count; i++) {
		const struct domain_agent *w = &wanted->agents[i];
		const struct domain_agent *g = &given->agents[i];
		if (memcmp(w->agent_id, g->agent_id, 16) != 0)
			return differs(err, "agent", g->agent_id, 16);
		if (memcmp(w->ik_pk, g->ik_pk, 32) != 0)
			return differs(err, "identity key", g->ik_pk, 32);
		if (w->is_revoked != g->is_revoked)
			return differs(err, "revocation of agent", g->agent_id, 16);
	}
	return check_count("agents", wanted->agent_count, given->agent_count, err);
}

static int check_keys(const char *one, const char *many, const uint8_t (*wanted)[32],
	size_t wanted_count, const uint8_t (*given)[32], size_t given_count, struct err *err)
{
	for (size_t i = 0; i < wanted_count && i < given_count; i++) {
		if (memcmp(wanted[i], given[i], 32) != 0)
			return differs(err, one, given[i], 32);
	}
	return check_count(many, wanted_count, given_count, err);
}

static int check_groups(const struct domain *wanted, const struct domain *given, struct err *err)
{
	for (size_t i = 0; i < wanted->group_count && i < given->group_count; i++) {
		const struct domain_group *w = &wanted->groups[i];
		const struct domain_group *g = &given->groups[i];
		if (strcmp(w->name, g->name) != 0 || memcmp(w->dk_pk, g->dk_pk, 32) != 0)
			return differs(err, "drill key", g->dk_pk, 32);
	}
	return check_count("drill keys", wanted->group_count, given->group_count, err);
}

int fleet_next_config_check(
	const struct domain *wanted, const struct domain *given, struct err *err)
{
	if (memcmp(wanted->domain_id, given->domain_id, sizeof(wanted->domain_id)) != 0)
		return differs(err, "domain", given->domain_id, sizeof(given->domain_id));
	int rc = check_keys("recovery key", "recovery keys", wanted->recovery_pk,
		wanted->recovery_count, given->recovery_pk, given->recovery_count, err);
	if (rc == 0)
		rc = check_keys("officer", "officers", wanted->officer_pk, wanted->officer_count,
			given->officer_pk, given->officer_count, err);
	if (rc == 0)
		rc = check_groups(wanted, given, err);
	if (rc == 0)
		rc = check_agents(wanted, given, err);
	if (rc == 0 && wanted->epoch != given->epoch)
		rc = err_set(err, ERR_CONFIG, "config has epoch %u where %u must be", given->epoch,
			wanted->epoch);
	return rc;
}
