#include "vault/collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store.h"
#include "vault/chain_links.h"
#include "vault/collect_internal.h"
#include "vault/collect_mark.h"
#include "vault/collect_sessions.h"
#include "vault/hidden.h"
#include "vault/id_set.h"
#include "vault/index_merge.h"
#include "vault/prune.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

/*
 * INVARIANTS
 * (1) Every step can be repeated, and is, by whoever finds the vault in it.
 * (2) A new list is condemned only when no earlier one waits.
 */

int collect_look(struct collect *c, struct err *err)
{
	return collect_view_look(c->v, &c->view, NULL, NULL, err);
}

/* What a lost snapshot needed looks as if nobody did: an sn/ object that is missing counts as one
 * that cannot be read. */
static int check_chains(struct collect *c, const struct snapshot_list *list, struct err *err)
{
	struct chain_links links;
	int rc = chain_links_load(c->v, list, NULL, NULL, &links, err);
	if (rc != 0)
		return rc;
	const struct snapshot *s = chain_links_gap(&links, list);
	if (s != NULL) {
		err_set(err, ERR_CORRUPT,
			"snapshot number %llu of source '%s' is missing, and nobody pruned it: "
			"nothing is collected",
			(unsigned long long)s->record.seq - 1, s->label.source);
		rc = err_hint(err, "'holdfast repair' brings it back from parity or, with --from, "
				   "from a copy; when it is lost for good: 'holdfast gc "
				   "--give-up-missing'");
	}
	chain_links_done(&links);
	return rc;
}

/* A key without a right to list versions, or a server that lists none after all, collects as where
 * there are none.  Return 0 then, with a word in the log; else ${rc}. */
static int pass_over_versions(int rc, const struct err *why, struct err *err)
{
	if (rc == -ERR_AUTH || rc == -ERR_UNSUPPORTED) {
		log_warn(
			"collect.versions", "%s, continuing without looking at versions", why->msg);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = *why;
	return rc;
}

/* The same where the store keeps what was removed: also the newest of a source is missed then,
 * which leaves no gap. */
static int check_hidden(struct collect *c, const struct snapshot_list *list, struct err *err)
{
	struct version_table t = { .count = 0 };
	struct id_set *pruned = NULL;
	char lost[STORE_MAX_NAME_BYTES + 1] = "";
	if ((store_features(c->v->store) & STORE_HAS_VERSIONS) == 0)
		return 0;
	struct err why = ERR_INIT;
	int rc = version_table_load(c->v->store, "sn/", &t, &why);
	rc = pass_over_versions(rc, &why, err);
	if (rc == 0)
		rc = hidden_pruned(c->v, NULL, NULL, &pruned, err);
	if (rc == 0)
		rc = hidden_lost(c->v, &t, list, pruned, lost, err);
	if (lost[0] != '\0') {
		err_set(err, ERR_CORRUPT,
			"snapshot object '%s' was deleted, and nobody pruned it: nothing is "
			"collected",
			lost);
		rc = err_hint(err, "'holdfast vault undelete' brings it back; when it is to stay "
				   "lost: 'holdfast gc --give-up-missing'");
	}
	id_set_free(pruned);
	version_table_done(&t);
	return rc;
}

int collect_find_needed(struct collect *c, struct collect_mark *out, struct err *err)
{
	int rc = collect_mark_run(c->v, &c->view, c->opts->bad_packs, out, err);
	if (rc != 0 || c->opts->accepts_gaps)
		return rc;
	rc = check_chains(c, &out->list, err);
	if (rc == 0)
		rc = check_hidden(c, &out->list, err);
	if (rc != 0)
		collect_mark_done(out);
	return rc;
}

int collect_put(struct collect *c, struct collect_list *l, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	char name[COLLECT_LIST_NAME_BYTES];
	memcpy(l->run, c->run, sizeof(l->run));
	l->number = c->number++;
	l->wall_ns = env_now_ns();
	int rc = collect_list_seal(l, &c->v->key, &object, name, err);
	if (rc == 0)
		rc = store_put(c->v->store, name, object.data, object.len, err);
	if (rc == 0)
		rc = store_barrier(c->v->store, err);
	return rc != 0 ? rc : collect_look(c, err);
}

int collect_drop(struct collect *c, const struct collect_view_entry *e, struct err *err)
{
	int rc = store_remove(c->v->store, e->name, err);
	if (rc == 0)
		rc = store_barrier(c->v->store, err);
	for (size_t i = 0; rc == 0 && i < c->view.count; i++)
		c->view.at[i].is_gone |= &c->view.at[i] == e;
	return rc;
}

static bool is_decided(const struct collect_view *view, const uint8_t condemned[32])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *e = &view->at[i];
		if (!e->is_gone && e->list.type == COLLECT_LIST_DELETE &&
			memcmp(e->list.about, condemned, 32) == 0)
			return true;
	}
	return false;
}

/* From (c) on, as far as it goes without waiting. */
static int go_on(struct collect *c, const uint8_t condemned[32], struct err *err)
{
	bool is_over = false;
	int rc = collect_begin_wait(c, condemned, &is_over, err);
	if (rc == 0 && is_over)
		rc = collect_end_decide(c, condemned, err);
	return rc == 0 && is_over ? collect_end_bury(c, err) : rc;
}

static int go_on_with_all(struct collect *c, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->view.count; i++) {
		uint8_t hash[32];
		const struct collect_view_entry *e = &c->view.at[i];
		memcpy(hash, e->hash, sizeof(hash));
		if (!e->is_gone && e->list.type == COLLECT_LIST_CONDEMNED &&
			!is_decided(&c->view, hash))
			rc = go_on(c, hash, err);
	}
	return rc;
}

/* Is there a snapshot of the source behind this one, or a live one in its place? */
static bool is_followed(const struct snapshot_list *l, const struct snapshot *s)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct snapshot *o = &l->at[i];
		if (memcmp(o->record.agent_id, s->record.agent_id, 16) == 0 &&
			memcmp(o->record.source_id, s->record.source_id, 16) == 0 &&
			(o->record.seq > s->record.seq ||
				(o->record.seq == s->record.seq && o->fate == SNAPSHOT_LIVE)))
			return true;
	}
	return false;
}

static int prune_void(struct collect *c, const struct snapshot_list *l, struct err *err)
{
	const struct prune_opts opts = { .cause = PRUNE_ORDER_VOID };
	CLEANUP(cleanup_free_p)
	const struct snapshot **going = calloc(l->count + 1, sizeof(const struct snapshot *));
	size_t count = 0;
	if (going == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < l->count && count < PRUNE_ORDER_MAX; i++) {
		if (l->at[i].fate == SNAPSHOT_VOID && is_followed(l, &l->at[i]))
			going[count++] = &l->at[i];
	}
	c->r->voided += count;
	return count == 0 ? 0 : prune_snapshots(c->v, &opts, going, count, err);
}

/* The index without what is dead, and only then that goes: an index that names packs which are gone
 * looks like loss. */
static int delete_due(struct collect *c, struct err *err)
{
	struct index_merge_result merged;
	struct err why = ERR_INIT;
	int rc = c->opts->is_dry_run ? 0 : index_merge(c->v, &c->view, &merged, &why);
	if (rc == 0 && !c->opts->is_dry_run) {
		c->r->segments_replaced += merged.replaced;
		c->r->segments_written += merged.written;
	}
	if (rc == -ERR_NOSPACE) { /* what is due makes room */
		log_warn("collect.index", "%s, continuing", why.msg);
		rc = 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc != 0 ? rc : collect_end_delete(c, err);
}

/* What is left of sessions that are over. */
static int clean(struct collect *c, struct err *err)
{
	struct collect_sessions sessions;
	struct snapshot_list list = { .at = NULL };
	int rc = collect_sessions_load(c->v, &sessions, err);
	if (rc != 0)
		return rc;
	rc = snapshot_list_all(c->v, NULL, NULL, &list, err);
	if (rc == 0)
		rc = collect_sessions_clean(c->v, &c->view, &sessions, &list, &c->r->marks, err);
	if (rc == 0)
		rc = prune_void(c, &list, err);
	snapshot_list_done(&list);
	collect_sessions_done(&sessions);
	return rc;
}

/* What the store keeps of what is gone. */
static int purge(struct collect *c, struct err *err)
{
	const struct purge_opts opts = { .grace_ns = c->opts->grace_ns, .at_once = c->deleted };
	struct collect_mark m;
	if ((store_features(c->v->store) & STORE_HAS_VERSIONS) == 0)
		return 0;
	int rc = collect_look(c, err);
	if (rc == 0)
		rc = collect_find_needed(c, &m, err);
	if (rc != 0)
		return rc;
	struct err why = ERR_INIT;
	rc = purge_run(c->v, &m, &opts, &c->r->purge, &why);
	collect_mark_done(&m);
	if (rc != 0)
		c->r->purge.why = why;
	return pass_over_versions(rc, &why, err);
}

static int give_up(struct collect *c, struct err *err)
{
	const struct hidden_give_up_opts opts = { .is_dry_run = c->opts->is_dry_run,
		.on_object = c->opts->on_given_up,
		.arg = c->opts->arg };
	struct err why = ERR_INIT;
	int rc = hidden_give_up(c->v, &opts, &c->r->given_up, &why);
	return pass_over_versions(rc, &why, err);
}

static int run(struct collect *c, struct err *err)
{
	bool is_made = false;
	int rc = collect_look(c, err);
	if (rc == 0 && c->opts->accepts_gaps)
		rc = give_up(c, err);
	if (rc == 0 && c->opts->is_dry_run)
		rc = collect_begin_condemn(c, &is_made, err);
	else if (rc == 0)
		rc = prune_resume(c->v, NULL, err);
	if (rc == 0 && !c->opts->is_dry_run) {
		rc = collect_end_bury(c, err);
		if (rc == 0 && collect_end_is_due(c)) /* first: it may be all a full disk has */
			rc = delete_due(c, err);
		if (rc == 0)
			rc = go_on_with_all(c, err);
		if (rc == 0)
			rc = collect_look(c, err);
		if (rc == 0 && c->r->waits == 0)
			rc = collect_begin_condemn(c, &is_made, err);
		if (rc == 0 && is_made)
			rc = go_on_with_all(c, err);
	}
	if (rc == 0)
		rc = delete_due(c, err);
	if (rc == 0 && !c->opts->is_dry_run)
		rc = clean(c, err);
	return rc == 0 && !c->opts->is_dry_run ? purge(c, err) : rc;
}

int collect_run(struct vault *v, const struct collect_opts *opts, struct collect_result *out,
	struct err *err)
{
	struct collect_result r = { .packs = 0 };
	struct collect c = { .v = v, .opts = opts, .r = &r };
	int rc = 0;
	if (!opts->is_dry_run && store_is_read_only(v->store))
		rc = err_set(err, ERR_READONLY, "the store was opened for reading only");
	if (rc == 0 && !opts->is_dry_run)
		rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = env_random(c.run, sizeof(c.run), err);
	if (rc == 0)
		rc = id_set_new(&c.deleted, err);
	if (rc == 0)
		rc = run(&c, err);
	id_set_free(c.deleted);
	if (rc == 0 && c.refused != 0) {
		rc = c.refused;
		if (err != NULL)
			*err = c.refusal;
	}
	collect_view_done(&c.view);
	if (rc == 0)
		*out = r;
	return rc;
}
