#include "vault/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/retention.h"
#include "vault/rewrap.h"
#include "vault/snapshot_sources.h"
#include "vault/snapshot_unseal.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Every snapshot in a list went through snapshot_unseal_body(): its signer is known unless
 *     there is no config, and its name tells the time that its body tells.
 */

#define SNAPSHOT_NAME_FORMAT "sn/%012llx-"
#define SNAPSHOT_NAME_HEAD ((size_t)16)
#define PICK_MIN_DIGITS 4
#define PICK_AGENT_BYTES 16

struct listing {
	struct vault *v;
	struct snapshot_list list;
	snapshot_bad_fn on_bad;
	void *arg;
	char (*lost)[128]; /* owned: listed, and not there when it was read */
	size_t lost_count;
	struct err *err;
};

/* "sn/<receipt ms, 12 hex>-<h>": who judges by the name alone judges what the body says. */
static int check_name(const char *name, const struct snapshot *s, struct err *err)
{
	char want[SNAPSHOT_NAME_HEAD + 1];
	(void)snprintf(want, sizeof(want), SNAPSHOT_NAME_FORMAT,
		(unsigned long long)(s->body.receipt_ns / 1000000)); /* fits, or is no name */
	if (strncmp(name, want, SNAPSHOT_NAME_HEAD) == 0)
		return 0;
	return err_set(err, ERR_CORRUPT,
		"object '%s' is named after another time than that of its receipt", name);
}

/* Invariant 1. */
static int unseal_named(struct vault *v, const char *name, const struct buf *body,
	struct snapshot *out, struct err *err)
{
	int rc = snapshot_unseal_body(vault_domain(v), body->data, body->len, out, err);
	if (rc != 0)
		return rc;
	rc = check_name(name, out, err);
	if (rc != 0)
		snapshot_unseal_done(out);
	return rc;
}

static int read_one(struct vault *v, const char *name, struct snapshot *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	int rc = vault_get_sealed(v, SEALED_SNAPSHOT, name, &body, err);
	if (rc == 0)
		rc = unseal_named(v, name, &body, out, err);
	if (rc == 0)
		(void)snprintf(
			out->object, sizeof(out->object), "%s", name); /* list_one() looked */
	return rc;
}

int snapshot_check_object(
	struct vault *v, const char *name, const void *object, size_t len, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot s;
	int rc = sealed_open(&v->key, SEALED_SNAPSHOT, object, len, &body, err);
	if (rc == 0)
		rc = unseal_named(v, name, &body, &s, err);
	if (rc != 0)
		return rc;
	snapshot_unseal_done(&s);
	return 0;
}

/* An object that cannot be read. */
static int tell_bad(struct listing *l, const char *name, int rc, struct err *why)
{
	(void)err_wrap(why, "snapshot '%s'", name);
	if (l->on_bad != NULL && (vault_is_object_loss(rc) || rc == -ERR_ROLLBACK)) {
		l->on_bad(l->arg, name, why);
		return 0;
	}
	if (l->err != NULL)
		*l->err = *why;
	return rc;
}

static int keep_lost(struct listing *l, const char *name)
{
	char(*grown)[128] = reallocarray(l->lost, l->lost_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(l->err, ERR_NOMEM, "out of memory");
	(void)snprintf(
		grown[l->lost_count++], sizeof(*grown), "%s", name); /* its length was seen */
	l->lost = grown;
	return 0;
}

/* Named again: it is listed and cannot be had.  Else it was pruned between list and read. */
static int list_again(void *arg, const char *name, uint64_t size)
{
	(void)size; /* only the name */
	struct listing *l = arg;
	for (size_t i = 0; i < l->lost_count; i++) {
		struct err why = ERR_INIT;
		if (strcmp(l->lost[i], name) != 0)
			continue;
		err_set(&why, ERR_NOT_FOUND, "it is listed, and is not there");
		return tell_bad(l, name, -ERR_NOT_FOUND, &why);
	}
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
	if (rc == -ERR_NOT_FOUND)
		return keep_lost(l, name);
	if (rc != 0)
		return tell_bad(l, name, rc, &why);
	struct snapshot *grown = reallocarray(l->list.at, l->list.count + 1, sizeof(*grown));
	if (grown == NULL) {
		snapshot_unseal_done(&s);
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
	int order = memcmp(x->hash, y->hash, sizeof(x->hash));
	return order != 0 ? order : strcmp(x->object, y->object);
}

static bool is_same_source(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->record.agent_id, b->record.agent_id, sizeof(a->record.agent_id)) == 0 &&
	       memcmp(a->record.source_id, b->record.source_id, sizeof(a->record.source_id)) == 0;
}

/* One snapshot may have two objects: when one could not be read for a while, or two copies brought
 * it at once.  After the sort they stand together; one that lives stays before one that does not,
 * then the first. */
static void drop_twins(struct snapshot_list *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->count; i++) {
		bool is_twin = kept > 0 && memcmp(l->at[kept - 1].hash, l->at[i].hash, 32) == 0;
		if (is_twin && l->at[kept - 1].fate != SNAPSHOT_LIVE &&
			l->at[i].fate == SNAPSHOT_LIVE) {
			snapshot_unseal_done(&l->at[kept - 1]);
			l->at[kept - 1] = l->at[i];
		} else if (is_twin) {
			snapshot_unseal_done(&l->at[i]);
		} else {
			l->at[kept++] = l->at[i];
		}
	}
	l->count = kept;
}

static void mark_forks(struct snapshot_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		for (size_t k = i + 1; k < l->count; k++) {
			if (l->at[i].fate == SNAPSHOT_LIVE && l->at[k].fate == SNAPSHOT_LIVE &&
				l->at[i].record.seq == l->at[k].record.seq &&
				is_same_source(&l->at[i], &l->at[k])) {
				l->at[i].is_forked = true;
				l->at[k].is_forked = true;
			}
		}
	}
}

static void bad_quietly(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	log_debug("snapshot.list", "object=%s error=%s, continuing", object, why->msg);
}

/* Say of each what the orders and the verdicts on the store make of it. */
static int tell_fates(struct vault *v, bool is_strict, struct snapshot_list *list, struct err *err)
{
	struct prune_view orders = { .count = 0 };
	struct collect_view lists = { .count = 0 };
	int rc = prune_view_load(v, is_strict ? NULL : bad_quietly, NULL, &orders, err);
	if (rc == 0)
		rc = collect_view_look(v, &lists, is_strict ? NULL : bad_quietly, NULL, err);
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		struct snapshot *s = &list->at[i];
		if (prune_view_has(&orders, s->hash))
			s->fate = SNAPSHOT_PRUNED;
		else if (collect_view_is_void(&lists, s->body.session, s->hash))
			s->fate = SNAPSHOT_VOID;
	}
	prune_view_done(&orders);
	collect_view_done(&lists);
	return rc;
}

int snapshot_list_all(struct vault *v, snapshot_bad_fn on_bad, void *arg, struct snapshot_list *out,
	struct err *err)
{
	struct listing l = { .v = v, .on_bad = on_bad, .arg = arg, .err = err };
	int rc = store_list(v->store, "sn/", list_one, &l, err);
	if (rc == 0 && l.lost_count > 0)
		rc = store_list(v->store, "sn/", list_again, &l, err);
	free(l.lost);
	if (rc == 0)
		rc = tell_fates(v, on_bad == NULL, &l.list, err);
	if (rc != 0) {
		snapshot_list_done(&l.list);
		return rc;
	}
	if (l.list.count > 1)
		qsort(l.list.at, l.list.count, sizeof(*l.list.at), compare);
	drop_twins(&l.list);
	mark_forks(&l.list);
	*out = l.list;
	return 0;
}

int snapshot_list(struct vault *v, snapshot_bad_fn on_bad, void *arg, struct snapshot_list *out,
	struct err *err)
{
	int rc = snapshot_list_all(v, on_bad, arg, out, err);
	if (rc != 0)
		return rc;
	size_t live = 0;
	for (size_t i = 0; i < out->count; i++) {
		if (out->at[i].fate == SNAPSHOT_LIVE)
			out->at[live++] = out->at[i];
		else
			snapshot_unseal_done(&out->at[i]);
	}
	out->count = live;
	return 0;
}

void snapshot_list_done(struct snapshot_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		snapshot_unseal_done(&l->at[i]);
	free(l->at);
	l->at = NULL;
	l->count = 0;
}

bool snapshot_is_named(
	const char *name, const char *host, const uint8_t agent_id[16], const char *source)
{
	char hex[2 * PICK_AGENT_BYTES + 1];
	if (strcmp(name, source) == 0)
		return true;
	const char *slash = strchr(source, '/');
	if (slash == NULL || strcmp(name, slash + 1) != 0)
		return false;
	const size_t len = (size_t)(slash - source);
	text_hex(agent_id, PICK_AGENT_BYTES, hex);
	return (strlen(host) == len && memcmp(host, source, len) == 0) ||
	       (len >= PICK_MIN_DIGITS && strncmp(hex, source, len) == 0);
}

bool snapshot_is_of(const struct snapshot *s, const char *source)
{
	return snapshot_is_named(s->label.source, s->label.host, s->record.agent_id, source);
}

/* By the rules of a commit only two agents can have sources of one name. */
static int explain_two(const struct snapshot *a, const struct snapshot *b, struct err *err)
{
	char x[2 * PICK_AGENT_BYTES + 1], y[sizeof(x)];
	text_hex(a->record.agent_id, PICK_AGENT_BYTES, x);
	text_hex(b->record.agent_id, PICK_AGENT_BYTES, y);
	err_set(err, ERR_USAGE,
		"'latest' is ambiguous: two agents have a source named '%s': %.16s on host '%s' "
		"and %.16s on host '%s'",
		a->label.source, x, a->label.host, y, b->label.host);
	return err_hint(err,
		"write the source as '%.16s/%s', or with the host's name before the '/' (in a plan "
		"\"source:%.16s/%s\"), or revoke the agent that is no more, with "
		"the officer's key",
		y, b->label.source, y, b->label.source);
}

static int explain_many(const struct snapshot_list *list, struct err *err)
{
	char sources[SNAPSHOT_SOURCES_BYTES];
	if (snapshot_sources_text(list, sources) == 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	err_set(err, ERR_USAGE, "'latest' is ambiguous: there are snapshots of %s", sources);
	return err_hint(err, "name one with --source NAME, or give a snapshot id");
}

/* The later one of a chain, whatever the clock said; ${s} is behind ${found} in the list. */
static const struct snapshot *later(const struct snapshot *found, const struct snapshot *s)
{
	return found != NULL && is_same_source(found, s) && found->record.seq > s->record.seq
		       ? found
		       : s;
}

static int pick_latest(const struct snapshot_list *list, const char *source,
	const struct snapshot **out, struct err *err)
{
	const struct snapshot *found = NULL, *old = NULL; /* old: of a revoked writer */
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *s = &list->at[i];
		if (source != NULL && !snapshot_is_of(s, source))
			continue;
		if (source == NULL && old != NULL &&
			strcmp(old->label.source, s->label.source) != 0)
			return explain_many(list, err);
		if (source == NULL && found != NULL &&
			strcmp(found->label.source, s->label.source) != 0)
			return explain_many(list, err);
		if (s->is_writer_revoked) {
			old = later(old, s);
			continue;
		}
		if (found != NULL && !is_same_source(found, s))
			return explain_two(found, s, err);
		found = later(found, s);
	}
	if (found == NULL)
		found = old;
	if (found == NULL && source != NULL)
		return snapshot_sources_check(list, source, err);
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
		if (source != NULL && !snapshot_is_of(&list->at[i], source))
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

/* Get the body of a snapshot's ev object, with the envelopes that were made later; its name goes to
 * ${name}. */
static int get_envelopes(struct vault *v, const struct snapshot *s, struct buf *body,
	char name[VAULT_NAME_BYTES], struct err *err)
{
	(void)snprintf(name, VAULT_NAME_BYTES, "ev/"); /* fits */
	text_hex(s->body.ev, sizeof(s->body.ev), name + 3);
	int rc = vault_get_sealed(v, SEALED_ENVELOPES, name, body, err);
	return rc != 0 ? rc : rewrap_append(v, body, err);
}

int snapshot_envelopes(
	struct vault *v, const struct snapshot *snap, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = get_envelopes(v, snap, &body, name, err);
	return rc != 0 ? rc : buf_add(out, body.data, body.len, err);
}

int snapshot_open(struct vault *v, struct fetch *f, const struct snapshot *snap,
	const uint8_t sk[32], struct snapshot_opened *out, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = get_envelopes(v, snap, &body, name, err);
	if (rc != 0)
		return rc;
	const struct snapshot_unseal_opts opts = { .domain = vault_domain(v),
		.snapshot = snap,
		.envelopes = body.data,
		.envelopes_len = body.len,
		.name = name,
		.sk = sk,
		.source = fetch_source(f) };
	return snapshot_unseal_open(&opts, out, err);
}

int snapshot_check_envelopes(struct vault *v, const struct snapshot *snap, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = get_envelopes(v, snap, &body, name, err);
	if (rc != 0)
		return rc;
	const struct snapshot_unseal_opts opts = { .domain = vault_domain(v),
		.snapshot = snap,
		.envelopes = body.data,
		.envelopes_len = body.len,
		.name = name };
	return snapshot_unseal_check(&opts, err);
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
	return snapshot_refs_new(v, snap, NULL, fn, arg, err);
}

int snapshot_refs_new(struct vault *v, const struct snapshot *snap, struct id_set *seen,
	snaprec_ref_fn fn, void *arg, struct err *err)
{
	bool is_all = true;
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
		if (seen != NULL && id_set_find(seen, seg->id) > 0) {
			is_all = false;
			continue;
		}
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
		if (rc == 0 && seen != NULL)
			rc = id_set_add(seen, seg->id, 1, NULL, err);
		if (rc != 0)
			return rc;
	}
	if (is_all && total != snap->record.ref_count)
		return err_set(err, ERR_CORRUPT,
			"the snapshot lists %llu references, %llu were signed",
			(unsigned long long)total, (unsigned long long)snap->record.ref_count);
	return 0;
}

void snapshot_retention(const struct snapshot *s, struct retention_item *out)
{
	*out = (struct retention_item){ .seq = s->record.seq,
		.receipt_ns = s->body.receipt_ns,
		.is_partial = (s->record.flags & SNAPREC_PARTIAL) != 0,
		.is_held = s->is_forked || !s->is_signer_known,
		.tags = s->label.tags,
		.tag_count = s->label.tag_count };
	memcpy(out->source, s->record.agent_id, 16);
	memcpy(out->source + 16, s->record.source_id, 16);
}
