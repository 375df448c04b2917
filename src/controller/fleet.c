#include "controller/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/text.h"
#include "controller/audit.h"
#include "controller/controller_keys.h"
#include "controller/fleet_internal.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "db/db.h"
#include "net/http_server.h"

/*
 * INVARIANTS
 * (1) domain is what config says, and config is signed by keys->officer_pk.
 * (2) The catalog is asked who calls at each request: nothing about an agent is remembered here.
 * (3) What is changed and its audit record are one transaction.
 */

#define CERTIFICATE_S ((int64_t)30 * 24 * 3600)
#define CERTIFICATE_BEFORE_S 3600 /* clocks differ */
#define CERTIFICATE_AGAIN_S 60    /* given again within: the answer was lost */

static const char uri_prefix[] = "holdfast:agent:";

int64_t fleet_now_ms(void)
{
	return env_now_ns() / 1000000;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static int load(struct fleet *f, const void *config, size_t config_len, struct err *err)
{
	struct x509_info ca;
	int rc = x509_inspect(f->o.ca_pem, &ca, err);
	if (rc == 0 && !ca.is_ca)
		rc = err_set(err, ERR_CONFIG, "certificate is not that of a CA");
	if (rc != 0)
		return err_wrap(err, "the controller's CA");
	memcpy(f->ca_hash, ca.key_hash, sizeof(f->ca_hash));
	rc = domain_decode(config, config_len, f->o.keys->officer_pk, &f->domain, err);
	if (rc == 0)
		rc = buf_add(&f->config, config, config_len, err);
	if (rc == 0 && memcmp(f->domain.domain_id, f->o.keys->domain_id, 16) != 0)
		rc = err_set(err, ERR_CONFIG, "domain config is of another domain than the keys");
	return rc;
}

int fleet_new(const struct fleet_opts *opts, const void *config, size_t config_len,
	struct fleet **out, struct err *err)
{
	struct fleet *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the fleet");
	f->o = *opts;
	f->config = (struct buf)BUF_INIT(FLEET_MAX_CONFIG);
	int rc = load(f, config, config_len, err);
	if (rc != 0) {
		fleet_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	domain_done(&f->domain);
	buf_done(&f->config);
	free(f);
}

const void *fleet_config(const struct fleet *f, size_t *len)
{
	*len = f->config.len;
	return f->config.data;
}

const struct domain *fleet_domain(const struct fleet *f)
{
	return &f->domain;
}

bool fleet_lists(const struct fleet *f, const struct catalog_agent *agent)
{
	return fleet_next_config_has(&f->domain, agent);
}

/* ---- audit --------------------------------------------------------------------------------------
 */

void fleet_note_refusal(struct fleet *f, const char *who, const char *address, const char *action,
	const char *object, const char *detail)
{
	/* it stays refused when the record cannot be written */
	(void)audit_add_some(&f->refusals, f->o.db, who, address, action, object, err_id(ERR_AUTH),
		detail, NULL);
}

/* ---- tokens -------------------------------------------------------------------------------------
 */

static bool is_group(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len < DOMAIN_NAME_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int check_token(
	enum msg_role role, const char *name, const char *group, int64_t ttl_ms, struct err *err)
{
	if (role != MSG_ROLE_CAPTURE && role != MSG_ROLE_SANDBOX)
		return err_set(err, ERR_USAGE, "no such role");
	if (name[0] != '\0' && !msg_enrol_is_name(name)) {
		(void)err_set(err, ERR_USAGE, "'%s' is no name for an agent", name);
		return err_hint(err, "begin with a-z or 0-9, then also . _ -, at most %d",
			MSG_NAME_BYTES - 1);
	}
	if (role == MSG_ROLE_SANDBOX && !is_group(group)) {
		(void)err_set(err, ERR_USAGE,
			"a sandbox needs a drill group of a-z 0-9 and -, not '%s'", group);
		return err_hint(err, "give one with --group");
	}
	if (role == MSG_ROLE_CAPTURE && group[0] != '\0')
		return err_set(err, ERR_USAGE, "only a sandbox has a drill group");
	if (ttl_ms < 0 || ttl_ms > FLEET_TOKEN_TTL_MAX_MS)
		return err_set(err, ERR_USAGE, "a token is good for at most 7 days");
	return 0;
}

static int check_name_is_free(struct fleet *f, const char *name, struct err *err)
{
	struct catalog_agent other;
	struct err why = ERR_INIT;
	if (name[0] == '\0')
		return 0;
	int rc = catalog_agent_find(f->o.db, name, &other, &why);
	/* what begins an id may be a name all the same */
	if (rc == -ERR_NOT_FOUND || rc == -ERR_USAGE || (rc == 0 && strcmp(other.name, name) != 0))
		return 0;
	if (rc == 0 && other.state == AGENT_REVOKED)
		return 0;
	if (rc == 0) {
		(void)err_set(err, ERR_EXISTS, "there is an agent '%s' already", name);
		return err_hint(err, "revoke it first, or take another name");
	}
	if (err != NULL)
		*err = why;
	return rc;
}

/* The token's row and its audit record. */
static int keep_token(
	struct fleet *f, const struct catalog_token *row, const char *who, struct err *err)
{
	char detail[160], until[HUMAN_BYTES];
	(void)snprintf(detail, sizeof(detail), "group '%s', good until %s", row->group,
		human_time_utc(until, row->until_ms * 1000000)); /* fits */
	int rc = db_begin(f->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_agent_token_add(f->o.db, row, err);
	if (rc == 0)
		rc = audit_add(f->o.db, who, "", "token.make", row->name, "ok", detail, err);
	if (rc == 0)
		return db_commit(f->o.db, err);
	db_rollback(f->o.db);
	return rc;
}

int fleet_token(struct fleet *f, enum msg_role role, const char *name, const char *group,
	int64_t ttl_ms, const char *who, char out[MSG_TOKEN_TEXT_BYTES], struct err *err)
{
	int rc = check_token(role, name, group, ttl_ms, err);
	if (rc == 0)
		rc = check_name_is_free(f, name, err);
	if (rc != 0)
		return rc;
	struct msg_token t = { .address = "" };
	struct catalog_token row = { .role = role };
	char text[MSG_TOKEN_TEXT_BYTES];
	row.until_ms = fleet_now_ms() + (ttl_ms != 0 ? ttl_ms : FLEET_TOKEN_TTL_MS);
	(void)snprintf(row.name, sizeof(row.name), "%s", name); /* was checked to fit */
	(void)snprintf(row.group, sizeof(row.group), "%s", group);
	memcpy(t.ca_hash, f->ca_hash, sizeof(t.ca_hash));
	(void)snprintf(t.address, sizeof(t.address), "%s", f->o.people_address);
	rc = env_random(t.secret, sizeof(t.secret), err);
	hash_sha256(t.secret, sizeof(t.secret), row.hash);
	if (rc == 0)
		rc = msg_enrol_token_format(&t, text, err);
	if (rc == 0)
		rc = keep_token(f, &row, who, err);
	if (rc == 0)
		memcpy(out, text, sizeof(text));
	secret_wipe(&t, sizeof(t));
	secret_wipe(text, sizeof(text));
	return rc;
}

/* ---- certificates -------------------------------------------------------------------------------
 */

int fleet_issue(const struct fleet *f, const struct catalog_agent *a, const char *csr,
	struct buf *pem, int64_t *until_s, struct err *err)
{
	char uri[sizeof(uri_prefix) + FLEET_ID_HEX] = "";
	int64_t now_s = fleet_now_ms() / 1000;
	memcpy(uri, uri_prefix, sizeof(uri_prefix));
	text_hex(a->id, 16, uri + sizeof(uri_prefix) - 1);
	const struct x509_issue what = {
		.name = a->name,
		.uri = uri,
		.from_s = now_s - CERTIFICATE_BEFORE_S,
		.until_s = now_s + CERTIFICATE_S,
	};
	int rc = x509_issue(f->o.ca_pem, f->o.ca_key_pem, csr, &what, pem, err);
	if (rc == 0)
		*until_s = what.until_s;
	return rc;
}

int fleet_keep_agent(struct fleet *f, const struct catalog_agent *a, const char *who,
	const char *action, const char *detail, struct err *err)
{
	int rc = db_begin(f->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_agent_set(f->o.db, a, err);
	if (rc == 0)
		rc = audit_add(f->o.db, who, a->address, action, a->name, "ok", detail, err);
	if (rc == 0)
		return db_commit(f->o.db, err);
	db_rollback(f->o.db);
	return rc;
}

static bool is_zero(const uint8_t key[32])
{
	static const uint8_t zeros[32];
	return memcmp(key, zeros, sizeof(zeros)) == 0;
}

bool fleet_is_given_again(const struct catalog_agent *a)
{
	const int64_t since_s = fleet_now_ms() / 1000 - (a->certificate_until_s - CERTIFICATE_S);
	return since_s >= 0 && since_s < CERTIFICATE_AGAIN_S;
}

int fleet_renew(struct fleet *f, const struct catalog_agent *a, const char *csr, struct buf *pem,
	struct err *err)
{
	struct catalog_agent now;
	struct x509_info info;
	char who[FLEET_WHO_BYTES];
	size_t before = pem->len;
	if (strlen(csr) >= sizeof(now.csr))
		return err_set(err, ERR_CORRUPT, "request for a certificate is too long");
	int rc = catalog_agent_get(f->o.db, a->id, &now, err);
	if (rc == 0 && now.state != AGENT_ACTIVE)
		rc = err_set(err, ERR_AUTH, "agent '%s' is %s", now.name,
			catalog_agent_state_name(now.state));
	if (rc == 0)
		rc = x509_inspect(csr, &info, err);
	if (rc != 0)
		return rc;
	bool is_same = memcmp(info.key_hash, now.tls_key_hash, sizeof(info.key_hash)) == 0;
	bool is_listed = memcmp(info.key_hash, now.next_key_hash, sizeof(info.key_hash)) == 0 ||
			 (is_same && is_zero(now.next_key_hash));
	bool is_again = fleet_is_given_again(&now); /* no change, and no record of it */
	if (is_again && !is_listed) {
		(void)err_set(err, ERR_BUSY, "this agent was given a certificate a moment ago");
		return err_hint(err, "ask again in a minute");
	}
	rc = fleet_issue(f, &now, csr, pem, &now.certificate_until_s, err);
	if (rc != 0 || is_again)
		return rc;
	memset(now.next_key_hash, 0, sizeof(now.next_key_hash));
	if (!is_same)
		memcpy(now.next_key_hash, info.key_hash, sizeof(now.next_key_hash));
	(void)snprintf(now.csr, sizeof(now.csr), "%s", csr); /* was checked to fit */
	(void)snprintf(who, sizeof(who), "agent:%s", now.name);
	rc = fleet_keep_agent(
		f, &now, who, "agent.renew", is_same ? "the same key" : "another key", err);
	if (rc != 0)
		pem->len = before;
	return rc;
}

/* ---- who calls ----------------------------------------------------------------------------------
 */

static int refuse(struct fleet *f, const struct http_peer *peer, const char *name, const char *why,
	struct err *err)
{
	char who[FLEET_WHO_BYTES];
	(void)snprintf(who, sizeof(who), "agent:%s", name); /* cut as the record would be */
	fleet_note_refusal(f, who, peer->address, "agent.refused", peer->uri, why);
	(void)err_set(err, ERR_AUTH, "%s", why);
	return err_hint(err, "ask who runs the controller to enrol this agent again");
}

/* A renewed key is used for the first time: the one before is struck. */
static int promote(struct fleet *f, struct catalog_agent *a, struct err *err)
{
	char who[FLEET_WHO_BYTES];
	memcpy(a->tls_key_hash, a->next_key_hash, sizeof(a->tls_key_hash));
	memset(a->next_key_hash, 0, sizeof(a->next_key_hash));
	(void)snprintf(who, sizeof(who), "agent:%s", a->name);
	return fleet_keep_agent(f, a, who, "agent.key", "the renewed key is in use", err);
}

int fleet_identify(struct fleet *f, const struct http_peer *peer, enum msg_role need,
	struct catalog_agent *out, struct err *err)
{
	const size_t prefix = sizeof(uri_prefix) - 1;
	struct catalog_agent a;
	uint8_t id[16];
	if (!peer->has_cert)
		return err_set(err, ERR_AUTH, "a certificate is needed here");
	if (strncmp(peer->uri, uri_prefix, prefix) != 0 || strlen(peer->uri) != prefix + 32 ||
		text_unhex(peer->uri + prefix, 16, id) != 0)
		return refuse(f, peer, "?", "certificate names no agent", err);
	int rc = catalog_agent_get(f->o.db, id, &a, err);
	if (rc == -ERR_NOT_FOUND)
		return refuse(
			f, peer, "?", "certificate is of an agent that is not known here", err);
	if (rc != 0)
		return rc;
	bool is_current = hash_is_equal(a.tls_key_hash, peer->key_hash, HASH_BYTES) != 0;
	bool is_next = !is_zero(a.next_key_hash) &&
		       hash_is_equal(a.next_key_hash, peer->key_hash, HASH_BYTES) != 0;
	if (!is_current && !is_next)
		return refuse(f, peer, a.name, "certificate has another key than is listed", err);
	if (a.state == AGENT_REVOKED)
		return refuse(f, peer, a.name, "agent was revoked", err);
	if (a.state != AGENT_ACTIVE)
		return refuse(f, peer, a.name, "agent is not approved", err);
	if (need != 0 && a.role != need)
		return refuse(f, peer, a.name, "agent has not the role for this", err);
	if (!is_current)
		rc = promote(f, &a, err);
	if (rc == 0)
		*out = a;
	return rc;
}
