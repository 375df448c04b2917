#include "vault/rewrap.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) An envelope is made only from a root that the signed record commits to: snapshot_open() has
 *     compared every other one.
 * (2) at is ascending by (snap_hash, rkid).
 */

#define HEAD_BYTES 12
#define KEY_AT 8 /* snap_hash and rkid stand together in an envelope */
#define KEY_BYTES 64
#define RKID_AT 40
#define EV_HEAD_BYTES 34

static const uint8_t magic[8] = { 'H', 'F', 'R', 'W', 1 };

struct rewrap {
	uint8_t (*at)[SNAPREC_ENVELOPE_BYTES]; /* owned */
	size_t count, cap;
};

void rewrap_free(struct rewrap *r)
{
	if (r == NULL)
		return;
	free(r->at);
	free(r);
}

static int compare(const void *left, const void *right)
{
	return memcmp((const uint8_t *)left + KEY_AT, (const uint8_t *)right + KEY_AT, KEY_BYTES);
}

static int add(struct rewrap *r, const uint8_t *envelope, struct err *err)
{
	if (r->count == r->cap) {
		size_t cap = r->cap == 0 ? 64 : r->cap * 2;
		uint8_t(*grown)[SNAPREC_ENVELOPE_BYTES] = reallocarray(r->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->at = grown;
		r->cap = cap;
	}
	memcpy(r->at[r->count++], envelope, SNAPREC_ENVELOPE_BYTES);
	return 0;
}

int rewrap_decode(
	const uint8_t *body, size_t len, const uint8_t **first, size_t *count, struct err *err)
{
	if (len < HEAD_BYTES || memcmp(body, magic, 4) != 0)
		return err_set(err, ERR_CORRUPT, "not a body of rewrapped envelopes");
	if (body[4] != magic[4])
		return err_set(
			err, ERR_UNSUPPORTED, "rewrapped envelopes of unknown version %u", body[4]);
	size_t n = bytes_get32(body + 8);
	if (memcmp(body, magic, sizeof(magic)) != 0 || n == 0 || n > REWRAP_MAX ||
		len != HEAD_BYTES + n * SNAPREC_ENVELOPE_BYTES)
		return err_set(err, ERR_CORRUPT, "rewrapped envelopes have a wrong form");
	const uint8_t *at = body + HEAD_BYTES;
	for (size_t i = 1; i < n; i++) {
		if (compare(at + (i - 1) * SNAPREC_ENVELOPE_BYTES,
			    at + i * SNAPREC_ENVELOPE_BYTES) >= 0)
			return err_set(err, ERR_CORRUPT, "rewrapped envelopes out of order");
	}
	*first = at;
	*count = n;
	return 0;
}

struct loading {
	struct vault *v;
	struct rewrap *r;
	struct err *err;
};

static int load_one(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct loading *l = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	const uint8_t *first = NULL;
	size_t count = 0;
	struct err why = ERR_INIT;
	int rc = vault_get_sealed(l->v, SEALED_REWRAP, name, &body, &why);
	if (rc == 0)
		rc = rewrap_decode(body.data, body.len, &first, &count, &why);
	if (vault_is_object_loss(rc)) {
		log_debug("rewrap.load", "object=%s error=%s, continuing", name, why.msg);
		return 0; /* verify names it */
	}
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add(l->r, first + i * SNAPREC_ENVELOPE_BYTES, &why);
	if (rc != 0 && l->err != NULL)
		*l->err = why;
	return rc;
}

/* Read rw/, once. */
static int load(struct vault *v, struct err *err)
{
	if (v->rewrap != NULL)
		return 0;
	struct loading l = { .v = v, .r = calloc(1, sizeof(*l.r)), .err = err };
	if (l.r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = store_list(v->store, REWRAP_PREFIX, load_one, &l, err);
	if (rc != 0) {
		rewrap_free(l.r);
		return rc;
	}
	if (l.r->count > 1)
		qsort(l.r->at, l.r->count, sizeof(*l.r->at), compare);
	v->rewrap = l.r;
	return 0;
}

/* The first that is not before the snapshot's. */
static size_t find_first(const struct rewrap *r, const uint8_t snap_hash[32])
{
	size_t from = 0;
	size_t to = r->count;
	while (from < to) {
		size_t mid = from + (to - from) / 2;
		if (memcmp(r->at[mid] + KEY_AT, snap_hash, 32) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static bool has_rkid(const struct buf *body, size_t count, const uint8_t rkid[32])
{
	const uint8_t *at = body->data + EV_HEAD_BYTES + RKID_AT;
	for (size_t i = 0; i < count; i++) {
		if (memcmp(at + i * SNAPREC_ENVELOPE_BYTES, rkid, 32) == 0)
			return true;
	}
	return false;
}

int rewrap_append(struct vault *v, struct buf *body, struct err *err)
{
	int rc = load(v, err);
	if (rc != 0 || v->rewrap->count == 0 || body->len < EV_HEAD_BYTES)
		return rc;
	size_t count = bytes_get16(body->data + 32);
	if (body->len != EV_HEAD_BYTES + count * SNAPREC_ENVELOPE_BYTES)
		return 0; /* damaged: whoever reads it says so */
	const struct rewrap *r = v->rewrap;
	for (size_t i = find_first(r, body->data);
		rc == 0 && i < r->count && count < SNAPREC_MAX_ENVELOPES &&
		memcmp(r->at[i] + KEY_AT, body->data, 32) == 0;
		i++) {
		if (has_rkid(body, count, r->at[i] + RKID_AT))
			continue;
		rc = buf_add(body, r->at[i], SNAPREC_ENVELOPE_BYTES, err);
		count += rc == 0;
	}
	bytes_put16(body->data + 32, (uint16_t)count);
	return rc;
}

/* ---- envelopes made -------------------------------------------------------------------------- */

struct run {
	struct vault *v;
	const struct rewrap_opts *opts;
	struct rewrap_result r;
	struct fetch *fetch;                  /* owned */
	struct rewrap made;                   /* not put yet */
	const uint8_t *keys[DOMAIN_MAX_KEYS]; /* borrowed: who is to have envelopes */
	enum snaprec_recipient kinds[DOMAIN_MAX_KEYS];
	size_t key_count;
};

static int choose_keys(struct run *w, struct err *err)
{
	const struct domain *d = &w->v->domain;
	bool is_found = w->opts->group == NULL;
	if (d->epoch == 0)
		return err_set(err, ERR_CORRUPT,
			"the vault has no readable config: nobody knows for whom");
	for (size_t i = 0; i < d->recovery_count; i++) {
		w->kinds[w->key_count] = SNAPREC_RECOVERY;
		w->keys[w->key_count++] = d->recovery_pk[i];
	}
	for (size_t i = 0; i < d->group_count && w->opts->group != NULL; i++) {
		if (strcmp(d->groups[i].name, w->opts->group) != 0 ||
			w->key_count == DOMAIN_MAX_KEYS)
			continue;
		is_found = true;
		w->kinds[w->key_count] = SNAPREC_DRILL;
		w->keys[w->key_count++] = d->groups[i].dk_pk;
	}
	return is_found ? 0
			: err_set(err, ERR_NOT_FOUND, "there is no drill group '%s'",
				  w->opts->group);
}

static int flush(struct run *w, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	if (w->made.count == 0 || w->opts->is_dry_run)
		return 0;
	qsort(w->made.at, w->made.count, sizeof(*w->made.at), compare);
	int rc = buf_add(&body, magic, sizeof(magic), err);
	if (rc == 0)
		rc = buf_add32(&body, (uint32_t)w->made.count, err);
	if (rc == 0)
		rc = buf_add(&body, w->made.at, w->made.count * sizeof(*w->made.at), err);
	if (rc == 0)
		rc = vault_put_sealed(w->v->store, &w->v->key, SEALED_REWRAP, REWRAP_PREFIX,
			body.data, body.len, name, NULL, err);
	w->made.count = 0;
	return rc != 0 ? rc : store_barrier(w->v->store, err);
}

/* Make what the snapshot lacks: ${lacks} says which of the keys. */
static int make(
	struct run *w, const struct snapshot *s, const bool *lacks, size_t has, struct err *err)
{
	struct snapshot_opened o;
	uint8_t envelope[SNAPREC_ENVELOPE_BYTES];
	int rc = snapshot_open(w->v, w->fetch, s, w->opts->sk, &o, err);
	for (size_t i = 0; rc == 0 && i < w->key_count; i++) {
		if (!lacks[i])
			continue;
		if (has++ == SNAPREC_MAX_ENVELOPES)
			rc = err_set(err, ERR_LIMIT, "snapshot '%s' has %d envelopes already",
				s->object, SNAPREC_MAX_ENVELOPES);
		if (rc == 0)
			rc = snaprec_envelope(w->kinds[i], s->record.domain_id, s->hash, w->keys[i],
				&o.root_ref, envelope, err);
		if (rc == 0)
			rc = add(&w->made, envelope, err);
		w->r.envelopes += rc == 0;
	}
	secret_wipe(&o, sizeof(o));
	w->r.rewrapped += rc == 0;
	return rc;
}

static int consider(struct run *w, const struct snapshot *s, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	bool lacks[DOMAIN_MAX_KEYS] = { false };
	size_t lacking = 0;
	size_t has = 0;
	int rc = snapshot_envelopes(w->v, s, &body, err);
	if (rc == 0 && body.len >= EV_HEAD_BYTES)
		has = (body.len - EV_HEAD_BYTES) / SNAPREC_ENVELOPE_BYTES;
	for (size_t i = 0; rc == 0 && i < w->key_count; i++) {
		uint8_t rkid[32];
		snaprec_rkid(w->keys[i], rkid);
		lacks[i] = !has_rkid(&body, has, rkid);
		lacking += lacks[i];
	}
	return rc != 0 || lacking == 0 ? rc : make(w, s, lacks, has, err);
}

static void tell_bad(void *arg, const char *object, const struct err *why)
{
	struct run *w = arg;
	w->r.bad++;
	if (w->opts->on_bad != NULL)
		w->opts->on_bad(w->opts->arg, object, why);
}

static int walk(struct run *w, const struct snapshot_list *list, struct err *err)
{
	int rc = 0;
	w->r.snapshots = list->count;
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		struct err why = ERR_INIT;
		rc = consider(w, &list->at[i], &why);
		if (vault_is_object_loss(rc)) {
			tell_bad(w, list->at[i].object, &why);
			rc = 0;
		} else if (rc != 0 && err != NULL) {
			*err = why;
		}
		if (rc == 0 && w->made.count + DOMAIN_MAX_KEYS > REWRAP_MAX)
			rc = flush(w, err);
		if (w->opts->on_progress != NULL)
			w->opts->on_progress(w->opts->arg, i + 1, list->count);
		if (rc == 0 && w->opts->is_stopped != NULL && w->opts->is_stopped(w->opts->arg)) {
			rc = flush(w, err);
			if (rc == 0)
				rc = err_set(
					err, ERR_INTERRUPTED, "rewrap was stopped; run it again");
		}
	}
	return rc == 0 ? flush(w, err) : rc;
}

int rewrap_run(
	struct vault *v, const struct rewrap_opts *opts, struct rewrap_result *out, struct err *err)
{
	struct run w = { .v = v, .opts = opts };
	struct snapshot_list list = { .at = NULL };
	int rc = opts->is_dry_run ? 0 : vault_check_writable(v, err);
	if (rc == 0)
		rc = choose_keys(&w, err);
	if (rc == 0)
		rc = fetch_new(v, &w.fetch, err);
	if (rc == 0)
		rc = snapshot_list(v, tell_bad, &w, &list, err);
	if (rc == 0)
		rc = walk(&w, &list, err);
	snapshot_list_done(&list);
	fetch_free(w.fetch);
	free(w.made.at);
	rewrap_free(v->rewrap); /* it is read again */
	v->rewrap = NULL;
	if (rc == 0)
		*out = w.r;
	return rc;
}
