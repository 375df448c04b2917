#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/audit.h"
#include "controller/controller_keys.h"
#include "controller/fleet_internal.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) Nothing about the fleet is told to who has no good token: the token is looked at first, and
 *     every reason to refuse it has one text.
 * (2) The agent, the spent token and the audit record are one transaction.
 * (3) A key of an agent, revoked or not, never becomes that of another.
 */

static int refuse(struct fleet *f, const struct msg_enrol *m, const char *address, const char *why,
	struct err *err)
{
	fleet_note_refusal(f, "stranger", address, "enrol.refused", m->name, why);
	(void)err_set(err, ERR_AUTH, "enrolment token is not good");
	return err_hint(err, "ask for a new token, and check the role and the name");
}

static void put_answer(
	const struct fleet *f, const uint8_t agent_id[16], struct msg_enrol_answer *out)
{
	memcpy(out->agent_id, agent_id, 16);
	memcpy(out->domain_id, f->o.keys->domain_id, 16);
	memcpy(out->vault_id, f->o.keys->vault_id, 16);
	memcpy(out->officer, f->o.keys->officer_pk, 32);
}

/* A spent token once more: the same keys get the same answer. */
static int answer_again(struct fleet *f, const struct msg_enrol *m, const struct catalog_token *t,
	const char *address, struct msg_enrol_answer *out, struct err *err)
{
	struct catalog_agent a;
	if (memcmp(t->key, m->ik, sizeof(t->key)) != 0)
		return refuse(f, m, address, "token was spent by other keys", err);
	int rc = catalog_agent_get(f->o.db, t->agent_id, &a, err);
	if (rc != 0)
		return rc;
	if (a.state == AGENT_REVOKED)
		return refuse(f, m, address, "agent of this token was revoked", err);
	if (a.role != m->role || strcmp(a.name, m->name) != 0 || strcmp(a.csr, m->csr) != 0 ||
		memcmp(a.delivery, m->delivery, 32) != 0 || memcmp(a.dk, m->dk, 32) != 0 ||
		memcmp(a.report, m->report, 32) != 0)
		return refuse(f, m, address, "token was spent by another request", err);
	put_answer(f, a.id, out);
	return 0;
}

struct search {
	const struct msg_enrol *m;
	const uint8_t *tls_key_hash;
};

static int is_key_used(void *arg, const struct catalog_agent *a)
{
	const struct search *s = arg;
	return memcmp(a->ik, s->m->ik, 32) == 0 || memcmp(a->delivery, s->m->delivery, 32) == 0 ||
	       memcmp(a->tls_key_hash, s->tls_key_hash, 32) == 0 ||
	       (s->m->role == MSG_ROLE_SANDBOX && a->role == MSG_ROLE_SANDBOX &&
		       (memcmp(a->dk, s->m->dk, 32) == 0 ||
			       memcmp(a->report, s->m->report, 32) == 0));
}

static int check_keys(
	struct fleet *f, const struct msg_enrol *m, const uint8_t tls_key_hash[32], struct err *err)
{
	struct search s = { .m = m, .tls_key_hash = tls_key_hash };
	int rc = catalog_agent_each(f->o.db, is_key_used, &s, err);
	for (size_t i = 0; rc == 0 && i < f->domain.agent_count; i++)
		rc = memcmp(f->domain.agents[i].ik_pk, m->ik, 32) == 0;
	if (rc <= 0)
		return rc;
	(void)err_set(err, ERR_EXISTS, "a key of this request belongs to an agent already");
	return err_hint(err, "make new keys: remove the agent's state directory and enrol again");
}

static int fill(const struct fleet *f, const struct msg_enrol *m, const struct catalog_token *t,
	const char *address, struct catalog_agent *a, struct err *err)
{
	struct x509_info info;
	struct msg_enrol_answer answer;
	int rc = x509_inspect(m->csr, &info, err);
	if (rc == 0)
		rc = env_random(a->id, sizeof(a->id), err);
	if (rc != 0)
		return rc;
	a->role = m->role;
	a->state = AGENT_PENDING;
	a->enrolled_ms = fleet_now_ms();
	(void)snprintf(a->name, sizeof(a->name), "%s", m->name);
	(void)snprintf(a->version, sizeof(a->version), "%s", m->version);
	(void)snprintf(a->csr, sizeof(a->csr), "%s", m->csr);
	(void)snprintf(a->group, sizeof(a->group), "%s", t->group);
	(void)snprintf(a->address, sizeof(a->address), "%s", address);
	memcpy(a->tls_key_hash, info.key_hash, sizeof(a->tls_key_hash));
	memcpy(a->ik, m->ik, sizeof(a->ik));
	memcpy(a->delivery, m->delivery, sizeof(a->delivery));
	memcpy(a->dk, m->dk, sizeof(a->dk));
	memcpy(a->report, m->report, sizeof(a->report));
	put_answer(f, a->id, &answer);
	msg_enrol_fingerprint(m, &answer, info.key_hash, f->ca_hash, a->fingerprint);
	/* a certificate that nobody gets: it checks that the request is signed by its key */
	CLEANUP(buf_done) struct buf pem = BUF_INIT(X509_MAX_PEM);
	int64_t until_s = 0;
	return fleet_issue(f, a, m->csr, &pem, &until_s, err);
}

static int keep(struct fleet *f, const struct catalog_agent *a, const struct catalog_token *t,
	struct err *err)
{
	char who[FLEET_WHO_BYTES];
	(void)snprintf(who, sizeof(who), "agent:%s", a->name);
	int rc = db_begin(f->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_agent_add(f->o.db, a, err);
	if (rc == 0)
		rc = catalog_agent_token_spend(f->o.db, t->hash, a->enrolled_ms, a->id, a->ik, err);
	if (rc == 0)
		rc = audit_add(f->o.db, who, a->address, "agent.enrol", a->name, "ok",
			a->fingerprint, err);
	if (rc == 0)
		return db_commit(f->o.db, err);
	db_rollback(f->o.db);
	return rc;
}

int fleet_enrol(struct fleet *f, const struct msg_enrol *m, const char *address,
	struct msg_enrol_answer *out, struct err *err)
{
	struct catalog_token t;
	struct catalog_agent a = { .role = 0 };
	uint8_t hash[HASH_BYTES];
	hash_sha256(m->secret, sizeof(m->secret), hash);
	int rc = catalog_agent_token_get(f->o.db, hash, &t, err);
	if (rc == -ERR_NOT_FOUND)
		return refuse(f, m, address, "no such token", err);
	if (rc != 0)
		return rc;
	if (t.spent_ms != 0)
		return answer_again(f, m, &t, address, out, err);
	if (fleet_now_ms() >= t.until_ms)
		return refuse(f, m, address, "token is past its time", err);
	if (t.role != m->role)
		return refuse(f, m, address, "token is for another role", err);
	if (t.name[0] != '\0' && strcmp(t.name, m->name) != 0)
		return refuse(f, m, address, "token is for another name", err);
	rc = fill(f, m, &t, address, &a, err);
	if (rc == 0)
		rc = check_keys(f, m, a.tls_key_hash, err);
	if (rc == 0)
		rc = keep(f, &a, &t, err);
	if (rc == 0)
		put_answer(f, a.id, out);
	return rc;
}
