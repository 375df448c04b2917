#include "vault/session_check.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "vault/id_marks.h"
#include "vault/id_set.h"
#include "vault/keyring.h"
#include "vault/label.h"
#include "vault/session_base.h"
#include "vault/snapshot_body.h"

static int check_record(const struct session_check *s, const struct port_commit *c,
	struct snaprec *r, struct err *err)
{
	int rc = snaprec_decode(c->record, r, err);
	if (rc != 0)
		return rc;
	if (memcmp(r->agent_id, s->agent_id, 16) != 0 ||
		memcmp(r->source_id, s->source_id, 16) != 0)
		return err_set(err, ERR_CORRUPT, "the snapshot is of another agent or source");
	if (memcmp(r->domain_id, s->domain->domain_id, 16) != 0)
		return err_set(err, ERR_CORRUPT, "the snapshot is of another domain");
	if (r->config_epoch == 0 || r->config_epoch > s->domain->epoch)
		return err_set(err, ERR_CORRUPT,
			"the snapshot names config epoch %u, the newest is %u", r->config_epoch,
			s->domain->epoch);
	const struct domain_agent *agent = domain_find_kid(s->domain, r->kid);
	if (agent == NULL || (agent->is_revoked && !s->is_copy) ||
		memcmp(agent->agent_id, r->agent_id, 16) != 0)
		return err_set(
			err, ERR_AUTH, "the signing key of this writer is unknown or revoked");
	return snaprec_verify(c->record, agent->ik_pk, err);
}

static int check_chain(const struct session_check *s, const struct snaprec *r, struct err *err)
{
	static const uint8_t none[HASH_BYTES];
	const struct session_base *base = s->base;
	if (s->is_copy)
		return 0; /* its place in the chain was given to it long ago */
	uint64_t seq = base->is_there ? base->seq + 1 : 1;
	if (r->seq != seq || memcmp(r->prev, base->is_there ? base->hash : none, HASH_BYTES) != 0)
		return err_set(err, ERR_CORRUPT,
			"the snapshot does not continue the chain: number %llu "
			"instead of %llu, or another predecessor",
			(unsigned long long)r->seq, (unsigned long long)seq);
	return 0;
}

struct walk {
	const struct session_check *s;
	uint8_t last[HASH_BYTES];
	uint64_t listed_puts;
};

static int check_copied(const struct session_check *s, const uint8_t id[32], struct err *err)
{
	int rc = s->is_stored(s->arg, id, err);
	if (rc == 0)
		return err_set(err, ERR_CORRUPT, "a record that the snapshot needs is not there");
	return rc < 0 ? rc : 0;
}

static int check_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct walk *w = arg;
	uint32_t put = id_set_find(w->s->puts, id);
	uint32_t own = put != 0 || w->s->is_copy ? 0 : id_marks_find(w->s->own, id);
	memcpy(w->last, id, sizeof(w->last));
	if (put == 0 && w->s->is_copy)
		return check_copied(w->s, id, err);
	if (put == 0 && own == 0)
		return err_set(err, ERR_CORRUPT,
			"the reference list names a record that was neither put "
			"in this session nor is in the agent's own snapshots");
	if ((put != 0 ? put : own) != cr_len)
		return err_set(
			err, ERR_CORRUPT, "the reference list gives a record a wrong length");
	if (put != 0) {
		w->listed_puts++;
		return 0;
	}
	int rc = w->s->is_stored(w->s->arg, id, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	err_set(err, ERR_CORRUPT, "a record of what did not change is no longer in the vault");
	return err_hint(err,
		"run the backup again with --no-cache: what is missing is stored anew; and see "
		"'holdfast verify'");
}

static int check_refs(const struct session_check *s, const struct port_commit *c,
	const struct snaprec *r, struct err *err)
{
	struct walk w = { .s = s };
	uint8_t refs_root[HASH_BYTES];
	uint64_t count = 0;
	int rc = snaprec_refs_walk(
		c->segments, c->segments_len, NULL, check_ref, &w, refs_root, &count, err);
	if (rc != 0)
		return rc;
	if (memcmp(refs_root, r->refs_root, sizeof(refs_root)) != 0 || count != r->ref_count)
		return err_set(
			err, ERR_CORRUPT, "the reference list is not the one that was signed");
	if (count == 0 || memcmp(w.last, r->root_id, sizeof(w.last)) != 0)
		return err_set(err, ERR_CORRUPT, "the last reference is not the root");
	if (w.listed_puts < id_set_count(s->puts))
		log_debug("session_check.refs", "listed=%llu put=%zu, continuing",
			(unsigned long long)w.listed_puts, id_set_count(s->puts));
	return 0;
}

static int check_envelopes(
	const struct session_check *s, const struct port_commit *c, struct err *err)
{
	uint8_t snap_hash[HASH_BYTES];
	bool has_recovery = false;
	if (c->envelope_count == 0 || c->envelope_count > DOMAIN_MAX_KEYS)
		return err_set(
			err, ERR_CORRUPT, "the snapshot has %zu envelopes", c->envelope_count);
	snaprec_hash(c->record, snap_hash);
	for (size_t i = 0; i < c->envelope_count; i++) {
		int kind;
		const uint8_t *hash;
		const uint8_t *rkid;
		int rc = snaprec_envelope_peek(
			c->envelopes + i * SNAPREC_ENVELOPE_BYTES, &kind, &hash, &rkid, err);
		if (rc != 0)
			return rc;
		if (memcmp(hash, snap_hash, sizeof(snap_hash)) != 0)
			return err_set(err, ERR_CORRUPT, "an envelope belongs to another snapshot");
		for (size_t k = 0; kind == SNAPREC_RECOVERY && k < s->domain->recovery_count; k++) {
			uint8_t want[HASH_BYTES];
			snaprec_rkid(s->domain->recovery_pk[k], want);
			has_recovery = has_recovery || memcmp(rkid, want, sizeof(want)) == 0;
		}
	}
	if (!has_recovery)
		return err_set(
			err, ERR_CORRUPT, "there is no envelope for a recovery key of this vault");
	return 0;
}

/* A label that readers refuse would stop every list of snapshots, for good; and "latest" of a
 * source goes by the name in the label. */
static int check_label(const struct session_check *s, const struct port_commit *c, struct err *err)
{
	struct label label;
	uint8_t source_id[16];
	if (c->label_len > SNAPSHOT_BODY_MAX_LABEL)
		return err_set(err, ERR_LIMIT,
			"the label of %zu bytes is longer than %d (paths, tags)", c->label_len,
			SNAPSHOT_BODY_MAX_LABEL);
	int rc = label_decode(c->label, c->label_len, &label, err);
	if (rc != 0)
		return rc;
	keyring_source_id(s->domain->domain_id, s->agent_id, label.source, source_id);
	label_done(&label);
	if (memcmp(source_id, s->source_id, sizeof(source_id)) != 0)
		return err_set(err, ERR_CORRUPT, "the label names another source");
	return 0;
}

int session_check_commit(
	const struct session_check *s, const struct port_commit *c, struct err *err)
{
	struct snaprec r;
	int rc = check_record(s, c, &r, err);
	if (rc == 0)
		rc = check_chain(s, &r, err);
	if (rc == 0)
		rc = check_refs(s, c, &r, err);
	if (rc == 0)
		rc = check_label(s, c, err);
	return rc != 0 ? rc : check_envelopes(s, c, err);
}
