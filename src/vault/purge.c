#include "vault/purge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "store/store.h"
#include "vault/collect_mark.h"
#include "vault/hidden.h"
#include "vault/id_set.h"
#include "vault/vault_init.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

/*
 * INVARIANTS
 * (1) Of a name that a live snapshot needs no version goes but those over or under the one that is
 *     read, and that one was seen to hash to the name.
 * (2) A marker goes only when no version is left that it hides.
 * (3) The oldest version of a name that can be read goes only when it is the only other one: else
 *     what lies between would become the oldest, which view=oldest believes.
 */

#define NS_PER_S INT64_C(1000000000)

/* One version that is to go. */
struct going {
	size_t name; /* its number */
	const struct version_table_version *version;
};

struct texts {
	struct version_table_name name;
	char id[VERSION_PACK_ID_BYTES];
};

struct purge {
	struct vault *v;
	const struct collect_mark *m;
	const struct purge_opts *opts;
	struct purge_result *r;
	struct version_table table;
	struct id_set *pruned;    /* owned; sn/ objects that orders took away */
	bool is_whole;            /* every record that is needed has a place that counts */
	bool is_over;             /* the key has no right to this */
	uint32_t *left;           /* owned; of each name, versions that stay */
	struct store_item *items; /* owned; STORE_ITEMS_MAX, as the next */
	struct texts *texts;      /* owned */
	struct going batch[STORE_ITEMS_MAX];
	size_t count;
};

/* A name that is removed: does nobody need what was under it? */
static bool is_dead(const struct purge *p, const struct version_table_name *n)
{
	static const char *const passing[] = { "ix/", "se/", "gc/", "dd/", "pr/", "wb/", "qr/",
		"pa/", VAULT_INIT_PROBE };
	uint8_t hash[32];
	if (vault_name_is_of(n->name, "sn/"))
		return version_table_hash(n->name, hash) && id_set_find(p->pruned, hash) > 0;
	if (vault_name_is_of(n->name, "pk/"))
		return p->is_whole;
	if (vault_name_is_of(n->name, "rf/") || vault_name_is_of(n->name, "ev/"))
		return version_table_hash(n->name, hash) && id_set_find(p->m->named, hash) == 0;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		if (vault_name_is_of(n->name, passing[i]))
			return true;
	}
	return false;
}

static bool is_due(const struct purge *p, const struct version_table_name *n)
{
	uint8_t hash[32];
	const struct version_table_version *newest = version_table_newest(&p->table, n);
	if (p->opts->at_once != NULL && version_table_hash(n->name, hash) &&
		id_set_find(p->opts->at_once, hash) > 0)
		return true;
	int64_t age = env_now_ns() - newest->at_s * NS_PER_S;
	return newest->at_s > 0 && (p->opts->grace_ns == 0 || age >= p->opts->grace_ns);
}

/* ---- a batch -------------------------------------------------------------------------------- */

static void stays(struct purge *p, const struct going *g)
{
	p->left[g->name]++;
}

static void fill_items(struct purge *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct texts *text = &p->texts[i];
		version_table_name_at(&p->table, p->batch[i].name, &text->name);
		version_table_id(&p->table, p->batch[i].version, text->id);
		memset(&p->items[i], 0, sizeof(p->items[i]));
		p->items[i].name = text->name.name;
		p->items[i].id = text->id;
	}
}

/* Those of the batch that are locked stay, and are told. */
static int leave_locked(struct purge *p, struct err *err)
{
	size_t kept = 0;
	int64_t now = env_now_ns();
	if ((store_features(p->v->store) & STORE_HAS_OBJECT_LOCK) == 0 ||
		p->batch[0].version->is_marker)
		return 0;
	fill_items(p);
	int rc = store_see_locks(p->v->store, p->items, p->count, err);
	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		const struct store_item *item = &p->items[i];
		if (item->rc != 0 || item->until_ns <= now) { /* deleting it will tell */
			p->batch[kept++] = p->batch[i];
			continue;
		}
		stays(p, &p->batch[i]);
		p->r->locked++;
		p->r->locked_bytes += p->batch[i].version->size;
		if (item->until_ns > p->r->locked_until_ns)
			p->r->locked_until_ns = item->until_ns;
	}
	p->count = rc == 0 ? kept : p->count;
	return rc;
}

static int flush(struct purge *p, struct err *err)
{
	size_t refused = 0;
	int rc = p->count == 0 || p->is_over ? 0 : leave_locked(p, err);
	if (rc != 0 || p->count == 0)
		return rc;
	fill_items(p);
	if (!p->is_over)
		rc = store_purge(p->v->store, p->items, p->count, err);
	for (size_t i = 0; rc == 0 && i < p->count; i++) {
		if (!p->is_over && p->items[i].rc == 0) {
			p->r->purged++;
			p->r->purged_bytes += p->batch[i].version->size;
			continue;
		}
		if (!p->is_over && p->items[i].rc != -ERR_AUTH) {
			if (err != NULL)
				*err = p->items[i].why;
			return p->items[i].rc;
		}
		refused++;
		stays(p, &p->batch[i]);
	}
	p->r->refused += refused;
	p->is_over |= refused == p->count; /* the others would fare no better */
	p->count = 0;
	return rc;
}

static int add(struct purge *p, const struct version_table_name *n,
	const struct version_table_version *version, struct err *err)
{
	p->batch[p->count++] = (struct going){ .name = n->number, .version = version };
	return p->count == STORE_ITEMS_MAX ? flush(p, err) : 0;
}

/* ---- what goes ------------------------------------------------------------------------------ */

/* Every real version, or every marker, of a name. */
static int add_all(
	struct purge *p, const struct version_table_name *n, bool markers, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		const struct version_table_version *x = &p->table.versions[n->first + i];
		if (x->is_marker == markers)
			rc = add(p, n, x, err);
	}
	return rc;
}

/* A name that can be read, with more behind it. */
static int add_behind(struct purge *p, const struct version_table_name *n, struct err *err)
{
	const struct version_table_version *newest = version_table_newest(&p->table, n);
	/* only markers lie behind it, or what is the same; being as the oldest tells nothing of
	 * what lies between */
	uint8_t hash[32];
	bool has_hash = version_table_hash(n->name, hash);
	bool is_true = has_hash ? version_table_is_same(&p->table, n)
				: version_table_is_as_oldest(&p->table, n);
	int rc = 0;
	if (!is_true)
		rc = version_table_is_true(p->v->store, &p->table, n, newest, &is_true, err);
	if (rc == 0 && !is_true)
		p->r->odd += has_hash;
	for (size_t i = 1; rc == 0 && is_true && i < n->count; i++) {
		const struct version_table_version *x = &p->table.versions[n->first + i];
		bool is_oldest = x == version_table_oldest(&p->table, n);
		if (!x->is_marker && (!is_oldest || n->real == 2)) /* invariant 3 */
			rc = add(p, n, x, err);
	}
	return rc;
}

/* First the versions, then the markers of what has none left. */
static int add_names(struct purge *p, bool markers, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < p->table.count; i++) {
		struct version_table_name n;
		version_table_name_at(&p->table, i, &n);
		bool is_hidden = version_table_is_hidden(&p->table, &n);
		if (n.count == 1 && !is_hidden)
			continue;
		if (!is_due(p, &n))
			continue;
		if (is_hidden && is_dead(p, &n)) {
			if (!markers || p->left[i] == 0)
				rc = add_all(p, &n, markers, err);
		} else if (is_hidden) {
			p->r->odd += !markers && n.real > 0;
		} else if (!markers) {
			rc = add_behind(p, &n, err);
		} else if (p->left[i] == 0 && n.real == 1) {
			rc = add_all(p, &n, true, err);
		}
	}
	return rc == 0 ? flush(p, err) : rc;
}

int purge_run(struct vault *v, const struct collect_mark *m, const struct purge_opts *opts,
	struct purge_result *out, struct err *err)
{
	struct purge_result r = { .purged = 0 };
	if ((store_features(v->store) & STORE_HAS_VERSIONS) == 0) {
		*out = r;
		return 0;
	}
	struct purge *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->v = v;
	p->m = m;
	p->opts = opts;
	p->r = &r;
	p->is_whole = collect_mark_is_whole(m);
	char lost[STORE_MAX_NAME_BYTES + 1];
	int rc = hidden_pruned(v, NULL, NULL, &p->pruned, err);
	if (rc == 0)
		rc = version_table_load(v->store, "", &p->table, err);
	if (rc == 0) /* finds other objects of what was pruned; what is lost stopped it before */
		rc = hidden_lost(v, &p->table, &m->list, p->pruned, lost, err);
	if (rc == 0) {
		p->left = calloc(p->table.count + 1, sizeof(*p->left));
		p->items = calloc(STORE_ITEMS_MAX, sizeof(*p->items));
		p->texts = calloc(STORE_ITEMS_MAX, sizeof(*p->texts));
		if (p->left == NULL || p->items == NULL || p->texts == NULL)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rc == 0)
		rc = add_names(p, false, err);
	if (rc == 0)
		rc = add_names(p, true, err);
	version_table_done(&p->table);
	id_set_free(p->pruned);
	free(p->left);
	free(p->items);
	free(p->texts);
	free(p);
	*out = r;
	return rc;
}
