#include "agents/port_far.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "msg/msg_vault.h"
#include "net/http_client.h"
#include "vault/domain.h"

/*
 *   begin --> (has | put)* --> commit: list pieces, drain, commit --> done
 *     |
 *     +-- "it is made already", by what is pending
 *
 * INVARIANTS
 * (1) The pending file names a record from before its commit is sent until the next begin: not only
 *     the receipt may be lost, the job's result may be too.
 * (2) session is not empty exactly while the gateway may hold one of ours.
 */

#define TRIES 6
#define FIRST_WAIT_MS 1000
#define WAIT_STEP_MS 100
#define PIECE_BYTES ((size_t)4 << 20)
#define ANSWER_BYTES ((size_t)2 << 20)
#define PATH_BYTES 160
#define PARTING_MS 2000                 /* a stop waits so long for the end of a session */
#define PENDING_BYTES (32 + 1 + 64 + 1) /* job, space, hash, newline */
#define OCTETS "application/octet-stream"
#define JSON "application/json"

struct port_far {
	struct port port;
	struct http_client *client; /* borrowed */
	struct msg_begin who;
	uint8_t officer_pk[32];
	char *pending_path; /* owned; NULL = none */
	uint32_t min_epoch;
	int retry_ms;
	void (*on_wait)(void *arg, int ms);
	void *arg;
	char session[MSG_ID_HEX];
	uint64_t batches;
	struct domain domain; /* owned */
	bool is_made;
	uint8_t made[HASH_BYTES]; /* snap_hash */
};

static void wait_ms(const struct port_far *p, int ms)
{
	if (p->on_wait != NULL) {
		p->on_wait(p->arg, ms);
		return;
	}
	for (; ms > 0 && !http_client_is_stopped(p->client); ms -= WAIT_STEP_MS) {
		const struct timespec t = { .tv_nsec = WAIT_STEP_MS * 1000000L };
		(void)nanosleep(&t, NULL); /* a signal only shortens it */
	}
}

/* Ask, and again when the answer is lost.  ${answer} holds one whole answer. */
static int ask(
	struct port_far *p, const struct http_call *call, struct buf *answer, struct err *err)
{
	int wait = p->retry_ms;
	for (int i = 1;; i++) {
		struct err why = ERR_INIT;
		if (answer != NULL)
			buf_clear(answer);
		int rc = http_client_call(p->client, call, NULL, answer, &why);
		if (rc == 0)
			return 0;
		if (rc != -ERR_UNREACHABLE || i == TRIES) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		wait_ms(p, wait);
		wait *= 2;
	}
}

/* ---- the pending file ------------------------------------------------------------------------ */

static int keep_pending(
	const struct port_far *p, const uint8_t record[SNAPREC_BYTES], struct err *err)
{
	char text[PENDING_BYTES + 1];
	char hex[65];
	uint8_t hash[HASH_BYTES];
	if (p->pending_path == NULL)
		return 0;
	snaprec_hash(record, hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(text, sizeof(text), "%s %s\n", p->who.job, hex); /* fits */
	return atomic_file_write(AT_FDCWD, p->pending_path, 0600, text, strlen(text), err);
}

static int drop_pending(const struct port_far *p, struct err *err)
{
	if (p->pending_path == NULL || env_unlinkat(AT_FDCWD, p->pending_path, 0) == 0 ||
		errno == ENOENT)
		return 0;
	return err_sys(err, ERR_IO, "unable to remove '%s'", p->pending_path);
}

/* Is the snapshot ${hash} what this job sent and got no answer for? */
static bool is_pending(const struct port_far *p, const uint8_t hash[HASH_BYTES])
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(PENDING_BYTES);
	char want[PENDING_BYTES + 1];
	char hex[65];
	if (p->pending_path == NULL || fdio_read_file(AT_FDCWD, p->pending_path, &text, NULL) != 0)
		return false;
	text_hex(hash, HASH_BYTES, hex);
	(void)snprintf(want, sizeof(want), "%s %s\n", p->who.job, hex); /* fits */
	return text.len == PENDING_BYTES && memcmp(text.data, want, PENDING_BYTES) == 0;
}

/* ---- the port -------------------------------------------------------------------------------- */

static int take_config(struct port_far *p, const struct msg_begun *m, struct err *err)
{
	struct domain d = { .epoch = 0 };
	int rc = domain_decode(m->config, m->config_len, p->officer_pk, &d, err);
	if (rc == 0 && d.epoch < p->min_epoch) {
		rc = err_set(err, ERR_ROLLBACK,
			"the controller's config has epoch %lu; %lu was seen here before",
			(unsigned long)d.epoch, (unsigned long)p->min_epoch);
		domain_done(&d);
	}
	if (rc != 0)
		return rc;
	domain_done(&p->domain);
	p->domain = d;
	return 0;
}

static int path_of(
	const struct port_far *p, char out[PATH_BYTES], const char *what, uint64_t n, bool has_n)
{
	return has_n ? snprintf(out, PATH_BYTES, "/v1/sessions/%s/%s/%llu", p->session, what,
			       (unsigned long long)n)
		     : snprintf(out, PATH_BYTES, "/v1/sessions/%s/%s", p->session, what);
}

static void end_session(struct port_far *p)
{
	char path[PATH_BYTES];
	struct err why = ERR_INIT;
	struct http_call call = { .method = HTTP_DELETE, .path = path, .parting_ms = PARTING_MS };
	if (p->session[0] == '\0')
		return;
	http_client_drop(p->client); /* what failed was told, and the rest is not wanted */
	(void)snprintf(path, sizeof(path), "/v1/sessions/%s", p->session); /* fits */
	/* a gateway that does not hear it ends the session by itself */
	(void)http_client_call(p->client, &call, NULL, NULL, &why);
	p->session[0] = '\0';
}

/* What came with begin, looked at. */
static int begin_with(struct port_far *p, const struct msg_begun *m, struct err *err)
{
	(void)snprintf(p->session, sizeof(p->session), "%s", m->session); /* same size */
	p->batches = 0;
	int rc = take_config(p, m, err);
	if (rc != 0)
		return rc;
	if (m->base.is_there && is_pending(p, m->base.hash)) {
		memcpy(p->made, m->base.hash, sizeof(p->made));
		p->is_made = true;
	}
	rc = drop_pending(p, err);
	if (rc == 0 && p->is_made)
		rc = err_set(err, ERR_EXISTS,
			"the snapshot of this job is made; only its receipt was lost");
	return rc;
}

static int port_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err)
{
	struct port_far *p = self;
	(void)agent_id; /* the certificate says who we are, the job which source */
	(void)source_id;
	CLEANUP(buf_done) struct buf body = BUF_INIT(4096);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(ANSWER_BYTES);
	CLEANUP(msg_vault_begun_done) struct msg_begun m = { .config = NULL };
	p->is_made = false;
	int rc = msg_vault_begin_encode(&p->who, &body, err);
	struct http_call call = { .method = HTTP_POST,
		.path = "/v1/sessions",
		.type = JSON,
		.body = body.data,
		.len = body.len,
		.max_answer = ANSWER_BYTES };
	if (rc == 0)
		rc = ask(p, &call, &answer, err);
	if (rc == 0)
		rc = msg_vault_begun_decode(answer.data, answer.len, &m, err);
	if (rc == 0)
		rc = begin_with(p, &m, err);
	if (rc == 0)
		*base = m.base;
	else
		end_session(p);
	return rc;
}

static int check_open(const struct port_far *p, struct err *err)
{
	return p->session[0] != '\0' ? 0 : err_set(err, ERR_USAGE, "no session is open");
}

static int port_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	struct port_far *p = self;
	CLEANUP(buf_done) struct buf answer = BUF_INIT(PORT_HAS_IDS);
	char path[PATH_BYTES];
	int rc = check_open(p, err);
	if (rc == 0 && count > PORT_HAS_IDS)
		rc = err_set(err, ERR_LIMIT, "%zu ids are more than %d", count, PORT_HAS_IDS);
	if (rc != 0 || count == 0)
		return rc;
	(void)path_of(p, path, "has", 0, false); /* fits */
	struct http_call call = { .method = HTTP_POST,
		.path = path,
		.type = OCTETS,
		.body = ids,
		.len = count * sizeof(*ids),
		.max_answer = PORT_HAS_IDS };
	rc = ask(p, &call, &answer, err);
	if (rc == 0 && answer.len != count)
		rc = err_set(err, ERR_CORRUPT, "the controller answered %zu ids with %zu bytes",
			count, answer.len);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (answer.data[i] > 1)
			rc = err_set(err, ERR_CORRUPT, "the controller answered neither 0 nor 1");
	}
	if (rc == 0)
		memcpy(present, answer.data, count);
	return rc;
}

static int port_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct port_far *p = self;
	char path[PATH_BYTES];
	int rc = check_open(p, err);
	if (rc == 0 && (len == 0 || len > PORT_MAX_BATCH_BYTES))
		rc = err_set(err, ERR_LIMIT, "a batch of %zu bytes is none", len);
	if (rc != 0)
		return rc;
	(void)path_of(p, path, "batches", p->batches, true); /* fits */
	struct http_call call = {
		.method = HTTP_PUT, .path = path, .type = OCTETS, .body = batch, .len = len
	};
	rc = http_client_send(p->client, &call, err);
	if (rc == 0)
		p->batches++;
	return rc;
}

static int port_tend(void *self, struct err *err)
{
	struct port_far *p = self;
	return http_client_tend(p->client, err);
}

static int send_list(struct port_far *p, const struct port_commit *c, struct err *err)
{
	char path[PATH_BYTES];
	int rc = 0;
	for (size_t at = 0; rc == 0 && at < c->segments_len;) {
		size_t n = c->segments_len - at < PIECE_BYTES ? c->segments_len - at : PIECE_BYTES;
		(void)path_of(p, path, "list", at, true); /* fits */
		struct http_call call = { .method = HTTP_PUT,
			.path = path,
			.type = OCTETS,
			.body = c->segments + at,
			.len = n };
		rc = ask(p, &call, NULL, err);
		at += n;
	}
	return rc;
}

static int send_commit(struct port_far *p, const struct port_commit *c,
	struct port_receipt *receipt, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(1u << 20);
	CLEANUP(buf_done) struct buf answer = BUF_INIT(4096);
	struct port_receipt r;
	uint8_t hash[HASH_BYTES];
	char path[PATH_BYTES];
	int rc = msg_vault_commit_encode(c, &body, err);
	if (rc == 0)
		rc = keep_pending(p, c->record, err);
	if (rc != 0)
		return rc;
	(void)path_of(p, path, "commit", 0, false); /* fits */
	struct http_call call = { .method = HTTP_POST,
		.path = path,
		.type = OCTETS,
		.body = body.data,
		.len = body.len,
		.max_answer = 4096 };
	rc = ask(p, &call, &answer, err);
	if (rc == 0)
		rc = msg_vault_receipt_decode(answer.data, answer.len, &r, err);
	if (rc != 0)
		return rc;
	snaprec_hash(c->record, hash);
	if (memcmp(hash, r.snap_hash, sizeof(hash)) != 0)
		return err_set(err, ERR_CORRUPT, "the receipt is for another snapshot");
	*receipt = r;
	return 0;
}

static int port_commit_far(
	void *self, const struct port_commit *commit, struct port_receipt *receipt, struct err *err)
{
	struct port_far *p = self;
	int rc = check_open(p, err);
	if (rc == 0)
		rc = http_client_drain(p->client, err);
	if (rc == 0)
		rc = send_list(p, commit, err);
	if (rc == 0)
		rc = send_commit(p, commit, receipt, err);
	if (rc != 0)
		return rc;
	p->session[0] = '\0'; /* the commit ended it */
	return 0;
}

static void port_abort(void *self)
{
	end_session(self);
}

/* ---- life ------------------------------------------------------------------------------------ */

DEFINE_CLEANUP(struct port_far *, port_far_free)

int port_far_new(const struct port_far_opts *opts, struct port_far **out, struct err *err)
{
	uint8_t id[16];
	if (strlen(opts->job) != 32 || text_unhex(opts->job, 16, id) != 0)
		return err_set(err, ERR_USAGE, "'%s' is no job", opts->job);
	if (!msg_enrol_is_name(opts->source)) {
		int rc = err_set(err, ERR_USAGE, "the source '%s' has a name that no agent may use",
			opts->source);
		(void)err_hint(err, "a source's name is of a-z, 0-9, '.', '_' and '-'");
		return rc;
	}
	CLEANUP(port_far_free_p) struct port_far *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->port = (struct port){ .self = p,
		.begin = port_begin,
		.has = port_has,
		.put = port_put,
		.tend = port_tend,
		.commit = port_commit_far,
		.abort = port_abort };
	p->client = opts->client;
	p->who.attempt = opts->attempt;
	(void)snprintf(p->who.job, sizeof(p->who.job), "%s", opts->job);          /* checked */
	(void)snprintf(p->who.source, sizeof(p->who.source), "%s", opts->source); /* checked */
	memcpy(p->officer_pk, opts->officer_pk, sizeof(p->officer_pk));
	p->min_epoch = opts->min_epoch;
	p->retry_ms = opts->retry_ms > 0 ? opts->retry_ms : FIRST_WAIT_MS;
	p->on_wait = opts->on_wait;
	p->arg = opts->arg;
	p->pending_path = opts->pending_path == NULL ? NULL : strdup(opts->pending_path);
	if (opts->pending_path != NULL && p->pending_path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = TAKE(p);
	return 0;
}

void port_far_free(struct port_far *p)
{
	if (p == NULL)
		return;
	end_session(p);
	domain_done(&p->domain);
	free(p->pending_path);
	free(p);
}

const struct port *port_far_port(struct port_far *p)
{
	return &p->port;
}

const struct domain *port_far_domain(const struct port_far *p)
{
	return &p->domain;
}

const uint8_t *port_far_made(const struct port_far *p)
{
	return p->is_made ? p->made : NULL;
}
