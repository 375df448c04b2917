#include "vault/prune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * order | BARRIER | records | BARRIER | envelopes gone | BARRIER | snapshots gone | BARRIER |
 * order gone | BARRIER
 *
 * INVARIANTS
 * (1) An sn/ object is removed only when its record is durable in an hs/ object.
 * (2) An order is removed only when every sn/ and ev/ object it is about is gone, durably.
 */

DEFINE_CLEANUP(struct id_set *, id_set_free)

/* ---- the orders on the store --------------------------------------------------------------- */

struct loading {
	struct vault *v;
	struct prune_view *view;
	prune_bad_fn on_bad;
	void *arg;
	struct err *err;
};

static int see_order(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct loading *l = arg;
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_view *w = l->view;
	char(*names)[128] = reallocarray(w->names, w->count + 1, sizeof(*names));
	if (names != NULL)
		w->names = names;
	struct prune_order *at = reallocarray(w->at, w->count + 1, sizeof(*at));
	if (at != NULL)
		w->at = at;
	if (names == NULL || at == NULL)
		return err_set(l->err, ERR_NOMEM, "out of memory");
	int rc = vault_get_sealed(l->v, SEALED_PRUNE, name, &body, &why);
	if (rc == -ERR_NOT_FOUND)
		return 0; /* carried out meanwhile: what it named is gone */
	if (rc == 0)
		rc = prune_order_decode(body.data, body.len, &at[w->count], &why);
	if (rc == 0) {
		(void)snprintf(names[w->count++], sizeof(*names), "%s", name); /* it was read */
		return 0;
	}
	(void)err_wrap(&why, "prune order '%s'", name);
	if (l->on_bad != NULL && vault_is_object_loss(rc)) {
		l->on_bad(l->arg, name, &why);
		return 0;
	}
	if (l->err != NULL)
		*l->err = why;
	return rc;
}

int prune_view_load(
	struct vault *v, prune_bad_fn on_bad, void *arg, struct prune_view *out, struct err *err)
{
	struct prune_view view = { .count = 0 };
	struct loading l = { .v = v, .view = &view, .on_bad = on_bad, .arg = arg, .err = err };
	int rc = store_list(v->store, "pr/", see_order, &l, err);
	if (rc == 0)
		*out = view;
	else
		prune_view_done(&view);
	return rc;
}

void prune_view_done(struct prune_view *view)
{
	for (size_t i = 0; i < view->count; i++)
		prune_order_done(&view->at[i]);
	free(view->at);
	free(view->names);
	memset(view, 0, sizeof(*view));
}

bool prune_view_has(const struct prune_view *view, const uint8_t snap_hash[32])
{
	for (size_t i = 0; i < view->count; i++) {
		if (prune_order_find(&view->at[i], snap_hash) != NULL)
			return true;
	}
	return false;
}

/* ---- the records kept ---------------------------------------------------------------------- */

struct walk {
	struct vault *v;
	prune_bad_fn on_bad;
	void *bad_arg;
	prune_kept_fn fn;
	void *arg;
	struct err *err;
};

static int see_records(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct walk *w = arg;
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_order order;
	const uint8_t *records;
	int rc = vault_get_sealed(w->v, SEALED_PRUNED, name, &body, &why);
	if (rc == 0)
		rc = prune_order_decode_pruned(body.data, body.len, &order, &records, &why);
	if (rc != 0) {
		(void)err_wrap(&why, "pruned records '%s'", name);
		if (w->on_bad != NULL && vault_is_object_loss(rc)) {
			w->on_bad(w->bad_arg, name, &why);
			return 0;
		}
		if (w->err != NULL)
			*w->err = why;
		return rc;
	}
	rc = w->fn(w->arg, &order, records, w->err);
	prune_order_done(&order);
	return rc;
}

int prune_kept(struct vault *v, prune_bad_fn on_bad, void *bad_arg, prune_kept_fn fn, void *arg,
	struct err *err)
{
	struct walk w = {
		.v = v, .on_bad = on_bad, .bad_arg = bad_arg, .fn = fn, .arg = arg, .err = err
	};
	return store_list(v->store, "hs/", see_records, &w, err);
}

struct record_walk {
	prune_record_fn fn;
	void *arg;
};

static int see_each(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err)
{
	const struct record_walk *w = arg;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < order->count; i++)
		rc = w->fn(w->arg, records + i * SNAPREC_BYTES, err);
	return rc;
}

int prune_records(struct vault *v, prune_bad_fn on_bad, void *bad_arg, prune_record_fn fn,
	void *arg, struct err *err)
{
	struct record_walk w = { .fn = fn, .arg = arg };
	return prune_kept(v, on_bad, bad_arg, see_each, &w, err);
}

int prune_keep(struct vault *v, struct prune_order *order, const uint8_t *records, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = prune_order_encode_pruned(order, records, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(v->store, &v->key, SEALED_PRUNED, "hs/", body.data, body.len,
			name, NULL, err);
	return rc != 0 ? rc : store_barrier(v->store, err);
}

/* What a copy left out was never pruned here: the order that does it is news. */
static int keep_hashes(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err)
{
	int rc = 0;
	(void)records; /* they hash to the items */
	for (size_t i = 0; rc == 0 && order->cause != PRUNE_ORDER_COPY && i < order->count; i++)
		rc = id_set_add(arg, order->items[i].snap_hash, 1, NULL, err);
	return rc;
}

/* ---- carrying out -------------------------------------------------------------------------- */

static void item_name(const struct prune_order_item *item, char name[VAULT_NAME_BYTES])
{
	char hex[65];
	text_hex(item->object, sizeof(item->object), hex);
	(void)snprintf(name, VAULT_NAME_BYTES, "sn/%012llx-%s",
		(unsigned long long)(item->receipt_ns / 1000000), hex); /* fits */
}

/* The snapshots of an order that are still on the store. */
struct victims {
	uint8_t *records;  /* owned; count * SNAPREC_BYTES, of those that are there */
	uint8_t (*ev)[32]; /* owned; of those that are there */
	bool *is_there;    /* owned */
	size_t there;
};

static void victims_done(struct victims *w)
{
	free(w->records);
	free(w->ev);
	free(w->is_there);
}

static int read_victim(struct vault *v, const struct prune_order_item *item, size_t i,
	struct victims *w, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot_body b;
	uint8_t hash[32];
	char name[VAULT_NAME_BYTES];
	item_name(item, name);
	int rc = vault_get_sealed(v, SEALED_SNAPSHOT, name, &body, err);
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0; /* gone already: its record must be in an hs/ object */
	}
	if (rc == 0)
		rc = snapshot_body_decode(body.data, body.len, &b, err);
	if (rc != 0)
		return err_wrap(err, "a snapshot that is to be pruned, '%s'", name);
	snaprec_hash(b.record, hash);
	if (memcmp(hash, item->snap_hash, sizeof(hash)) != 0) {
		rc = err_set(err, ERR_CORRUPT, "object '%s' is not the snapshot ordered", name);
	} else {
		memcpy(w->records + i * SNAPREC_BYTES, b.record, SNAPREC_BYTES);
		memcpy(w->ev[i], b.ev, sizeof(w->ev[i]));
		w->is_there[i] = true;
		w->there++;
	}
	snapshot_body_done(&b);
	return rc;
}

static int read_victims(
	struct vault *v, const struct prune_order *o, struct victims *w, struct err *err)
{
	w->records = calloc(o->count, SNAPREC_BYTES);
	w->ev = calloc(o->count, sizeof(*w->ev));
	w->is_there = calloc(o->count, sizeof(*w->is_there));
	if (w->records == NULL || w->ev == NULL || w->is_there == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < o->count; i++)
		rc = read_victim(v, &o->items[i], i, w, err);
	return rc;
}

/* Invariant 1: put the records that no hs/ object has yet, with what the order says of them. */
static int put_records(
	struct vault *v, const struct prune_order *o, const struct victims *w, struct err *err)
{
	CLEANUP(id_set_free_p) struct id_set *kept = NULL;
	CLEANUP(cleanup_free_p)
	struct prune_order_item *items = calloc(o->count, sizeof(*items));
	CLEANUP(cleanup_free_p) uint8_t *records = calloc(o->count, SNAPREC_BYTES);
	struct prune_order rest = *o; /* its items are ours */
	char name[VAULT_NAME_BYTES];
	if (items == NULL || records == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rest.items = items;
	rest.count = 0;
	int rc = id_set_new(&kept, err);
	if (rc == 0)
		rc = prune_kept(v, NULL, NULL, keep_hashes, kept, err);
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		if (id_set_find(kept, o->items[i].snap_hash) > 0)
			continue;
		item_name(&o->items[i], name);
		if (!w->is_there[i])
			rc = err_set(err, ERR_CORRUPT,
				"snapshot '%s' is to be pruned, and neither it nor its record is "
				"there",
				name);
		memcpy(records + rest.count * SNAPREC_BYTES, w->records + i * SNAPREC_BYTES,
			SNAPREC_BYTES);
		items[rest.count++] = o->items[i];
	}
	return rc != 0 || rest.count == 0 ? rc : prune_keep(v, &rest, records, err);
}

static int remove_victims(struct vault *v, const struct prune_order *o, const struct victims *w,
	bool is_envelopes, struct err *err)
{
	char name[VAULT_NAME_BYTES];
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		if (!w->is_there[i])
			continue;
		if (is_envelopes) {
			(void)snprintf(name, sizeof(name), "ev/"); /* fits */
			text_hex(w->ev[i], 32, name + 3);
		} else {
			item_name(&o->items[i], name);
		}
		rc = store_remove(v->store, name, err);
	}
	return rc != 0 ? rc : store_barrier(v->store, err);
}

/* Another object of a snapshot (snapshot_list() tells how that can be). */
struct twin {
	struct vault *v;
	const uint8_t *snap_hash;
	char name[VAULT_NAME_BYTES]; /* the last one found, or "" */
	struct err *err;
};

static int see_twin(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct twin *t = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	uint8_t hash[32];
	struct err why = ERR_INIT;
	int rc = vault_get_sealed(t->v, SEALED_SNAPSHOT, name, &body, &why);
	if (rc != 0 && !vault_is_object_loss(rc)) {
		if (t->err != NULL)
			*t->err = why;
		return rc;
	}
	if (rc != 0 || body.len < SNAPREC_BYTES)
		return 0; /* verify names it */
	snaprec_hash(body.data, hash);
	if (memcmp(hash, t->snap_hash, sizeof(hash)) == 0)
		(void)snprintf(t->name, sizeof(t->name), "%s", name); /* it was read */
	return 0;
}

static int remove_twins(struct vault *v, const struct prune_order *o, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		char prefix[VAULT_NAME_BYTES];
		item_name(&o->items[i], prefix);
		*(strrchr(prefix, '-') + 1) = '\0';
		while (rc == 0) {
			struct twin t = { .v = v, .snap_hash = o->items[i].snap_hash, .err = err };
			rc = store_list(v->store, prefix, see_twin, &t, err);
			if (rc != 0 || t.name[0] == '\0')
				break;
			rc = store_remove(v->store, t.name, err);
			if (rc == 0)
				rc = store_barrier(v->store, err);
		}
	}
	return rc;
}

static int carry_out(
	struct vault *v, const struct prune_order *o, const char *order_name, struct err *err)
{
	struct victims w = { .there = 0 };
	int rc = read_victims(v, o, &w, err);
	if (rc == 0)
		rc = put_records(v, o, &w, err);
	if (rc == 0)
		rc = remove_victims(v, o, &w, true, err);
	if (rc == 0)
		rc = remove_victims(v, o, &w, false, err);
	if (rc == 0)
		rc = remove_twins(v, o, err);
	if (rc == 0)
		rc = store_remove(v->store, order_name, err);
	if (rc == 0)
		rc = store_barrier(v->store, err);
	victims_done(&w);
	return rc;
}

int prune_resume(struct vault *v, size_t *count, struct err *err)
{
	struct prune_view view = { .count = 0 };
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = prune_view_load(v, NULL, NULL, &view, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < view.count; i++)
		rc = carry_out(v, &view.at[i], view.names[i], err);
	if (rc == 0 && count != NULL)
		*count = view.count;
	prune_view_done(&view);
	return rc;
}

static int fill_order(struct prune_order *o, const struct prune_opts *opts,
	const struct snapshot *const *snaps, size_t count, struct err *err)
{
	o->cause = opts->cause;
	o->wall_ns = env_now_ns();
	o->policy = strdup(opts->policy == NULL ? "" : opts->policy);
	o->approval = strdup(opts->approval == NULL ? "" : opts->approval);
	o->items = calloc(count, sizeof(*o->items));
	o->count = count;
	if (o->policy == NULL || o->approval == NULL || o->items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *hex = strrchr(snaps[i]->object, '-');
		memcpy(o->items[i].snap_hash, snaps[i]->hash, 32);
		o->items[i].receipt_ns = snaps[i]->body.receipt_ns;
		if (hex == NULL || text_unhex(hex + 1, 32, o->items[i].object) != 0)
			return err_set(
				err, ERR_CORRUPT, "object '%s' has a wrong name", snaps[i]->object);
	}
	return env_random(o->id, sizeof(o->id), err);
}

int prune_snapshots(struct vault *v, const struct prune_opts *opts,
	const struct snapshot *const *snaps, size_t count, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_order order = { .count = 0 };
	char name[VAULT_NAME_BYTES];
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = fill_order(&order, opts, snaps, count, err);
	if (rc == 0)
		rc = prune_order_encode(&order, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(v->store, &v->key, SEALED_PRUNE, "pr/", body.data, body.len,
			name, NULL, err);
	if (rc == 0)
		rc = store_barrier(v->store, err);
	if (rc == 0)
		rc = carry_out(v, &order, name, err);
	prune_order_done(&order);
	return rc;
}
