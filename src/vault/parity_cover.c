#include "vault/parity_cover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/missing.h"
#include "vault/parity_make.h"
#include "vault/parity_set.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A group goes only when every member of it that is still there and whole is in another group
 *     that is durable: or when it holds nothing that is there.
 * (2) A group with a member that was found damaged, or is lost, stays: it may be what repairs it.
 */

#define BARRIER_BYTES (UINT64_C(1) << 30)
#define CLASSES 3

/* An object that may be in a group. */
struct object {
	char name[PARITY_NAME_BYTES];
	uint32_t len;
	uint8_t class;
	bool has_class;
	bool is_dead;    /* named by a dd/ object */
	bool is_leaving; /* condemned, listed to go or dead: in no new group */
	bool is_covered; /* in a group that stays */
	bool is_damaged;
};

struct group {
	const struct parity *parity; /* borrowed from the set */
	unsigned there;              /* a bit for each row that is there */
	bool is_kept, is_held;
};

struct cover {
	struct vault *v;
	const struct parity_cover_opts *opts;
	struct parity_cover_result r;
	struct collect_view view;
	struct parity_set set;
	struct object *at; /* owned; ascending by name */
	size_t count, cap;
	struct group *groups; /* owned */
	size_t group_count;
	char (*made)[PARITY_NAME_BYTES]; /* owned; names of parity objects of this run */
	size_t made_count;
	uint64_t done, total, unsynced;
	struct err *err;
};

static size_t target_of(unsigned class)
{
	return class == PARITY_OTHERS ? PARITY_COVER_OTHERS : PARITY_COVER_PACKS;
}

static enum collect_list_class list_class(const char *name)
{
	if (strncmp(name, "rf/", 3) == 0)
		return COLLECT_LIST_REFS;
	return strncmp(name, "ev/", 3) == 0 ? COLLECT_LIST_ENVELOPES : COLLECT_LIST_PACK;
}

static int note_object(void *arg, const char *name, uint64_t size)
{
	struct cover *c = arg;
	uint8_t hash[32];
	bool is_pack;
	if (!parity_is_member(name, hash, &is_pack) || size == 0)
		return 0;
	if (size > PARITY_MEMBER_MAX_BYTES) {
		c->r.too_long++;
		return 0;
	}
	if (c->count == c->cap) {
		size_t cap = c->cap == 0 ? 1024 : c->cap * 2;
		struct object *grown = reallocarray(c->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(c->err, ERR_NOMEM, "out of memory");
		c->at = grown;
		c->cap = cap;
	}
	struct object *o = &c->at[c->count++];
	memset(o, 0, sizeof(*o));
	(void)snprintf(o->name, sizeof(o->name), "%s", name); /* a member's name fits */
	o->len = (uint32_t)size;
	o->class = PARITY_OTHERS;
	o->has_class = !is_pack;
	o->is_dead = collect_view_is_dead(&c->view, list_class(name), hash);
	o->is_leaving = o->is_dead || (is_pack && collect_view_is_absent(&c->view, true, hash));
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct object *)left)->name, ((const struct object *)right)->name);
}

static struct object *find_object(const struct cover *c, const char *name)
{
	struct object key = { .len = 0 };
	(void)snprintf(key.name, sizeof(key.name), "%s", name); /* a member's name fits */
	return c->count == 0 ? NULL : bsearch(&key, c->at, c->count, sizeof(*c->at), compare_names);
}

/* The most members first, so that they are the ones that stay. */
static int compare_groups(const void *left, const void *right)
{
	const struct group *a = left;
	const struct group *b = right;
	if (a->parity->count != b->parity->count)
		return a->parity->count > b->parity->count ? -1 : 1;
	return memcmp(a->parity->group, b->parity->group, 32);
}

static bool is_of_group(const struct group *g, const struct parity *p)
{
	return memcmp(g->parity->group, p->group, 32) == 0;
}

static int find_groups(struct cover *c, struct err *err)
{
	c->groups = calloc(c->set.count + 1, sizeof(*c->groups));
	if (c->groups == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->group_count = 0;
	for (size_t i = 0; i < c->set.count; i++) {
		const struct parity *p = &c->set.at[i].parity;
		size_t g = 0;
		if (!c->set.at[i].is_readable)
			continue;
		while (g < c->group_count && !is_of_group(&c->groups[g], p))
			g++;
		if (g == c->group_count)
			c->groups[c->group_count++].parity = p;
		c->groups[g].there |= 1u << p->row;
	}
	if (c->group_count > 1)
		qsort(c->groups, c->group_count, sizeof(*c->groups), compare_groups);
	return 0;
}

/* Is every row there and every member, and is one of them in no group that stays? */
static bool is_whole(const struct cover *c, const struct group *g)
{
	bool is_needed = false;
	const struct parity *p = g->parity;
	if (p->rows != c->r.rows || g->there != (1u << p->rows) - 1)
		return false;
	for (size_t i = 0; i < p->count; i++) {
		const struct object *o = find_object(c, p->at[i].name);
		if (o == NULL || o->is_dead || o->len != p->at[i].len)
			return false;
		is_needed = is_needed || !o->is_covered;
	}
	return is_needed;
}

/* What stays covers its members; the others' classes are known from their groups all the same. */
static void mark_members(struct cover *c, const struct group *g, bool is_covered)
{
	const struct parity *p = g->parity;
	for (size_t i = 0; i < p->count; i++) {
		struct object *o = find_object(c, p->at[i].name);
		if (o == NULL)
			continue;
		o->class = p->class;
		o->has_class = true;
		if (g->is_kept)
			o->is_covered = is_covered;
	}
}

static bool is_small(const struct group *g)
{
	return g->parity->count * 2 < target_of(g->parity->class);
}

/* Groups of less than half the size are made larger when there is something to do it with. */
static void dissolve(struct cover *c, const size_t pool[CLASSES])
{
	size_t small[CLASSES] = { 0 };
	for (size_t i = 0; i < c->group_count; i++)
		small[c->groups[i].parity->class] +=
			c->groups[i].is_kept && is_small(&c->groups[i]);
	for (size_t i = 0; i < c->group_count; i++) {
		struct group *g = &c->groups[i];
		if (!g->is_kept || !is_small(g) ||
			(pool[g->parity->class] == 0 && small[g->parity->class] < 2))
			continue;
		mark_members(c, g, false);
		g->is_kept = false;
	}
}

/* A pack that is in no group tells its class by its footer. */
static int find_class(struct cover *c, struct object *o, struct err *err)
{
	struct fetch_footer footer = { .at = NULL };
	uint8_t hash[32];
	if (!parity_is_member(o->name, hash, NULL))
		return err_set(err, ERR_FAILED, "'%s' is no member", o->name);
	int rc = fetch_footer(c->v, hash, o->len, &footer, err);
	o->class = footer.class == PACK_DATA ? PARITY_DATA : PARITY_METADATA;
	fetch_footer_done(&footer);
	o->has_class = rc == 0;
	if (!vault_is_object_loss(rc))
		return rc;
	o->is_damaged = true; /* repair's affair */
	c->r.damaged++;
	if (err != NULL)
		err_clear(err);
	return 0;
}

static bool is_waiting(const struct object *o)
{
	return !o->is_covered && !o->is_leaving && !o->is_damaged;
}

static int choose(struct cover *c, struct err *err)
{
	int rc = find_groups(c, err);
	size_t pool[CLASSES] = { 0 };
	for (size_t i = 0; rc == 0 && i < c->group_count; i++) {
		c->groups[i].is_kept = is_whole(c, &c->groups[i]);
		mark_members(c, &c->groups[i], true);
	}
	for (size_t i = 0; rc == 0 && i < c->count; i++) {
		struct object *o = &c->at[i];
		if (is_waiting(o) && !o->has_class)
			rc = find_class(c, o, err);
		pool[o->class] += is_waiting(o);
	}
	if (rc == 0)
		dissolve(c, pool);
	for (size_t i = 0; rc == 0 && i < c->count; i++)
		c->total += is_waiting(&c->at[i]) ? c->at[i].len : 0;
	return rc;
}

static void count_group(struct cover *c, const struct parity *p)
{
	c->r.groups++;
	c->r.members += p->count;
	for (size_t i = 0; i < p->count; i++)
		c->r.member_bytes += p->at[i].len;
	c->r.parity_objects += p->rows;
	c->r.parity_bytes += (uint64_t)p->rows * p->len;
}

static int step(struct cover *c, uint64_t bytes, struct err *err)
{
	c->done += bytes;
	if (c->opts->on_progress != NULL)
		c->opts->on_progress(c->opts->arg, c->done, c->total);
	if (c->opts->is_stopped != NULL && c->opts->is_stopped(c->opts->arg))
		return err_set(err, ERR_INTERRUPTED, "parity was stopped; run it again");
	return 0;
}

static int put_rows(struct cover *c, const struct parity *g, struct parity_make *m, struct err *err)
{
	char(*grown)[PARITY_NAME_BYTES] =
		reallocarray(c->made, c->made_count + PARITY_CODE_ROWS, sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->made = grown;
	for (size_t r = 0; r < g->rows; r++) {
		memcpy(c->made[c->made_count++], m->names[r], PARITY_NAME_BYTES);
		int rc = store_put(
			c->v->store, m->names[r], m->objects[r].data, m->objects[r].len, err);
		if (rc == -ERR_EXISTS) {
			err_set(err, ERR_CORRUPT, "parity object '%s' is damaged", m->names[r]);
			return err_hint(err, "'holdfast repair' makes it anew");
		}
		if (rc != 0)
			return rc;
		c->unsynced += m->objects[r].len;
	}
	if (c->unsynced < BARRIER_BYTES)
		return 0;
	c->unsynced = 0;
	return store_barrier(c->v->store, err);
}

/* Make one group of what is left of ${g}; a member that turns out damaged is left out. */
static int make_group(struct cover *c, struct parity *g, struct err *err)
{
	struct parity_make made;
	uint64_t bytes = 0;
	int rc = 0;
	for (size_t i = 0; i < g->count; i++)
		bytes += g->at[i].len;
	while (g->count > 0 && !c->opts->is_dry_run) {
		struct err why = ERR_INIT;
		rc = parity_make_run(c->v->store, g, &made, &why);
		if (rc == 0 || made.bad >= g->count) {
			if (rc != 0 && err != NULL)
				*err = why;
			break;
		}
		struct object *o = find_object(c, g->at[made.bad].name);
		if (o != NULL)
			o->is_damaged = true;
		c->r.damaged++;
		g->count--;
		memmove(&g->at[made.bad], &g->at[made.bad + 1],
			(g->count - made.bad) * sizeof(g->at[0]));
		for (size_t i = made.bad; i < g->count; i++)
			g->at[i].slot = (uint8_t)i;
		rc = 0;
	}
	if (rc != 0 || g->count == 0)
		return rc;
	parity_settle(g);
	count_group(c, g);
	c->r.made++;
	if (c->opts->is_dry_run)
		return 0;
	rc = put_rows(c, g, &made, err);
	parity_make_done(&made);
	return rc == 0 ? step(c, bytes, err) : rc;
}

/* The longest first, so that little of a group's parity is for one member alone. */
static int compare_waiting(const void *left, const void *right)
{
	const struct object *a = *(struct object *const *)left;
	const struct object *b = *(struct object *const *)right;
	if (a->len != b->len)
		return a->len > b->len ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int make_class(struct cover *c, unsigned class, struct err *err)
{
	CLEANUP(cleanup_free_p)
	struct object **pool = calloc(c->count + 1, sizeof(struct object *));
	size_t count = 0;
	int rc = 0;
	if (pool == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < c->count; i++) {
		if (is_waiting(&c->at[i]) && c->at[i].class == class)
			pool[count++] = &c->at[i];
	}
	if (count > 1)
		qsort(pool, count, sizeof(struct object *), compare_waiting);
	for (size_t at = 0; rc == 0 && at < count; at += target_of(class)) {
		struct parity g = { .rows = (uint8_t)c->r.rows, .class = (uint8_t) class };
		for (size_t i = at; i < count && g.count < target_of(class); i++) {
			struct parity_member *m = &g.at[g.count];
			memcpy(m->name, pool[i]->name, sizeof(m->name));
			m->len = pool[i]->len;
			m->slot = (uint8_t)g.count++;
		}
		rc = make_group(c, &g, err);
	}
	return rc;
}

/* Invariant 2. */
static bool is_held(const struct cover *c, const struct group *g, const struct missing *m)
{
	for (size_t i = 0; i < g->parity->count; i++) {
		const char *name = g->parity->at[i].name;
		const struct object *o = find_object(c, name);
		if (o == NULL ? missing_is_lost(m, name) : o->is_damaged && !o->is_dead)
			return true;
	}
	return false;
}

static bool is_of(const struct cover *c, const char *name)
{
	for (size_t i = 0; i < c->made_count; i++) {
		if (strcmp(c->made[i], name) == 0)
			return true;
	}
	return false;
}

static int drop_group(struct cover *c, const struct group *g, struct err *err)
{
	int rc = 0;
	bool is_again = false;
	for (size_t i = 0; rc == 0 && i < c->set.count; i++) {
		const struct parity_set_object *o = &c->set.at[i];
		if (!o->is_readable || memcmp(o->parity.group, g->parity->group, 32) != 0)
			continue;
		is_again = is_again || is_of(c, o->name);
		if (!c->opts->is_dry_run && !is_of(c, o->name))
			rc = store_remove(c->v->store, o->name, err);
	}
	c->r.dropped += !is_again;
	return rc;
}

static int drop(struct cover *c, struct err *err)
{
	struct missing m = { .count = 0 };
	bool is_some = false;
	int rc = c->opts->is_dry_run ? 0 : store_barrier(c->v->store, err);
	for (size_t i = 0; i < c->group_count; i++)
		is_some = is_some || !c->groups[i].is_kept;
	if (rc == 0 && is_some)
		rc = missing_load(c->v, &c->view, &m, err);
	for (size_t i = 0; rc == 0 && i < c->group_count; i++) {
		struct group *g = &c->groups[i];
		g->is_held = !g->is_kept && !c->opts->drops_held && is_held(c, g, &m);
		c->r.held += g->is_held;
		if (g->is_kept || g->is_held)
			count_group(c, g->parity);
		else
			rc = drop_group(c, g, err);
	}
	missing_done(&m);
	return rc != 0 || c->opts->is_dry_run ? rc : store_barrier(c->v->store, err);
}

static int run(struct cover *c, struct err *err)
{
	int rc = collect_view_look(c->v, &c->view, NULL, NULL, err);
	if (rc == 0)
		rc = parity_set_load(c->v->store, &c->set, err);
	c->r.rows = c->opts->rows == 0 ? parity_set_rows(&c->set) : c->opts->rows;
	if (c->r.rows == 0)
		c->r.rows = 1;
	if (rc == 0)
		rc = store_list(c->v->store, "", note_object, c, err);
	if (rc == 0 && c->count > 1)
		qsort(c->at, c->count, sizeof(*c->at), compare_names);
	if (rc == 0)
		rc = choose(c, err);
	for (unsigned class = 0; rc == 0 && class < CLASSES; class ++)
		rc = make_class(c, class, err);
	return rc == 0 ? drop(c, err) : rc;
}

int parity_cover_run(struct vault *v, const struct parity_cover_opts *opts,
	struct parity_cover_result *out, struct err *err)
{
	struct cover c = { .v = v, .opts = opts, .err = err };
	int rc = 0;
	if (opts->rows > PARITY_CODE_ROWS)
		rc = err_set(err, ERR_USAGE, "parity has 1 or 2 rows, not %u", opts->rows);
	if (rc == 0 && !opts->is_dry_run && store_is_read_only(v->store))
		rc = err_set(err, ERR_READONLY, "the store was opened for reading only");
	if (rc == 0 && !opts->is_dry_run)
		rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = run(&c, err);
	collect_view_done(&c.view);
	parity_set_done(&c.set);
	free(c.at);
	free(c.groups);
	free(c.made);
	if (rc == 0)
		*out = c.r;
	return rc;
}

int parity_cover_tend(struct vault *v, struct err *err)
{
	struct parity_set set;
	const struct parity_cover_opts opts = { .rows = 0 };
	struct parity_cover_result r;
	int rc = parity_set_load(v->store, &set, err);
	if (rc != 0)
		return rc;
	size_t count = set.count;
	parity_set_done(&set);
	if (count == 0)
		return 0;
	rc = parity_cover_run(v, &opts, &r, err);
	if (rc != 0)
		return err_wrap(err, "parity could not be brought up to date");
	if (r.held + r.damaged == 0)
		return 0;
	/* one in no group too: what is to be deleted may hold the same records */
	err_set(err, ERR_CORRUPT,
		"objects are damaged or lost (%llu in no group, groups of others: %llu), and what "
		"is to be deleted may repair them",
		(unsigned long long)r.damaged, (unsigned long long)r.held);
	return err_hint(err, "run 'holdfast repair' first; nothing was deleted");
}
