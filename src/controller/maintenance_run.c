#include "controller/maintenance_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "controller/gateway_vault.h"
#include "controller/replica_run.h"
#include "store/store.h"
#include "vault/collect.h"
#include "vault/hold.h"
#include "vault/id_set.h"
#include "vault/lock_keep.h"
#include "vault/prune.h"
#include "vault/snapshot.h"
#include "vault/vault.h"
#include "vault/verify.h"
#include "vault/verify_ages.h"

/*
 * INVARIANTS
 * (1) Nothing is pruned or collected while a snapshot object cannot be read, or while the store
 *     shows less of a source than the controller has seen: it could be any link of any chain.
 * (2) pruned names every snapshot that an order on the store names, before the order is carried
 * out.
 */

#define KEEP_NS (INT64_C(30) * 1000000000)

struct work {
	struct maintenance_run *r;
	struct store *store; /* owned, as all here */
	struct vault *vault;
	struct snapshot_list list;
	struct verify_ages *ages;
	struct hold *hold;
	int64_t kept_ns;
	size_t damaged;
	uint64_t problems;
	char first[320]; /* problem */
};

static bool is_stopped(void *arg)
{
	const struct work *w = arg;
	return atomic_load(&w->r->is_stopped);
}

static void on_bad(void *arg, const char *object, const struct err *why)
{
	struct work *w = arg;
	log_warn("maintenance_run.list", "object=%s error=\"%s\", continuing", object, why->msg);
	w->damaged++;
}

/* ---- what must be known first -------------------------------------------------------------- */

/* Invariant 1. */
static int check_list(struct work *w, struct err *err)
{
	const struct maintenance_run *r = w->r;
	snapshot_list_done(&w->list);
	w->damaged = 0;
	int rc = snapshot_list(w->vault, on_bad, w, &w->list, err);
	if (rc != 0)
		return rc;
	if (w->damaged > 0) {
		(void)err_set(err, ERR_CORRUPT,
			"%zu snapshot objects cannot be read: nothing is "
			"taken away from a damaged vault",
			w->damaged);
		return err_hint(err, "see 'holdfast verify'");
	}
	for (size_t i = 0; i < r->known_count; i++) {
		uint64_t newest = 0;
		for (size_t k = 0; k < w->list.count; k++) {
			const struct snaprec *s = &w->list.at[k].record;
			if (memcmp(s->agent_id, r->known[i].source, 16) == 0 &&
				memcmp(s->source_id, r->known[i].source + 16, 16) == 0 &&
				s->seq > newest)
				newest = s->seq;
		}
		if (newest >= r->known[i].seq)
			continue;
		(void)err_set(err, ERR_ROLLBACK,
			"the vault shows number %" PRIu64 " as the newest snapshot of a source of "
			"which this controller knows number %" PRIu64 ": nothing is taken away",
			newest, r->known[i].seq);
		return err_hint(err, "find out who replaced or cut the store");
	}
	return 0;
}

static int add_pruned(struct maintenance_run *r, const uint8_t hash[32], struct err *err)
{
	uint8_t(*grown)[32] = reallocarray(r->pruned, r->pruned_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->pruned = grown;
	memcpy(r->pruned[r->pruned_count++], hash, 32);
	return 0;
}

/* What an earlier run ordered and did not come to do. */
static int resume(struct work *w, struct err *err)
{
	struct prune_view view = { .count = 0 };
	int rc = prune_view_load(w->vault, NULL, NULL, &view, err);
	for (size_t i = 0; rc == 0 && i < view.count; i++) {
		for (size_t k = 0; rc == 0 && k < view.at[i].count; k++)
			rc = add_pruned(w->r, view.at[i].items[k].snap_hash, err);
	}
	const bool is_open = rc == 0 && view.count > 0;
	prune_view_done(&view);
	return is_open ? prune_resume(w->vault, NULL, err) : rc;
}

/* ---- retention ----------------------------------------------------------------------------- */

static void fill_row(const struct snapshot *s, struct maintenance_run_row *out)
{
	memcpy(out->hash, s->hash, sizeof(out->hash));
	memcpy(out->agent_id, s->record.agent_id, sizeof(out->agent_id));
	(void)snprintf(out->source, sizeof(out->source), "%.255s", s->label.source);
	(void)snprintf(out->host, sizeof(out->host), "%.255s", s->label.host);
	out->seq = s->record.seq;
	out->receipt_ms = s->body.receipt_ns / 1000000;
}

static bool is_same_source(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->record.agent_id, b->record.agent_id, 16) == 0 &&
	       memcmp(a->record.source_id, b->record.source_id, 16) == 0;
}

/* The guards of one source that count here: by the clock of all sources, not by that of one which
 * is backed up no more; and a source that loses as many as it gained since the last run only goes
 * its usual way. */
static unsigned guards_of(
	const struct work *w, const struct retention_verdict *v, const struct snapshot *of)
{
	unsigned guards = v->guards & ~(unsigned)RETENTION_GUARD_CLOCK;
	const int64_t newest =
		w->list.count == 0 ? 0 : w->list.at[w->list.count - 1].body.receipt_ns;
	size_t gained = 0;
	for (size_t i = 0; i < w->list.count; i++)
		gained += w->r->since_ns > 0 && is_same_source(&w->list.at[i], of) &&
			  w->list.at[i].body.receipt_ns > w->r->since_ns;
	if (v->going <= gained)
		guards &= ~(unsigned)RETENTION_GUARD_SHARE;
	if (v->going > 0 && env_now_ns() - newest > RETENTION_CLOCK_STEP_NS)
		guards |= RETENTION_GUARD_CLOCK;
	return v->going > 0 ? guards : 0;
}

/* Decide on the source of snapshot ${first}; those with a guard are told in r->guards.  Adds what
 * goes to ${going} unless that waits for an approval. */
static int decide_source(
	struct work *w, size_t first, const struct snapshot **going, size_t *count, struct err *err)
{
	struct maintenance_run *r = w->r;
	const struct snapshot *of = &w->list.at[first];
	const struct retention_conf *rule = retention_conf_of(&r->rules, of);
	CLEANUP(cleanup_free_p)
	struct retention_item *items = calloc(w->list.count + 1, sizeof(*items));
	CLEANUP(cleanup_free_p) size_t *at = calloc(w->list.count + 1, sizeof(*at));
	struct retention_verdict v;
	size_t n = 0;
	if (items == NULL || at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = first; i < w->list.count; i++) {
		if (!is_same_source(&w->list.at[i], of))
			continue;
		snapshot_retention(&w->list.at[i], &items[n]);
		at[n++] = i;
	}
	if (rule == NULL)
		return 0;
	int rc = retention_decide(&rule->policy, items, n, env_now_ns(), &v, err);
	if (rc != 0)
		return rc;
	v.guards = guards_of(w, &v, of);
	if (v.guards != 0 && r->guards[0] == '\0')
		retention_guards_text(&v, of->label.source, r->guards);
	for (size_t i = 0; i < n; i++) {
		r->rows[at[i]].has_rule = true;
		r->rows[at[i]].why = items[i].why;
		if (items[i].why == 0 && (v.guards == 0 || r->approval[0] != '\0'))
			going[(*count)++] = &w->list.at[at[i]];
	}
	return 0;
}

/* Fill the rows; *${going} is owned. */
static int decide(struct work *w, const struct snapshot ***going, size_t *count, struct err *err)
{
	struct maintenance_run *r = w->r;
	int rc = 0;
	*count = 0;
	*going = calloc(w->list.count + 1, sizeof(const struct snapshot *));
	r->rows = calloc(w->list.count + 1, sizeof(*r->rows));
	if (*going == NULL || r->rows == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < w->list.count; i++)
		fill_row(&w->list.at[i], &r->rows[i]);
	r->row_count = w->list.count;
	for (size_t i = 0; rc == 0 && i < w->list.count; i++) {
		bool is_first = true;
		for (size_t k = 0; k < i && is_first; k++)
			is_first = !is_same_source(&w->list.at[k], &w->list.at[i]);
		if (is_first)
			rc = decide_source(w, i, *going, count, err);
	}
	return rc;
}

/* The rules as the record of what went keeps them. */
static int format_rules(const struct maintenance_run *r, struct buf *out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->rules.count; i++) {
		const struct retention_conf *c = &r->rules.at[i];
		char head[300];
		(void)snprintf(head, sizeof(head), "%s%s%s: ", i > 0 ? "; " : "",
			c->source == NULL ? "others" : "source ",
			c->source == NULL ? "" : c->source); /* <= 255 */
		rc = buf_add(out, head, strlen(head), err);
		if (rc == 0)
			rc = retention_format(&c->policy, out, err);
	}
	return rc;
}

static int prune(struct work *w, const struct snapshot *const *going, size_t count, struct err *err)
{
	CLEANUP(buf_done) struct buf policy = BUF_INIT(PRUNE_ORDER_MAX_TEXT);
	struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	int rc = format_rules(w->r, &policy, NULL);
	if (rc != 0) { /* more rules than a record holds: they are in the configuration */
		buf_clear(&policy);
		rc = buf_add(&policy, "controller", 10, err);
	}
	opts.policy = buf_cstr(&policy);
	opts.approval = w->r->approval[0] == '\0' ? NULL : w->r->approval;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = add_pruned(w->r, going[i]->hash, err); /* invariant 2 */
	for (size_t at = 0; rc == 0 && at < count; at += PRUNE_ORDER_MAX)
		rc = prune_snapshots(w->vault, &opts, going + at,
			count - at < PRUNE_ORDER_MAX ? count - at : PRUNE_ORDER_MAX, err);
	return rc;
}

static int run_retention(struct work *w, struct err *err)
{
	struct maintenance_run *r = w->r;
	CLEANUP(cleanup_free_p) const struct snapshot **going = NULL;
	size_t count = 0, would = 0;
	int rc = r->is_preview ? 0 : resume(w, err);
	if (rc == 0)
		rc = check_list(w, err);
	if (rc == 0)
		rc = decide(w, &going, &count, err);
	for (size_t i = 0; rc == 0 && i < r->row_count; i++)
		would += r->rows[i].has_rule && r->rows[i].why == 0;
	if (rc != 0 || r->is_preview)
		return rc;
	if (count > 0)
		rc = prune(w, going, count, err);
	if (rc != 0)
		return rc;
	(void)snprintf(r->summary, sizeof(r->summary), "%zu snapshots stay, %zu were pruned",
		r->row_count - count, count);
	if (would == count)
		return 0;
	r->is_waiting = true;
	(void)err_set(err, ERR_FAILED, "an approval is wanted for %zu snapshots: %.200s; %s",
		would - count, r->guards, r->summary);
	return err_hint(err,
		"look at 'holdfast maintenance preview', then 'holdfast maintenance run "
		"retention --approve TEXT'");
}

/* ---- collect ------------------------------------------------------------------------------- */

static void tell_collect(struct maintenance_run *r, const struct collect_result *c)
{
	char a[HUMAN_BYTES], b[HUMAN_BYTES];
	(void)snprintf(r->summary, sizeof(r->summary),
		"condemned %" PRIu64 " objects, deleted %" PRIu64 " (%s); %" PRIu64
		" wait for the end of their grace (%s); %" PRIu64 " open sessions are waited for, "
		"%" PRIu64 " were given up",
		c->condemned, c->deleted, human_size(a, c->deleted_bytes), c->dead,
		human_size(b, c->dead_bytes), c->waits, c->fenced);
}

/* Where the store keeps versions, and locks them. */
static int keep_locks(struct work *w, const struct purge_result *purged, struct err *err)
{
	char a[HUMAN_BYTES];
	struct store_lock lock;
	struct lock_keep_result r;
	struct maintenance_run *run = w->r;
	size_t n = strlen(run->summary);
	if (purged->purged + purged->locked + purged->refused + purged->odd > 0)
		(void)snprintf(run->summary + n, sizeof(run->summary) - n,
			"; %" PRIu64 " old versions deleted, %" PRIu64
			" kept by their locks (%s), %" PRIu64 " refused, %" PRIu64
			" removed or replaced by somebody",
			purged->purged, purged->locked, human_size(a, purged->locked_bytes),
			purged->refused, purged->odd); /* cut is fine */
	store_locks_by(w->store, &lock);
	if (lock.mode == STORE_LOCK_NONE)
		return 0;
	int rc = lock_keep_run(w->store, w->vault, NULL, &r, err);
	if (rc != 0)
		return rc;
	n = strlen(run->summary);
	(void)snprintf(run->summary + n, sizeof(run->summary) - n,
		"; %" PRIu64 " objects are to be locked, %" PRIu64 " were locked anew", r.objects,
		r.extended); /* cut is fine */
	if (r.failed == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "%" PRIu64 " objects could not be locked, the first: %.300s",
		r.failed, r.why.msg);
	return err_hint(err, "the key needs PutObjectRetention; see docs/S3.md");
}

static int load_ages(struct work *w, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = verify_ages_new(&w->ages, err);
	if (rc == 0 && (rc = verify_ages_load(w->ages, w->r->ages, &why)) == -ERR_CORRUPT) {
		log_warn("maintenance_run.ages", "%s, continuing without", why.msg);
		return 0;
	}
	if (rc != 0 && why.code != 0 && err != NULL)
		*err = why;
	return rc;
}

static int collect(struct work *w, struct collect_result *out, struct err *err)
{
	struct maintenance_run *r = w->r;
	struct id_set *bad = NULL;
	int rc = resume(w, err);
	if (rc == 0)
		rc = check_list(w, err);
	if (rc == 0)
		rc = load_ages(w, err);
	if (rc == 0)
		rc = id_set_new(&bad, err);
	if (rc == 0)
		rc = verify_ages_damaged(w->ages, bad, err);
	if (rc == 0) {
		const struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
			.grace_ns = r->grace_ns,
			.repack_bytes = COLLECT_REPACK_BYTES,
			.bad_packs = bad,
			.sights = r->sights };
		rc = collect_run(w->vault, &opts, out, err);
	}
	id_set_free(bad);
	return rc;
}

/* What is needed stays locked also when nothing may be collected: what stops collection is what
 * locks are for.  What it failed with is what is returned. */
static int run_collect(struct work *w, struct err *err)
{
	struct maintenance_run *r = w->r;
	struct collect_result result = { .packs = 0 };
	struct err why = ERR_INIT;
	int rc = collect(w, &result, err);
	if (rc == 0)
		tell_collect(r, &result);
	int kept = keep_locks(w, &result.purge, &why);
	if (rc != 0 && kept != 0)
		log_warn("maintenance_run.locks", "%s, continuing", why.msg);
	if (rc != 0)
		return rc;
	rc = kept;
	if (rc != 0 && err != NULL)
		*err = why;
	if (rc != 0 || result.missing_records == 0)
		return rc;
	(void)err_set(err, ERR_CORRUPT,
		"%" PRIu64 " records that snapshots need are in no readable pack; %.300s",
		result.missing_records, r->summary);
	return err_hint(err, "see 'holdfast verify'");
}

/* ---- scrub --------------------------------------------------------------------------------- */

static void keep_ages(struct work *w, bool is_whole)
{
	struct err why = ERR_INIT;
	w->kept_ns = env_mono_ns();
	if (verify_ages_store(w->ages, w->r->ages, is_whole, &why) != 0)
		log_warn("maintenance_run.ages", "%s, continuing", why.msg);
}

static void on_finding(void *arg, const struct verify_finding *f)
{
	struct work *w = arg;
	log_warn("maintenance_run.finding", "object=%s severity=%s what=\"%s\", continuing",
		f->object, f->is_warning ? "warning" : "problem", f->what);
	if (f->is_warning)
		w->r->warnings++;
	else if (w->problems++ == 0)
		(void)snprintf(w->first, sizeof(w->first), "%.120s: %.180s", f->object, f->what);
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct work *w = arg;
	atomic_store(&w->r->done_bytes, done);
	atomic_store(&w->r->total_bytes, total);
	hold_beat(w->hold);
	if (env_mono_ns() - w->kept_ns >= KEEP_NS)
		keep_ages(w, false);
}

static int run_scrub(struct work *w, const struct gateway_vault *g, struct err *err)
{
	struct maintenance_run *r = w->r;
	struct verify_result result = { .objects = 0 };
	char a[HUMAN_BYTES], b[HUMAN_BYTES];
	int rc = load_ages(w, err);
	if (rc != 0)
		return rc;
	const struct verify_opts opts = { .arg = w,
		.on_finding = on_finding,
		.on_progress = on_progress,
		.is_stopped = is_stopped,
		.ages = w->ages,
		.older_than_ns = r->older_than_ns,
		.budget_percent = r->percent };
	gateway_vault_hold(g, w->vault, &w->hold);
	w->kept_ns = env_mono_ns();
	rc = verify_run(w->vault, &opts, &result, err);
	keep_ages(w, rc == 0);
	if (rc != 0)
		return rc;
	(void)snprintf(r->summary, sizeof(r->summary),
		"read %" PRIu64 " packs (%s), left %" PRIu64 " (%s) for another time; %" PRIu64
		" problems, %" PRIu64 " warnings",
		result.packs, human_size(a, result.bytes), result.left_packs,
		human_size(b, result.left_bytes), result.problems, result.warnings);
	if (result.problems == 0)
		return 0;
	(void)err_set(err, ERR_CORRUPT, "the vault has %" PRIu64 " problems, the first: %s",
		result.problems, w->first);
	return err_hint(err, "see 'holdfast verify'; keep the store as it is");
}

/* ---- copy ---------------------------------------------------------------------------------- */

static bool is_copy_stopped(void *arg)
{
	const struct maintenance_run *r = arg;
	return atomic_load(&r->is_stopped);
}

static void on_copied(void *arg, uint64_t done, uint64_t total, uint64_t bytes)
{
	struct maintenance_run *r = arg;
	atomic_store(&r->done_items, done);
	atomic_store(&r->total_items, total);
	atomic_store(&r->done_bytes, bytes);
}

static int run_copy(struct maintenance_run *r, const struct gateway_vault *g, struct err *err)
{
	char a[HUMAN_BYTES], b[HUMAN_BYTES];
	struct replica_run_result c;
	const struct replica_run_opts opts = { .replica = &r->replica,
		.is_begun_here = r->is_begin,
		.is_stopped = is_copy_stopped,
		.on_progress = on_copied,
		.arg = r };
	int rc = replica_run_do(g, &opts, &c, err);
	(void)snprintf(r->summary, sizeof(r->summary),
		"brought %" PRIu64 " snapshots (%s, read back %s) to '%s'; %" PRIu64
		" were there, %" PRIu64 " pruned there, %" PRIu64 " failed",
		c.snapshots, human_size(a, c.bytes), human_size(b, c.read_back), r->replica.name,
		c.there, c.pruned, c.failed);
	return rc;
}

/* -------------------------------------------------------------------------------------------- */

int maintenance_run_do(struct maintenance_run *r, const struct gateway_vault *g, struct err *err)
{
	struct work w = { .r = r };
	if (r->verb == MSG_VERB_COPY)
		return run_copy(r, g, err);
	const bool only_reads = r->is_preview || r->verb == MSG_VERB_SCRUB;
	int rc = gateway_vault_open_at_work(g, only_reads, &w.store, &w.vault, err);
	if (rc == 0 && r->verb != MSG_VERB_SCRUB) /* a scrub stops between two objects */
		store_stop_when(w.store, is_stopped, &w);
	if (rc == 0)
		rc = r->verb == MSG_VERB_RETENTION ? run_retention(&w, err)
		     : r->verb == MSG_VERB_COLLECT ? run_collect(&w, err)
						   : run_scrub(&w, g, err);
	hold_end(w.hold);
	verify_ages_free(w.ages);
	snapshot_list_done(&w.list);
	vault_close(w.vault);
	store_free(w.store);
	return rc;
}

void maintenance_run_done(struct maintenance_run *r)
{
	retention_conf_done(&r->rules);
	replica_conf_clear(&r->replica);
	free(r->known);
	free(r->rows);
	free(r->pruned);
}
