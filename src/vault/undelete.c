#include "vault/undelete.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/hidden.h"
#include "vault/id_set.h"
#include "vault/lock_class.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

/*
 * INVARIANTS
 * (1) What is brought back hashes to its name, or its name ends in no hash.
 * (2) A snapshot object comes back after all that the run brings back for it.
 * (3) What is needed and has no right version counts as failed.  Of packs with one version, which
 *     is read and has the length, `verify` says whether it is right.
 */

struct undeleting {
	struct vault *old;
	struct store *store;
	const struct undelete_opts *opts;
	struct undelete_result *r;
	struct version_table table;
	struct fetch *fetch;   /* owned, of the old view */
	struct index *index;   /* borrowed from fetch */
	struct id_set *needed; /* owned; ends of the names of what is to be read again */
	struct id_set *met;    /* owned; of these, what has a name in the store */
	struct id_set *seen;   /* owned; segments */
	struct snapshot_list list;
};

static void pass_over(void *arg, const char *object, const struct err *why)
{
	struct undeleting *u = arg;
	log_info("undelete.read", "object=%s error=%s, continuing", object, why->msg);
	u->r->unread++;
}

/* ---- what is needed ------------------------------------------------------------------------- */

static int need(struct undeleting *u, const uint8_t hash[32], struct err *err)
{
	return id_set_add(u->needed, hash, 1, NULL, err);
}

/* Has a version of the pack its length?  The oldest may be damaged, and the right one over it. */
static bool has_length(const struct undeleting *u, const uint8_t hash[32], uint32_t len)
{
	char name[FETCH_PACK_NAME_BYTES];
	fetch_pack_name(hash, name);
	struct version_table_name n = { .count = 0 };
	(void)version_table_find(&u->table, name, &n); /* count 0: there is none */
	for (size_t i = 0; i < n.count; i++) {
		const struct version_table_version *x = &u->table.versions[n.first + i];
		if (!x->is_marker && x->size == len)
			return true;
	}
	return false;
}

/* Is the pack read as it always was, with nothing over it? */
static bool is_untouched(const struct undeleting *u, const uint8_t hash[32])
{
	char name[FETCH_PACK_NAME_BYTES];
	fetch_pack_name(hash, name);
	struct version_table_name n;
	return version_table_find(&u->table, name, &n) && n.real == 1 &&
	       !version_table_is_hidden(&u->table, &n);
}

/* One pack that holds the record: one that is there, one that comes back anyway, or the first. */
static int need_record(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct undeleting *u = arg;
	struct index_place place;
	uint8_t first[32];
	bool has_first = false;
	(void)cr_len;
	for (size_t nth = 0; index_find(u->index, id, nth, &place); nth++) {
		if (!has_length(u, place.pack, place.pack_len))
			continue;
		if (is_untouched(u, place.pack) || id_set_find(u->needed, place.pack) > 0)
			return 0;
		if (!has_first)
			memcpy(first, place.pack, sizeof(first));
		has_first = true;
	}
	u->r->missing += !has_first;
	return has_first ? need(u, first, err) : 0;
}

static int need_snapshot(struct undeleting *u, const struct snapshot *s, struct err *err)
{
	struct err why = ERR_INIT;
	uint8_t hash[32];
	int rc = version_table_hash(s->object, hash) ? need(u, hash, err) : 0;
	if (rc == 0)
		rc = need(u, s->body.ev, err);
	for (size_t i = 0; rc == 0 && i < s->body.segment_count; i++)
		rc = need(u, s->body.segments[i].rf, err);
	if (rc != 0)
		return rc;
	rc = snapshot_refs_new(u->old, s, u->seen, need_record, u, &why);
	if (vault_is_object_loss(rc)) {
		pass_over(u, s->object, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

/* The words on sessions that were given up: without them their snapshots would count. */
static int need_verdicts(struct undeleting *u, struct err *err)
{
	struct collect_view view = { .count = 0 };
	int rc = collect_view_look(u->old, &view, pass_over, u, err);
	for (size_t i = 0; rc == 0 && i < view.count; i++) {
		const struct collect_view_entry *e = &view.at[i];
		if (e->is_readable &&
			(e->list.type == COLLECT_LIST_FENCE || e->list.verdict_count > 0))
			rc = need(u, e->hash, err);
	}
	collect_view_done(&view);
	return rc;
}

static int need_snapshots(struct undeleting *u, struct err *err)
{
	struct id_set *pruned = NULL;
	int rc = hidden_pruned(u->old, pass_over, u, &pruned, err);
	for (size_t i = 0; rc == 0 && i < u->list.count; i++) {
		const struct snapshot *s = &u->list.at[i];
		uint8_t hash[32];
		if (s->fate == SNAPSHOT_PRUNED || id_set_find(pruned, s->hash) > 0 ||
			(version_table_hash(s->object, hash) && id_set_find(pruned, hash) > 0))
			continue;
		if (s->fate == SNAPSHOT_LIVE) {
			u->r->snapshots++;
			rc = need_snapshot(u, s, err);
		} else if (version_table_hash(s->object, hash)) { /* a link of the chain */
			rc = need(u, hash, err);
		}
	}
	id_set_free(pruned);
	return rc;
}

/* Everything but snapshots is asked of the old view; what cannot be read there is passed over. */
static int find_needed(struct undeleting *u, struct err *err)
{
	int rc = id_set_new(&u->needed, err);
	if (rc == 0)
		rc = id_set_new(&u->met, err);
	if (rc == 0)
		rc = id_set_new(&u->seen, err);
	if (rc == 0)
		rc = snapshot_list_all(u->old, pass_over, u, &u->list, err);
	if (rc == 0)
		rc = fetch_new(u->old, &u->fetch, err);
	if (rc == 0)
		rc = fetch_footers(u->fetch, err);
	if (rc == 0)
		rc = fetch_index(u->fetch, &u->index, err);
	if (rc == 0)
		rc = need_verdicts(u, err);
	return rc == 0 ? need_snapshots(u, err) : rc;
}

/* ---- bringing back -------------------------------------------------------------------------- */

static bool is_needed(
	const struct undeleting *u, const struct version_table_name *n, uint8_t hash[32])
{
	if (!vault_name_is_of(n->name, "pk/") && !vault_name_is_of(n->name, "rf/") &&
		!vault_name_is_of(n->name, "ev/") && !vault_name_is_of(n->name, "sn/") &&
		!vault_name_is_of(n->name, "gc/"))
		return false;
	return version_table_hash(n->name, hash) && id_set_find(u->needed, hash) > 0;
}

/* Of a text, whose name tells nothing of its bytes: the oldest, unless the same is read already. */
static int find_text(struct undeleting *u, const struct version_table_name *n,
	const struct version_table_version **out, struct err *err)
{
	CLEANUP(buf_done) struct buf a = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	char id[VERSION_PACK_ID_BYTES];
	const struct version_table_version *newest = version_table_newest(&u->table, n);
	const struct version_table_version *oldest = version_table_oldest(&u->table, n);
	*out = oldest;
	if (version_table_is_same(&u->table, n))
		*out = newest->is_marker ? oldest : NULL;
	if (newest->is_marker || newest->size != oldest->size || *out == NULL)
		return 0;
	version_table_id(&u->table, oldest, id);
	int rc = store_read_version(u->store, n->name, id, &a, err);
	version_table_id(&u->table, newest, id);
	if (rc == 0)
		rc = store_read_version(u->store, n->name, id, &b, err);
	if (rc == 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0)
		*out = NULL;
	return rc;
}

/* The version that is to be read under the name; NULL: that which is, or none that there is, and
 * *${is_lost} tells these apart. */
static int find_true(struct undeleting *u, const struct version_table_name *n,
	const struct version_table_version **out, bool *is_lost, struct err *err)
{
	uint8_t hash[32];
	bool is_true = false;
	const struct version_table_version *newest = version_table_newest(&u->table, n);
	*out = NULL;
	*is_lost = n->real == 0;
	if (n->real == 0 ||
		(n->real == 1 && !newest->is_marker && vault_name_is_of(n->name, "pk/")))
		return 0; /* invariant 3 */
	if (!version_table_hash(n->name, hash))
		return find_text(u, n, out, err);
	int rc = version_table_is_true(u->store, &u->table, n, newest, &is_true, err);
	if (rc != 0 || is_true) /* it is read already */
		return rc;
	rc = version_table_true(u->store, &u->table, n, out, err);
	*is_lost = rc == 0 && *out == NULL;
	return rc;
}

/* Invariant 3. */
static void tell_lost(struct undeleting *u, const char *name, bool was_replaced)
{
	struct err why = ERR_INIT;
	(void)err_set(&why, ERR_NOT_FOUND, "no version of it is what its name says");
	u->r->failed++;
	if (u->opts->on_object != NULL)
		u->opts->on_object(u->opts->arg, name, was_replaced, 0, &why);
}

static int bring_back(
	struct undeleting *u, const struct version_table_name *n, bool is_wanted, struct err *err)
{
	struct err why = ERR_INIT;
	const struct undelete_opts *o = u->opts;
	const struct version_table_version *x = NULL;
	char id[VERSION_PACK_ID_BYTES];
	bool is_lost = false, is_hidden = version_table_is_hidden(&u->table, n);
	int rc = find_true(u, n, &x, &is_lost, err);
	if (rc == 0 && is_lost && is_wanted)
		tell_lost(u, n->name, !is_hidden);
	if (rc != 0 || x == NULL)
		return rc;
	version_table_id(&u->table, x, id);
	if (!o->is_dry_run)
		rc = store_bring_back(u->store, n->name, id, &why);
	if (rc == -ERR_INTERRUPTED || rc == -ERR_UNREACHABLE || rc == -ERR_UNSUPPORTED) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	u->r->removed += is_hidden;
	u->r->replaced += !is_hidden;
	u->r->failed += rc != 0;
	u->r->back += rc == 0;
	u->r->back_bytes += rc == 0 ? x->size : 0;
	if (o->on_object != NULL)
		o->on_object(o->arg, n->name, !is_hidden, x->size, rc == 0 ? NULL : &why);
	return 0;
}

/* Invariant 2.  What is read, and is something else than it was, comes back in every class: it was
 * there when it was replaced. */
static int bring_back_all(struct undeleting *u, bool snapshots, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < u->table.count; i++) {
		struct version_table_name n;
		uint8_t hash[32];
		version_table_name_at(&u->table, i, &n);
		if (vault_name_is_of(n.name, "sn/") != snapshots)
			continue;
		bool is_wanted = is_needed(u, &n, hash);
		if (is_wanted)
			rc = id_set_add(u->met, hash, 1, NULL, err);
		bool is_hidden = version_table_is_hidden(&u->table, &n);
		if (rc == 0 &&
			(is_wanted || lock_class_is_lasting(n.name) || (!is_hidden && n.real > 1)))
			rc = bring_back(u, &n, is_wanted, err);
	}
	return rc;
}

/* What is needed and has no version at all, not even a marker. */
static void tell_unmet(struct undeleting *u)
{
	size_t needed = id_set_count(u->needed), met = id_set_count(u->met);
	u->r->failed += needed - met;
	if (needed > met)
		log_warn("undelete.unmet", "objects=%zu, continuing", needed - met);
}

int undelete_run(struct vault *old, struct store *s, const struct undelete_opts *opts,
	struct undelete_result *out, struct err *err)
{
	struct undelete_result r = { .names = 0 };
	struct undeleting u = { .old = old, .store = s, .opts = opts, .r = &r };
	int rc = version_table_load(s, "", &u.table, err);
	r.names = u.table.count;
	if (rc == 0)
		rc = find_needed(&u, err);
	if (rc == 0)
		rc = bring_back_all(&u, false, err);
	if (rc == 0)
		rc = bring_back_all(&u, true, err);
	if (rc == 0)
		tell_unmet(&u);
	if (rc == 0)
		rc = store_barrier(s, err);
	snapshot_list_done(&u.list);
	fetch_free(u.fetch);
	id_set_free(u.needed);
	id_set_free(u.met);
	id_set_free(u.seen);
	version_table_done(&u.table);
	if (rc == 0)
		*out = r;
	return rc;
}
