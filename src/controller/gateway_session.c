#include "controller/gateway_session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/controller_keys.h"
#include "controller/gateway.h"
#include "controller/gateway_vault.h"
#include "msg/msg_vault.h"
#include "store/store.h"
#include "vault/keyring.h"
#include "vault/session.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) After the first failure of a put the session is broken: every later call gives that error, so
 *     that an agent whose queued batches fail learns the cause and not a consequence.
 * (2) is_committed: receipt and record are those of the snapshot that was made; nothing more is
 * put.
 */

struct gateway_session {
	struct store *store;     /* owned */
	struct vault *vault;     /* owned */
	struct session *session; /* owned */
	const struct port *port; /* of session */
	size_t max_list;
	struct buf list; /* reference segments so far */
	struct err broken;
	bool is_committed;
	uint8_t record[SNAPREC_BYTES];
	struct port_receipt receipt;
};

DEFINE_CLEANUP(struct gateway_session *, gateway_session_free)

int gateway_session_new(const struct gateway_session_opts *o, struct gateway_session **out,
	struct port_base *base, struct err *err)
{
	CLEANUP(gateway_session_free_p) struct gateway_session *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->max_list = o->max_list;
	s->list = (struct buf)BUF_INIT(o->max_list);
	int rc = gateway_vault_open_at_work(o->vault, false, &s->store, &s->vault, err);
	const struct session_opts session = { .memory = o->memory, .known = o->known };
	if (rc == 0)
		rc = session_new(s->vault, &session, &s->session, err);
	if (rc != 0)
		return rc;
	session_set_gateway(s->session, o->vault->keys->gateway);
	uint8_t source_id[16];
	s->port = session_port(s->session);
	keyring_source_id(o->vault->keys->domain_id, o->agent_id, o->source, source_id);
	rc = s->port->begin(s->port->self, o->agent_id, source_id, base, err);
	if (rc != 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

void gateway_session_free(struct gateway_session *s)
{
	if (s == NULL)
		return;
	session_free(s->session);
	vault_close(s->vault);
	store_free(s->store);
	buf_done(&s->list);
	free(s);
}

bool gateway_session_is_committed(const struct gateway_session *s)
{
	return s->is_committed;
}

/* Invariant 1. */
static int check_whole(const struct gateway_session *s, struct err *err)
{
	if (s->broken.code != 0) {
		if (err != NULL)
			*err = s->broken;
		return -s->broken.code;
	}
	if (s->is_committed)
		return err_set(err, ERR_INTERRUPTED, "the session has ended with its snapshot");
	return 0;
}

int gateway_session_has(struct gateway_session *s, const uint8_t *ids, size_t len,
	uint8_t present[PORT_HAS_IDS], size_t *count, struct err *err)
{
	uint8_t asked[PORT_HAS_IDS][32];
	int rc = check_whole(s, err);
	if (rc != 0)
		return rc;
	if (len == 0 || len % 32 != 0 || len / 32 > PORT_HAS_IDS)
		return err_set(err, ERR_CORRUPT, "%zu bytes are not 1 to %d record ids", len,
			PORT_HAS_IDS);
	*count = len / 32;
	memcpy(asked, ids, len);
	return s->port->has(s->port->self, asked, *count, present, err);
}

int gateway_session_put(
	struct gateway_session *s, const uint8_t *batch, size_t len, struct err *err)
{
	int rc = check_whole(s, err);
	if (rc != 0)
		return rc;
	rc = s->port->put(s->port->self, batch, len, &s->broken);
	if (rc != 0 && err != NULL)
		*err = s->broken;
	return rc;
}

int gateway_session_list(struct gateway_session *s, uint64_t offset, const uint8_t *data,
	size_t len, struct err *err)
{
	int rc = check_whole(s, err);
	if (rc != 0)
		return rc;
	if (offset > s->list.len)
		return err_set(err, ERR_CORRUPT,
			"a piece of the reference list begins at %" PRIu64 ", %zu bytes are there",
			offset, s->list.len);
	size_t known = s->list.len - (size_t)offset;
	if (known > len)
		known = len;
	if (known > 0 && memcmp(s->list.data + offset, data, known) != 0)
		return err_set(err, ERR_CORRUPT,
			"a piece of the reference list came twice with different bytes");
	rc = buf_add(&s->list, data + known, len - known, err);
	if (rc == -ERR_LIMIT) {
		(void)err_set(err, ERR_LIMIT,
			"the reference list is longer than %zu MiB, what this controller takes",
			s->max_list >> 20);
		return err_hint(err, "split the source into several");
	}
	return rc;
}

/* A wrong clock would date the evidence wrongly: docs/PROTOCOL.md, The vault port. */
static int check_times(const struct snaprec *r, struct err *err)
{
	const int64_t now = env_now_ns(), room = GATEWAY_CLOCK_MS * INT64_C(1000000);
	if (r->t_end_ns < r->t_start_ns)
		return err_set(err, ERR_CORRUPT, "the snapshot ends before it begins");
	if (r->t_end_ns <= now + room && r->t_end_ns >= now - room)
		return 0;
	err_set(err, ERR_CORRUPT, "the snapshot's end lies %" PRId64 " s %s the controller's clock",
		(r->t_end_ns > now ? r->t_end_ns - now : now - r->t_end_ns) / 1000000000,
		r->t_end_ns > now ? "ahead of" : "behind");
	return err_hint(err, "set the clock of the agent's host (or of the controller) right");
}

static void add_readers(const uint8_t pk[32], struct gateway_session_readers *out)
{
	snaprec_rkid(pk, out->rkid[out->count++]);
}

void gateway_session_readers(const struct domain *d, struct gateway_session_readers *out)
{
	out->count = 0;
	for (size_t i = 0; i < d->recovery_count; i++)
		add_readers(d->recovery_pk[i], out);
	for (size_t i = 0; i < d->group_count; i++)
		add_readers(d->groups[i].dk_pk, out);
}

/* True for an envelope to be stored; what is none is the vault's to refuse. */
static bool has_reader(const struct gateway_session_readers *readers, const uint8_t *envelope)
{
	int kind;
	const uint8_t *hash, *rkid;
	if (snaprec_envelope_peek(envelope, &kind, &hash, &rkid, NULL) != 0)
		return true;
	for (size_t i = 0; i < readers->count; i++) {
		if (memcmp(readers->rkid[i], rkid, 32) == 0)
			return true;
	}
	return false;
}

/* Leave out the envelopes of keys that were struck since the session began. */
static int keep_readers(const struct gateway_session_readers *readers, struct port_commit *c,
	struct buf *kept, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->envelope_count; i++) {
		const uint8_t *envelope = c->envelopes + i * SNAPREC_ENVELOPE_BYTES;
		if (has_reader(readers, envelope))
			rc = buf_add(kept, envelope, SNAPREC_ENVELOPE_BYTES, err);
	}
	c->envelopes = kept->data;
	c->envelope_count = kept->len / SNAPREC_ENVELOPE_BYTES;
	return rc;
}

void gateway_session_made_free(struct snapshot *made)
{
	if (made == NULL)
		return;
	label_done(&made->label);
	free(made);
}

/* What the vault's list will say of the snapshot just made, or NULL when out of memory. */
static struct snapshot *note_made(const struct gateway_session *s, const struct port_commit *c)
{
	struct snapshot *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	memcpy(m->body.record, c->record, SNAPREC_BYTES);
	m->body.receipt_ns = (int64_t)s->receipt.receipt_ns;
	memcpy(m->hash, s->receipt.snap_hash, sizeof(m->hash));
	m->is_signer_known = true;
	if (snaprec_decode(c->record, &m->record, NULL) == 0 &&
		label_decode(c->label, c->label_len, &m->label, NULL) == 0)
		return m;
	gateway_session_made_free(m);
	return NULL;
}

int gateway_session_commit(struct gateway_session *s, const struct gateway_session_readers *readers,
	const uint8_t *body, size_t len, struct port_receipt *receipt, struct snapshot **made,
	struct err *err)
{
	CLEANUP(buf_done) struct buf kept = BUF_INIT(MSG_MAX_BODY);
	struct port_commit c;
	struct snaprec r;
	int rc = msg_vault_commit_decode(body, len, &c, err);
	*made = NULL;
	if (rc == 0 && s->is_committed && memcmp(c.record, s->record, SNAPREC_BYTES) == 0) {
		*receipt = s->receipt;
		return 0;
	}
	if (rc == 0)
		rc = check_whole(s, err);
	if (rc == 0)
		rc = snaprec_decode(c.record, &r, err);
	if (rc == 0)
		rc = check_times(&r, err);
	if (rc == 0)
		rc = keep_readers(readers, &c, &kept, err);
	if (rc != 0)
		return rc;
	c.segments = s->list.data;
	c.segments_len = s->list.len;
	rc = s->port->commit(s->port->self, &c, &s->receipt, &s->broken);
	if (rc != 0) {
		if (err != NULL)
			*err = s->broken;
		return rc;
	}
	s->is_committed = true;
	memcpy(s->record, c.record, sizeof(s->record));
	*receipt = s->receipt;
	/* it is durable whatever happens now: without memory only the catalog's copy is late */
	*made = note_made(s, &c);
	return 0;
}
