#include "fake_controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hpke.h"
#include "crypto/x509.h"
#include "msg/msg_error.h"
#include "msg/msg_vault.h"
#include "vault/domain.h"
#include "vault/snaprec.h"

#define JOB "00112233445566778899aabbccddeeff"
#define SESSION "ffeeddccbbaa99887766554433221100"
#define MUST(claim)                                                                                \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const uint8_t officer_seed[32] = { 5 };

static void reply_err(struct http_request *r, enum err_code code, const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	struct err err = ERR_INIT;
	(void)err_set(&err, code, "%s", text);
	MUST(msg_error_encode(&err, &b, NULL) == 0);
	http_request_reply(r, msg_error_status(&err), "application/json", b.data, b.len);
}

static void reply(struct http_request *r, int rc, const struct buf *b)
{
	MUST(rc == 0);
	http_request_reply(r, 200, "application/json", b->data, b->len);
}

/* ---- enrolment ---- */

static void make_config(struct fake_controller *c)
{
	struct domain d = { .epoch = 3, .officer_count = 1, .recovery_count = 1 };
	uint8_t sk[32] = { 9 };
	ed25519_public(officer_seed, d.officer_pk[0]);
	hpke_public(sk, d.recovery_pk[0]);
	memcpy(d.domain_id, c->answer.domain_id, 16);
	if (!c->wrong_domain)
		MUST(domain_add_agent(&d, c->answer.agent_id, c->request.ik, NULL) == 0);
	buf_clear(&c->config);
	MUST(domain_encode(&d, officer_seed, &c->config, NULL) == 0);
	domain_done(&d);
}

static void issue(struct fake_controller *c, const char *csr, struct buf *pem)
{
	char id[33];
	char uri[64];
	int64_t now = time(NULL);
	text_hex(c->answer.agent_id, 16, id);
	(void)snprintf(uri, sizeof(uri), "holdfast:agent:%s", id);
	struct x509_issue what = { .name = "agent",
		.uri = uri,
		.from_s = c->cert_from_s != 0 ? c->cert_from_s : now - 60 };
	what.until_s = what.from_s + 30 * 86400;
	c->cert_from_s = 0; /* the next one is fresh */
	MUST(x509_issue(c->ca, c->ca_key, csr, &what, pem, NULL) == 0);
}

static void do_enrol(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_enrol_decode(body, len, &c->request, NULL) == 0);
	if (memcmp(c->request.secret, c->token.secret, sizeof(c->token.secret)) != 0) {
		reply_err(r, ERR_AUTH, "no such token");
		return;
	}
	reply(r, msg_enrol_answer_encode(&c->answer, &b, NULL), &b);
}

static void do_collect(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	CLEANUP(buf_done) struct buf cert = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf sealed = BUF_INIT(4096);
	struct msg_keys k = { .kv_epoch = 1, .config_epoch = 3, .k_mle = { 1 }, .k_cdc = { 2 } };
	struct msg_collect m;
	uint8_t sk[32] = { 9 };
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_enrol_collect_decode(body, len, &m, NULL) == 0);
	MUST(memcmp(m.ik, c->request.ik, 32) == 0);
	if (c->refuse_collects > 0) {
		c->refuse_collects--;
		http_request_reply(r, 202, NULL, NULL, 0);
		return;
	}
	make_config(c);
	issue(c, c->request.csr, &cert);
	memcpy(k.vault_id, c->answer.vault_id, 16);
	memcpy(k.domain_id, c->answer.domain_id, 16);
	memcpy(k.agent_id, c->answer.agent_id, 16);
	hpke_public(sk, k.rk_pk);
	MUST(msg_enrol_keys_seal(&k, c->request.delivery, &sealed, NULL) == 0);
	struct msg_enrol_grant g = { .certificate = (char *)(uintptr_t)buf_cstr(&cert),
		.ca = c->ca,
		.config = c->config.data,
		.config_len = c->config.len,
		.keys = sealed.data,
		.keys_len = sealed.len };
	(void)snprintf(g.address, sizeof(g.address), "127.0.0.1:%d", http_server_port(c->agents));
	reply(r, msg_enrol_grant_encode(&g, &b, NULL), &b);
}

static void on_people(void *arg, struct http_request *r)
{
	struct fake_controller *c = arg;
	const char *path = http_request_path(r);
	if (strcmp(path, "/v1/ca") == 0)
		http_request_reply(r, 200, "application/x-pem-file", c->ca, strlen(c->ca));
	else if (strcmp(path, "/v1/enrol") == 0)
		do_enrol(c, r);
	else if (strcmp(path, "/v1/enrol/collect") == 0)
		do_collect(c, r);
	else
		reply_err(r, ERR_NOT_FOUND, "no such path");
}

/* ---- work ---- */

static void do_hello(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	struct msg_welcome m = { .clock_ms = (int64_t)time(NULL) * 1000,
		.poll_ms = c->hold_polls ? 50000 : 50,
		.config = c->config.data,
		.config_len = c->config.len };
	memcpy(m.agent_id, c->answer.agent_id, 16);
	msg_work_hello_done(&c->hello);
	MUST(msg_work_hello_decode(body, len, &c->hello, NULL) == 0);
	c->hellos++;
	reply(r, msg_work_welcome_encode(&m, &b, NULL), &b);
}

static void do_work(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	struct msg_order m = { .job = JOB, .attempt = 1, .verb = MSG_VERB_BACKUP };
	c->polls++;
	if (c->order_of == NULL && c->hold_polls)
		return; /* ends with the server */
	if (c->order_of == NULL) {
		http_request_reply(r, 204, NULL, NULL, 0);
		return;
	}
	(void)snprintf(m.source, sizeof(m.source), "%s", c->order_of);
	c->order_of = NULL;
	reply(r, msg_work_order_encode(&m, &b, NULL), &b);
}

static void do_progress(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	struct msg_progress p;
	struct msg_go go = { .go = !c->say_stop, .why = "told to" };
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_work_progress_decode(body, len, &p, NULL) == 0);
	c->progresses++;
	reply(r, msg_work_go_encode(&go, &b, NULL), &b);
}

static void do_result(struct fake_controller *c, struct http_request *r)
{
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_work_result_decode(body, len, &c->result, NULL) == 0);
	c->results++;
	http_request_reply(r, 200, "application/json", "{}", 2);
	c->is_done = true;
}

static void do_renew(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf cert = BUF_INIT(MSG_PEM_BYTES);
	char csr[MSG_PEM_BYTES];
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_work_pem_decode(body, len, "csr", csr, NULL) == 0);
	if (c->refuse_renewals) {
		static const char why[] =
			"{\"error\": \"no-space\", \"message\": \"its disk is full\"}";
		http_request_reply(r, 507, "application/json", why, sizeof(why) - 1);
		return;
	}
	issue(c, csr, &cert);
	c->renewals++;
	reply(r, msg_work_pem_encode("certificate", buf_cstr(&cert), &b, NULL), &b);
}

/* ---- sessions ---- */

static void do_begin(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
	struct msg_begun m = {
		.session = SESSION, .config = c->config.data, .config_len = c->config.len
	};
	reply(r, msg_vault_begun_encode(&m, &b, NULL), &b);
}

static void do_commit(struct fake_controller *c, struct http_request *r)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	struct port_commit m;
	struct port_receipt receipt = { .receipt_ns = 1 };
	size_t len = 0;
	const uint8_t *body = http_request_body(r, &len);
	MUST(msg_vault_commit_decode(body, len, &m, NULL) == 0);
	MUST(snaprec_verify(m.record, c->request.ik, NULL) == 0);
	MUST(m.envelope_count == 1);
	snaprec_hash(m.record, receipt.snap_hash);
	c->commits++;
	reply(r, msg_vault_receipt_encode(&receipt, &b, NULL), &b);
}

static void do_delete(struct fake_controller *c, struct http_request *r)
{
	c->deletes += c->results == 0 ? 1 : 0; /* behind the result it would be of no use */
	http_request_reply(r, 204, NULL, NULL, 0);
}

static void on_session(struct fake_controller *c, struct http_request *r, const char *rest)
{
	static const uint8_t zeros[256];
	size_t len = 0;
	(void)http_request_body(r, &len);
	if (strcmp(rest, "has") == 0) {
		http_request_reply(r, 200, "application/octet-stream", zeros, len / 32);
	} else if (strcmp(rest, "commit") == 0) {
		do_commit(c, r);
	} else {
		bool is_batch = strncmp(rest, "batches/", 8) == 0;
		c->records_bytes += is_batch ? len : 0;
		if (!is_batch || !c->hold_batches) /* else it ends with the server */
			http_request_reply(r, 204, NULL, NULL, 0);
	}
}

static void on_agents(void *arg, struct http_request *r)
{
	struct fake_controller *c = arg;
	static const char session[] = "/v1/sessions/" SESSION "/";
	const char *path = http_request_path(r);
	MUST(http_request_peer(r)->has_cert);
	if (strcmp(path, "/v1/hello") == 0)
		do_hello(c, r);
	else if (strcmp(path, "/v1/work") == 0)
		do_work(c, r);
	else if (strcmp(path, "/v1/renew") == 0)
		do_renew(c, r);
	else if (strcmp(path, "/v1/jobs/" JOB "/progress") == 0)
		do_progress(c, r);
	else if (strcmp(path, "/v1/jobs/" JOB "/result") == 0)
		do_result(c, r);
	else if (strcmp(path, "/v1/sessions") == 0)
		do_begin(c, r);
	else if (strncmp(path, session, sizeof(session) - 1) == 0)
		on_session(c, r, path + sizeof(session) - 1);
	else if (strcmp(path, "/v1/sessions/" SESSION) == 0 &&
		 http_request_method(r) == HTTP_DELETE)
		do_delete(c, r);
	else
		http_request_reply(r, 204, NULL, NULL, 0);
}

/* ---- life ---- */

static void *serve(void *arg)
{
	struct fake_controller *c = arg;
	MUST(loop_run(c->loop, NULL) == 0);
	return NULL;
}

static struct http_server *listen_on(struct fake_controller *c, const char *cert, const char *key,
	const char *client_ca, void (*fn)(void *arg, struct http_request *r))
{
	struct http_server *s = NULL;
	struct err err = ERR_INIT;
	struct http_server_opts o = { .loop = c->loop,
		.host = "127.0.0.1",
		.cert_pem = cert,
		.key_pem = key,
		.client_ca = client_ca,
		.max_body = 16 << 20,
		.body_memory = 64 << 20,
		.max_connections = 32,
		.max_per_address = 32,
		.idle_s = 30,
		.on_request = fn,
		.arg = c };
	int rc = http_server_open(&o, &s, &err);
	if (rc != 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	MUST(rc == 0);
	return s;
}

void fake_controller_start(struct fake_controller *c)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost" };
	CLEANUP(buf_done) struct buf ca_key = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf ca = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf key = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf csr = BUF_INIT(MSG_PEM_BYTES);
	CLEANUP(buf_done) struct buf cert = BUF_INIT(MSG_PEM_BYTES);
	struct x509_info info;
	int64_t now = time(NULL);
	struct x509_issue what = { .name = "controller",
		.hosts = hosts,
		.host_count = 2,
		.is_server = true,
		.from_s = now - 60,
		.until_s = now + 86400 };
	c->config = (struct buf)BUF_INIT(1 << 20);
	memset(c->answer.agent_id, 1, 16);
	memset(c->answer.domain_id, 2, 16);
	memset(c->answer.vault_id, 3, 16);
	ed25519_public(officer_seed, c->answer.officer);
	MUST(x509_key_new(&ca_key, NULL) == 0);
	/* begins before any certificate that a test issues */
	MUST(x509_ca_new(buf_cstr(&ca_key), "ca", now - 90 * 86400, 3650, &ca, NULL) == 0);
	(void)snprintf(c->ca, sizeof(c->ca), "%s", buf_cstr(&ca));
	(void)snprintf(c->ca_key, sizeof(c->ca_key), "%s", buf_cstr(&ca_key));
	MUST(x509_inspect(c->ca, &info, NULL) == 0);
	memcpy(c->token.ca_hash, info.key_hash, 32);
	memset(c->token.secret, 7, sizeof(c->token.secret));
	MUST(x509_key_new(&key, NULL) == 0);
	MUST(x509_request_new(buf_cstr(&key), "controller", &csr, NULL) == 0);
	MUST(x509_issue(c->ca, c->ca_key, buf_cstr(&csr), &what, &cert, NULL) == 0);
	MUST(loop_new(&c->loop, NULL) == 0);
	c->people = listen_on(c, buf_cstr(&cert), buf_cstr(&key), NULL, on_people);
	c->agents = listen_on(c, buf_cstr(&cert), buf_cstr(&key), c->ca, on_agents);
	(void)snprintf(c->token.address, sizeof(c->token.address), "127.0.0.1:%d",
		http_server_port(c->people));
	MUST(pthread_create(&c->thread, NULL, serve, c) == 0);
}

void fake_controller_stop(struct fake_controller *c)
{
	loop_stop(c->loop);
	MUST(pthread_join(c->thread, NULL) == 0);
	http_server_close(c->people);
	http_server_close(c->agents);
	loop_free(c->loop);
	msg_work_hello_done(&c->hello);
	buf_done(&c->config);
}
