#include "vault/repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "vault/fetch.h"
#include "vault/index_merge.h"
#include "vault/pack_out.h"
#include "vault/parity_cover.h"
#include "vault/parity_rebuild.h"
#include "vault/repair_back.h"
#include "vault/repair_internal.h"
#include "vault/salvage.h"
#include "vault/store_text.h"
#include "vault/vault_internal.h"

/*
 * Find; bring back from parity and copies until nothing more comes; salvage what is left; take what
 * only packs have that are to go; list it; take the damaged packs away; parity for what is new;
 * tell.
 *
 * INVARIANTS
 * (1) A damaged pack goes only when its good records are durable in other packs that the index
 *     lists, and its bytes in qr/.
 * (2) A dry run changes nothing.
 * (3) What could not be read for a while is not damaged: nothing whole is taken away, and no pack
 *     of which a record could not be looked at.
 */

int repair_step(struct repair *r, uint64_t bytes, struct err *err)
{
	r->done += bytes;
	if (r->opts->on_progress != NULL)
		r->opts->on_progress(r->opts->arg, r->done, r->total);
	if (r->opts->is_stopped != NULL && r->opts->is_stopped(r->opts->arg))
		return err_set(err, ERR_INTERRUPTED, "repair was stopped; run it again");
	return 0;
}

struct repair_object *repair_find(const struct repair *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->at[i].name, name) == 0)
			return &r->at[i];
	}
	return NULL;
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	(void)object;
	(void)why; /* found by the scan */
}

/* ---- brought back ------------------------------------------------------------------------------
 */

/* The whole bytes of an object into ${data}: the state says where from.  REPAIR_OPEN: nowhere. */
static int get_whole(struct repair *r, struct repair_object *o, struct buf *data,
	enum repair_state *state, struct err *err)
{
	struct err why = ERR_INIT;
	const char *text = strcmp(o->name, "README.txt") == 0   ? store_text_readme
			   : strcmp(o->name, "FORMAT.txt") == 0 ? store_text_format
								: NULL;
	*state = REPAIR_REMADE;
	if (text != NULL)
		return store_text_seal(text, data, err);
	*state = REPAIR_FROM_PARITY;
	o->is_covered = parity_rebuild_is_covered(&r->set, o->name);
	int rc = !o->is_covered ? -ERR_NOT_FOUND
				: parity_rebuild_run(r->store, &r->set, o->name, data, &why);
	if (o->is_covered && rc != 0)
		(void)snprintf(o->why, sizeof(o->why), "%.*s", REPAIR_WHY_BYTES - 1, why.msg);
	for (size_t i = 0; rc != 0 && rc != -ERR_NOMEM && i < r->opts->copy_count; i++) {
		*state = REPAIR_FROM_COPY;
		buf_clear(data);
		rc = vault_get_hashed(r->opts->copies[i], o->name, data, &why);
	}
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0)
		*state = REPAIR_OPEN;
	return 0;
}

static int add_place(void *arg, const struct pack_place *p, struct err *err)
{
	return id_set_add(arg, p->id, p->cr_len, NULL, err);
}

/* What a pack that will be brought back holds; in a dry run nobody can ask the store for it. */
static int add_future(
	struct repair *r, const struct repair_object *o, const struct buf *data, struct err *err)
{
	int class;
	struct err why = ERR_INIT;
	if (r->v == NULL || !r->opts->is_dry_run || !vault_name_is_of(o->name, "pk/"))
		return 0;
	int rc = pack_footer_open(
		&r->v->key, data->data, data->len, data->len, &class, add_place, r->good, &why);
	return rc == -ERR_NOMEM ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int bring_back(struct repair *r, struct repair_object *o, struct err *err)
{
	CLEANUP(buf_done) struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	enum repair_state state;
	int rc = get_whole(r, o, &data, &state, err);
	if (rc != 0 || state == REPAIR_OPEN)
		return rc;
	if (!r->opts->is_dry_run)
		rc = repair_back_write(r->store, o->name, data.data, data.len, err);
	if (rc == 0)
		rc = add_future(r, o, &data, err);
	if (rc == 0)
		o->state = state;
	return rc;
}

/* What came back may tell of more that is not there. */
static int look_again(struct repair *r, struct err *err)
{
	parity_set_done(&r->set);
	int rc = parity_set_load(r->store, &r->set, err);
	if (rc != 0 || r->v == NULL)
		return rc;
	missing_done(&r->missing);
	rc = missing_load(r->v, &r->view, &r->missing, err);
	return rc == 0 ? repair_scan_missing(r, err) : rc;
}

/* What came back may be what another one needs. */
static int bring_back_all(struct repair *r, struct err *err)
{
	int rc = 0;
	for (bool is_new = true; rc == 0 && is_new;) {
		is_new = false;
		for (size_t i = 0; rc == 0 && i < r->count; i++) {
			if (r->at[i].state != REPAIR_OPEN)
				continue;
			rc = bring_back(r, &r->at[i], err);
			is_new = is_new || (r->at[i].state != REPAIR_OPEN && !r->opts->is_dry_run);
			if (rc == 0)
				rc = repair_step(r, 0, err);
		}
		if (rc == 0 && is_new)
			rc = look_again(r, err);
	}
	return rc;
}

/* Invariant 3: the store may be back.  What is whole now is not in the list any more. */
static int drop_whole(struct repair *r, struct err *err)
{
	CLEANUP(buf_done) struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	size_t kept = 0;
	int rc = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct repair_object *o = &r->at[i];
		bool is_whole = false;
		if (rc == 0 && o->state == REPAIR_OPEN && !o->is_lost) {
			buf_clear(&data);
			is_whole = store_get(r->store, o->name, &data, NULL) == 0 &&
				   repair_back_is_whole(o->name, data.data, data.len);
			rc = repair_step(r, 0, err);
		}
		if (is_whole)
			log_warn("repair.read", "object '%s' could not be read (%s), and is whole",
				o->name, o->why);
		r->r.damaged -= is_whole;
		if (!is_whole && kept != i)
			r->at[kept] = *o;
		kept += !is_whole;
	}
	r->count = kept;
	return rc;
}

/* ---- salvage ------------------------------------------------------------------------------------
 */

/* Not to be listed: it is damaged, or dead, and no segment lists what is dead. */
static bool is_unlisted_pack(void *arg, const char *name)
{
	const struct repair *r = arg;
	const struct repair_object *o = repair_find(r, name);
	uint8_t hash[32];
	return (o != NULL && o->state == REPAIR_OPEN) ||
	       (parity_is_member(name, hash, NULL) &&
		       collect_view_is_dead(&r->view, COLLECT_LIST_PACK, hash));
}

static int salvage_packs(struct repair *r, struct pack_out *to, struct err *err)
{
	const struct salvage_opts opts = { .to = to, .good = r->good };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		struct repair_object *o = &r->at[i];
		struct salvage_result s;
		if (o->state != REPAIR_OPEN || o->is_lost || !vault_name_is_of(o->name, "pk/"))
			continue;
		rc = salvage_pack(r->v, o->name, o->size, &opts, &s, err);
		if (rc != 0)
			break;
		rc = repair_step(r, 0, err);
		o->saved = s.saved;
		o->lost = s.lost;
		o->is_unread = s.is_unread;
		r->r.records_saved += s.saved;
		r->r.records_lost += s.lost;
		if (!s.is_known)
			(void)snprintf(
				o->why, sizeof(o->why), "nothing tells what it held"); /* fits */
	}
	return rc;
}

/* Invariant 1: the new packs are durable. */
static int set_aside(
	struct repair *r, struct repair_object *o, enum repair_state state, struct err *err)
{
	CLEANUP(buf_done) struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct err why = ERR_INIT;
	if (r->opts->is_dry_run) {
		o->state = state;
		return 0;
	}
	int rc = store_get(r->store, o->name, &data, &why);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0) { /* what cannot be read cannot be kept: it stays where it is */
		(void)snprintf(o->why, sizeof(o->why), "%.*s", REPAIR_WHY_BYTES - 1, why.msg);
		return 0;
	}
	if (o->is_unread || repair_back_is_whole(o->name, data.data, data.len)) {
		(void)snprintf(o->why, sizeof(o->why),
			"the store could not be read for a while: run repair again"); /* fits */
		return 0;
	}
	rc = repair_back_set_aside(r->store, o->name, data.data, data.len, err);
	if (rc == 0)
		o->state = state;
	return rc;
}

/* Segments say nothing that the packs do not. */
static int drop_segments(struct repair *r, struct err *err)
{
	int rc = 0;
	bool is_some = false;
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		struct repair_object *o = &r->at[i];
		if (o->state != REPAIR_OPEN || !vault_name_is_of(o->name, "ix/"))
			continue;
		is_some = true;
		o->state = REPAIR_REMADE;
		rc = r->opts->is_dry_run ? 0 : store_remove(r->store, o->name, err);
	}
	return rc == 0 && is_some && !r->opts->is_dry_run ? store_barrier(r->store, err) : rc;
}

/* Of a lost pack nothing is kept, and that says that nobody waits for it. */
static int set_packs_aside(struct repair *r, struct err *err)
{
	struct index_merge_result merged;
	bool is_some = false;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		struct repair_object *o = &r->at[i];
		if (o->state == REPAIR_REPLACED && !r->opts->is_dry_run)
			rc = repair_back_set_aside(r->store, o->name, "", 0, err);
		else if (o->state == REPAIR_OPEN && !o->is_lost && vault_name_is_of(o->name, "pk/"))
			rc = set_aside(r, o, REPAIR_SALVAGED, err);
		is_some = is_some || o->state == REPAIR_SALVAGED || o->state == REPAIR_REPLACED;
	}
	return rc == 0 && is_some && !r->opts->is_dry_run
		       ? index_merge(r->v, &r->view, &merged, err)
		       : rc;
}

static int salvage_all(struct repair *r, struct err *err)
{
	struct pack_out out = { .v = r->v };
	struct pack_out *to = r->opts->is_dry_run ? NULL : &out;
	int rc = drop_whole(r, err);
	if (rc == 0)
		rc = repair_loss_good(r, err);
	if (rc != 0)
		return rc;
	rc = pack_out_begin(r->v, &out, err);
	if (rc == 0)
		rc = salvage_packs(r, to, err);
	if (rc == 0)
		rc = repair_take_own(r, to, err);
	if (rc == 0)
		rc = repair_take_copies(r, to, err);
	if (rc == 0)
		rc = repair_take_spare(r, err);
	if (rc == 0)
		rc = salvage_index(r->v, is_unlisted_pack, r, to, &r->r.packs_listed, err);
	if (rc == 0 && to != NULL)
		rc = pack_out_end(to, err);
	pack_out_done(&out);
	if (rc == 0)
		rc = drop_segments(r, err);
	return rc == 0 ? set_packs_aside(r, err) : rc;
}

/* ---- parity of what is there now
 * ------------------------------------------------------------------ */

static int renew_parity(struct repair *r, struct err *err)
{
	const struct parity_cover_opts opts = { .drops_held = r->opts->gives_up };
	struct parity_cover_result cover;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->count; i++) {
		if (r->at[i].state == REPAIR_OPEN && vault_name_is_of(r->at[i].name, PARITY_PREFIX))
			rc = set_aside(r, &r->at[i], REPAIR_SET_ASIDE, err);
	}
	if (rc != 0 || r->opts->is_dry_run || !r->has_parity || r->count == 0)
		return rc;
	rc = parity_cover_run(r->v, &opts, &cover, err);
	if (rc == 0)
		r->r.parity_held = cover.held;
	return rc;
}

/* ---- the run
 * --------------------------------------------------------------------------------------- */

static void tell_objects(struct repair *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct repair_object *o = &r->at[i];
		r->r.open += o->state == REPAIR_OPEN;
		r->r.from_parity += o->state == REPAIR_FROM_PARITY;
		r->r.from_copy += o->state == REPAIR_FROM_COPY;
		r->r.remade += o->state == REPAIR_REMADE;
		r->r.salvaged += o->state == REPAIR_SALVAGED;
		r->r.set_aside += o->state == REPAIR_SET_ASIDE;
		r->r.replaced += o->state == REPAIR_REPLACED;
		if (r->opts->on_object != NULL)
			r->opts->on_object(r->opts->arg, o);
	}
}

static int begin(struct repair *r, struct err *err)
{
	int rc = 0;
	if (!r->opts->is_dry_run && store_is_read_only(r->store))
		rc = err_set(err, ERR_READONLY, "the store was opened for reading only");
	if (rc == 0)
		rc = id_set_new(&r->good, err);
	if (rc == 0 && !r->opts->is_dry_run)
		rc = repair_back_resume(r->store, &r->r.resumed, err);
	if (rc == 0 && r->v != NULL)
		rc = collect_view_look(r->v, &r->view, pass_over, NULL, err);
	if (rc == 0 && r->v != NULL)
		rc = missing_load(r->v, &r->view, &r->missing, err);
	if (rc == 0)
		rc = parity_set_load(r->store, &r->set, err);
	r->has_parity = r->set.count > 0;
	return rc;
}

static int run(struct repair *r, struct err *err)
{
	int rc = begin(r, err);
	if (rc == 0)
		rc = repair_scan_run(r, err);
	if (rc == 0)
		rc = bring_back_all(r, err);
	if (rc != 0)
		return rc;
	if (r->v != NULL && vault_check_writable(r->v, NULL) == 0) {
		rc = salvage_all(r, err);
		if (rc == 0)
			rc = renew_parity(r, err);
	} else if (r->v != NULL) {
		rc = repair_loss_good(r, err);
		if (rc == 0)
			rc = repair_take_own(r, NULL, err);
	}
	if (rc == 0)
		tell_objects(r);
	return rc == 0 && r->v != NULL ? repair_loss_tell(r, err) : rc;
}

int repair_run(struct store *store, struct vault *v, const struct repair_opts *opts,
	struct repair_result *out, struct err *err)
{
	struct repair r = { .store = store, .v = v, .opts = opts };
	int rc = run(&r, err);
	collect_view_done(&r.view);
	missing_done(&r.missing);
	parity_set_done(&r.set);
	id_set_free(r.good);
	id_set_free(r.lost);
	free(r.at);
	if (rc == 0)
		*out = r.r;
	return rc;
}
