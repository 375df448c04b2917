#include "controller/replica_run.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "controller/gateway_vault.h"
#include "controller/replica_conf.h"
#include "store/store.h"
#include "store/store_readback.h"
#include "vault/copy.h"
#include "vault/copy_keys.h"
#include "vault/hold.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) The vault is held before its snapshots are listed: what is listed stays.
 * (2) Nothing is begun at a place where nothing is unless a person asked for that: it may be a
 *     mount that is not there.
 */

struct work {
	const struct replica_run_opts *o;
	struct replica_run_result *r;
	struct store *store, *to_store;  /* owned, as all here */
	struct store_readback *readback; /* of to_store */
	struct vault *vault, *to;
	struct snapshot_list list;
	struct id_set *wanted;
	struct hold *hold;
};

static int is_wanted(void *arg, const struct snapshot *s)
{
	const struct work *w = arg;
	return id_set_find(w->wanted, s->hash) > 0 ? 1 : 0;
}

static void keep_first(struct work *w, const struct err *why)
{
	log_warn("replica_run.snapshot", "replica=%s error=\"%s\", continuing", w->o->replica->name,
		why->msg);
	if (w->r->first[0] == '\0')
		(void)snprintf(w->r->first, sizeof(w->r->first), "%.*s",
			(int)sizeof(w->r->first) - 1, why->msg);
}

static void on_event(
	void *arg, enum copy_event what, const struct snapshot *s, const struct err *why)
{
	(void)s; /* the text names it, or its source */
	if (what == COPY_FAILED || what == COPY_UNREADABLE)
		keep_first(arg, why);
}

static void on_progress(void *arg, uint64_t done, uint64_t total, uint64_t bytes)
{
	const struct work *w = arg;
	if (w->o->on_progress != NULL)
		w->o->on_progress(w->o->arg, done, total, bytes);
}

static bool is_stopped(void *arg)
{
	const struct work *w = arg;
	return w->o->is_stopped(w->o->arg);
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	log_debug("replica_run.list", "object=%s error=%s, continuing", object, why->msg);
}

static int open_both(struct work *w, const struct gateway_vault *g, struct err *err)
{
	uint64_t put = 0;
	const struct gateway_place place = { .location = w->o->replica->place,
		.is_new = w->o->is_begun_here,
		.bytes_per_s = w->o->replica->bytes_per_s,
		.is_stopped = w->o->is_stopped,
		.arg = w->o->arg };
	if (g->open_place == NULL)
		return err_set(err, ERR_UNSUPPORTED, "nothing opens replicas here");
	int rc = gateway_vault_open_at_work(g, true, &w->store, &w->vault, err);
	if (rc != 0)
		return rc;
	gateway_vault_hold(g, w->vault, &w->hold); /* invariant 1 */
	rc = g->open_place(g->arg, &place, &w->to_store, err);
	if (rc == 0)
		rc = hold_refuse_same(w->hold, w->to_store, err);
	if (rc == 0)
		rc = store_readback_add(w->to_store, &w->readback, err);
	if (rc == 0) {
		store_stop_when(w->store, is_stopped, w);
		store_stop_when(w->to_store, is_stopped, w);
		rc = copy_keys_carry(w->store, w->to_store, w->o->is_begun_here, &put, err);
	}
	if (rc == 0)
		rc = gateway_vault_open_on(g, w->to_store, &w->to, err);
	if (rc == -ERR_NOT_FOUND) /* invariant 2 */
		(void)err_hint(err,
			"check that its disk or share is mounted; 'holdfast maintenance "
			"run copy --replica %s --begin' begins it in an empty place",
			w->o->replica->name);
	return rc == 0 ? 0 : err_wrap(err, "replica '%s'", w->o->replica->name);
}

static int run(struct work *w, struct err *err)
{
	struct copy_result c = { .snapshots = 0 };
	int rc = snapshot_list(w->vault, pass_over, NULL, &w->list, err);
	if (rc == 0)
		rc = replica_conf_choose(w->o->replica, &w->list, &w->wanted, err);
	if (rc != 0)
		return rc;
	const struct copy_opts opts = { .arg = w,
		.is_wanted = is_wanted,
		.on_event = on_event,
		.on_progress = on_progress,
		.is_stopped = is_stopped,
		.hold = w->hold };
	rc = copy_run(w->vault, w->to, &opts, &c, err);
	w->r->snapshots = c.snapshots;
	w->r->there = c.there;
	w->r->pruned = c.pruned;
	w->r->failed = c.failed;
	w->r->bytes = c.bytes;
	if (rc != 0)
		return err_wrap(err, "replica '%s'", w->o->replica->name);
	if (c.failed == 0)
		return 0;
	return err_set(err, ERR_CORRUPT,
		"%llu snapshots could not be brought to replica '%s', the first: %s",
		(unsigned long long)c.failed, w->o->replica->name, w->r->first);
}

int replica_run_do(const struct gateway_vault *g, const struct replica_run_opts *opts,
	struct replica_run_result *out, struct err *err)
{
	struct work w = { .o = opts, .r = out };
	memset(out, 0, sizeof(*out));
	int rc = open_both(&w, g, err);
	if (rc == 0)
		rc = run(&w, err);
	if (w.readback != NULL)
		out->read_back = store_readback_bytes(w.readback);
	if (w.store != NULL) /* the marks of the end are put all the same */
		store_stop_when(w.store, NULL, NULL);
	hold_end(w.hold);
	id_set_free(w.wanted);
	snapshot_list_done(&w.list);
	vault_close(w.to);
	store_free(w.to_store);
	vault_close(w.vault);
	store_free(w.store);
	return rc;
}
