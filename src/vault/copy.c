#include "vault/copy.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/copy_chain.h"
#include "vault/fetch.h"
#include "vault/hold.h"
#include "vault/id_set.h"
#include "vault/missing.h"
#include "vault/port.h"
#include "vault/prune.h"
#include "vault/record.h"
#include "vault/record_reader.h"
#include "vault/session.h"
#include "vault/session_copy.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A record goes over only after its bytes hash to its ID, and what a session of the replica
 *     checks of any snapshot it checks of this one.
 * (2) What is wrong with a snapshot at the source end ends that snapshot; what is wrong with the
 *     replica ends the run.
 * (3) What the replica's index lists and its packs no longer hold is sent again, as any record is;
 *     that it was lost is told each time, until a repair takes it out of the index: only the index
 *     knows of it, so that a run which broke off is gone on with.
 * (4) Nothing is sent to a replica without any index that should have one: the first segment would
 *     hide what else is lost.
 */

struct copy {
	struct vault *from, *to; /* borrowed */
	const struct copy_opts *opts;
	struct fetch *fetch;     /* owned; of the source end */
	struct record_run run;   /* owned; records read at once */
	struct session *session; /* owned; of the replica */
	struct copy_chain *chain;
	struct snapshot_list from_list, to_list;
	struct id_set *live; /* owned; snapshots that the replica lists */
	struct copy_result *r;
	uint64_t done, total;     /* references, for progress */
	struct collect_view view; /* of the replica's collection */
	struct missing missing;   /* what the replica has lost; borrows view */
	bool has_lost_packs;      /* that the replica's index lists */
	struct id_set *unfilled;  /* hashes of snapshots that refill() failed for, which is told */
	bool is_replicas;         /* the error at hand is the replica's */
	bool is_twin;             /* another copy brought the snapshot at hand */
};

static void tell(
	struct copy *c, enum copy_event what, const struct snapshot *s, const struct err *why)
{
	if (c->opts->on_event != NULL)
		c->opts->on_event(c->opts->arg, what, s, why);
}

static void bad_object(void *arg, const char *object, const struct err *why)
{
	struct copy *c = arg;
	(void)object; /* the text names it */
	c->r->failed++;
	tell(c, COPY_UNREADABLE, NULL, why);
}

static int step(struct copy *c, struct err *err)
{
	c->done++;
	hold_beat(c->opts->hold);
	if (c->opts->on_progress != NULL)
		c->opts->on_progress(c->opts->arg, c->done, c->total, c->r->bytes);
	if (c->opts->is_stopped != NULL && c->opts->is_stopped(c->opts->arg))
		return err_set(err, ERR_INTERRUPTED, "the copy was stopped");
	return 0;
}

struct taking {
	struct copy *c;
	struct snaprec_refs *refs; /* the list, as it was cut; NULL = it is there */
	struct buf cr;
	uint8_t wanted[RECORD_RUN_MAX]
		      [32]; /* records that the replica lacks, in the list's order */
	size_t count;
};

static int send(struct taking *t, struct err *err)
{
	struct copy *c = t->c;
	const struct port *port = session_port(c->session);
	int rc = port->put(port->self, t->cr.data, t->cr.len, err);
	c->is_replicas = rc != 0;
	if (rc == 0) {
		c->r->records++;
		c->r->bytes += t->cr.len;
	}
	return rc;
}

/* Send what was read at once. */
static int send_run(struct taking *t, struct err *err)
{
	const struct record_run *run = &t->c->run;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < run->count; i++) {
		buf_clear(&t->cr);
		rc = buf_add(&t->cr, run->at[i].header, sizeof(run->at[i].header), err);
		if (rc == 0)
			rc = buf_add(&t->cr, run->at[i].body, run->at[i].body_len, err);
		if (rc == 0)
			rc = send(t, err);
	}
	return rc;
}

/* Bring what is wanted: what lies side by side with one read, the others one by one. */
static int send_wanted(struct taking *t, struct err *err)
{
	struct copy *c = t->c;
	const uint8_t *ids[RECORD_RUN_MAX];
	size_t at = 0;
	int rc = 0;
	for (size_t i = 0; i < t->count; i++)
		ids[i] = t->wanted[i];
	while (rc == 0 && at < t->count) {
		if (fetch_run(c->fetch, ids + at, t->count - at, false, &c->run, NULL) == 0) {
			at += c->run.count;
			rc = send_run(t, err);
			continue;
		}
		buf_clear(&t->cr);
		rc = fetch_record(c->fetch, ids[at++], &t->cr, err); /* says why, or finds it */
		if (rc == 0)
			rc = send(t, err);
	}
	t->count = 0;
	return rc;
}

static bool is_wanted_already(const struct taking *t, const uint8_t id[32])
{
	for (size_t i = 0; i < t->count; i++) {
		if (memcmp(t->wanted[i], id, sizeof(t->wanted[i])) == 0)
			return true;
	}
	return false;
}

static int take_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct taking *t = arg;
	int rc = step(t->c, err);
	if (rc == 0 && t->refs != NULL)
		rc = snaprec_refs_add(t->refs, id, cr_len, err);
	if (rc != 0)
		return rc;
	int has = session_copy_has(t->c->session, id, err);
	t->c->is_replicas = has < 0;
	if (has != 0)
		return has < 0 ? has : 0;
	if (!is_wanted_already(t, id))
		memcpy(t->wanted[t->count++], id, sizeof(t->wanted[0]));
	return t->count < RECORD_RUN_MAX ? 0 : send_wanted(t, err);
}

static int commit(struct copy *c, const struct snapshot *s, struct snaprec_refs *refs,
	const struct buf *envelopes, struct err *err)
{
	const size_t head = 32 + 2; /* snap_hash, count */
	uint64_t count;
	uint8_t refs_root[32];
	struct port_commit pc = {
		.record = s->body.record, .label = s->body.label, .label_len = s->body.label_len
	};
	if (envelopes->len < head)
		return err_set(err, ERR_CORRUPT, "the snapshot's envelopes are cut short");
	pc.envelopes = envelopes->data + head;
	pc.envelope_count = bytes_get16(envelopes->data + 32);
	if (envelopes->len - head != pc.envelope_count * SNAPREC_ENVELOPE_BYTES)
		return err_set(err, ERR_CORRUPT, "the snapshot's envelopes have a wrong length");
	int rc = snaprec_refs_finish(refs, &pc.segments, &pc.segments_len, &count, refs_root, err);
	if (rc != 0)
		return rc;
	rc = session_copy_commit(c->session, &pc, s, &c->is_twin, err);
	c->is_replicas = rc != 0 && rc != -ERR_CORRUPT;
	return rc;
}

/* The snapshot is lost at the source with ${rc}: what came of it stays.  When that fails nothing
 * can follow in this session. */
static int keep(struct copy *c, int rc, struct err *err)
{
	struct err why = ERR_INIT;
	int kept = session_copy_keep(c->session, &why);
	if (kept == 0)
		return rc;
	c->is_replicas = true;
	if (err != NULL)
		*err = why;
	return kept;
}

/* Open the session for ${s}, and send those of its records that the replica lacks. */
static int send_records(struct taking *t, const struct snapshot *s, struct err *err)
{
	struct copy *c = t->c;
	int rc = session_copy_begin(c->session, s, err);
	c->is_replicas = rc != 0;
	if (rc == 0)
		rc = snapshot_refs(c->from, s, take_ref, t, err);
	return rc == 0 ? send_wanted(t, err) : rc;
}

static int bring(struct copy *c, const struct snapshot *s, struct err *err)
{
	CLEANUP(buf_done) struct buf envelopes = BUF_INIT(SEALED_MAX_BYTES);
	struct taking t = { .c = c, .cr = BUF_INIT(RECORD_MAX_BYTES) };
	const struct port *port = session_port(c->session);
	int rc = snapshot_envelopes(c->from, s, &envelopes, err);
	if (rc == 0)
		rc = snaprec_refs_new(&t.refs, err);
	if (rc != 0)
		return rc; /* nothing was read yet */
	rc = send_records(&t, s, err);
	if (rc == 0) {
		rc = copy_chain_reach(c->chain, s, err);
		c->is_replicas = rc != 0;
	}
	if (rc == 0)
		rc = commit(c, s, t.refs, &envelopes, err);
	if (rc == 0)
		rc = copy_chain_add(c->chain, s, err);
	else if (!c->is_replicas)
		rc = keep(c, rc, err);
	port->abort(port->self);
	snaprec_refs_free(t.refs);
	buf_done(&t.cr);
	return rc;
}

/* A session that collection gave up left it there, void: it makes way for itself. */
static int clear_void(struct copy *c, const struct snapshot *s, struct err *err)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_VOID };
	for (size_t i = 0; i < c->to_list.count; i++) {
		const struct snapshot *x = &c->to_list.at[i];
		if (x->fate == SNAPSHOT_VOID && memcmp(x->hash, s->hash, sizeof(x->hash)) == 0)
			return prune_snapshots(c->to, &opts, &x, 1, err);
	}
	return 0;
}

/* Invariant 3: records of a snapshot that the replica lists and that lie in no pack of it any
 * more. */
static int refill(struct copy *c, const struct snapshot *s, struct err *err)
{
	struct taking t = { .c = c, .cr = BUF_INIT(RECORD_MAX_BYTES) };
	const struct port *port = session_port(c->session);
	const uint64_t done = c->done; /* it is not in the total */
	int rc = send_records(&t, s, err);
	if (rc == 0) {
		rc = session_copy_keep(c->session, err);
		c->is_replicas = rc != 0;
	} else if (!c->is_replicas) {
		rc = keep(c, rc, err);
	}
	port->abort(port->self);
	buf_done(&t.cr);
	c->done = done;
	return rc;
}

/* The replica lists it: does it still have what it names?  Which packs it needs only its reference
 * lists say: refill() sees to these. */
static int check_there(const struct copy *c, const struct snapshot *s, struct err *err)
{
	char name[VAULT_NAME_BYTES] = "ev/";
	text_hex(s->body.ev, sizeof(s->body.ev), name + 3);
	bool is_lost = missing_has(&c->missing, name);
	for (size_t i = 0; !is_lost && i < s->body.segment_count; i++) {
		(void)snprintf(name, sizeof(name), "rf/");
		text_hex(s->body.segments[i].rf, sizeof(s->body.segments[i].rf), name + 3);
		is_lost = missing_has(&c->missing, name);
	}
	if (is_lost)
		return err_set(err, ERR_NOT_FOUND,
			"the copy lists it and has lost '%s' of it: 'holdfast repair --from' "
			"brings that back from a store that has it",
			name);
	return 0;
}

/* One that the replica lists. */
static int find_there(const struct copy *c, const struct snapshot *s, const struct snapshot **out)
{
	for (size_t i = 0; i < c->to_list.count; i++) {
		if (c->to_list.at[i].fate == SNAPSHOT_LIVE &&
			memcmp(c->to_list.at[i].hash, s->hash, sizeof(s->hash)) == 0) {
			*out = &c->to_list.at[i];
			return 0;
		}
	}
	return -ERR_NOT_FOUND;
}

static void pass_there(struct copy *c, const struct snapshot *s)
{
	struct err why = ERR_INIT;
	const struct snapshot *there = NULL;
	int rc = find_there(c, s, &there) == 0 ? check_there(c, there, &why) : 0;
	if (id_set_find(c->unfilled, s->hash) > 0)
		return;
	if (rc == 0)
		c->r->there++;
	else
		c->r->failed++;
	tell(c, rc == 0 ? COPY_THERE : COPY_FAILED, s, rc == 0 ? NULL : &why);
}

/* One that is wanted.  Invariant 2. */
static int consider(struct copy *c, const struct snapshot *s, bool is_named, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = 0;
	uint64_t end = c->done + s->record.ref_count;
	if (id_set_find(c->live, s->hash) > 0) {
		pass_there(c, s);
		return 0;
	}
	if (!is_named && copy_chain_is_pruned(c->chain, s->hash)) {
		c->r->pruned++;
		tell(c, COPY_PRUNED, s, NULL);
		return 0;
	}
	c->is_replicas = c->is_twin = false;
	if (copy_chain_is_forked(c->chain, s))
		rc = err_set(&why, ERR_FORK,
			"the copy has another snapshot number %llu of this source: both vaults "
			"were backed up to",
			(unsigned long long)s->record.seq);
	else
		rc = clear_void(c, s, &why);
	if (rc != 0 && rc != -ERR_FORK)
		c->is_replicas = true;
	if (rc == 0)
		rc = bring(c, s, &why);
	c->done = end;
	if (rc == 0) {
		c->r->snapshots++;
		c->r->references += s->record.ref_count;
		tell(c, COPY_BROUGHT, s, NULL);
		return 0;
	}
	if (c->is_twin) {
		c->r->there++;
		tell(c, COPY_THERE, s, NULL);
		return 0;
	}
	if (!c->is_replicas && (vault_is_object_loss(rc) || rc == -ERR_FORK)) {
		c->r->failed++;
		tell(c, COPY_FAILED, s, &why);
		return 0;
	}
	if (err != NULL)
		*err = why;
	return rc;
}

/* What an order at the copy names is gone, also when who gave it did not come to the end: brought
 * again under it, it would be hidden at first and taken away later. */
static int carry_out_orders(struct copy *c, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = prune_resume(c->to, NULL, &why);
	if (vault_is_object_loss(rc)) {
		bad_object(c, "pr/", &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	(void)object;
	(void)why; /* verify names it */
}

/* Does the replica list a snapshot that is not empty? */
static bool needs_packs(const struct copy *c)
{
	for (size_t i = 0; i < c->to_list.count; i++) {
		if (c->to_list.at[i].fate == SNAPSHOT_LIVE && c->to_list.at[i].record.ref_count > 0)
			return true;
	}
	return false;
}

/* What does the replica no longer have of what it should? */
static int look_for_losses(struct copy *c, struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t packs = 0;
	const char *first = NULL;
	int rc = collect_view_look(c->to, &c->view, pass_over, NULL, err);
	if (rc == 0)
		rc = missing_load(c->to, &c->view, &c->missing, err);
	if (rc != 0)
		return rc;
	if (c->missing.packs == 0 && needs_packs(c)) { /* invariant 4 */
		err_set(err, ERR_CORRUPT, "the copy has lost its index: nothing was sent");
		return err_hint(err,
			"begin another copy in an empty place.  'holdfast repair' there makes the "
			"index anew of the packs that are left: what is in none of them only "
			"'holdfast verify' there tells, no later copy");
	}
	for (size_t i = 0; i < c->missing.count; i++) {
		if (strncmp(c->missing.names[i], "pk/", 3) != 0)
			continue;
		if (packs++ == 0)
			first = c->missing.names[i];
	}
	c->has_lost_packs = packs > 0;
	if (packs == 0)
		return 0;
	(void)err_set(&why, ERR_NOT_FOUND,
		"the copy has lost %llu packs, the first '%s': what snapshots need of them is sent "
		"again, as far as the vault has the snapshots; 'holdfast repair' there tells the "
		"rest, and takes them out of its index",
		(unsigned long long)packs, first);
	bad_object(c, first, &why);
	return 0;
}

static int load(struct copy *c, struct err *err)
{
	int rc = carry_out_orders(c, err);
	if (rc == 0)
		rc = snapshot_list_all(c->from, bad_object, c, &c->from_list, err);
	if (rc == 0)
		rc = snapshot_list_all(c->to, bad_object, c, &c->to_list, err);
	if (rc == 0)
		rc = copy_chain_new(c->from, c->to, &c->from_list, &c->to_list, &c->chain, err);
	if (rc == 0)
		rc = id_set_new(&c->live, err);
	for (size_t i = 0; rc == 0 && i < c->to_list.count; i++) {
		if (c->to_list.at[i].fate == SNAPSHOT_LIVE)
			rc = id_set_add(c->live, c->to_list.at[i].hash, 1, NULL, err);
	}
	if (rc == 0)
		rc = id_set_new(&c->unfilled, err);
	if (rc == 0)
		rc = look_for_losses(c, err);
	if (rc == 0)
		rc = fetch_new(c->from, &c->fetch, err);
	const struct session_opts opts = { .bad_packs = c->opts->bad_packs, .is_proven = true };
	return rc != 0 ? rc : session_new(c->to, &opts, &c->session, err);
}

/* Invariant 3.  Every snapshot that both have, wanted or not. */
static int refill_all(struct copy *c, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && c->has_lost_packs && i < c->from_list.count; i++) {
		const struct snapshot *s = &c->from_list.at[i];
		struct err why = ERR_INIT;
		if (s->fate != SNAPSHOT_LIVE || id_set_find(c->live, s->hash) == 0)
			continue;
		rc = refill(c, s, &why);
		if (!c->is_replicas && vault_is_object_loss(rc)) { /* invariant 2 */
			c->r->failed++;
			tell(c, COPY_FAILED, s, &why);
			rc = id_set_add(c->unfilled, s->hash, 1, NULL, err);
		} else if (rc != 0 && err != NULL) {
			*err = why;
		}
	}
	return rc;
}

static int run(struct copy *c, struct err *err)
{
	int rc = load(c, err);
	if (rc == 0)
		rc = refill_all(c, err);
	for (int pass = 0; rc == 0 && pass < 2; pass++) { /* count, then carry */
		for (size_t i = 0; rc == 0 && i < c->from_list.count; i++) {
			const struct snapshot *s = &c->from_list.at[i];
			int wanted =
				s->fate != SNAPSHOT_LIVE ? 0 : c->opts->is_wanted(c->opts->arg, s);
			if (wanted == 0)
				continue;
			if (pass == 1)
				rc = consider(c, s, wanted == 2, err);
			else if (id_set_find(c->live, s->hash) == 0)
				c->total += s->record.ref_count;
		}
	}
	return rc;
}

int copy_run(struct vault *from, struct vault *to, const struct copy_opts *opts,
	struct copy_result *out, struct err *err)
{
	struct copy c = { .from = from, .to = to, .opts = opts, .r = out };
	memset(out, 0, sizeof(*out));
	int rc = vault_check_writable(to, err);
	if (rc == 0 && vault_domain(to)->epoch < vault_domain(from)->epoch)
		rc = err_set(err, ERR_ROLLBACK, "the copy's config is older than the vault's");
	if (rc == 0)
		rc = run(&c, err);
	if (c.chain != NULL)
		out->kept = copy_chain_kept(c.chain);
	session_free(c.session);
	fetch_free(c.fetch);
	buf_done(&c.run.span);
	copy_chain_free(c.chain);
	id_set_free(c.live);
	id_set_free(c.unfilled);
	missing_done(&c.missing);
	collect_view_done(&c.view);
	snapshot_list_done(&c.from_list);
	snapshot_list_done(&c.to_list);
	return rc;
}
