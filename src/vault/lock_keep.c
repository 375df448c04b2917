#include "vault/lock_keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "store/store.h"
#include "vault/collect_mark.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/hidden.h"
#include "vault/id_set.h"
#include "vault/lock_class.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

/*
 * INVARIANTS
 * (1) What is not known to be needed by nobody counts as needed when anything is odd: a lock too
 *     many ends by itself, a lock too few is the end of what it was for.
 * (2) No lock is ever made shorter, or of a weaker mode.
 */

struct texts {
	char name[STORE_MAX_NAME_BYTES + 1], id[VERSION_PACK_ID_BYTES];
};

struct keeping {
	struct store *store;
	struct lock_keep_result *r;
	struct store_lock lock;
	struct lock_keep_opts opts;
	uint64_t needed, first; /* names; the random one of those that are asked for */
	int64_t now_ns;
	struct version_table table;
	/* what the vault knows; none of it with r->is_all */
	struct collect_mark mark;
	bool has_mark;
	struct id_set *pruned, *live; /* owned; SHA-256 of sn/ objects */
	bool is_odd;                  /* something needed is hidden, or nowhere */
	struct store_item *items;     /* owned */
	struct texts *texts;          /* owned; of these */
	uint64_t *sizes;              /* owned */
	size_t count;
	bool has_end; /* r->earliest_ns tells something */
};

static int check_lock(struct keeping *k, struct err *err)
{
	store_locks_by(k->store, &k->lock);
	if (k->lock.mode != STORE_LOCK_NONE)
		return 0;
	(void)err_set(err, ERR_UNSUPPORTED, "nothing in this store (%s) is to be locked",
		store_driver_name(k->store));
	return err_hint(err, "in a bucket with Object Lock: 'holdfast vault lock --policy "
			     "compliance:30d'; see docs/S3.md");
}

/* ---- what is needed ------------------------------------------------------------------------- */

static int note_live(struct keeping *k, struct err *err)
{
	int rc = id_set_new(&k->live, err);
	for (size_t i = 0; rc == 0 && i < k->mark.list.count; i++) {
		uint8_t hash[32];
		const struct snapshot *s = &k->mark.list.at[i];
		if (s->fate == SNAPSHOT_LIVE && version_table_hash(s->object, hash))
			rc = id_set_add(k->live, hash, 1, NULL, err);
	}
	return rc;
}

/* Ask the vault.  One that cannot say is no error: invariant 1. */
static int ask_vault(struct keeping *k, struct vault *v, struct err *err)
{
	struct collect_view view = { .count = 0 };
	char lost[STORE_MAX_NAME_BYTES + 1] = "";
	int rc = collect_view_look(v, &view, NULL, NULL, &k->r->why);
	if (rc == 0)
		rc = collect_mark_run(v, &view, NULL, &k->mark, &k->r->why);
	k->has_mark = rc == 0;
	if (rc == 0)
		rc = note_live(k, &k->r->why);
	if (rc == 0)
		rc = hidden_pruned(v, NULL, NULL, &k->pruned, &k->r->why);
	if (rc == 0)
		rc = hidden_lost(v, &k->table, &k->mark.list, k->pruned, lost, &k->r->why);
	collect_view_done(&view);
	if (vault_is_object_loss(rc)) {
		k->r->is_all = true;
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = k->r->why;
	if (rc == 0)
		k->is_odd = lost[0] != '\0' || !collect_mark_is_whole(&k->mark);
	return rc;
}

static bool is_pack_needed(const struct keeping *k, const uint8_t hash[32])
{
	size_t number = index_pack_number(k->mark.index, hash);
	return number != INDEX_NONE && k->mark.packs[number].kept > 0;
}

static bool is_needed(const struct keeping *k, const struct version_table_name *n)
{
	uint8_t hash[32];
	bool is_hidden = version_table_is_hidden(&k->table, n);
	if (n->real == 0 || !lock_class_wants(n->name))
		return false;
	if (lock_class_is_lasting(n->name) || k->r->is_all)
		return true;
	if (vault_name_is_of(n->name, "pa/"))
		return !is_hidden;
	if (vault_name_is_of(n->name, "pr/") || !version_table_hash(n->name, hash))
		return false; /* it passes */
	if (vault_name_is_of(n->name, "sn/"))
		return is_hidden ? id_set_find(k->pruned, hash) == 0
				 : id_set_find(k->live, hash) > 0;
	if (k->is_odd) /* invariant 1: also what is replaced, or in no index */
		return true;
	/* What a live snapshot names is needed whether it is to be seen or not. */
	return vault_name_is_of(n->name, "pk/") ? !is_hidden && is_pack_needed(k, hash)
						: id_set_find(k->mark.named, hash) > 0;
}

/* ---- how it is locked ----------------------------------------------------------------------- */

static void note_end(struct keeping *k, int64_t until_ns)
{
	if (!k->has_end || until_ns < k->r->earliest_ns)
		k->r->earliest_ns = until_ns;
	k->has_end = true;
}

/* Those of the items that are locked for too short, moved to the front.  Return how many. */
static size_t choose(struct keeping *k)
{
	size_t chosen = 0;
	struct lock_keep_result *r = k->r;
	int64_t least = store_lock_least(&k->lock, k->now_ns);
	for (size_t i = 0; i < k->count; i++) {
		struct store_item item = k->items[i];
		bool is_locked = item.rc == 0 && item.until_ns > k->now_ns;
		bool is_good = is_locked && item.until_ns >= least && item.mode >= k->lock.mode;
		if (item.rc == -ERR_NOT_FOUND)
			continue; /* it went meanwhile */
		r->objects++;
		r->bytes += k->sizes[i];
		r->asked++;
		r->unlocked += !is_locked;
		r->ending += is_locked && !is_good;
		r->locked += is_good;
		if (is_good) {
			note_end(k, item.until_ns);
			continue;
		}
		if (k->opts.is_dry_run)
			note_end(k, is_locked ? item.until_ns : 0);
		/* invariant 2 */
		if (!is_locked || item.mode != STORE_LOCK_COMPLIANCE)
			item.mode = k->lock.mode;
		k->items[chosen++] = item;
	}
	return chosen;
}

static int extend(struct keeping *k, size_t count, struct err *err)
{
	struct lock_keep_result *r = k->r;
	int64_t until = store_lock_until(&k->lock, k->now_ns);
	for (size_t i = 0; i < count; i++) { /* invariant 2 */
		if (k->items[i].until_ns < until)
			k->items[i].until_ns = until;
	}
	int rc = store_extend(k->store, k->items, count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (k->items[i].rc == -ERR_NOT_FOUND)
			continue;
		note_end(k, k->items[i].rc == 0 ? k->items[i].until_ns : 0);
		r->extended += k->items[i].rc == 0;
		if (k->items[i].rc != 0 && r->failed++ == 0) {
			r->why = k->items[i].why;
			(void)err_wrap(&r->why, "unable to lock object '%s'", k->items[i].name);
		}
	}
	return rc;
}

static uint64_t most_of(const struct keeping *k)
{
	return k->opts.most == 0 || k->needed < k->opts.most ? k->needed : k->opts.most;
}

/* Is the ${nth} of the names that are needed one of those that are asked for? */
static bool is_asked(const struct keeping *k, uint64_t nth)
{
	return k->opts.most == 0 || k->needed <= k->opts.most ||
	       (nth * k->opts.most + k->first) % k->needed < k->opts.most;
}

static int flush(struct keeping *k, struct err *err)
{
	int rc = k->count == 0 ? 0 : store_see_locks(k->store, k->items, k->count, err);
	if (rc != 0)
		return rc;
	size_t chosen = choose(k);
	if (k->opts.is_dry_run)
		k->r->extended += chosen;
	else if (chosen > 0)
		rc = extend(k, chosen, err);
	k->count = 0;
	if (rc == 0 && k->opts.on_progress != NULL)
		k->opts.on_progress(k->opts.arg, k->r->asked, most_of(k));
	return rc;
}

/* ${x} NULL: the current one. */
static int add(
	struct keeping *k, const char *name, const struct version_table_version *x, struct err *err)
{
	struct store_item *item = &k->items[k->count];
	struct texts *text = &k->texts[k->count];
	memset(item, 0, sizeof(*item));
	(void)snprintf(text->name, sizeof(text->name), "%s", name); /* fits */
	item->name = text->name;
	if (x != NULL) {
		version_table_id(&k->table, x, text->id);
		item->id = text->id;
	}
	k->sizes[k->count++] = x == NULL ? 0 : x->size;
	return k->count == STORE_ITEMS_MAX ? flush(k, err) : 0;
}

static int begin(struct keeping *k, struct store *s, struct err *err)
{
	k->store = s;
	int rc = check_lock(k, err);
	k->now_ns = env_now_ns();
	k->items = calloc(STORE_ITEMS_MAX, sizeof(*k->items));
	k->texts = calloc(STORE_ITEMS_MAX, sizeof(*k->texts));
	k->sizes = calloc(STORE_ITEMS_MAX, sizeof(*k->sizes));
	if (rc == 0 && (k->items == NULL || k->texts == NULL || k->sizes == NULL))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc;
}

static void end(struct keeping *k)
{
	version_table_done(&k->table);
	if (k->has_mark)
		collect_mark_done(&k->mark);
	id_set_free(k->pruned);
	id_set_free(k->live);
	free(k->items);
	free(k->texts);
	free(k->sizes);
}

/* What is to be locked of a name, and whether something lies over it that is not what it was. */
struct chosen {
	const struct version_table_version *one, *other; /* NULL = none */
	bool is_all;                                     /* no version is known to be right */
	bool is_covered;
};

/* Of a text, whose name tells nothing of its bytes, the oldest, and what is read; of others the one
 * that hashes to its name, and what is read when that does, too.  Return 0 or a store's error. */
static int choose_versions(
	struct keeping *k, const struct version_table_name *n, struct chosen *out, struct err *err)
{
	uint8_t hash[32];
	bool is_true = false;
	const struct version_table_version *newest = version_table_newest(&k->table, n);
	bool has_hash = version_table_hash(n->name, hash);
	bool is_same = version_table_is_same(&k->table, n);
	struct chosen c = { .one = version_table_oldest(&k->table, n) };
	int rc = 0;
	if (is_same) {
		c.is_covered = newest->is_marker;
	} else if (!has_hash) {
		c.is_covered = !version_table_is_as_oldest(&k->table, n);
	} else {
		rc = version_table_is_true(k->store, &k->table, n, newest, &is_true, err);
		if (rc == 0)
			rc = version_table_true(k->store, &k->table, n, &c.one, err);
		c.is_covered = !is_true;
		c.is_all = c.one == NULL;
	}
	bool is_read = is_same || is_true || !has_hash;
	if (newest != c.one && !newest->is_marker && is_read)
		c.other = newest;
	if (rc == 0)
		*out = c;
	return rc;
}

/* One that is not asked for: by the list alone, whatever somebody put there is not read. */
static void count_name(struct keeping *k, const struct version_table_name *n)
{
	const struct version_table_version *newest = version_table_newest(&k->table, n);
	const struct version_table_version *oldest = version_table_oldest(&k->table, n);
	if (oldest == NULL) { /* markers alone */
		k->r->hidden++;
		return;
	}
	k->r->hidden += newest->is_marker || !version_table_is_as_oldest(&k->table, n);
	k->r->objects++;
	k->r->bytes += oldest->size;
	if (newest != oldest && !newest->is_marker) {
		k->r->objects++;
		k->r->bytes += newest->size;
	}
}

static int keep_name(struct keeping *k, const struct version_table_name *n, struct err *err)
{
	struct chosen c;
	int rc = choose_versions(k, n, &c, err);
	if (rc != 0)
		return rc;
	k->r->hidden += c.is_covered;
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		const struct version_table_version *x = &k->table.versions[n->first + i];
		if (x->is_marker || (!c.is_all && x != c.one && x != c.other))
			continue;
		rc = add(k, n->name, x, err);
	}
	return rc;
}

static int keep_all(struct keeping *k, struct err *err)
{
	uint64_t nth = 0;
	int rc = 0;
	struct version_table_name n;
	for (size_t i = 0; i < k->table.count; i++) {
		version_table_name_at(&k->table, i, &n);
		k->needed += is_needed(k, &n);
	}
	if (k->opts.most > 0 && k->needed > k->opts.most)
		rc = env_random(&k->first, sizeof(k->first), err);
	k->first %= k->needed == 0 ? 1 : k->needed;
	for (size_t i = 0; rc == 0 && i < k->table.count; i++) {
		version_table_name_at(&k->table, i, &n);
		if (!is_needed(k, &n))
			continue;
		if (is_asked(k, nth++))
			rc = keep_name(k, &n, err);
		else
			count_name(k, &n);
	}
	return rc == 0 ? flush(k, err) : rc;
}

int lock_keep_run(struct store *s, struct vault *v, const struct lock_keep_opts *opts,
	struct lock_keep_result *out, struct err *err)
{
	struct lock_keep_result r = { .is_all = v == NULL };
	struct keeping k = { .r = &r };
	if (opts != NULL)
		k.opts = *opts;
	int rc = begin(&k, s, err);
	if (rc == 0)
		rc = version_table_load(s, "", &k.table, err);
	if (rc == 0 && v != NULL)
		rc = ask_vault(&k, v, err);
	if (rc == 0)
		rc = keep_all(&k, err);
	end(&k);
	if (rc == 0)
		*out = r;
	return rc;
}

int lock_keep_packs(struct store *s, const uint8_t (*packs)[32], size_t count, struct err *err)
{
	struct lock_keep_result r = { .is_all = true };
	struct keeping k = { .r = &r };
	struct store_lock lock;
	store_locks_by(s, &lock);
	if (lock.mode == STORE_LOCK_NONE || count == 0)
		return 0;
	int rc = begin(&k, s, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		char name[FETCH_PACK_NAME_BYTES];
		fetch_pack_name(packs[i], name);
		rc = add(&k, name, NULL, err);
	}
	if (rc == 0)
		rc = flush(&k, err);
	end(&k);
	if (rc == 0 && r.failed > 0) {
		if (err != NULL)
			*err = r.why;
		rc = -r.why.code;
	}
	return rc;
}
