#include "vault/hidden.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

static int add_items(struct id_set *set, const struct prune_order *order, struct err *err)
{
	int rc = 0;
	if (order->cause == PRUNE_ORDER_COPY) /* it never was here: nothing was taken away */
		return 0;
	for (size_t i = 0; rc == 0 && i < order->count; i++) {
		rc = id_set_add(set, order->items[i].object, 1, NULL, err);
		if (rc == 0) /* it may have had other objects: their name no order knows */
			rc = id_set_add(set, order->items[i].snap_hash, 1, NULL, err);
	}
	return rc;
}

static int see_kept(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err)
{
	(void)records; /* only which objects they were */
	return add_items(arg, order, err);
}

int hidden_pruned(
	struct vault *v, prune_bad_fn on_bad, void *arg, struct id_set **out, struct err *err)
{
	struct id_set *set = NULL;
	struct prune_view view = { .count = 0 };
	int rc = id_set_new(&set, err);
	if (rc == 0)
		rc = prune_kept(v, on_bad, arg, see_kept, set, err);
	if (rc == 0)
		rc = prune_view_load(v, on_bad, arg, &view, err);
	for (size_t i = 0; rc == 0 && i < view.count; i++)
		rc = add_items(set, &view.at[i], err);
	prune_view_done(&view);
	if (rc != 0)
		id_set_free(set);
	else
		*out = set;
	return rc;
}

static bool is_listed(const struct snapshot_list *l, const uint8_t hash[32])
{
	for (size_t i = 0; i < l->count; i++) {
		if (memcmp(l->at[i].hash, hash, HASH_BYTES) == 0)
			return true;
	}
	return false;
}

/* What is hidden under the name.  Return 1, 0 (it is no snapshot of this vault) or a store's error.
 */
static int read_body(struct vault *v, const struct version_table *t,
	const struct version_table_name *n, struct snapshot_body *out, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	const struct version_table_version *x = NULL;
	char id[VERSION_PACK_ID_BYTES];
	struct err why = ERR_INIT;
	int rc = version_table_true(v->store, t, n, &x, err);
	if (rc != 0 || x == NULL)
		return rc;
	version_table_id(t, x, id);
	rc = store_read_version(v->store, n->name, id, &object, &why);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	return sealed_open(&v->key, SEALED_SNAPSHOT, object.data, object.len, &body, NULL) == 0 &&
	       snapshot_body_decode(body.data, body.len, out, NULL) == 0;
}

typedef int (*lost_fn)(void *arg, const struct version_table_name *n, const struct snapshot_body *b,
	struct err *err);

/* Call ${fn} for each that is lost; add what is another object of a snapshot that is pruned or
 * there to ${pruned}. */
static int each_lost(struct vault *v, const struct version_table *t,
	const struct snapshot_list *list, struct id_set *pruned, lost_fn fn, void *arg,
	struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc >= 0 && i < t->count; i++) {
		struct version_table_name n;
		uint8_t object[HASH_BYTES], hash[HASH_BYTES];
		version_table_name_at(t, i, &n);
		if (strncmp(n.name, "sn/", 3) != 0 || !version_table_is_hidden(t, &n) ||
			!version_table_hash(n.name, object) || id_set_find(pruned, object) > 0)
			continue;
		struct snapshot_body b = { .log_index = 0 };
		rc = read_body(v, t, &n, &b, err);
		if (rc <= 0)
			continue;
		snaprec_hash(b.record, hash);
		if (id_set_find(pruned, hash) > 0 || is_listed(list, hash))
			rc = id_set_add(pruned, object, 1, NULL, err);
		else
			rc = fn(arg, &n, &b, err);
		snapshot_body_done(&b);
	}
	return rc < 0 ? rc : 0;
}

static int keep_first(void *arg, const struct version_table_name *n, const struct snapshot_body *b,
	struct err *err)
{
	char *first = arg;
	(void)b;   /* that it is one is enough */
	(void)err; /* nothing here can fail */
	if (first[0] == '\0')
		memcpy(first, n->name, sizeof(n->name));
	return 0;
}

int hidden_lost(struct vault *v, const struct version_table *t, const struct snapshot_list *list,
	struct id_set *pruned, char out[STORE_MAX_NAME_BYTES + 1], struct err *err)
{
	out[0] = '\0';
	int rc = each_lost(v, t, list, pruned, keep_first, out, err);
	if (rc != 0)
		out[0] = '\0';
	return rc;
}

struct giving {
	struct vault *v;
	const struct hidden_give_up_opts *opts;
	struct id_set *pruned;
	uint64_t count;
};

/* As if an order had pruned it: its record is kept for the chain. */
static int keep_record(void *arg, const struct version_table_name *n, const struct snapshot_body *b,
	struct err *err)
{
	struct giving *g = arg;
	struct prune_order_item item = { .receipt_ns = b->receipt_ns };
	struct prune_order order = { .cause = PRUNE_ORDER_RETENTION,
		.wall_ns = env_now_ns(),
		.policy = (char *)"given up: somebody deleted it",
		.items = &item,
		.count = 1 };
	int rc = 0;
	snaprec_hash(b->record, item.snap_hash);
	(void)version_table_hash(n->name, item.object); /* it was found by it */
	if (!g->opts->is_dry_run) {
		rc = env_random(order.id, sizeof(order.id), err);
		if (rc == 0)
			rc = prune_keep(g->v, &order, b->record, err);
	}
	if (rc == 0) /* with another object of it: once */
		rc = id_set_add(g->pruned, item.snap_hash, 1, NULL, err);
	g->count += rc == 0;
	if (rc == 0 && g->opts->on_object != NULL)
		g->opts->on_object(g->opts->arg, n->name);
	return rc;
}

int hidden_give_up(
	struct vault *v, const struct hidden_give_up_opts *opts, uint64_t *count, struct err *err)
{
	struct version_table t = { .count = 0 };
	struct snapshot_list list = { .at = NULL };
	struct giving g = { .v = v, .opts = opts };
	*count = 0;
	if ((store_features(v->store) & STORE_HAS_VERSIONS) == 0)
		return 0;
	int rc = version_table_load(v->store, "sn/", &t, err);
	if (rc == 0)
		rc = snapshot_list_all(v, NULL, NULL, &list, err);
	if (rc == 0)
		rc = hidden_pruned(v, NULL, NULL, &g.pruned, err);
	if (rc == 0)
		rc = each_lost(v, &t, &list, g.pruned, keep_record, &g, err);
	*count = g.count;
	id_set_free(g.pruned);
	snapshot_list_done(&list);
	version_table_done(&t);
	return rc;
}
