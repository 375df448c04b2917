#include "agents/port_far.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/ed25519.h"
#include "msg/msg_vault.h"
#include "net/http_client.h"
#include "vault/domain.h"

#define JOB "00112233445566778899aabbccddeeff"
#define SESSION "ffeeddccbbaa99887766554433221100"

/* A gateway in the place of the client: keeps what a vault would, loses answers when told to. */
static struct {
	size_t begins, commits, deletes, batches, drains, drops;
	int lose;          /* so many answers of commit are lost */
	int lose_begin;    /* and of begin */
	int end_session;   /* commit is answered with 410, after it was made or not */
	bool is_made_then; /* with end_session: the snapshot was made */
	bool has_base;
	uint8_t base[SNAPREC_BYTES];
	uint8_t list[1 << 16];
	size_t list_len, has_len;
	uint8_t has_byte;
	uint8_t receipt_flip;
	struct buf config;
} gate;

static const uint8_t officer_seed[32] = { 5 };
static const uint8_t agent[16] = { 1 };
static const uint8_t source[16] = { 2 };
static uint8_t officer_pk[32];
static char pending[] = "/tmp/port-far-XXXXXX/pending";

static int answer_begin(struct buf *answer, struct err *err)
{
	struct msg_begun m = {
		.session = SESSION, .config = gate.config.data, .config_len = gate.config.len
	};
	m.base.is_there = gate.has_base;
	m.base.is_whole = true;
	m.base.seq = 1;
	snaprec_hash(gate.base, m.base.hash);
	gate.begins++;
	if (gate.lose_begin > 0) {
		gate.lose_begin--;
		return err_set(err, ERR_UNREACHABLE, "lost");
	}
	return msg_vault_begun_encode(&m, answer, err);
}

static int answer_commit(const struct http_call *call, struct buf *answer, struct err *err)
{
	struct port_commit c;
	struct port_receipt r = { .receipt_ns = 77 };
	cr_assert(eq(int, msg_vault_commit_decode(call->body, call->len, &c, err), 0));
	cr_assert(eq(sz, gate.drains, 1));
	gate.commits++;
	if (gate.end_session == 0 || gate.is_made_then) {
		memcpy(gate.base, c.record, sizeof(gate.base));
		gate.has_base = true;
	}
	if (gate.end_session != 0)
		return err_set(err, ERR_INTERRUPTED, "the session is over");
	if (gate.lose > 0) {
		gate.lose--;
		return err_set(err, ERR_UNREACHABLE, "lost");
	}
	snaprec_hash(c.record, r.snap_hash);
	r.snap_hash[0] ^= gate.receipt_flip;
	return msg_vault_receipt_encode(&r, answer, err);
}

int http_client_call(struct http_client *c, const struct http_call *call, int *status,
	struct buf *answer, struct err *err)
{
	static const char base[] = "/v1/sessions/" SESSION;
	(void)c;
	(void)status;
	if (strcmp(call->path, "/v1/sessions") == 0)
		return answer_begin(answer, err);
	cr_assert(eq(int, strncmp(call->path, base, sizeof(base) - 1), 0), "%s", call->path);
	const char *rest = call->path + sizeof(base) - 1;
	if (call->method == HTTP_DELETE) {
		cr_expect(eq(int, call->parting_ms, 2000)); /* a stop does not silence it */
		gate.deletes++;
		return 0;
	}
	if (strcmp(rest, "/has") == 0) {
		for (size_t i = 0; i < gate.has_len; i++)
			(void)buf_add8(answer, gate.has_byte, NULL);
		return 0;
	}
	if (strcmp(rest, "/commit") == 0)
		return answer_commit(call, answer, err);
	size_t at = 0;
	cr_assert(eq(int, sscanf(rest, "/list/%zu", &at), 1));
	cr_assert(eq(sz, at, gate.list_len));
	memcpy(gate.list + at, call->body, call->len);
	gate.list_len += call->len;
	return 0;
}

int http_client_send(struct http_client *c, const struct http_call *call, struct err *err)
{
	char want[128];
	(void)c;
	(void)err;
	(void)snprintf(want, sizeof(want), "/v1/sessions/" SESSION "/batches/%zu", gate.batches++);
	cr_expect_str_eq(call->path, want);
	return 0;
}

int http_client_drain(struct http_client *c, struct err *err)
{
	(void)c;
	(void)err;
	gate.drains++;
	return 0;
}

int http_client_tend(struct http_client *c, struct err *err)
{
	(void)c;
	(void)err;
	return 0;
}

void http_client_drop(struct http_client *c)
{
	(void)c;
	gate.drops++;
}

bool http_client_is_stopped(const struct http_client *c)
{
	(void)c;
	return false;
}

static void no_wait(void *arg, int ms)
{
	int *waited = arg;
	*waited += ms;
}

static int waited;

static struct port_far *make_as(const char *job, const uint8_t *officer, uint32_t min_epoch)
{
	struct port_far *p = NULL;
	struct port_far_opts o = { .job = job,
		.attempt = 1,
		.source = "share",
		.officer_pk = officer,
		.pending_path = pending,
		.min_epoch = min_epoch,
		.on_wait = no_wait,
		.arg = &waited };
	gate.drains = gate.list_len = gate.batches = 0;
	cr_assert(eq(int, port_far_new(&o, &p, NULL), 0));
	return p;
}

static void set_up(void)
{
	struct domain d = { .epoch = 3, .officer_count = 1 };
	memset(&gate, 0, sizeof(gate));
	gate.config = (struct buf)BUF_INIT(65536);
	ed25519_public(officer_seed, officer_pk);
	memcpy(d.officer_pk[0], officer_pk, 32);
	memset(d.recovery_pk[0], 9, 32);
	d.recovery_count = 1;
	cr_assert(eq(int, domain_add_agent(&d, agent, officer_pk, NULL), 0));
	cr_assert(eq(int, domain_encode(&d, officer_seed, &gate.config, NULL), 0));
	domain_done(&d);
	char *slash = strrchr(pending, '/');
	*slash = '\0';
	cr_assert(ne(ptr, mkdtemp(pending), NULL));
	*slash = '/';
	waited = 0;
}

static void tear_down(void)
{
	(void)unlink(pending);
	char *slash = strrchr(pending, '/');
	*slash = '\0';
	(void)rmdir(pending);
	buf_done(&gate.config);
}

static void make_record(uint8_t out[SNAPREC_BYTES], const uint8_t who[16], uint64_t seq)
{
	struct snaprec r = { .suite = 1, .config_epoch = 3, .seq = seq, .prev = { seq > 1 } };
	memcpy(r.agent_id, who, 16);
	memcpy(r.source_id, source, 16);
	snaprec_sign(&r, officer_seed, out);
}

static int begin(struct port_far *p, struct port_base *base, struct err *err)
{
	const struct port *port = port_far_port(p);
	gate.drains = 0;
	return port->begin(port->self, agent, source, base, err);
}

static int commit(struct port_far *p, uint64_t seq, struct port_receipt *receipt)
{
	const struct port *port = port_far_port(p);
	static const uint8_t segments[5000] = { 1, 2, 3 };
	static const uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
	uint8_t record[SNAPREC_BYTES];
	make_record(record, agent, seq);
	struct port_commit c = { .record = record,
		.segments = segments,
		.segments_len = sizeof(segments),
		.envelopes = envelope,
		.envelope_count = 1,
		.label = (const uint8_t *)"l",
		.label_len = 1 };
	return port->commit(port->self, &c, receipt, NULL);
}

TestSuite(port_far, .init = set_up, .fini = tear_down);

Test(port_far, a_backup_goes_through)
{
	struct port_far *p = make_as(JOB, officer_pk, 3);
	struct port_base base;
	struct port_receipt receipt;
	uint8_t present[3];
	uint8_t ids[3][32] = { { 0 } };
	const struct port *port = port_far_port(p);
	const struct domain *domain = port_far_domain(p);
	cr_expect(eq(u32, domain->epoch, 0));
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	cr_expect(not(base.is_there));
	cr_expect(eq(u32, domain->epoch, 3));
	gate.has_len = 3;
	gate.has_byte = 1;
	cr_assert(eq(int, port->has(port->self, (const uint8_t(*)[32])ids, 3, present, NULL), 0));
	cr_expect(eq(u8, present[2], 1));
	cr_assert(eq(int, port->put(port->self, (const uint8_t *)"x", 1, NULL), 0));
	cr_assert(eq(int, port->put(port->self, (const uint8_t *)"y", 1, NULL), 0));
	cr_assert(eq(int, commit(p, 1, &receipt), 0));
	cr_expect(eq(u64, receipt.receipt_ns, 77));
	cr_expect(eq(sz, gate.list_len, 5000));
	cr_expect(eq(sz, gate.batches, 2));
	port_far_free(p);
	cr_expect(eq(sz, gate.deletes, 0));
}

Test(port_far, a_lost_answer_is_asked_for_again)
{
	struct port_far *p = make_as(JOB, officer_pk, 3);
	struct port_base base;
	struct port_receipt receipt;
	gate.lose_begin = 2;
	gate.lose = 2;
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	cr_expect(eq(sz, gate.begins, 3));
	cr_expect(eq(int, waited, 3000));
	cr_assert(eq(int, commit(p, 1, &receipt), 0));
	cr_expect(eq(sz, gate.commits, 3));
	port_far_free(p);
}

Test(port_far, a_commit_that_was_made_without_an_answer_is_found_by_the_next_attempt)
{
	struct port_base base;
	struct port_receipt receipt;
	uint8_t record[SNAPREC_BYTES];
	struct port_far *p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	gate.end_session = 410;
	gate.is_made_then = true;
	cr_assert(eq(int, commit(p, 1, &receipt), -ERR_INTERRUPTED));
	port_far_free(p);
	cr_expect(eq(int, access(pending, F_OK), 0));

	p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), -ERR_EXISTS));
	make_record(record, agent, 1);
	cr_assert(ne(ptr, (void *)port_far_made(p), NULL));
	uint8_t made[32];
	snaprec_hash(record, made);
	cr_expect(eq(int, memcmp(port_far_made(p), made, sizeof(made)), 0));
	cr_expect(ne(int, access(pending, F_OK), 0));
	port_far_free(p);
	cr_expect(eq(sz, gate.deletes, 2));
}

Test(port_far, a_job_whose_result_was_lost_is_not_done_twice)
{
	struct port_base base;
	struct port_receipt receipt;
	struct port_far *p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	cr_assert(eq(int, commit(p, 1, &receipt), 0));
	port_far_free(p);
	p = make_as(JOB, officer_pk, 3);
	cr_expect(eq(int, begin(p, &base, NULL), -ERR_EXISTS));
	cr_assert(ne(ptr, (void *)(uintptr_t)port_far_made(p), NULL));
	port_far_free(p);
}

Test(port_far, a_commit_that_was_not_made_is_no_reason_to_stop)
{
	struct port_base base;
	struct port_receipt receipt;
	struct port_far *p = make_as(JOB, officer_pk, 3);
	make_record(gate.base, agent, 1);
	gate.has_base = true;
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	gate.end_session = 410;
	cr_assert(eq(int, commit(p, 2, &receipt), -ERR_INTERRUPTED));
	port_far_free(p);

	p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	cr_expect(base.is_there);
	cr_expect(eq(ptr, (void *)port_far_made(p), NULL));
	port_far_free(p);
}

Test(port_far, another_job_is_not_done_by_an_old_snapshot)
{
	struct port_base base;
	struct port_receipt receipt;
	struct port_far *p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	gate.end_session = 410;
	gate.is_made_then = true;
	cr_assert(eq(int, commit(p, 1, &receipt), -ERR_INTERRUPTED));
	port_far_free(p);
	p = make_as("11112233445566778899aabbccddeeff", officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	cr_expect(base.is_there);
	port_far_free(p);
}

Test(port_far, what_a_controller_makes_up_is_refused)
{
	struct port_base base;
	struct port_receipt receipt;
	uint8_t officer[32] = { 1 };
	uint8_t present[2];
	uint8_t ids[2][32] = { { 0 } };
	struct port_far *p = make_as(JOB, officer, 3);
	cr_expect(eq(int, begin(p, &base, NULL), -ERR_AUTH));
	port_far_free(p);
	p = make_as(JOB, officer_pk, 4);
	cr_expect(eq(int, begin(p, &base, NULL), -ERR_ROLLBACK));
	port_far_free(p);
	p = make_as(JOB, officer_pk, 3);
	cr_assert(eq(int, begin(p, &base, NULL), 0));
	const struct port *port = port_far_port(p);
	gate.has_len = 1;
	cr_expect(eq(int, port->has(port->self, (const uint8_t(*)[32])ids, 2, present, NULL),
		-ERR_CORRUPT));
	gate.has_len = 2;
	gate.has_byte = 2;
	cr_expect(eq(int, port->has(port->self, (const uint8_t(*)[32])ids, 2, present, NULL),
		-ERR_CORRUPT));
	gate.receipt_flip = 1;
	cr_expect(eq(int, commit(p, 1, &receipt), -ERR_CORRUPT));
	port_far_free(p);
	cr_expect(eq(sz, gate.deletes, 3));
}

Test(port_far, names_that_are_none_never_become_a_request)
{
	struct port_far *p = NULL;
	struct port_far_opts o = { .job = "x", .source = "a", .officer_pk = officer_pk };
	cr_expect(eq(int, port_far_new(&o, &p, NULL), -ERR_USAGE));
	o.job = JOB;
	o.source = "a/b";
	cr_expect(eq(int, port_far_new(&o, &p, NULL), -ERR_USAGE));
}
