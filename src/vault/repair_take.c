#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "vault/fetch.h"
#include "vault/repair_back.h"
#include "vault/repair_internal.h"
#include "vault/salvage.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * Records that snapshots need and no pack that stays has: taken out of packs that are to go, and
 * out of copies of the store.
 *
 * INVARIANTS
 * (1) A pack whose name a list of a collection holds is never put: its records go into new packs,
 *     which no list can name yet.
 * (2) A lost pack is given up only when every snapshot could be asked what it needs.
 */

/* ---- what snapshots need ----------------------------------------------------------------------
 */

static int check_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct repair *r = arg;
	return id_set_find(r->good, id) == cr_len ? 0 : id_set_add(r->lost, id, cr_len, NULL, err);
}

static void note_blind(void *arg, const char *object, const struct err *why)
{
	struct repair *r = arg;
	(void)object;
	(void)why; /* damaged: told as such */
	r->is_blind = true;
}

/* Fill r->lost, once. */
static int find_lost(struct repair *r, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	if (r->lost != NULL)
		return 0;
	int rc = id_set_new(&r->lost, err);
	if (rc == 0)
		rc = snapshot_list(r->v, note_blind, r, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		struct err why = ERR_INIT;
		rc = snapshot_refs(r->v, &list.at[i], check_ref, r, &why);
		if (vault_is_object_loss(rc)) {
			r->is_blind = true;
			rc = 0;
		} else if (rc != 0 && err != NULL) {
			*err = why;
		}
	}
	snapshot_list_done(&list);
	return rc;
}

/* ---- packs of this store that are to go --------------------------------------------------------
 */

struct walk {
	struct repair *r;
	struct vault *from; /* whose packs are listed */
	struct pack_out *to;
	struct err *err;
};

static int take_records(struct walk *w, const char *name, uint64_t size)
{
	struct salvage_result s;
	const struct salvage_opts opts = { .wanted = w->r->lost, .to = w->to, .good = w->r->good };
	int rc = salvage_pack(w->from, name, size, &opts, &s, w->err);
	if (rc == 0)
		w->r->r.records_taken += s.saved;
	return rc == 0 ? repair_step(w->r, 0, w->err) : rc; /* a sign of life, too */
}

static int look_at_own(void *arg, const char *name, uint64_t size)
{
	struct walk *w = arg;
	uint8_t hash[HASH_BYTES];
	const struct repair_object *o = repair_find(w->r, name);
	bool is_salvaged = o != NULL && o->state == REPAIR_OPEN; /* all of it, before */
	if (is_salvaged || !parity_is_member(name, hash, NULL) ||
		!collect_view_is_absent(&w->r->view, false, hash))
		return 0;
	return take_records(w, name, size);
}

int repair_take_own(struct repair *r, struct pack_out *to, struct err *err)
{
	struct walk w = { .r = r, .from = r->v, .to = to, .err = err };
	int rc = r->view.count == 0 ? 0 : find_lost(r, err);
	return rc != 0 || r->lost == NULL || id_set_count(r->lost) == 0
		       ? rc
		       : store_list(r->store, "pk/", look_at_own, &w, err);
}

/* ---- packs out of a copy ----------------------------------------------------------------------
 */

static int take_pack(struct repair *r, struct vault *from, const char *name,
	const struct fetch_footer *footer, struct err *err)
{
	CLEANUP(buf_done) struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct err why = ERR_INIT;
	int rc = vault_get_hashed(from->store, name, &data, &why);
	if (vault_is_object_loss(rc))
		return 0; /* the copy is damaged there */
	if (rc == 0 && !r->opts->is_dry_run)
		rc = repair_back_write(r->store, name, data.data, data.len, &why);
	if (rc == 0)
		rc = repair_loss_add(r, footer, &why);
	r->r.packs_fetched += rc == 0;
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static int look_at_copy(void *arg, const char *name, uint64_t size)
{
	struct walk *w = arg;
	struct fetch_footer footer = { .at = NULL };
	struct err why = ERR_INIT;
	uint8_t hash[HASH_BYTES];
	bool is_of_use = false;
	uint64_t here;
	const struct repair_object *o = repair_find(w->r, name);
	if (!parity_is_member(name, hash, NULL))
		return 0;
	if (collect_view_is_absent(&w->r->view, false, hash)) /* invariant 1 */
		return take_records(w, name, size);
	bool is_here = store_stat(w->r->store, name, &here, NULL) == 0;
	if (is_here && (o == NULL || o->state != REPAIR_OPEN))
		return 0;
	int rc = fetch_footer(w->from, hash, size, &footer, &why);
	for (size_t i = 0; rc == 0 && i < footer.count && !is_of_use; i++)
		is_of_use = id_set_find(w->r->lost, footer.at[i].id) != 0 &&
			    id_set_find(w->r->good, footer.at[i].id) == 0;
	if (rc == 0 && is_of_use)
		rc = take_pack(w->r, w->from, name, &footer, w->err);
	else
		rc = rc == -ERR_NOMEM ? err_set(w->err, ERR_NOMEM, "out of memory") : 0;
	fetch_footer_done(&footer);
	return rc;
}

int repair_take_copies(struct repair *r, struct pack_out *to, struct err *err)
{
	int rc = r->opts->copy_count == 0 ? 0 : find_lost(r, err);
	for (size_t i = 0;
		rc == 0 && r->lost != NULL && id_set_count(r->lost) > 0 && i < r->opts->copy_count;
		i++) {
		struct vault from = *r->v; /* the same keys on another store; not to be closed */
		struct walk w = { .r = r, .from = &from, .to = to, .err = err };
		from.store = r->opts->copies[i];
		from.cache_dir = NULL; /* that of the store */
		rc = store_list(from.store, "pk/", look_at_copy, &w, err);
	}
	return rc;
}

/* ---- lost packs of no use ----------------------------------------------------------------------
 */

struct want {
	struct repair *r;
	uint64_t missing;
};

static int count_missing(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct want *w = arg;
	(void)err;
	w->missing += id_set_find(w->r->good, id) != cr_len;
	return 0;
}

/* Is there a record that a snapshot needs and nothing has? */
static int is_any_missing(struct repair *r, bool *out, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct want w = { .r = r };
	int rc = find_lost(r, err);
	if (rc == 0 && id_set_count(r->lost) > 0)
		rc = snapshot_list(r->v, note_blind, r, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++)
		rc = snapshot_refs(r->v, &list.at[i], count_missing, &w, err);
	snapshot_list_done(&list);
	*out = w.missing > 0;
	return rc;
}

int repair_take_spare(struct repair *r, struct err *err)
{
	bool is_missing = false;
	int rc = 0;
	size_t count = 0;
	for (size_t i = 0; i < r->count; i++)
		count += r->at[i].is_lost && r->at[i].state == REPAIR_OPEN &&
			 strncmp(r->at[i].name, "pk/", 3) == 0;
	if (count > 0)
		rc = is_any_missing(r, &is_missing, err);
	if (rc != 0 || count == 0 || is_missing || r->is_blind) /* invariant 2 */
		return rc;
	for (size_t i = 0; i < r->count; i++) {
		struct repair_object *o = &r->at[i];
		if (o->is_lost && o->state == REPAIR_OPEN && strncmp(o->name, "pk/", 3) == 0)
			o->state = REPAIR_REPLACED;
	}
	return 0;
}
