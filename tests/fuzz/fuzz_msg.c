/*
 * fuzz_msg: the messages of agents and controller (docs/PROTOCOL.md): one byte for the kind, then
 * the message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "fuzz/fuzz.h"
#include "msg/msg_enrol.h"
#include "msg/msg_error.h"
#include "msg/msg_vault.h"
#include "msg/msg_work.h"

static const uint8_t seed[32] = { 5 };

/* A decoder and its encoder as a codec; END frees what came out. */
#define CODEC(name, type, decode, encode, end)                                                     \
	static int name(const void *data, size_t len, struct buf *again, struct err *err)          \
	{                                                                                          \
		type m;                                                                            \
		memset(&m, 0, sizeof(m));                                                          \
		int rc = decode(data, len, &m, err);                                               \
		if (rc != 0)                                                                       \
			return rc;                                                                 \
		rc = encode(&m, again, err);                                                       \
		end;                                                                               \
		return rc;                                                                         \
	}
CODEC(answer, struct msg_enrol_answer, msg_enrol_answer_decode, msg_enrol_answer_encode, (void)0)
CODEC(grant, struct msg_enrol_grant, msg_enrol_grant_decode, msg_enrol_grant_encode,
	msg_enrol_grant_done(&m))
CODEC(hello, struct msg_hello, msg_work_hello_decode, msg_work_hello_encode,
	msg_work_hello_done(&m))
CODEC(welcome, struct msg_welcome, msg_work_welcome_decode, msg_work_welcome_encode,
	msg_work_welcome_done(&m))
CODEC(poll, struct msg_poll, msg_work_poll_decode, msg_work_poll_encode, (void)0)
CODEC(order, struct msg_order, msg_work_order_decode, msg_work_order_encode,
	msg_work_order_done(&m))
CODEC(progress, struct msg_progress, msg_work_progress_decode, msg_work_progress_encode, (void)0)
CODEC(go, struct msg_go, msg_work_go_decode, msg_work_go_encode, (void)0)
CODEC(result, struct msg_result, msg_work_result_decode, msg_work_result_encode, (void)0)
CODEC(begin, struct msg_begin, msg_vault_begin_decode, msg_vault_begin_encode, (void)0)
CODEC(begun, struct msg_begun, msg_vault_begun_decode, msg_vault_begun_encode,
	msg_vault_begun_done(&m))
CODEC(commit, struct port_commit, msg_vault_commit_decode, msg_vault_commit_encode, (void)0)
CODEC(receipt, struct port_receipt, msg_vault_receipt_decode, msg_vault_receipt_encode, (void)0)
CODEC(points, struct msg_points, msg_vault_points_decode, msg_vault_points_encode,
	msg_vault_points_done(&m))

/* Signed: whoever signs what was taken makes a message that is taken. */
static int enrol(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct msg_enrol m;
	int rc = msg_enrol_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	ed25519_public(seed, m.ik);
	return msg_enrol_encode(&m, seed, again, err);
}

static int collect(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct msg_collect m;
	int rc = msg_enrol_collect_decode(data, len, &m, err);
	if (rc != 0)
		return rc;
	ed25519_public(seed, m.ik);
	return msg_enrol_collect_encode(&m, seed, again, err);
}

static int pem(const void *data, size_t len, struct buf *again, struct err *err)
{
	char text[MSG_PEM_BYTES];
	int rc = msg_work_pem_decode(data, len, "csr", text, err);
	return rc != 0 ? rc : msg_work_pem_encode("csr", text, again, err);
}

static int report(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct buf envelope = BUF_INIT((size_t)64 << 20);
	int rc = msg_vault_report_decode(data, len, &envelope, err);
	if (rc == 0)
		rc = msg_vault_report_encode(envelope.data, envelope.len, again, err);
	buf_done(&envelope);
	return rc;
}

static int records(const void *data, size_t len, struct buf *again, struct err *err)
{
	const uint8_t *at = data, *cr = NULL;
	size_t n = 0;
	int rc;
	while ((rc = msg_vault_records_next(&at, &len, &cr, &n, err)) == 1) {
		rc = msg_vault_records_add(again, cr, n, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

static int token(const void *data, size_t len, struct buf *again, struct err *err)
{
	char text[MSG_TOKEN_TEXT_BYTES], out[MSG_TOKEN_TEXT_BYTES];
	struct msg_token t;
	if (len >= sizeof(text))
		return err_set(err, ERR_LIMIT, "too long");
	memcpy(text, data, len);
	text[len] = '\0';
	int rc = msg_enrol_token_parse(text, &t, err);
	if (rc == 0)
		rc = msg_enrol_token_format(&t, out, err);
	return rc != 0 ? rc : buf_add(again, out, strlen(out), err);
}

/* What was escaped is escaped once more by whoever takes it next: not what is looked at here. */
static void drop_escapes(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			*text = '/';
	}
}

static int error(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct err told = ERR_INIT;
	FUZZ_CHECK(msg_error_decode(500, data, len, &told) < 0);
	FUZZ_CHECK(told.code != 0);
	drop_escapes(told.msg);
	drop_escapes(told.hint);
	return msg_error_encode(&told, again, err);
}

static const fuzz_codec_fn codecs[] = { answer, grant, hello, welcome, poll, order, progress, go,
	result, begin, begun, commit, receipt, points, enrol, collect, pem, report, records, token,
	error };
#define CODECS (sizeof(codecs) / sizeof(codecs[0]))

static void run(const uint8_t *data, size_t len)
{
	if (len > 0)
		fuzz_codec(codecs[data[0] % CODECS], data + 1, len - 1, false);
}

static void seed_of(fuzz_codec_fn fn, const struct buf *message)
{
	uint8_t out[4096];
	for (uint8_t i = 0; i < CODECS; i++)
		if (codecs[i] == fn)
			out[0] = i;
	FUZZ_CHECK(message->len < sizeof(out));
	memcpy(out + 1, message->data, message->len);
	fuzz_seed(out, message->len + 1);
}

#define SEED(fn, encode, ...)                                                                      \
	do {                                                                                       \
		struct buf bytes_ = BUF_INIT(FUZZ_MAX_BYTES);                                      \
		struct err err_ = ERR_INIT;                                                        \
		FUZZ_CHECK(encode(__VA_ARGS__, &bytes_, &err_) == 0);                              \
		seed_of(fn, &bytes_);                                                              \
		buf_done(&bytes_);                                                                 \
	} while (0)

static void seeds_work(void)
{
	uint8_t config[] = { 1, 2, 3 };
	char plan[] = "plan text", id[] = "00112233445566778899aabbccddeeff";
	struct msg_source source = { .name = "line3", .type = "files", .consistency = "crash" };
	struct msg_hello h = { .protocol = MSG_PROTOCOL,
		.name = "a1",
		.version = "0.1.0",
		.role = MSG_ROLE_CAPTURE,
		.clock_ms = 5,
		.sources = &source,
		.source_count = 1 };
	struct msg_welcome w = { .clock_ms = 1, .poll_ms = 2, .config = config, .config_len = 3 };
	struct msg_order o = { .attempt = 1, .verb = MSG_VERB_BACKUP, .source = "line3" };
	struct msg_order d = { .attempt = 1,
		.verb = MSG_VERB_DRILL,
		.plan = plan,
		.plan_len = 9,
		.plan_name = "p",
		.exercise = "01234567-89ab-cdef-0123-456789abcdef",
		.trigger = "manual",
		.controller = "c" };
	struct msg_progress p = { .attempt = 1, .phase = "backup", .files = 3 };
	struct msg_go g = { .go = true };
	struct msg_result r = { .attempt = 1, .files = 2 };
	struct msg_poll wait = { .wait_ms = 1000 };
	memcpy(o.job, id, sizeof(id));
	memcpy(d.job, id, sizeof(id));
	memcpy(d.grant, id, sizeof(id));
	SEED(hello, msg_work_hello_encode, &h);
	SEED(welcome, msg_work_welcome_encode, &w);
	SEED(order, msg_work_order_encode, &o);
	SEED(order, msg_work_order_encode, &d);
	SEED(progress, msg_work_progress_encode, &p);
	SEED(go, msg_work_go_encode, &g);
	SEED(result, msg_work_result_encode, &r);
	SEED(poll, msg_work_poll_encode, &wait);
	SEED(pem, msg_work_pem_encode, "csr", "-----BEGIN X-----\n");
}

static void seeds_enrol(void)
{
	uint8_t config[] = { 1, 2, 3 }, keys[48] = { 4 };
	char cert[] = "-----BEGIN CERTIFICATE-----\n", text[MSG_TOKEN_TEXT_BYTES];
	struct err err = ERR_INIT;
	struct msg_token t = { .address = "controller.example:8443" };
	struct msg_enrol e = {
		.role = MSG_ROLE_CAPTURE, .name = "a1", .version = "0.1.0", .csr = "csr"
	};
	struct msg_enrol_answer a = { .agent_id = { 1 } };
	struct msg_collect c = { .agent_id = { 1 }, .at_ms = 7 };
	struct msg_enrol_grant g = { .certificate = cert,
		.ca = cert,
		.address = "h:1",
		.config = config,
		.config_len = 3,
		.keys = keys,
		.keys_len = sizeof(keys) };
	ed25519_public(seed, e.ik);
	ed25519_public(seed, c.ik);
	SEED(enrol, msg_enrol_encode, &e, seed);
	SEED(answer, msg_enrol_answer_encode, &a);
	SEED(collect, msg_enrol_collect_encode, &c, seed);
	SEED(grant, msg_enrol_grant_encode, &g);
	FUZZ_CHECK(msg_enrol_token_format(&t, text, &err) == 0);
	const struct buf b = { .data = (uint8_t *)text, .len = strlen(text) };
	seed_of(token, &b);
}

static void seeds_vault(void)
{
	uint8_t body[600] = { 0 }, config[] = { 1, 2, 3 };
	char id[] = "00112233445566778899aabbccddeeff";
	struct msg_begin b = { .attempt = 1, .source = "line3" };
	struct msg_begun n = {
		.base = { .is_there = true, .seq = 4 }, .config = config, .config_len = 3
	};
	struct port_commit c = { .record = body,
		.segments = body,
		.segments_len = 44,
		.envelopes = body,
		.envelope_count = 1,
		.label = body,
		.label_len = 9 };
	struct port_receipt r = { .receipt_ns = 9 };
	struct msg_point point = { .source = "line3",
		.snapshot = body,
		.snapshot_len = 400,
		.envelopes = body,
		.envelopes_len = 226 };
	struct msg_points p = { .config = config, .config_len = 3, .at = &point, .count = 1 };
	struct err told = ERR_INIT;
	memcpy(b.job, id, sizeof(id));
	memcpy(n.session, id, sizeof(id));
	(void)err_set(&told, ERR_BUSY, "the session is fenced");
	SEED(begin, msg_vault_begin_encode, &b);
	SEED(begun, msg_vault_begun_encode, &n);
	SEED(commit, msg_vault_commit_encode, &c);
	SEED(receipt, msg_vault_receipt_encode, &r);
	SEED(points, msg_vault_points_encode, &p);
	SEED(report, msg_vault_report_encode, "{}", 2);
	SEED(error, msg_error_encode, &told);
	struct buf two = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	FUZZ_CHECK(msg_vault_records_add(&two, body, 60, &err) == 0);
	FUZZ_CHECK(msg_vault_records_add(&two, body, 90, &err) == 0);
	seed_of(records, &two);
	buf_done(&two);
}

static void seeds(void)
{
	seeds_work();
	seeds_enrol();
	seeds_vault();
}

const struct fuzz_target fuzz_msg = { "msg", run, seeds };
