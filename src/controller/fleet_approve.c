#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "controller/audit.h"
#include "controller/controller_keys.h"
#include "controller/fleet_internal.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) A config that says one thing more or less than the change of this agent is refused, however
 *     well it is signed.
 * (2) First the config is durable on the store, then the agent is active: an agent that works is in
 *     the config.  After a failure between the two the same call ends it.
 */

static int check_config(const struct fleet *f, enum fleet_change change,
	const struct catalog_agent *a, const void *config, size_t len, struct domain *out,
	struct err *err)
{
	CLEANUP(domain_done) struct domain given = { .agents = NULL };
	CLEANUP(domain_done) struct domain wanted = { .agents = NULL };
	int rc = domain_decode(config, len, f->o.keys->officer_pk, &given, err);
	if (rc == -ERR_CORRUPT || rc == -ERR_UNSUPPORTED || rc == -ERR_LIMIT) {
		char msg[ERR_MSG_BYTES] = "";
		if (err != NULL)
			memcpy(msg, err->msg, sizeof(msg));
		return err_set(err, ERR_CONFIG, "%s", msg);
	}
	if (rc != 0)
		return rc;
	if (given.epoch != f->domain.epoch + 1) {
		(void)err_set(err, ERR_BUSY,
			"config has epoch %u, but %u comes next: there was another change",
			given.epoch, f->domain.epoch + 1);
		return err_hint(err, "fetch the config and sign again");
	}
	rc = fleet_next_config_make(&f->domain, change, a, &wanted, err);
	if (rc == 0)
		rc = fleet_next_config_check(&wanted, &given, err);
	if (rc != 0)
		return rc;
	*out = given;
	given.agents = NULL;
	return 0;
}

int fleet_approve_install(struct fleet *f, enum fleet_change change, const struct catalog_agent *a,
	const void *config, size_t len, struct err *err)
{
	CLEANUP(domain_done) struct domain next = { .agents = NULL };
	CLEANUP(buf_done) struct buf copy = BUF_INIT(FLEET_MAX_CONFIG);
	int rc = check_config(f, change, a, config, len, &next, err);
	if (rc == 0)
		rc = buf_add(&copy, config, len, err);
	if (rc == 0)
		rc = f->o.put_config(f->o.arg, config, len, err);
	if (rc != 0)
		return rc;
	struct domain old_domain = f->domain;
	struct buf old_config = f->config;
	f->domain = next;
	f->config = copy;
	next = old_domain;
	copy = old_config;
	return 0;
}

static int activate(
	struct fleet *f, const struct catalog_agent *before, const char *who, struct err *err)
{
	struct catalog_agent a = *before;
	char detail[128];
	a.state = AGENT_ACTIVE;
	a.approved_ms = fleet_now_ms();
	(void)snprintf(detail, sizeof(detail), "config %u, fingerprint %s", f->domain.epoch,
		a.fingerprint);
	int rc = db_begin(f->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_agent_set(f->o.db, &a, err);
	if (rc == 0)
		rc = audit_add(f->o.db, who, "", "agent.approve", a.name, "ok", detail, err);
	if (rc == 0)
		return db_commit(f->o.db, err);
	db_rollback(f->o.db);
	return rc;
}

static int approve(struct fleet *f, const struct catalog_agent *a, const void *config, size_t len,
	const char *who, struct err *err)
{
	if (a->state == AGENT_REVOKED)
		return err_set(err, ERR_NOT_FOUND, "agent '%s' was revoked", a->name);
	bool is_current =
		len == f->config.len && len > 0 && memcmp(config, f->config.data, len) == 0;
	int rc = 0;
	if (!is_current)
		rc = fleet_approve_install(f, FLEET_ADD, a, config, len, err);
	else if (!fleet_next_config_has(&f->domain, a))
		rc = err_set(err, ERR_CONFIG, "config has not the key of agent '%s'", a->name);
	if (rc != 0 || (is_current && a->state == AGENT_ACTIVE))
		return rc;
	return activate(f, a, who, err);
}

int fleet_approve(struct fleet *f, const uint8_t agent[16], const void *config, size_t len,
	const char *who, struct err *err)
{
	struct err why = ERR_INIT;
	struct catalog_agent a;
	int rc = catalog_agent_get(f->o.db, agent, &a, &why);
	if (rc == 0) {
		rc = approve(f, &a, config, len, who, &why);
		if (rc != 0) /* the answer is what counts */
			(void)audit_add(f->o.db, who, "", "agent.approve", a.name, err_id(rc),
				why.msg, NULL);
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}
