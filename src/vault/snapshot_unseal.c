#include "vault/snapshot_unseal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/wire.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "vault/domain.h"
#include "vault/record_io.h"

/*
 * INVARIANTS
 * (1) A snapshot that comes out has a record whose signature is that of an identity in the config;
 *     only without any config (a stranger's restore) is_signer_known is false.
 * (2) A root is believed only after root_commit and every envelope that can be recomputed.
 */

void snapshot_unseal_done(struct snapshot *s)
{
	snapshot_body_done(&s->body);
	label_done(&s->label);
}

static int check_signer(const struct domain *d, struct snapshot *s, struct err *err)
{
	if (d->epoch == 0)
		return 0; /* a stranger's restore: warned about by who shows it */
	if (s->record.config_epoch > d->epoch)
		return err_set(err, ERR_ROLLBACK,
			"the snapshot knows config epoch %u, the store only %u: the store went "
			"back",
			s->record.config_epoch, d->epoch);
	if (memcmp(s->record.domain_id, d->domain_id, sizeof(d->domain_id)) != 0)
		return err_set(err, ERR_CORRUPT, "the snapshot belongs to another domain");
	const struct domain_agent *agent = domain_find_kid(d, s->record.kid);
	if (agent == NULL ||
		memcmp(agent->agent_id, s->record.agent_id, sizeof(agent->agent_id)) != 0)
		return err_set(err, ERR_CORRUPT,
			"the snapshot is signed by a key that the config "
			"does not give to its agent");
	int rc = snaprec_verify(s->body.record, agent->ik_pk, err);
	s->is_signer_known = rc == 0;
	s->is_writer_revoked = !domain_has_active(d, s->record.agent_id);
	return rc;
}

int snapshot_unseal_body(
	const struct domain *d, const void *body, size_t len, struct snapshot *out, struct err *err)
{
	struct snapshot s = { .is_signer_known = false };
	int rc = snapshot_body_decode(body, len, &s.body, err);
	if (rc == 0)
		rc = snaprec_decode(s.body.record, &s.record, err);
	if (rc == 0)
		rc = label_decode(s.body.label, s.body.label_len, &s.label, err);
	if (rc == 0)
		rc = check_signer(d, &s, err);
	if (rc != 0) {
		snapshot_unseal_done(&s);
		return rc;
	}
	snaprec_hash(s.body.record, s.hash);
	*out = s;
	return 0;
}

/* ---- envelopes ---- */

/* The envelopes in the body of an ev object, which must be of this snapshot. */
static int read_envelopes(
	const struct snapshot_unseal_opts *o, const uint8_t **first, size_t *count, struct err *err)
{
	struct wire w = { .p = o->envelopes, .left = o->envelopes_len };
	const uint8_t *hash;
	uint16_t n;
	int rc = wire_take(&w, HASH_BYTES, &hash, err);
	if (rc == 0)
		rc = wire_take16(&w, &n, err);
	if (rc != 0)
		return err_wrap(err, "object '%s'", o->name);
	if (memcmp(hash, o->snapshot->hash, HASH_BYTES) != 0)
		return err_set(
			err, ERR_CORRUPT, "object '%s' belongs to another snapshot", o->name);
	if (n > SNAPREC_MAX_ENVELOPES || w.left != (size_t)n * SNAPREC_ENVELOPE_BYTES)
		return err_set(err, ERR_CORRUPT, "object '%s' has a wrong length", o->name);
	*first = w.p;
	*count = n;
	return 0;
}

/* The public key whose rkid is ${rkid}, from the config, and what it is for, or NULL: an envelope's
 * own recipient byte is under no key, so it is compared with this, never believed. */
static const uint8_t *find_recipient(
	const struct domain *d, const uint8_t rkid[HASH_BYTES], enum snaprec_recipient *kind)
{
	uint8_t id[HASH_BYTES];
	for (size_t i = 0; i < d->recovery_count; i++) {
		snaprec_rkid(d->recovery_pk[i], id);
		if (memcmp(id, rkid, sizeof(id)) == 0) {
			*kind = SNAPREC_RECOVERY;
			return d->recovery_pk[i];
		}
	}
	for (size_t i = 0; i < d->group_count; i++) {
		snaprec_rkid(d->groups[i].dk_pk, id);
		if (memcmp(id, rkid, sizeof(id)) == 0) {
			*kind = SNAPREC_DRILL;
			return d->groups[i].dk_pk;
		}
	}
	return NULL;
}

static int find_own(const uint8_t *envelopes, size_t count, const uint8_t pk[HPKE_KEY_BYTES],
	const uint8_t **out, int *kind, struct err *err)
{
	uint8_t own[HASH_BYTES];
	snaprec_rkid(pk, own);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *env = envelopes + i * SNAPREC_ENVELOPE_BYTES;
		const uint8_t *hash;
		const uint8_t *rkid;
		int rc = snaprec_envelope_peek(env, kind, &hash, &rkid, err);
		if (rc != 0)
			return rc;
		if (memcmp(rkid, own, sizeof(own)) == 0) {
			*out = env;
			return 0;
		}
	}
	return err_set(err, ERR_AUTH, "the snapshot has no envelope for this key");
}

/* Invariant 2: whoever opened one envelope knows what the others must be. */
static int recompute(const struct domain *d, const struct snapshot *s, const uint8_t *envelopes,
	size_t count, struct snapshot_opened *o, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *env = envelopes + i * SNAPREC_ENVELOPE_BYTES;
		uint8_t again[SNAPREC_ENVELOPE_BYTES];
		const uint8_t *hash;
		const uint8_t *rkid;
		int kind;
		int rc = snaprec_envelope_peek(env, &kind, &hash, &rkid, err);
		if (rc != 0)
			return rc;
		enum snaprec_recipient want;
		const uint8_t *pk = find_recipient(d, rkid, &want);
		if (pk == NULL)
			continue; /* a grant, or no config: nothing to compare with */
		rc = snaprec_envelope(
			want, s->record.domain_id, s->hash, pk, &o->root_ref, again, err);
		if (rc != 0)
			return rc;
		if (memcmp(again, env, sizeof(again)) != 0)
			return err_set(err, ERR_CORRUPT,
				"envelope %zu of the snapshot is not the one its root demands",
				i + 1);
		if (want == SNAPREC_RECOVERY)
			o->is_recovery_recomputed = true;
	}
	return 0;
}

static int read_root(const struct record_source *source, const struct snapshot *s,
	struct snapshot_opened *o, struct err *err)
{
	uint8_t commit[HASH_BYTES];
	root_commit(&o->root_ref, commit);
	if (memcmp(commit, s->record.root_commit, sizeof(commit)) != 0 ||
		memcmp(o->root_ref.id, s->record.root_id, HASH_BYTES) != 0)
		return err_set(
			err, ERR_CORRUPT, "the envelope opens to another root than was signed");
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(1u << 20);
	int rc = source->get(source->self, &o->root_ref, RECORD_ROOT, &raw, err);
	if (rc == 0)
		rc = root_decode(raw.data, raw.len, &o->root, err);
	if (rc != 0)
		return err_wrap(err, "root record");
	uint8_t label[HASH_BYTES];
	hash_sha256(s->body.label, s->body.label_len, label);
	if (memcmp(label, o->root.label_hash, sizeof(label)) != 0)
		return err_set(
			err, ERR_CORRUPT, "the snapshot's label is not the one its root names");
	return 0;
}

/* Open the envelope of the key itself; a recovery key makes its own again as well. */
static int open_own(const struct snapshot_unseal_opts *opts, const uint8_t *envelopes,
	struct snapshot_opened *o, struct err *err)
{
	const struct snapshot *snap = opts->snapshot;
	const uint8_t *own = NULL;
	int kind = 0;
	uint8_t pk[HPKE_KEY_BYTES], again[SNAPREC_ENVELOPE_BYTES];
	hpke_public(opts->sk, pk);
	int rc = find_own(envelopes, o->envelopes, pk, &own, &kind, err);
	if (rc == 0)
		rc = snaprec_envelope_open(
			own, snap->record.domain_id, opts->sk, &o->root_ref, err);
	if (rc != 0)
		return rc;
	o->recipient = (enum snaprec_recipient)kind;
	if (kind != SNAPREC_RECOVERY)
		return 0;
	rc = snaprec_envelope(
		SNAPREC_RECOVERY, snap->record.domain_id, snap->hash, pk, &o->root_ref, again, err);
	if (rc == 0 && memcmp(again, own, sizeof(again)) != 0)
		rc = err_set(err, ERR_CORRUPT, "the recovery envelope is not the derived one");
	o->is_recovery_recomputed = rc == 0;
	return rc;
}

int snapshot_unseal_open(
	const struct snapshot_unseal_opts *opts, struct snapshot_opened *out, struct err *err)
{
	struct snapshot_opened o = { .envelopes = 0 };
	const uint8_t *envelopes;
	int rc = read_envelopes(opts, &envelopes, &o.envelopes, err);
	if (rc == 0)
		rc = open_own(opts, envelopes, &o, err);
	if (rc == 0)
		rc = recompute(opts->domain, opts->snapshot, envelopes, o.envelopes, &o, err);
	if (rc == 0)
		rc = read_root(opts->source, opts->snapshot, &o, err);
	if (rc == 0)
		*out = o;
	secret_wipe(&o, sizeof(o));
	return rc;
}

int snapshot_unseal_check(const struct snapshot_unseal_opts *o, struct err *err)
{
	const struct snapshot *snap = o->snapshot;
	const struct domain *d = o->domain;
	const uint8_t *envelopes;
	size_t count;
	bool has_recovery = false;
	int rc = read_envelopes(o, &envelopes, &count, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		int kind;
		const uint8_t *hash;
		const uint8_t *rkid;
		rc = snaprec_envelope_peek(
			envelopes + i * SNAPREC_ENVELOPE_BYTES, &kind, &hash, &rkid, err);
		if (rc != 0)
			return rc;
		if (memcmp(hash, snap->hash, sizeof(snap->hash)) != 0)
			return err_set(err, ERR_CORRUPT, "an envelope belongs to another snapshot");
		enum snaprec_recipient want = SNAPREC_GRANT;
		if (d->epoch == 0)
			want = (enum snaprec_recipient)kind; /* no config to ask */
		else if (find_recipient(d, rkid, &want) != NULL && (int)want != kind)
			return err_set(err, ERR_CORRUPT,
				"an envelope names another recipient than its key");
		if (want == SNAPREC_RECOVERY && kind == SNAPREC_RECOVERY)
			has_recovery = true;
	}
	if (!has_recovery)
		return err_set(err, ERR_CORRUPT, "there is no envelope for the recovery key");
	return 0;
}
