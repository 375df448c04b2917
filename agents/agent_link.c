#include "agents/agent_link.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/agent_conf.h"
#include "agents/agent_state.h"
#include "agents/sources_conf.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/version.h"
#include "crypto/x509.h"
#include "net/http_client.h"

/*
 * INVARIANTS
 * (1) A certificate is used only after it was checked and saved.
 */

#define JSON "application/json"
#define ANSWER_MAX ((size_t)3 << 20)
#define RETRY_MS 30000
#define PATH_BYTES 96

struct agent_link {
	struct agent_link_opts opts;
	struct http_client *client; /* owned */
};

DEFINE_CLEANUP(struct agent_link *, agent_link_free)

static int connect_as(const struct agent_link *l, const char *certificate,
	bool (*is_stopped)(void *arg), void *arg, struct http_client **out, struct err *err)
{
	const struct agent_state *s = l->opts.state;
	char from[PATH_MAX];
	(void)snprintf(from, sizeof(from), "%s/" AGENT_STATE_FILE,
		l->opts.conf->state); /* for a text: cut is fine */
	struct http_client_opts o = { .address = s->agents,
		.ca_pem = s->ca,
		.ca_from = from,
		.cert_pem = certificate,
		.key_pem = s->tls_key,
		.retry_ms = RETRY_MS,
		.connections = l->opts.conf->connections,
		.bytes_per_s = l->opts.conf->bytes_per_s,
		.is_stopped = is_stopped,
		.arg = arg };
	return http_client_new(&o, out, err);
}

int agent_link_connect(const struct agent_link *l, bool (*is_stopped)(void *arg), void *arg,
	struct http_client **out, struct err *err)
{
	return connect_as(l, l->opts.state->certificate, is_stopped, arg, out, err);
}

int agent_link_new(const struct agent_link_opts *opts, struct agent_link **out, struct err *err)
{
	CLEANUP(agent_link_free_p) struct agent_link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->opts = *opts;
	int rc = connect_as(
		l, opts->state->certificate, opts->is_stopped, opts->arg, &l->client, err);
	if (rc == 0)
		*out = TAKE(l);
	return rc;
}

void agent_link_free(struct agent_link *l)
{
	if (l == NULL)
		return;
	http_client_free(l->client);
	free(l);
}

struct http_client *agent_link_client(struct agent_link *l)
{
	return l->client;
}

/* POST ${body} to ${path}; ${answer} may be NULL. */
static int post(struct agent_link *l, const char *path, const struct buf *body, int wait_ms,
	int *status, struct buf *answer, struct err *err)
{
	struct http_call call = { .method = HTTP_POST,
		.path = path,
		.type = JSON,
		.body = body->data,
		.len = body->len,
		.max_answer = ANSWER_MAX,
		.wait_ms = wait_ms };
	return http_client_call(l->client, &call, status, answer, err);
}

/* ---- hello ----------------------------------------------------------------------------------- */

static const char *type_of(const struct sources_conf_source *s)
{
	return s->type == SOURCES_CONF_POSTGRES ? "postgres" : "files";
}

static const char *consistency_of(const struct sources_conf_source *s)
{
	static const char *const words[] = { "fuzzy", "quiesced", "crash", "application" };
	return words[s->consistency - ROOT_FUZZY];
}

static int list_sources(const struct sources_conf *conf, struct msg_hello *m, struct err *err)
{
	size_t count = conf == NULL ? 0 : sources_conf_count(conf);
	if (count > MSG_MAX_SOURCES)
		return err_set(err, ERR_LIMIT, "an agent has at most %d sources", MSG_MAX_SOURCES);
	m->sources = calloc(count + 1, sizeof(*m->sources));
	if (m->sources == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct sources_conf_source *s = sources_conf_at(conf, i);
		struct msg_source *to = &m->sources[i];
		(void)snprintf(
			to->name, sizeof(to->name), "%s", s->name); /* checked by agent_conf */
		(void)snprintf(to->type, sizeof(to->type), "%s", type_of(s)); /* fits */
		(void)snprintf(to->consistency, sizeof(to->consistency), "%s", consistency_of(s));
	}
	m->source_count = count;
	return 0;
}

static int take_welcome(
	struct agent_link *l, const struct buf *answer, int64_t *poll_ms, struct err *err)
{
	struct agent_state *s = l->opts.state;
	CLEANUP(msg_work_welcome_done) struct msg_welcome m = { .clock_ms = 0 };
	int is_new = 0;
	int rc = msg_work_welcome_decode(answer->data, answer->len, &m, err);
	if (rc == 0 && memcmp(m.agent_id, s->answer.agent_id, 16) != 0)
		rc = err_set(err, ERR_CORRUPT, "the controller takes this agent for another");
	if (rc == 0)
		rc = agent_state_take_config(s, m.config, m.config_len, &is_new, err);
	if (rc == 0 && is_new)
		rc = agent_state_save(l->opts.conf->state, s, err);
	if (rc == 0)
		*poll_ms = m.poll_ms < MSG_WORK_WAIT_MAX_MS ? m.poll_ms : MSG_WORK_WAIT_MAX_MS;
	return rc;
}

int agent_link_hello(struct agent_link *l, int64_t *poll_ms, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(1u << 20);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(ANSWER_MAX);
	const struct agent_state *s = l->opts.state;
	CLEANUP(msg_work_hello_done)
	struct msg_hello m = { .protocol = MSG_PROTOCOL,
		.role = s->request.role,
		.clock_ms = env_now_ns() / 1000000 };
	(void)snprintf(m.name, sizeof(m.name), "%s", s->request.name); /* same size */
	(void)snprintf(m.version, sizeof(m.version), "%s", VERSION_TEXT);
	int rc = list_sources(l->opts.conf->sources, &m, err);
	if (rc == 0)
		rc = msg_work_hello_encode(&m, &body, err);
	if (rc == 0)
		rc = post(l, "/v1/hello", &body, 0, NULL, &answer, err);
	return rc != 0 ? rc : take_welcome(l, &answer, poll_ms, err);
}

/* ---- work ------------------------------------------------------------------------------------ */

int agent_link_poll(struct agent_link *l, int64_t wait_ms, struct msg_order *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(4096);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(ANSWER_MAX);
	struct msg_poll m = { .wait_ms = wait_ms };
	int status = 0;
	int rc = msg_work_poll_encode(&m, &body, err);
	if (rc == 0)
		rc = post(l, "/v1/work", &body, (int)wait_ms, &status, &answer, err);
	if (rc != 0 || status == 204)
		return rc;
	rc = msg_work_order_decode(answer.data, answer.len, out, err);
	return rc == 0 ? 1 : rc;
}

int agent_link_progress(
	struct agent_link *l, const char *job, const struct msg_progress *p, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(65536);
	char path[PATH_BYTES];
	struct err why = ERR_INIT;
	struct msg_go go = { .go = true };
	(void)snprintf(path, sizeof(path), "/v1/jobs/%s/progress", job); /* fits */
	int rc = msg_work_progress_encode(p, &body, &why);
	if (rc == 0)
		rc = post(l, path, &body, 0, NULL, &answer, &why);
	if (rc == 0)
		rc = msg_work_go_decode(answer.data, answer.len, &go, &why);
	if (rc == 0 && !go.go)
		return err_set(err, ERR_INTERRUPTED, "the controller stopped it: %s", go.why);
	if (rc == -ERR_INTERRUPTED || rc == -ERR_NOT_FOUND || rc == -ERR_AUTH)
		return err_set(err, ERR_INTERRUPTED, "%s", why.msg);
	return 0;
}

int agent_link_result(
	struct agent_link *l, const char *job, const struct msg_result *r, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(65536);
	char path[PATH_BYTES];
	int status = 0;
	(void)snprintf(path, sizeof(path), "/v1/jobs/%s/result", job); /* fits */
	int rc = msg_work_result_encode(r, &body, err);
	if (rc == 0)
		rc = post(l, path, &body, 0, &status, &answer, err);
	return status == 410 ? 0 : rc;
}

/* ---- renewal --------------------------------------------------------------------------------- */

static int check_new(const struct agent_link *l, const char *pem, int64_t now_s, struct err *err)
{
	struct x509_info old = { .is_ca = false };
	struct x509_info info = { .is_ca = false };
	int rc = x509_check(l->opts.state->ca, pem, now_s, err);
	if (rc == 0)
		rc = x509_inspect(pem, &info, err);
	if (rc == 0)
		rc = x509_inspect(l->opts.state->certificate, &old, err);
	if (rc == 0 && (memcmp(info.key_hash, old.key_hash, 32) != 0 ||
			       strcmp(info.uri, old.uri) != 0 || info.until_s <= old.until_s))
		rc = err_set(
			err, ERR_CORRUPT, "the renewed certificate is not a newer one of ours");
	return rc;
}

static int fetch_certificate(struct agent_link *l, char out[MSG_PEM_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf csr = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(65536);
	const struct agent_state *s = l->opts.state;
	int rc = x509_request_new(s->tls_key, s->request.name, &csr, err);
	const char *text = rc == 0 ? buf_cstr(&csr) : NULL;
	if (rc == 0)
		rc = text == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				  : msg_work_pem_encode("csr", text, &body, err);
	if (rc == 0)
		rc = post(l, "/v1/renew", &body, 0, NULL, &answer, err);
	return rc != 0 ? rc : msg_work_pem_decode(answer.data, answer.len, "certificate", out, err);
}

int agent_link_renew(struct agent_link *l, int64_t now_s, struct err *err)
{
	struct agent_state *s = l->opts.state;
	struct http_client *client = NULL;
	struct x509_info info = { .is_ca = false };
	char pem[MSG_PEM_BYTES];
	char old[MSG_PEM_BYTES];
	int rc = x509_inspect(s->certificate, &info, err);
	if (rc != 0 || now_s < info.from_s + (info.until_s - info.from_s) / 2)
		return rc;
	rc = fetch_certificate(l, pem, err);
	if (rc == 0)
		rc = check_new(l, pem, now_s, err);
	if (rc == 0)
		rc = connect_as(l, pem, l->opts.is_stopped, l->opts.arg, &client, err);
	if (rc != 0)
		return rc;
	memcpy(old, s->certificate, sizeof(old));
	memcpy(s->certificate, pem, sizeof(pem));
	rc = agent_state_save(l->opts.conf->state, s, err);
	if (rc != 0) {
		memcpy(s->certificate, old, sizeof(old));
		http_client_free(client);
		return rc;
	}
	http_client_free(l->client);
	l->client = client;
	return 1;
}
