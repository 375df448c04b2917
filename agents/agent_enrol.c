#include "agents/agent_enrol.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_state.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "net/http_client.h"
#include "vault/domain.h"

/*
 *   NEW --(CA fetched and compared, request answered)--> WAITING --(approved, all checked)-->
 * ENROLLED
 *
 * INVARIANTS
 * (1) The file holds the keys before the first request that names them.
 * (2) Nothing that was delivered is kept before all of it is checked against what was shown.
 * (3) Until the controller has answered, another token, name or role begins anew with new keys;
 *     from then on another token is refused.
 */

#define ANSWER_MAX ((size_t)2 << 20)
#define JSON "application/json"
#define RETRY_MS 30000

/* ${dir}, that the CA was kept in, is for texts; NULL with ${ca}. */
static int new_client(const char *address, const char *ca, const char *dir,
	struct http_client **out, struct err *err)
{
	char from[PATH_MAX];
	(void)snprintf(from, sizeof(from), "%s/" AGENT_STATE_FILE,
		dir == NULL ? "" : dir); /* for a text: cut is fine */
	struct http_client_opts o = { .address = address,
		.ca_pem = ca,
		.ca_from = ca == NULL ? NULL : from,
		.retry_ms = RETRY_MS,
		.connections = 1 };
	return http_client_new(&o, out, err);
}

DEFINE_CLEANUP(struct http_client *, http_client_free)

/* Step 2: the CA of the token, from whoever answers. */
static int fetch_ca(struct agent_state *s, struct err *err)
{
	CLEANUP(http_client_free_p) struct http_client *c = NULL;
	CLEANUP(buf_done) struct buf pem = BUF_INIT(MSG_PEM_BYTES - 1);
	struct x509_info info = { .is_ca = false };
	struct http_call call = {
		.method = HTTP_GET, .path = "/v1/ca", .max_answer = MSG_PEM_BYTES - 1
	};
	int rc = new_client(s->people, NULL, NULL, &c, err);
	if (rc == 0)
		rc = http_client_call(c, &call, NULL, &pem, err);
	if (rc != 0)
		return rc;
	const char *text = buf_cstr(&pem);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = x509_inspect(text, &info, err);
	if (rc == 0 && memcmp(info.key_hash, s->ca_hash, sizeof(s->ca_hash)) != 0) {
		rc = err_set(err, ERR_AUTH, "the controller at '%s' is not the one of the token",
			s->people);
		(void)err_hint(err,
			"the token is cut or another controller's: enrol again with the right one; "
			"if it is right and so is the address, somebody is between this host and "
			"the controller");
	}
	if (rc == 0)
		(void)snprintf(s->ca, sizeof(s->ca), "%s", text); /* fits */
	return rc;
}

/* Step 3. */
static int ask(struct agent_state *s, struct http_client *c, struct err *err)
{
	CLEANUP(buf_done) struct buf csr = BUF_INIT(MSG_PEM_BYTES - 1);
	CLEANUP(buf_wipe) struct buf body = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(65536);
	int rc = x509_request_new(s->tls_key, s->request.name, &csr, err);
	if (rc != 0)
		return rc;
	memcpy(s->request.csr, csr.data, csr.len);
	s->request.csr[csr.len] = '\0';
	rc = msg_enrol_encode(&s->request, s->ik_seed, &body, err);
	struct http_call call = { .method = HTTP_POST,
		.path = "/v1/enrol",
		.type = JSON,
		.body = body.data,
		.len = body.len,
		.max_answer = 65536 };
	if (rc == 0)
		rc = http_client_call(c, &call, NULL, &answer, err);
	if (rc == -ERR_AUTH)
		(void)err_hint(err,
			"this host asked as '%s', role %s: compare name and role in agent.conf "
			"with the token's; a token is good once and for a short time: enrol again "
			"with another if it was that; the controller's audit says why",
			s->request.name, msg_enrol_role_name(s->request.role));
	return rc != 0 ? rc : msg_enrol_answer_decode(answer.data, answer.len, &s->answer, err);
}

static int key_hash(const struct agent_state *s, uint8_t out[32], struct err *err)
{
	CLEANUP(buf_done) struct buf csr = BUF_INIT(MSG_PEM_BYTES);
	struct x509_info info = { .is_ca = false };
	int rc = x509_request_new(s->tls_key, s->request.name, &csr, err);
	const char *text = rc == 0 ? buf_cstr(&csr) : NULL;
	if (rc == 0)
		rc = text == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				  : x509_inspect(text, &info, err);
	if (rc == 0)
		memcpy(out, info.key_hash, 32);
	return rc;
}

/* ---- what was delivered ---------------------------------------------------------------------- */

static int check_certificate(
	const struct agent_state *s, const struct msg_enrol_grant *g, struct err *err)
{
	struct x509_info info = { .is_ca = false };
	uint8_t ours[32];
	char id[33];
	char uri[64];
	int rc = x509_inspect(g->ca, &info, err);
	if (rc == 0 && memcmp(info.key_hash, s->ca_hash, 32) != 0)
		rc = err_set(err, ERR_AUTH, "the CA that was delivered is not the token's");
	if (rc == 0)
		rc = x509_check(g->ca, g->certificate, env_now_ns() / 1000000000, err);
	if (rc == 0)
		rc = x509_inspect(g->certificate, &info, err);
	if (rc == 0)
		rc = key_hash(s, ours, err);
	if (rc != 0)
		return rc;
	text_hex(s->answer.agent_id, 16, id);
	(void)snprintf(uri, sizeof(uri), "holdfast:agent:%s", id); /* fits */
	if (memcmp(info.key_hash, ours, 32) != 0 || strcmp(info.uri, uri) != 0)
		return err_set(
			err, ERR_AUTH, "the certificate that was delivered is not this agent's");
	return 0;
}

/* The config must list what makes this agent what it is. */
static bool is_listed(const struct agent_state *s, const struct domain *d)
{
	for (size_t i = 0; s->request.role == MSG_ROLE_CAPTURE && i < d->agent_count; i++) {
		const struct domain_agent *a = &d->agents[i];
		if (!a->is_revoked && memcmp(a->ik_pk, s->request.ik, 32) == 0 &&
			memcmp(a->agent_id, s->answer.agent_id, 16) == 0)
			return true;
	}
	for (size_t i = 0; s->request.role == MSG_ROLE_SANDBOX && i < d->group_count; i++) {
		if (memcmp(d->groups[i].dk_pk, s->request.dk, 32) == 0)
			return true;
	}
	return false;
}

static int check_config(const struct agent_state *s, const struct msg_enrol_grant *g,
	const struct msg_keys *k, struct err *err)
{
	struct domain d = { .epoch = 0 };
	int rc = domain_decode(g->config, g->config_len, s->answer.officer, &d, err);
	if (rc != 0)
		return rc;
	bool has_rk = false;
	for (size_t i = 0; i < d.recovery_count; i++)
		has_rk = has_rk || memcmp(d.recovery_pk[i], k->rk_pk, 32) == 0;
	if (memcmp(d.domain_id, s->answer.domain_id, 16) != 0 || d.epoch < k->config_epoch)
		rc = err_set(err, ERR_AUTH,
			"the config that was delivered is of another domain or "
			"older than the keys");
	else if (!has_rk)
		rc = err_set(
			err, ERR_AUTH, "the recovery key that was delivered is not in the config");
	else if (!is_listed(s, &d))
		rc = err_set(
			err, ERR_AUTH, "the config that was delivered does not list this agent");
	domain_done(&d);
	return rc;
}

/* Step 5, its end. */
static int accept(struct agent_state *s, const struct msg_enrol_grant *g, struct err *err)
{
	struct msg_keys k;
	int is_new = 0;
	int rc = check_certificate(s, g, err);
	if (rc == 0)
		rc = msg_enrol_keys_open(g->keys, g->keys_len, s->delivery_sk, s->answer.domain_id,
			s->answer.agent_id, &k, err);
	if (rc != 0)
		return rc;
	if (memcmp(k.vault_id, s->answer.vault_id, 16) != 0)
		rc = err_set(err, ERR_AUTH, "the keys that were delivered are of another vault");
	if (rc == 0)
		rc = check_config(s, g, &k, err);
	if (rc == 0) {
		s->keys = k;
		rc = agent_state_take_config(s, g->config, g->config_len, &is_new, err);
	}
	secret_wipe(&k, sizeof(k));
	if (rc != 0)
		return rc;
	(void)snprintf(s->certificate, sizeof(s->certificate), "%s", g->certificate); /* fits */
	(void)snprintf(s->agents, sizeof(s->agents), "%s", g->address); /* same size */
	secret_wipe(s->request.secret, sizeof(s->request.secret));
	s->stage = AGENT_STAGE_ENROLLED;
	return 0;
}

/* Ask once.  Return 1 (enrolled), 0 (not approved yet) or an error. */
static int collect(struct agent_state *s, struct http_client *c, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(ANSWER_MAX);
	struct msg_collect m = { .at_ms = env_now_ns() / 1000000 };
	struct msg_enrol_grant g = { .certificate = NULL };
	int status = 0;
	memcpy(m.agent_id, s->answer.agent_id, sizeof(m.agent_id));
	memcpy(m.ik, s->request.ik, sizeof(m.ik));
	int rc = msg_enrol_collect_encode(&m, s->ik_seed, &body, err);
	struct http_call call = { .method = HTTP_POST,
		.path = "/v1/enrol/collect",
		.type = JSON,
		.body = body.data,
		.len = body.len,
		.max_answer = ANSWER_MAX };
	if (rc == 0)
		rc = http_client_call(c, &call, &status, &answer, err);
	if (rc != 0 || status == 202)
		return rc;
	rc = msg_enrol_grant_decode(answer.data, answer.len, &g, err);
	if (rc == 0)
		rc = accept(s, &g, err);
	msg_enrol_grant_done(&g);
	return rc == 0 ? 1 : rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int make(const struct agent_enrol_opts *o, const struct msg_token *token,
	struct agent_state *s, struct err *err)
{
	int rc = agent_state_make(token, o->role, o->name, s, err);
	return rc != 0 ? rc : agent_state_save(o->dir, s, err);
}

static bool is_same_token(const struct agent_state *s, const struct msg_token *token)
{
	return memcmp(s->request.secret, token->secret, sizeof(token->secret)) == 0 &&
	       memcmp(s->ca_hash, token->ca_hash, sizeof(token->ca_hash)) == 0 &&
	       strcmp(s->people, token->address) == 0;
}

/* INVARIANT 3.  ${given} is NULL when no token was given. */
static int go_on(const struct agent_enrol_opts *o, const struct msg_token *given,
	struct agent_state *s, struct err *err)
{
	bool is_same = given == NULL || is_same_token(s, given);
	if (s->stage == AGENT_STAGE_WAITING) {
		if (is_same)
			return 0;
		(void)err_set(err, ERR_EXISTS,
			"'%s' waits for its approval as '%s' already, with another token", o->dir,
			s->request.name);
		return err_hint(err,
			"run it again without a token to go on waiting; to begin anew, revoke '%s' "
			"at the controller and remove this directory",
			s->request.name);
	}
	if (is_same && s->request.role == o->role && strcmp(s->request.name, o->name) == 0)
		return 0;
	struct msg_token token = { .address = "" };
	memcpy(token.secret, s->request.secret, sizeof(token.secret));
	memcpy(token.ca_hash, s->ca_hash, sizeof(token.ca_hash));
	(void)snprintf(token.address, sizeof(token.address), "%s", s->people); /* same size */
	agent_state_done(s);
	int rc = make(o, given != NULL ? given : &token, s, err);
	secret_wipe(&token, sizeof(token));
	return rc;
}

static int begin(const struct agent_enrol_opts *o, struct agent_state *s, struct err *err)
{
	struct msg_token token = { .address = "" };
	struct err why = ERR_INIT;
	int rc = agent_state_load(o->dir, s, &why);
	if (rc == 0 && s->stage == AGENT_STAGE_ENROLLED) {
		rc = err_set(err, ERR_EXISTS, "'%s' holds an enrolled agent already", o->dir);
		(void)err_hint(err,
			"use another state directory, or remove this one after the agent "
			"was revoked");
		return rc;
	}
	if (rc != 0 && rc != -ERR_NOT_FOUND) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	bool has_begun = rc == 0;
	if (o->token == NULL && !has_begun)
		return err_set(err, ERR_USAGE,
			"nothing was begun in '%s': an enrolment token is needed", o->dir);
	rc = o->token == NULL ? 0 : msg_enrol_token_parse(o->token, &token, err);
	if (rc == 0)
		rc = has_begun ? go_on(o, o->token == NULL ? NULL : &token, s, err)
			       : make(o, &token, s, err);
	secret_wipe(&token, sizeof(token));
	return rc;
}

static int show(const struct agent_enrol_opts *o, const struct agent_state *s, struct err *err)
{
	char fingerprint[MSG_FINGERPRINT_BYTES];
	uint8_t hash[32];
	int rc = key_hash(s, hash, err);
	if (rc != 0)
		return rc;
	msg_enrol_fingerprint(&s->request, &s->answer, hash, s->ca_hash, fingerprint);
	o->on_fingerprint(o->arg, fingerprint, s->request.name);
	return 0;
}

static int wait_for_it(const struct agent_enrol_opts *o, struct agent_state *s,
	struct http_client *c, struct err *err)
{
	for (;;) {
		int rc = collect(s, c, err);
		if (rc == 1)
			return 0;
		if (rc < 0 && rc != -ERR_UNREACHABLE)
			return rc;
		if (o->is_stopped(o->arg)) {
			rc = err_set(err, ERR_INTERRUPTED, "not approved yet");
			(void)err_hint(err, "run it again, without a token, to go on waiting");
			return rc;
		}
		o->on_wait(o->arg, AGENT_ENROL_POLL_MS);
	}
}

static int run(const struct agent_enrol_opts *o, struct agent_state *s, struct err *err)
{
	CLEANUP(http_client_free_p) struct http_client *c = NULL;
	int rc = begin(o, s, err);
	if (rc == 0 && s->stage == AGENT_STAGE_NEW)
		rc = fetch_ca(s, err);
	if (rc == 0)
		rc = new_client(s->people, s->ca, o->dir, &c, err);
	if (rc == 0 && s->stage == AGENT_STAGE_NEW) {
		rc = ask(s, c, err);
		if (rc == 0) {
			s->stage = AGENT_STAGE_WAITING;
			rc = agent_state_save(o->dir, s, err);
		}
	}
	if (rc == 0)
		rc = show(o, s, err);
	if (rc == 0)
		rc = wait_for_it(o, s, c, err);
	return rc != 0 ? rc : agent_state_save(o->dir, s, err);
}

int agent_enrol_run(const struct agent_enrol_opts *opts, struct err *err)
{
	struct agent_state s = { .stage = 0 };
	int rc = run(opts, &s, err);
	agent_state_done(&s);
	return rc;
}
