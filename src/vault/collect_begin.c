#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect_internal.h"
#include "vault/collect_mark.h"
#include "vault/collect_sessions.h"
#include "vault/id_set.h"
#include "vault/repack.h"
#include "vault/vault_internal.h"

/*
 * The first half of a collection: (a) mark, (b) condemn, (c) wait, (d) fence.
 *
 * INVARIANTS
 * (1) A list is put only when the new places of what it repacks are durable.
 * (2) The sessions of the waits were listed after the condemned list was visible.
 */

static int add_item(struct collect_list *l, const struct collect_list_item *item, struct err *err)
{
	if (l->count % 256 == 0) {
		struct collect_list_item *grown =
			reallocarray(l->items, l->count + 256, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->items = grown;
	}
	l->items[l->count++] = *item;
	return 0;
}

/* ---- (b) ----------------------------------------------------------------------------------- */

/* What was there before the marks: the packs, then the sessions.  A pack of this list that no
 * marked snapshot needs was written by a session that is over, or by one that is open in this list.
 */
struct before {
	struct id_set *packs; /* owned */
	struct collect_sessions sessions;
	bool is_quiet;        /* no backup is open */
	bool is_settled;      /* those are over that were open when packs were put off */
	uint8_t (*later)[32]; /* owned; packs that wait for the sessions that are open now */
	size_t later_count;
};

struct noting {
	struct before *b;
	struct err *err;
};

static int note_pack(void *arg, const char *name, uint64_t size)
{
	(void)size; /* only whether it is there */
	struct noting *n = arg;
	uint8_t hash[32];
	size_t len = strlen(name);
	if (len < 64 || text_unhex(name + len - 64, sizeof(hash), hash) != 0)
		return 0; /* no pack of this format */
	return id_set_add(n->b->packs, hash, 1, NULL, n->err);
}

static void before_done(struct before *b)
{
	id_set_free(b->packs);
	collect_sessions_done(&b->sessions);
	free(b->later);
}

static int look_before(struct collect *c, struct before *b, struct err *err)
{
	struct noting n = { .b = b, .err = err };
	int rc = id_set_new(&b->packs, err);
	if (rc == 0)
		rc = store_list(c->v->store, "pk/", note_pack, &n, err);
	if (rc == 0)
		rc = collect_sessions_load(c->v, &b->sessions, err);
	if (rc != 0)
		return rc;
	b->is_quiet = true;
	for (size_t i = 0; i < b->sessions.count; i++) {
		const struct collect_session *x = &b->sessions.at[i];
		b->is_quiet &= x->is_restore || !collect_sessions_is_open(x, &c->view);
	}
	b->is_settled = collect_sights_is_settled(c->opts->sights, &b->sessions, &c->view);
	return 0;
}

static int put_off(struct before *b, const uint8_t name[32], struct err *err)
{
	if (b->later_count % 256 == 0) {
		uint8_t(*grown)[32] = reallocarray(b->later, b->later_count + 256, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		b->later = grown;
	}
	memcpy(b->later[b->later_count++], name, 32);
	return 0;
}

/* Say of each pack whether it may be of a session that is open: then its turn comes later.
 * Condemned, it would be of no use to the backup that follows. */
static int find_early(
	struct collect *c, const struct collect_mark *m, struct before *b, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < index_pack_count(m->index); i++) {
		uint32_t len;
		const uint8_t *name = index_pack_at(m->index, i, &len);
		struct collect_mark_pack *p = &m->packs[i];
		bool is_settled = b->is_quiet ||
				  (b->is_settled && collect_sights_has_pack(c->opts->sights, name));
		bool is_waste = p->kept * 2 < p->body;
		bool is_old = id_set_find(b->packs, name) > 0;
		p->is_early = !is_old || !is_settled;
		if (!p->is_early || !p->is_eligible || !is_old ||
			(!is_waste && len >= REPACK_SMALL_BYTES))
			continue;
		c->r->deferred += is_waste;
		rc = put_off(b, name, err);
	}
	return rc;
}

/* The packs of which nothing is needed here, and those that were repacked. */
static int condemn_packs(const struct collect *c, const struct collect_mark *m,
	const struct repack_plan *plan, struct collect_list *l, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < index_pack_count(m->index); i++) {
		struct collect_list_item item = { .class = COLLECT_LIST_PACK };
		const uint8_t *name = index_pack_at(m->index, i, &item.len);
		const struct collect_mark_pack *p = &m->packs[i];
		bool is_bad =
			c->opts->bad_packs != NULL && id_set_find(c->opts->bad_packs, name) > 0;
		if (!p->is_there || is_bad || p->is_early ||
			collect_view_is_dead(&c->view, COLLECT_LIST_PACK, name) ||
			(p->kept > 0 && !plan->is_going[i]))
			continue;
		memcpy(item.hash, name, sizeof(item.hash));
		item.cause = p->kept > 0 ? COLLECT_LIST_REPACK : COLLECT_LIST_UNUSED;
		rc = add_item(l, &item, err);
	}
	return rc;
}

struct listing {
	const struct collect *c;
	const struct collect_mark *m;
	struct collect_list *l;
	enum collect_list_class class;
	struct err *err;
};

static int see_object(void *arg, const char *name, uint64_t size)
{
	struct listing *x = arg;
	struct collect_list_item item = {
		.class = (uint8_t)x->class, .cause = COLLECT_LIST_UNUSED, .len = (uint32_t)size
	};
	if (strlen(name) != 3 + 64 || size > STORE_MAX_OBJECT_BYTES ||
		text_unhex(name + 3, sizeof(item.hash), item.hash) != 0)
		return 0; /* no object of this format */
	if (id_set_find(x->m->named, item.hash) > 0 ||
		collect_view_is_dead(&x->c->view, x->class, item.hash))
		return 0;
	return add_item(x->l, &item, x->err);
}

static int condemn_objects(const struct collect *c, const struct collect_mark *m,
	struct collect_list *l, struct err *err)
{
	struct listing x = { .c = c, .m = m, .l = l, .class = COLLECT_LIST_REFS, .err = err };
	int rc = store_list(c->v->store, "rf/", see_object, &x, err);
	x.class = COLLECT_LIST_ENVELOPES;
	return rc != 0 ? rc : store_list(c->v->store, "ev/", see_object, &x, err);
}

static void weigh(struct collect *c, const struct collect_mark *m)
{
	struct collect_result *r = c->r;
	r->packs = r->pack_bytes = r->live_bytes = 0;
	for (size_t i = 0; i < index_pack_count(m->index); i++) {
		uint32_t len;
		const uint8_t *name = index_pack_at(m->index, i, &len);
		if (!m->packs[i].is_there)
			continue;
		if (collect_view_is_dead(&c->view, COLLECT_LIST_PACK, name))
			continue;
		r->packs++;
		r->pack_bytes += len;
		r->live_bytes += m->packs[i].kept;
	}
	collect_mark_unknown(m, &r->unknown_packs, &r->unknown_bytes);
	r->missing_records = id_set_count(m->strays);
}

static void count_list(
	struct collect_result *r, const struct collect_list *l, const struct repack_plan *plan)
{
	for (size_t i = 0; i < l->count; i++)
		r->condemned_bytes += l->items[i].len;
	r->condemned += l->count;
	r->repacked += plan->packs;
	r->repacked_bytes += plan->bytes;
}

int collect_begin_condemn(struct collect *c, bool *is_made, struct err *err)
{
	struct collect_mark m;
	struct before b = { .packs = NULL };
	struct collect_list l = { .type = COLLECT_LIST_CONDEMNED };
	struct repack_plan plan = { .is_going = NULL };
	*is_made = false;
	int rc = look_before(c, &b, err);
	if (rc == 0)
		rc = collect_find_needed(c, &m, err);
	if (rc != 0) {
		before_done(&b);
		return rc;
	}
	weigh(c, &m);
	rc = find_early(c, &m, &b, err);
	if (rc == 0)
		rc = repack_choose(&m, c->opts->repack_bytes, &plan, err);
	if (rc == 0 && plan.packs > 0 && !c->opts->is_dry_run)
		rc = repack_run(c->v, &m, &plan, err);
	if (rc == 0)
		rc = condemn_packs(c, &m, &plan, &l, err);
	if (rc == 0 && b.is_settled && !c->opts->is_dry_run)
		rc = collect_sights_defer(c->opts->sights, (const uint8_t(*)[32])b.later,
			b.later_count, b.is_quiet ? NULL : &b.sessions, &c->view, err);
	if (rc == 0)
		rc = condemn_objects(c, &m, &l, err);
	if (rc == 0)
		count_list(c->r, &l, &plan);
	if (rc == 0 && l.count > 0 && !c->opts->is_dry_run) {
		rc = collect_put(c, &l, err);
		*is_made = rc == 0;
	}
	repack_plan_done(&plan);
	collect_list_done(&l);
	collect_mark_done(&m);
	before_done(&b);
	return rc;
}

/* ---- (c), (d) ------------------------------------------------------------------------------ */

static const struct collect_list *find_waits(
	const struct collect_view *view, const uint8_t condemned[32])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *e = &view->at[i];
		if (!e->is_gone && e->list.type == COLLECT_LIST_WAITS &&
			memcmp(e->list.about, condemned, 32) == 0)
			return &e->list;
	}
	return NULL;
}

/* The first to come here says who was open; nobody who begins later is waited for. */
static int put_waits(struct collect *c, const struct collect_sessions *s,
	const uint8_t condemned[32], struct err *err)
{
	struct collect_list l = { .type = COLLECT_LIST_WAITS };
	memcpy(l.about, condemned, sizeof(l.about));
	l.sessions = calloc(s->count + 1, 16);
	if (l.sessions == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < s->count; i++) {
		if (collect_sessions_is_open(&s->at[i], &c->view))
			memcpy(l.sessions[l.session_count++], s->at[i].last.session, 16);
	}
	int rc = l.session_count == 0 ? 0 : collect_put(c, &l, err);
	collect_list_done(&l);
	return rc;
}

static int fence(struct collect *c, const uint8_t session[16], struct err *err)
{
	struct collect_list l = { .type = COLLECT_LIST_FENCE, .session_count = 1 };
	l.sessions = calloc(1, 16);
	if (l.sessions == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(l.sessions[0], session, 16);
	int rc = collect_put(c, &l, err);
	collect_list_done(&l);
	if (rc == 0)
		c->r->fenced++;
	return rc;
}

/* Still open?  Then how long has it been silent? */
static int wait_for(struct collect *c, const struct collect_sessions *s, const uint8_t session[16],
	struct err *err)
{
	const struct collect_session *x = collect_sessions_find(s, session);
	int64_t silent_ns = 0;
	if (x == NULL || !collect_sessions_is_open(x, &c->view))
		return 0;
	int rc = collect_sights_note(c->opts->sights, &x->last, env_mono_ns(), &silent_ns, err);
	if (rc != 0)
		return rc;
	if (silent_ns >= c->opts->fence_ns)
		return fence(c, session, err);
	c->r->waits++;
	return 0;
}

int collect_begin_wait(
	struct collect *c, const uint8_t condemned[32], bool *is_over, struct err *err)
{
	struct collect_sessions s;
	uint64_t before = c->r->waits;
	int rc = collect_sessions_load(c->v, &s, err);
	if (rc != 0)
		return rc;
	if (find_waits(&c->view, condemned) == NULL)
		rc = put_waits(c, &s, condemned, err);
	const struct collect_list *waits = find_waits(&c->view, condemned);
	size_t count = waits == NULL ? 0 : waits->session_count;
	uint8_t(*sessions)[16] = count == 0 ? NULL : malloc(count * sizeof(*sessions));
	if (rc == 0 && count > 0 && sessions == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (sessions !=
		NULL) /* a fence changes the view, and another maintainer may end the list */
		memcpy(sessions, waits->sessions, count * sizeof(*sessions));
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = wait_for(c, &s, sessions[i], err);
	free(sessions);
	collect_sights_keep(c->opts->sights, &s);
	collect_sessions_done(&s);
	*is_over = rc == 0 && c->r->waits == before;
	return rc;
}
