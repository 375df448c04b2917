#include "vault/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "codec/wire.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Every snapshot in a list has a record whose signature is that of an identity in the config;
 *     only without any config (a stranger's restore) is_signer_known is false.
 * (2) snapshot_open() believes a root only after root_commit and every envelope it can recompute.
 */

#define EV_MAX_ENVELOPES 64
#define PICK_MIN_DIGITS 4

struct listing {
	struct vault *v;
	struct snapshot_list list;
	snapshot_bad_fn on_bad;
	void *arg;
	struct err *err;
};

static void snapshot_done(struct snapshot *s)
{
	snapshot_body_done(&s->body);
	label_done(&s->label);
}

static int check_signer(struct vault *v, struct snapshot *s, struct err *err)
{
	const struct domain *d = vault_domain(v);
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
	return rc;
}

static int read_one(struct vault *v, const char *name, struct snapshot *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot s = { .is_signer_known = false };
	int rc = vault_get_sealed(v, SEALED_SNAPSHOT, name, &body, err);
	if (rc == 0)
		rc = snapshot_body_decode(body.data, body.len, &s.body, err);
	if (rc == 0)
		rc = snaprec_decode(s.body.record, &s.record, err);
	if (rc == 0)
		rc = label_decode(s.body.label, s.body.label_len, &s.label, err);
	if (rc == 0)
		rc = check_signer(v, &s, err);
	if (rc != 0) {
		snapshot_done(&s);
		return rc;
	}
	snaprec_hash(s.body.record, s.hash);
	(void)snprintf(s.object, sizeof(s.object), "%s", name); /* store names are shorter */
	*out = s;
	return 0;
}

static int list_one(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct listing *l = arg;
	struct err why = ERR_INIT;
	struct snapshot s;
	if (strlen(name) >= sizeof(s.object))
		return err_set(
			l->err, ERR_CORRUPT, "object '%s' has a name that is too long", name);
	int rc = read_one(l->v, name, &s, &why);
	if (rc != 0) {
		(void)err_wrap(&why, "snapshot '%s'", name);
		if (l->on_bad != NULL && (vault_is_object_loss(rc) || rc == -ERR_ROLLBACK)) {
			l->on_bad(l->arg, name, &why);
			return 0;
		}
		if (l->err != NULL)
			*l->err = why;
		return rc;
	}
	struct snapshot *grown = reallocarray(l->list.at, l->list.count + 1, sizeof(*grown));
	if (grown == NULL) {
		snapshot_done(&s);
		return err_set(l->err, ERR_NOMEM, "out of memory");
	}
	grown[l->list.count++] = s;
	l->list.at = grown;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct snapshot *x = a;
	const struct snapshot *y = b;
	if (x->body.receipt_ns != y->body.receipt_ns)
		return x->body.receipt_ns < y->body.receipt_ns ? -1 : 1;
	if (x->record.seq != y->record.seq)
		return x->record.seq < y->record.seq ? -1 : 1;
	return memcmp(x->hash, y->hash, sizeof(x->hash));
}

static bool is_same_source(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->record.agent_id, b->record.agent_id, sizeof(a->record.agent_id)) == 0 &&
	       memcmp(a->record.source_id, b->record.source_id, sizeof(a->record.source_id)) == 0;
}

static void mark_forks(struct snapshot_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		for (size_t k = i + 1; k < l->count; k++) {
			if (l->at[i].record.seq == l->at[k].record.seq &&
				is_same_source(&l->at[i], &l->at[k])) {
				l->at[i].is_forked = true;
				l->at[k].is_forked = true;
			}
		}
	}
}

int snapshot_list(struct vault *v, snapshot_bad_fn on_bad, void *arg, struct snapshot_list *out,
	struct err *err)
{
	struct listing l = { .v = v, .on_bad = on_bad, .arg = arg, .err = err };
	int rc = store_list(v->store, "sn/", list_one, &l, err);
	if (rc != 0) {
		snapshot_list_done(&l.list);
		return rc;
	}
	if (l.list.count > 1)
		qsort(l.list.at, l.list.count, sizeof(*l.list.at), compare);
	mark_forks(&l.list);
	*out = l.list;
	return 0;
}

void snapshot_list_done(struct snapshot_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		snapshot_done(&l->at[i]);
	free(l->at);
	l->at = NULL;
	l->count = 0;
}

static int pick_latest(const struct snapshot_list *list, const char *source,
	const struct snapshot **out, struct err *err)
{
	const struct snapshot *found = NULL;
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *s = &list->at[i];
		if (source != NULL && strcmp(s->label.source, source) != 0)
			continue;
		/* by the rules of a commit only two agents can have sources of one name */
		if (source != NULL && found != NULL && !is_same_source(found, s)) {
			err_set(err, ERR_USAGE,
				"'latest' is ambiguous: two agents have a source named '%s'",
				source);
			return err_hint(err, "give a snapshot id");
		}
		if (source == NULL && found != NULL && !is_same_source(found, s)) {
			err_set(err, ERR_USAGE,
				"'latest' is ambiguous: there are snapshots of '%s' and of '%s'",
				found->label.source, s->label.source);
			return err_hint(err, "name one with --source NAME, or give a snapshot id");
		}
		found = s;
	}
	if (found == NULL && source != NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no snapshot of source '%s'", source);
	if (found == NULL)
		return err_set(err, ERR_NOT_FOUND, "there is no snapshot in this vault");
	*out = found;
	return 0;
}

int snapshot_pick(const struct snapshot_list *list, const char *name, const char *source,
	const struct snapshot **out, struct err *err)
{
	if (strcmp(name, "latest") == 0)
		return pick_latest(list, source, out, err);
	size_t len = strlen(name);
	if (len < PICK_MIN_DIGITS || len > 64 || strspn(name, "0123456789abcdef") != len) {
		err_set(err, ERR_USAGE, "'%s' is no snapshot id", name);
		return err_hint(err,
			"give 'latest' or at least %d digits of an id from "
			"'holdfast snapshot list'",
			PICK_MIN_DIGITS);
	}
	const struct snapshot *found = NULL;
	for (size_t i = 0; i < list->count; i++) {
		char hex[2 * HASH_BYTES + 1];
		text_hex(list->at[i].hash, HASH_BYTES, hex);
		if (strncmp(hex, name, len) != 0)
			continue;
		if (source != NULL && strcmp(list->at[i].label.source, source) != 0)
			continue;
		if (found != NULL)
			return err_set(err, ERR_USAGE,
				"snapshot id '%s' is ambiguous: give more digits", name);
		found = &list->at[i];
	}
	if (found == NULL) {
		err_set(err, ERR_NOT_FOUND, "there is no snapshot '%s'", name);
		return err_hint(err, "see 'holdfast snapshot list'");
	}
	*out = found;
	return 0;
}

/* Read the ev object of a snapshot: count envelopes, borrowed from ${body}. */
static int read_envelopes(struct vault *v, const struct snapshot *s, struct buf *body,
	const uint8_t **first, size_t *count, struct err *err)
{
	char name[VAULT_NAME_BYTES] = "ev/";
	text_hex(s->body.ev, sizeof(s->body.ev), name + 3);
	int rc = vault_get_sealed(v, SEALED_ENVELOPES, name, body, err);
	if (rc != 0)
		return rc;
	struct wire w = { .p = body->data, .left = body->len };
	const uint8_t *hash;
	uint16_t n;
	rc = wire_take(&w, HASH_BYTES, &hash, err);
	if (rc == 0)
		rc = wire_take16(&w, &n, err);
	if (rc != 0)
		return err_wrap(err, "object '%s'", name);
	if (memcmp(hash, s->hash, HASH_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "object '%s' belongs to another snapshot", name);
	if (n > EV_MAX_ENVELOPES || w.left != (size_t)n * SNAPREC_ENVELOPE_BYTES)
		return err_set(err, ERR_CORRUPT, "object '%s' has a wrong length", name);
	*first = w.p;
	*count = n;
	return 0;
}

int snapshot_envelopes(
	struct vault *v, const struct snapshot *snap, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	const uint8_t *first;
	size_t count;
	int rc = read_envelopes(v, snap, &body, &first, &count, err);
	return rc != 0 ? rc : buf_add(out, body.data, body.len, err);
}

/* The public key whose rkid is ${rkid}, from the config or NULL, and what it is for: an envelope's
 * own recipient byte is under no key, so it is compared with this, never believed. */
static const uint8_t *find_recipient(
	const struct domain *d, const uint8_t rkid[HASH_BYTES], enum snaprec_recipient *kind)
{
	uint8_t id[HASH_BYTES];
	for (size_t i = 0; i < d->recovery_count; i++) {
		snaprec_rkid(d->recovery_pk[i], id);
		*kind = SNAPREC_RECOVERY;
		if (memcmp(id, rkid, sizeof(id)) == 0)
			return d->recovery_pk[i];
	}
	for (size_t i = 0; i < d->group_count; i++) {
		snaprec_rkid(d->groups[i].dk_pk, id);
		*kind = SNAPREC_DRILL;
		if (memcmp(id, rkid, sizeof(id)) == 0)
			return d->groups[i].dk_pk;
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
static int recompute(struct vault *v, const struct snapshot *s, const uint8_t *envelopes,
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
		const uint8_t *pk = find_recipient(vault_domain(v), rkid, &want);
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

static int read_root(
	struct fetch *f, const struct snapshot *s, struct snapshot_opened *o, struct err *err)
{
	uint8_t commit[HASH_BYTES];
	root_commit(&o->root_ref, commit);
	if (memcmp(commit, s->record.root_commit, sizeof(commit)) != 0 ||
		memcmp(o->root_ref.id, s->record.root_id, HASH_BYTES) != 0)
		return err_set(
			err, ERR_CORRUPT, "the envelope opens to another root than was signed");
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(1u << 20);
	const struct record_source *source = fetch_source(f);
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

int snapshot_open(struct vault *v, struct fetch *f, const struct snapshot *snap,
	const uint8_t sk[32], struct snapshot_opened *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot_opened o = { .envelopes = 0 };
	const uint8_t *envelopes;
	const uint8_t *own = NULL;
	int kind = 0;
	uint8_t pk[HPKE_KEY_BYTES];
	hpke_public(sk, pk);
	int rc = read_envelopes(v, snap, &body, &envelopes, &o.envelopes, err);
	if (rc == 0)
		rc = find_own(envelopes, o.envelopes, pk, &own, &kind, err);
	if (rc == 0)
		rc = snaprec_envelope_open(own, snap->record.domain_id, sk, &o.root_ref, err);
	if (rc == 0) {
		o.recipient = (enum snaprec_recipient)kind;
		if (kind == SNAPREC_RECOVERY) {
			uint8_t again[SNAPREC_ENVELOPE_BYTES];
			rc = snaprec_envelope(SNAPREC_RECOVERY, snap->record.domain_id, snap->hash,
				pk, &o.root_ref, again, err);
			if (rc == 0 && memcmp(again, own, sizeof(again)) != 0)
				rc = err_set(err, ERR_CORRUPT,
					"the recovery envelope is not the derived one");
			o.is_recovery_recomputed = rc == 0;
		}
	}
	if (rc == 0)
		rc = recompute(v, snap, envelopes, o.envelopes, &o, err);
	if (rc == 0)
		rc = read_root(f, snap, &o, err);
	if (rc != 0)
		return rc;
	*out = o;
	secret_wipe(&o, sizeof(o));
	return 0;
}

int snapshot_check_envelopes(struct vault *v, const struct snapshot *snap, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	const struct domain *d = vault_domain(v);
	const uint8_t *envelopes;
	size_t count;
	bool has_recovery = false;
	int rc = read_envelopes(v, snap, &body, &envelopes, &count, err);
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

/* One rf object may hold many segments: the last one read is kept while they follow each other. */
struct refs_walk {
	snaprec_ref_fn fn;
	void *arg;
};

static int forward_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct refs_walk *w = arg;
	return w->fn(w->arg, id, cr_len, err);
}

static int walk_segment(const struct snapshot_segment *seg, const struct buf *body,
	struct refs_walk *walk, uint64_t *total, struct err *err)
{
	uint8_t id[HASH_BYTES];
	uint8_t root[HASH_BYTES];
	uint64_t count;
	if (seg->offset > body->len || seg->length > body->len - seg->offset)
		return err_set(err, ERR_CORRUPT, "a reference segment lies outside its object");
	hash_sha256(body->data + seg->offset, seg->length, id);
	if (memcmp(id, seg->id, sizeof(id)) != 0)
		return err_set(err, ERR_CORRUPT, "a reference segment is not the one listed");
	int rc = snaprec_refs_walk(
		body->data + seg->offset, seg->length, NULL, forward_ref, walk, root, &count, err);
	if (rc == 0)
		*total += count;
	return rc;
}

int snapshot_refs(
	struct vault *v, const struct snapshot *snap, snaprec_ref_fn fn, void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct refs_walk walk = { .fn = fn, .arg = arg };
	const uint8_t *loaded = NULL;
	uint64_t total = 0;
	const struct snapshot_body *b = &snap->body;
	CLEANUP(cleanup_free_p)
	uint8_t(*ids)[HASH_BYTES] =
		calloc(b->segment_count == 0 ? 1 : b->segment_count, HASH_BYTES);
	if (ids == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < b->segment_count; i++)
		memcpy(ids[i], b->segments[i].id, HASH_BYTES);
	uint8_t refs_root[HASH_BYTES];
	hash_merkle((const uint8_t(*)[HASH_BYTES])ids, b->segment_count, refs_root);
	if (memcmp(refs_root, snap->record.refs_root, HASH_BYTES) != 0)
		return err_set(
			err, ERR_CORRUPT, "the snapshot's reference list is not the one signed");
	for (size_t i = 0; i < b->segment_count; i++) {
		const struct snapshot_segment *seg = &b->segments[i];
		char name[VAULT_NAME_BYTES] = "rf/";
		text_hex(seg->rf, sizeof(seg->rf), name + 3);
		if (loaded == NULL || memcmp(loaded, seg->rf, HASH_BYTES) != 0) {
			buf_clear(&body);
			int rc = vault_get_sealed(v, SEALED_REFS, name, &body, err);
			if (rc != 0)
				return rc;
			loaded = seg->rf;
		}
		int rc = walk_segment(seg, &body, &walk, &total, err);
		if (rc == -ERR_CORRUPT)
			return err_wrap(err, "object '%s'", name);
		if (rc != 0)
			return rc;
	}
	if (total != snap->record.ref_count)
		return err_set(err, ERR_CORRUPT,
			"the snapshot lists %llu references, %llu were signed",
			(unsigned long long)total, (unsigned long long)snap->record.ref_count);
	return 0;
}
