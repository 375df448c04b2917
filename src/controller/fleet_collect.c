#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "controller/audit.h"
#include "controller/controller_keys.h"
#include "controller/fleet_internal.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "db/db.h"
#include "vault/keyring.h"

/*
 * INVARIANTS
 * (1) Keys leave only sealed to the delivery key that was compared at approval (it is part of the
 *     fingerprint), and only for an agent that is active.
 * (2) K_vault never leaves; K_mle and K_cdc go to the role capture alone.
 */

#define CLOCK_MS ((int64_t)10 * 60 * 1000)

static int refuse(struct fleet *f, const char *name, const char *why, struct err *err)
{
	fleet_note_refusal(f, "stranger", "", "collect.refused", name, why);
	(void)err_set(err, ERR_AUTH, "no such agent here");
	return err_hint(err, "enrol again with a new token");
}

static int check_caller(
	struct fleet *f, const struct msg_collect *m, struct catalog_agent *a, struct err *err)
{
	int rc = catalog_agent_get(f->o.db, m->agent_id, a, err);
	if (rc == -ERR_NOT_FOUND)
		return refuse(f, "?", "no such agent", err);
	if (rc != 0)
		return rc;
	if (hash_is_equal(a->ik, m->ik, sizeof(a->ik)) == 0)
		return refuse(f, a->name, "another identity key", err);
	if (a->state == AGENT_REVOKED)
		return refuse(f, a->name, "agent was revoked", err);
	int64_t now = fleet_now_ms();
	if (m->at_ms > now + CLOCK_MS || m->at_ms < now - CLOCK_MS) {
		fleet_note_refusal(f, a->name, "", "collect.refused", a->name, "clock is off");
		(void)err_set(err, ERR_AUTH, "clocks are more than 10 minutes apart");
		return err_hint(err, "set the clock of this host, or that of the controller");
	}
	if (a->state != AGENT_ACTIVE)
		return err_set(err, ERR_BUSY, "agent is not approved yet");
	return 0;
}

static int seal_keys(
	const struct fleet *f, const struct catalog_agent *a, struct buf *out, struct err *err)
{
	const struct controller_keys *keys = f->o.keys;
	struct msg_keys k = { .kv_epoch = keys->kv_epoch, .config_epoch = f->domain.epoch };
	memcpy(k.vault_id, keys->vault_id, sizeof(k.vault_id));
	memcpy(k.domain_id, keys->domain_id, sizeof(k.domain_id));
	memcpy(k.agent_id, a->id, sizeof(k.agent_id));
	memcpy(k.rk_pk, keys->rk_pk, sizeof(k.rk_pk));
	if (a->role == MSG_ROLE_CAPTURE)
		keyring_epoch_keys(keys->k_dom, keys->domain_id, keys->kv_epoch, k.k_mle, k.k_cdc);
	int rc = msg_enrol_keys_seal(&k, a->delivery, out, err);
	secret_wipe(&k, sizeof(k));
	return rc;
}

/* Copy into memory that the grant owns. */
static int give(const void *data, size_t len, uint8_t **out, size_t *out_len, struct err *err)
{
	*out = malloc(len > 0 ? len : 1);
	if (*out == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a grant");
	memcpy(*out, data, len);
	*out_len = len;
	return 0;
}

static int give_text(const char *text, char **out, struct err *err)
{
	*out = strdup(text);
	return *out != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory for a grant");
}

static int fill(
	struct fleet *f, struct catalog_agent *a, struct msg_enrol_grant *g, struct err *err)
{
	CLEANUP(buf_done) struct buf pem = BUF_INIT(X509_MAX_PEM);
	CLEANUP(buf_done) struct buf keys = BUF_INIT(1024);
	int rc = fleet_issue(f, a, a->csr, &pem, &a->certificate_until_s, err);
	if (rc == 0)
		rc = seal_keys(f, a, &keys, err);
	if (rc == 0 && buf_cstr(&pem) == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory for a certificate");
	if (rc == 0)
		rc = give_text(buf_cstr(&pem), &g->certificate, err);
	if (rc == 0)
		rc = give_text(f->o.ca_pem, &g->ca, err);
	if (rc == 0)
		rc = give(f->config.data, f->config.len, &g->config, &g->config_len, err);
	if (rc == 0)
		rc = give(keys.data, keys.len, &g->keys, &g->keys_len, err);
	(void)snprintf(g->address, sizeof(g->address), "%s", f->o.agents_address);
	return rc;
}

static int keep(struct fleet *f, const struct catalog_agent *a, struct err *err)
{
	char who[FLEET_WHO_BYTES];
	(void)snprintf(who, sizeof(who), "agent:%s", a->name);
	int rc = db_begin(f->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_agent_set(f->o.db, a, err);
	if (rc == 0)
		rc = audit_add(f->o.db, who, a->address, "agent.collect", a->name, "ok",
			"certificate and keys were given", err);
	if (rc == 0)
		return db_commit(f->o.db, err);
	db_rollback(f->o.db);
	return rc;
}

int fleet_collect(
	struct fleet *f, const struct msg_collect *m, struct msg_enrol_grant *out, struct err *err)
{
	CLEANUP(msg_enrol_grant_done) struct msg_enrol_grant g = { .certificate = NULL };
	struct catalog_agent a;
	int rc = check_caller(f, m, &a, err);
	const bool is_again = rc == 0 && fleet_is_given_again(&a); /* it is on record */
	if (rc == 0)
		rc = fill(f, &a, &g, err);
	if (rc == 0 && !is_again)
		rc = keep(f, &a, err);
	if (rc != 0)
		return rc;
	*out = g;
	g = (struct msg_enrol_grant){ .certificate = NULL };
	return 0;
}
