#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store.h"
#include "vault/collect_internal.h"
#include "vault/collect_mark.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/parity_cover.h"
#include "vault/vault_internal.h"

/*
 * The second half of a collection: (e) mark again, (f) delete list, (g) dead, (h) deleted.
 *
 * INVARIANTS
 * (1) A delete list is carried out only when its condemned list was seen on the store after it:
 *     whoever took that away had seen the pack to its dd/ object, or let it live.
 * (2) A list goes only when what it names stands in a later one, or needs no telling any more.
 */

static const struct collect_view_entry *find_list(
	const struct collect_view *view, enum collect_list_type type, const uint8_t hash[32])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *e = &view->at[i];
		if (!e->is_gone && e->list.type == type && memcmp(e->hash, hash, 32) == 0)
			return e;
	}
	return NULL;
}

/* A list of the type that is about the one named. */
static const struct collect_view_entry *find_about(
	const struct collect_view *view, enum collect_list_type type, const uint8_t about[32])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *e = &view->at[i];
		if (!e->is_gone && e->list.type == type && memcmp(e->list.about, about, 32) == 0)
			return e;
	}
	return NULL;
}

/* ---- (e), (f) ------------------------------------------------------------------------------ */

/* Is anything in the pack needed of which no other pack has the right bytes?  The footer says what
 * is in it.  1, 0 or an error; a pack that does not tell is needed, and *${is_mute} is set when it
 * will not another time. */
static int is_needed(struct collect *c, const struct collect_mark *m,
	const struct collect_list_item *item, bool *is_mute, struct err *err)
{
	struct fetch_footer footer = { .at = NULL };
	int needed = 0;
	int rc = fetch_footer(c->v, item->hash, item->len, &footer, err);
	for (size_t i = 0; rc == 0 && needed == 0 && i < footer.count; i++) {
		if (!collect_mark_has(m, footer.at[i].id))
			continue;
		int elsewhere = collect_mark_is_elsewhere(m, footer.at[i].id, err);
		if (elsewhere < 0) {
			fetch_footer_done(&footer);
			return elsewhere;
		}
		needed = elsewhere == 0;
	}
	fetch_footer_done(&footer);
	if (!vault_is_object_loss(rc))
		return rc != 0 ? rc : needed;
	if (err != NULL)
		err_clear(err);
	*is_mute = !err_is_retryable(rc);
	return 1;
}

/* 1: it goes; 0: it stays, or is gone already. */
static int decide(struct collect *c, const struct collect_mark *m,
	const struct collect_list_item *item, struct err *err)
{
	bool stays = false;
	if (item->class == COLLECT_LIST_PACK) {
		if (id_set_find(m->there, item->hash) == 0)
			return 0;
		bool is_mute = false;
		int rc = is_needed(c, m, item, &is_mute, err);
		if (rc < 0)
			return rc;
		stays = rc > 0;
	} else {
		stays = id_set_find(m->named, item->hash) > 0;
	}
	c->r->rescued += stays;
	return !stays;
}

static int add_verdict(struct collect_list *l, const uint8_t session[16],
	const uint8_t snap_hash[32], struct err *err)
{
	for (size_t i = 0; i < l->verdict_count; i++) {
		if (memcmp(l->verdicts[i].session, session, 16) != 0)
			continue;
		/* two that differ: each makes the other's snapshot void */
		if (memcmp(l->verdicts[i].snap_hash, snap_hash, 32) != 0)
			memset(l->verdicts[i].snap_hash, 0, 32);
		return 0;
	}
	struct collect_list_verdict *grown =
		reallocarray(l->verdicts, l->verdict_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->verdicts = grown;
	memcpy(grown[l->verdict_count].session, session, 16);
	memcpy(grown[l->verdict_count++].snap_hash, snap_hash, 32);
	return 0;
}

/* The snapshot that a session made, as (e) saw it. */
static void snapshot_of(
	const struct collect_mark *m, const uint8_t session[16], uint8_t snap_hash[32])
{
	memset(snap_hash, 0, 32);
	for (size_t i = 0; i < m->list.count; i++) {
		if (memcmp(m->list.at[i].body.session, session, 16) == 0)
			memcpy(snap_hash, m->list.at[i].hash, 32);
	}
}

/* What earlier lists said, and a word on each session that was fenced since. */
static int fill_verdicts(
	struct collect *c, const struct collect_mark *m, struct collect_list *l, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->view.count; i++) {
		const struct collect_list *x = &c->view.at[i].list;
		for (size_t k = 0; rc == 0 && k < x->verdict_count; k++)
			rc = add_verdict(l, x->verdicts[k].session, x->verdicts[k].snap_hash, err);
	}
	for (size_t i = 0; rc == 0 && i < c->view.count; i++) {
		const struct collect_list *x = &c->view.at[i].list;
		uint8_t snap_hash[32];
		bool is_told = false;
		if (x->type != COLLECT_LIST_FENCE)
			continue;
		for (size_t k = 0; k < l->verdict_count; k++)
			is_told |= memcmp(l->verdicts[k].session, x->sessions[0], 16) == 0;
		if (is_told)
			continue;
		snapshot_of(m, x->sessions[0], snap_hash);
		rc = add_verdict(l, x->sessions[0], snap_hash, err);
	}
	return rc;
}

int collect_end_decide(struct collect *c, const uint8_t condemned[32], struct err *err)
{
	struct collect_mark m;
	struct collect_list l = { .type = COLLECT_LIST_DELETE };
	memcpy(l.about, condemned, sizeof(l.about));
	int rc = collect_look(c, err); /* before the snapshots are listed: fences */
	if (rc != 0)
		return rc;
	const struct collect_view_entry *e = find_list(&c->view, COLLECT_LIST_CONDEMNED, condemned);
	if (e == NULL)
		return 0; /* another maintainer has been here */
	rc = collect_find_needed(c, &m, err);
	if (rc != 0)
		return rc;
	l.items = calloc(e->list.count + 1, sizeof(*l.items));
	if (l.items == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; rc == 0 && i < e->list.count; i++) {
		int goes = decide(c, &m, &e->list.items[i], err);
		if (goes > 0)
			l.items[l.count++] = e->list.items[i];
		rc = goes < 0 ? goes : 0;
	}
	if (rc == 0)
		rc = fill_verdicts(c, &m, &l, err);
	if (rc == 0)
		rc = collect_put(c, &l, err);
	collect_list_done(&l);
	collect_mark_done(&m);
	return rc;
}

/* ---- (g) ----------------------------------------------------------------------------------- */

/* Nothing is left to do for it: nothing was to be deleted, or it stands in a dd/ object. */
static bool is_settled(const struct collect_view *view, const struct collect_view_entry *e)
{
	return e->list.count == 0 || find_about(view, COLLECT_LIST_DEAD, e->hash) != NULL;
}

static int bury(struct collect *c, const struct collect_view_entry *e, struct err *err)
{
	struct collect_list l = { .type = COLLECT_LIST_DEAD, .count = e->list.count };
	memcpy(l.about, e->hash, sizeof(l.about));
	l.items = calloc(l.count + 1, sizeof(*l.items));
	if (l.items == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(l.items, e->list.items, l.count * sizeof(*l.items));
	int rc = collect_put(c, &l, err); /* the view, and with it e, moves */
	collect_list_done(&l);
	return rc;
}

/* A list that was never carried out, and nobody will: does all of it stand in dd/, or is gone? */
static int is_overtaken(struct collect *c, const struct collect_view_entry *e, struct err *err)
{
	for (size_t i = 0; i < e->list.count; i++) {
		const struct collect_list_item *item = &e->list.items[i];
		char name[COLLECT_LIST_NAME_BYTES];
		uint64_t size;
		if (item->class != COLLECT_LIST_PACK ||
			collect_view_is_dead(&c->view, COLLECT_LIST_PACK, item->hash))
			continue;
		collect_list_object(item, name);
		int rc = store_stat(c->v->store, name, &size, err);
		if (rc == 0)
			return 0;
		if (rc != -ERR_NOT_FOUND)
			return rc;
		if (err != NULL)
			err_clear(err);
	}
	return 1;
}

/* Do all its verdicts stand in another list that stays? */
static bool is_told_elsewhere(const struct collect_view *view, const struct collect_view_entry *e)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *o = &view->at[i];
		size_t told = 0;
		if (o->is_gone || o == e || o->list.type != COLLECT_LIST_DELETE ||
			o->list.verdict_count < e->list.verdict_count ||
			(o->list.verdict_count == e->list.verdict_count &&
				memcmp(o->hash, e->hash, 32) < 0))
			continue;
		for (size_t k = 0; k < e->list.verdict_count; k++) {
			const struct collect_list_verdict *own = &e->list.verdicts[k];
			const struct collect_list_verdict *theirs =
				collect_list_verdict(&o->list, own->session);
			told += theirs != NULL &&
				memcmp(theirs->snap_hash, own->snap_hash, 32) == 0;
		}
		if (told == e->list.verdict_count)
			return true;
	}
	return e->list.verdict_count == 0;
}

/* 1 when the entry tells nothing any more, 0 or an error.  Invariant 2. */
static int is_idle(struct collect *c, const struct collect_view_entry *e, struct err *err)
{
	const struct collect_view_entry *d;
	switch (e->list.type) {
	case COLLECT_LIST_CONDEMNED:
		d = find_about(&c->view, COLLECT_LIST_DELETE, e->hash);
		return d != NULL && is_settled(&c->view, d);
	case COLLECT_LIST_WAITS:
		return find_list(&c->view, COLLECT_LIST_CONDEMNED, e->list.about) == NULL;
	case COLLECT_LIST_FENCE:
		for (size_t i = 0; i < c->view.count; i++) {
			if (!c->view.at[i].is_gone && collect_list_verdict(&c->view.at[i].list,
							      e->list.sessions[0]) != NULL)
				return 1;
		}
		return 0;
	case COLLECT_LIST_DELETE:
		if (find_list(&c->view, COLLECT_LIST_CONDEMNED, e->list.about) != NULL ||
			!is_told_elsewhere(&c->view, e))
			return 0;
		return is_settled(&c->view, e) ? 1 : is_overtaken(c, e, err);
	case COLLECT_LIST_DEAD:
		break;
	}
	return 0;
}

/* Condemned lists first, so that what hangs on them follows in the same run. */
static int tidy(struct collect *c, struct err *err)
{
	static const enum collect_list_type order[] = { COLLECT_LIST_CONDEMNED, COLLECT_LIST_WAITS,
		COLLECT_LIST_FENCE, COLLECT_LIST_DELETE };
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		for (size_t i = 0; i < c->view.count; i++) {
			struct collect_view_entry *e = &c->view.at[i];
			if (e->is_gone || e->list.type != order[k])
				continue;
			int rc = is_idle(c, e, err);
			if (rc > 0)
				rc = collect_drop(c, e, err);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

int collect_end_bury(struct collect *c, struct err *err)
{
	for (size_t i = 0; i < c->view.count; i++) {
		const struct collect_view_entry *e = &c->view.at[i];
		if (e->is_gone || e->list.type != COLLECT_LIST_DELETE || is_settled(&c->view, e))
			continue;
		int rc = collect_look(c, err);
		e = &c->view.at[i];
		if (rc == 0 && !e->is_gone && !is_settled(&c->view, e) &&
			find_list(&c->view, COLLECT_LIST_CONDEMNED, e->list.about) != NULL)
			rc = bury(c, e, err);
		if (rc != 0)
			return rc;
	}
	return tidy(c, err);
}

/* ---- (h) ----------------------------------------------------------------------------------- */

static bool is_due(const struct collect *c, const struct collect_view_entry *e)
{
	int64_t now = env_now_ns();
	return !e->is_gone && e->list.type == COLLECT_LIST_DEAD && now >= e->list.wall_ns &&
	       now - e->list.wall_ns >= c->opts->grace_ns;
}

bool collect_end_is_due(const struct collect *c)
{
	for (size_t i = 0; i < c->view.count; i++) {
		if (is_due(c, &c->view.at[i]))
			return true;
	}
	return false;
}

static void count_dead(struct collect *c, const struct collect_view_entry *e)
{
	int64_t ends = e->list.wall_ns + c->opts->grace_ns;
	if (e->is_gone || e->list.type != COLLECT_LIST_DEAD)
		return;
	for (size_t i = 0; i < e->list.count; i++)
		c->r->dead_bytes += e->list.items[i].len;
	c->r->dead += e->list.count;
	if (c->r->next_ns == 0 || ends < c->r->next_ns)
		c->r->next_ns = ends;
}

/* 1: a live snapshot needs it, or it cannot be shown that none does; 0 or an error. */
static int is_missed(struct collect *c, const struct collect_mark *m,
	const struct collect_list_item *item, struct err *err)
{
	bool is_mute = false;
	if (item->class != COLLECT_LIST_PACK)
		return id_set_find(m->named, item->hash) > 0;
	if (id_set_find(m->there, item->hash) == 0)
		return 0;
	int rc = is_needed(c, m, item, &is_mute, err);
	if (rc <= 0 || !is_mute)
		return rc;
	rc = collect_mark_is_spare(m, item->hash, err);
	return rc < 0 ? rc : rc == 0;
}

/* The last look before bytes go for good: nothing that a live snapshot needs may be among them,
 * whatever the lists say.  0, 1 with ${err} set: the list is left alone, or an error. */
static int check_last(struct collect *c, const struct collect_mark *m,
	const struct collect_view_entry *e, struct err *err)
{
	for (size_t i = 0; i < e->list.count; i++) {
		const struct collect_list_item *item = &e->list.items[i];
		char name[COLLECT_LIST_NAME_BYTES];
		int rc = is_missed(c, m, item, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		collect_list_object(item, name);
		(void)err_set(err, ERR_CORRUPT,
			"object '%s' is named by '%s' and cannot be shown to be needed by no "
			"snapshot: nothing that this list names was deleted",
			name, e->name);
		(void)err_hint(err, "'holdfast repair' takes what is needed out of packs that are "
				    "to go; see 'holdfast verify'");
		return 1;
	}
	return 0;
}

static int delete_list(struct collect *c, const struct collect_view_entry *e, struct err *err)
{
	int rc = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; rc == 0 && i < e->list.count; i++) {
		char name[COLLECT_LIST_NAME_BYTES];
		collect_list_object(&e->list.items[i], name);
		rc = store_remove(c->v->store, name, err);
		if (rc == 0)
			rc = id_set_add(c->deleted, e->list.items[i].hash, 1, NULL, err);
		bytes += e->list.items[i].len;
	}
	if (rc == 0)
		rc = store_barrier(c->v->store, err);
	if (rc == 0)
		rc = collect_drop(c, e, err);
	if (rc == 0) {
		c->r->deleted += e->list.count;
		c->r->deleted_bytes += bytes;
	}
	return rc;
}

/* Unless the list is refused: that ends no other. */
static int carry_out(struct collect *c, const struct collect_mark *m,
	const struct collect_view_entry *e, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = check_last(c, m, e, &why);
	if (rc == 0)
		return delete_list(c, e, err);
	if (rc < 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (c->refused == 0)
		c->refusal = why;
	else if (strcmp(c->refusal.msg, why.msg) != 0)
		log_error("collect.refused", "%s", why.msg);
	c->refused = -ERR_CORRUPT;
	count_dead(c, e);
	return 0;
}

int collect_end_delete(struct collect *c, struct err *err)
{
	struct collect_mark m = { .segments = 0 };
	bool is_marked = false;
	int rc = 0;
	c->r->dead = c->r->dead_bytes = 0;
	c->r->next_ns = 0;
	for (size_t i = 0; rc == 0 && i < c->view.count; i++) {
		const struct collect_view_entry *e = &c->view.at[i];
		if (!is_due(c, e) || c->opts->is_dry_run) {
			count_dead(c, e);
			continue;
		}
		if (!is_marked)
			rc = parity_cover_tend(c->v, err); /* nothing goes that parity needs */
		if (rc == 0 && !is_marked)
			rc = collect_find_needed(c, &m, err);
		is_marked = is_marked || rc == 0;
		if (rc == 0)
			rc = carry_out(c, &m, e, err);
	}
	if (is_marked)
		collect_mark_done(&m);
	return rc;
}
