#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/repair_back.h"
#include "vault/repair_internal.h"
#include "vault/vault_internal.h"

/*
 * Finding what is damaged or lost, by names alone; with a vault also what should be there.
 *
 * INVARIANTS
 * (1) What collection has buried is neither damaged nor lost: nothing brings it back.
 */

static const char *const hashed[] = { "pk/", "ix/", "rf/", "ev/", "rw/", "sn/", "cf/", "ks/", "vh/",
	"pr/", "hs/", "gc/", "dd/", PARITY_PREFIX };

static bool is_checked(const char *name)
{
	for (size_t i = 0; i < sizeof(hashed) / sizeof(hashed[0]); i++) {
		if (strncmp(name, hashed[i], strlen(hashed[i])) == 0)
			return true;
	}
	return strcmp(name, "README.txt") == 0 || strcmp(name, "FORMAT.txt") == 0;
}

struct listed {
	char name[STORE_MAX_NAME_BYTES + 1];
	uint64_t size;
};

struct listing {
	struct repair *r;
	struct listed *at; /* owned; ascending by name */
	size_t count, cap;
	struct err *err;
};

static int keep(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	if (!is_checked(name))
		return 0;
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 256 : l->cap * 2;
		struct listed *grown = reallocarray(l->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(l->err, ERR_NOMEM, "out of memory");
		l->at = grown;
		l->cap = cap;
	}
	(void)snprintf(l->at[l->count].name, sizeof(l->at->name), "%s", name); /* the grammar's */
	l->at[l->count++].size = size;
	l->r->total += size;
	return 0;
}

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct listed *)left)->name, ((const struct listed *)right)->name);
}

static bool is_listed(const struct listing *l, const char *name)
{
	struct listed key = { .size = 0 };
	(void)snprintf(key.name, sizeof(key.name), "%s", name); /* shorter */
	return l->count > 0 && bsearch(&key, l->at, l->count, sizeof(*l->at), compare) != NULL;
}

static int add(struct repair *r, const char *name, uint64_t size, bool is_lost, const char *why,
	struct err *err)
{
	if (r->count == r->cap) {
		size_t cap = r->cap == 0 ? 16 : r->cap * 2;
		struct repair_object *grown = reallocarray(r->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->at = grown;
		r->cap = cap;
	}
	struct repair_object *o = &r->at[r->count++];
	memset(o, 0, sizeof(*o));
	(void)snprintf(o->name, sizeof(o->name), "%s", name); /* the grammar's limit */
	(void)snprintf(o->why, sizeof(o->why), "%s", why);    /* cut is fine */
	o->size = size;
	o->is_lost = is_lost;
	r->r.damaged += !is_lost;
	r->r.lost += is_lost;
	return 0;
}

/* Invariant 1. */
static bool is_buried(const struct repair *r, const char *name)
{
	uint8_t hash[32];
	bool is_pack;
	return r->v != NULL && parity_is_member(name, hash, &is_pack) && is_pack &&
	       collect_view_is_dead(&r->view, COLLECT_LIST_PACK, hash);
}

static int check(struct repair *r, const struct listed *x, struct buf *data, struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t still;
	buf_clear(data);
	int rc = store_get(r->store, x->name, data, &why);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (rc == -ERR_NOT_FOUND && store_stat(r->store, x->name, &still, NULL) == -ERR_NOT_FOUND)
		return 0; /* deleted meanwhile */
	if (rc == 0 && repair_back_is_whole(x->name, data->data, data->len))
		return 0;
	if (is_buried(r, x->name))
		return 0;
	return add(r, x->name, x->size, false,
		rc != 0 ? why.msg : "its bytes do not hash to its name", err);
}

/* Members of groups that are gone without a reason.  Without a key nobody knows what was pruned. */
static int add_lost_members(struct repair *r, const struct listing *l, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->set.count; i++) {
		const struct parity *p = &r->set.at[i].parity;
		for (size_t k = 0; rc == 0 && r->set.at[i].is_readable && k < p->count; k++) {
			const char *name = p->at[k].name;
			bool is_prunable =
				strncmp(name, "sn/", 3) == 0 || strncmp(name, "ev/", 3) == 0;
			if (is_listed(l, name) || repair_find(r, name) != NULL ||
				(r->v == NULL ? is_prunable : !missing_is_lost(&r->missing, name)))
				continue;
			rc = add(r, name, 0, true, "its parity knows it, and it is not there", err);
		}
	}
	return rc;
}

int repair_scan_missing(struct repair *r, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && r->view.unreadable == 0 && i < r->missing.count; i++) {
		if (repair_find(r, r->missing.names[i]) == NULL)
			rc = add(r, r->missing.names[i], 0, true,
				"the vault names it, and it is not there", err);
	}
	return rc;
}

struct configs {
	struct repair *r;
	const struct listing *l;
	struct vault copy; /* the same keys on another store; not to be closed */
	struct err *err;
};

static int see_config(void *arg, const char *name, uint64_t size)
{
	struct configs *c = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	(void)size; /* of the copy */
	if (is_listed(c->l, name) || repair_find(c->r, name) != NULL ||
		vault_get_sealed(&c->copy, SEALED_CONFIG, name, &body, NULL) != 0)
		return 0;
	return add(c->r, name, 0, true, "the vault has no config, and a copy has this one", c->err);
}

/* Without any config nobody can say what it was called: a copy can, or parity has. */
static int add_lost_configs(struct repair *r, const struct listing *l, struct err *err)
{
	struct configs c = { .r = r, .l = l, .copy = *r->v, .err = err };
	int rc = 0;
	if (r->v->domain.epoch != 0)
		return 0;
	for (size_t i = 0; rc == 0 && i < r->opts->copy_count; i++) {
		c.copy.store = r->opts->copies[i];
		rc = store_list(c.copy.store, "cf/", see_config, &c, err);
	}
	for (size_t i = 0; i < r->count; i++) {
		if (strncmp(r->at[i].name, "cf/", 3) == 0)
			return rc;
	}
	return rc != 0 ? rc : add(r, "cf/", 0, true, "the vault has no readable config", err);
}

static int add_lost(struct repair *r, const struct listing *l, struct err *err)
{
	if (r->v != NULL && r->view.unreadable > 0)
		return 0; /* nobody knows what was deleted on purpose */
	int rc = repair_scan_missing(r, err);
	if (rc == 0)
		rc = add_lost_members(r, l, err);
	return rc == 0 && r->v != NULL ? add_lost_configs(r, l, err) : rc;
}

int repair_scan_run(struct repair *r, struct err *err)
{
	struct listing l = { .r = r, .err = err };
	struct buf data = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = store_list(r->store, "", keep, &l, err);
	if (rc == 0 && l.count > 1)
		qsort(l.at, l.count, sizeof(*l.at), compare);
	for (size_t i = 0; rc == 0 && i < l.count; i++) {
		r->r.objects++;
		r->r.bytes += l.at[i].size;
		rc = check(r, &l.at[i], &data, err);
		if (rc == 0)
			rc = repair_step(r, l.at[i].size, err);
	}
	buf_done(&data);
	if (rc == 0)
		rc = add_lost(r, &l, err);
	free(l.at);
	return rc;
}
