#include "vault/copy_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

/*
 * INVARIANTS
 * (1) known: the snap_hash of every record that the copy has, as a snapshot or as a kept record.
 * (2) A record keeps the words of the order that took it; what nobody pruned is "left out".
 */

#define LEFT_OUT "left out by a copy"

struct copy_chain {
	struct vault *from, *to;                         /* borrowed */
	const struct snapshot_list *from_list, *to_list; /* borrowed */
	struct id_set *known, *pruned;                   /* owned; of the copy */
	uint64_t kept;
};

DEFINE_CLEANUP(struct copy_chain *, copy_chain_free)

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	log_debug("copy_chain.walk", "object=%s error=%s, continuing", object, why->msg);
}

static int see_kept(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err)
{
	struct copy_chain *c = arg;
	int rc = 0;
	(void)records; /* they hash to the items */
	for (size_t i = 0; rc == 0 && i < order->count; i++) {
		rc = id_set_add(c->known, order->items[i].snap_hash, 1, NULL, err);
		if (rc == 0 && order->cause == PRUNE_ORDER_RETENTION)
			rc = id_set_add(c->pruned, order->items[i].snap_hash, 1, NULL, err);
	}
	return rc;
}

int copy_chain_new(struct vault *from, struct vault *to, const struct snapshot_list *from_list,
	const struct snapshot_list *to_list, struct copy_chain **out, struct err *err)
{
	CLEANUP(copy_chain_free_p) struct copy_chain *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->from = from;
	c->to = to;
	c->from_list = from_list;
	c->to_list = to_list;
	int rc = id_set_new(&c->known, err);
	if (rc == 0)
		rc = id_set_new(&c->pruned, err);
	if (rc == 0)
		rc = prune_kept(to, pass_over, NULL, see_kept, c, err);
	for (size_t i = 0; rc == 0 && i < to_list->count; i++) {
		rc = copy_chain_add(c, &to_list->at[i], err);
		if (rc == 0 && to_list->at[i].fate == SNAPSHOT_PRUNED)
			rc = id_set_add(c->pruned, to_list->at[i].hash, 1, NULL, err);
	}
	if (rc != 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

void copy_chain_free(struct copy_chain *c)
{
	if (c == NULL)
		return;
	id_set_free(c->known);
	id_set_free(c->pruned);
	free(c);
}

bool copy_chain_is_pruned(const struct copy_chain *c, const uint8_t snap_hash[32])
{
	return id_set_find(c->pruned, snap_hash) > 0;
}

static bool is_before(const struct snaprec *r, const struct snapshot *s)
{
	return memcmp(r->agent_id, s->record.agent_id, sizeof(r->agent_id)) == 0 &&
	       memcmp(r->source_id, s->record.source_id, sizeof(r->source_id)) == 0 &&
	       r->seq < s->record.seq;
}

bool copy_chain_is_forked(const struct copy_chain *c, const struct snapshot *s)
{
	for (size_t i = 0; i < c->to_list->count; i++) {
		const struct snapshot *x = &c->to_list->at[i];
		if (x->fate != SNAPSHOT_VOID && x->record.seq == s->record.seq &&
			memcmp(x->record.agent_id, s->record.agent_id, 16) == 0 &&
			memcmp(x->record.source_id, s->record.source_id, 16) == 0 &&
			memcmp(x->hash, s->hash, sizeof(x->hash)) != 0)
			return true;
	}
	return false;
}

int copy_chain_add(struct copy_chain *c, const struct snapshot *s, struct err *err)
{
	return id_set_add(c->known, s->hash, 1, NULL, err);
}

uint64_t copy_chain_kept(const struct copy_chain *c)
{
	return c->kept;
}

/* A part of an order with its records, as it grows. */
struct part {
	struct prune_order order; /* its items are owned */
	uint8_t *records;         /* owned */
};

static void part_done(struct part *p)
{
	free(p->order.items);
	free(p->records);
}

static int part_add(
	struct part *p, const struct prune_order_item *item, const uint8_t *record, struct err *err)
{
	size_t n = p->order.count;
	struct prune_order_item *items =
		reallocarray(p->order.items, n + 1, sizeof(*p->order.items));
	if (items != NULL)
		p->order.items = items;
	uint8_t *records = reallocarray(p->records, n + 1, SNAPREC_BYTES);
	if (records != NULL)
		p->records = records;
	if (items == NULL || records == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	items[n] = *item;
	memcpy(records + n * SNAPREC_BYTES, record, SNAPREC_BYTES);
	p->order.count++;
	return 0;
}

/* The items ascend, as prune_keep() wants them for its records. */
static int part_keep(struct copy_chain *c, struct part *p, struct err *err)
{
	if (p->order.count == 0)
		return 0;
	int rc = prune_keep(c->to, &p->order, p->records, err);
	for (size_t i = 0; rc == 0 && i < p->order.count; i++)
		rc = id_set_add(c->known, p->order.items[i].snap_hash, 1, NULL, err);
	if (rc == 0)
		c->kept += p->order.count;
	p->order.count = 0;
	return rc;
}

struct reaching {
	struct copy_chain *c;
	const struct snapshot *s;
};

/* What was pruned at the source end, with the words of its order. */
static int reach_kept(
	void *arg, const struct prune_order *order, const uint8_t *records, struct err *err)
{
	const struct reaching *r = arg;
	struct part p = { .order = *order };
	int rc = 0;
	p.order.items = NULL;
	p.order.count = 0;
	for (size_t i = 0; rc == 0 && i < order->count; i++) {
		struct snaprec rec;
		const uint8_t *record = records + i * SNAPREC_BYTES;
		if (id_set_find(r->c->known, order->items[i].snap_hash) == 0 &&
			snaprec_decode(record, &rec, NULL) == 0 && is_before(&rec, r->s))
			rc = part_add(&p, &order->items[i], record, err);
	}
	if (rc == 0)
		rc = part_keep(r->c, &p, err);
	part_done(&p);
	return rc;
}

struct left_out {
	const struct snapshot *s; /* borrowed */
};

static int compare_hashes(const void *a, const void *b)
{
	const struct snapshot *x = ((const struct left_out *)a)->s;
	const struct snapshot *y = ((const struct left_out *)b)->s;
	return memcmp(x->hash, y->hash, sizeof(x->hash));
}

static int leave_out(
	struct copy_chain *c, struct part *p, const struct snapshot *x, struct err *err)
{
	struct prune_order_item item = { .receipt_ns = x->body.receipt_ns };
	const char *hex = strrchr(x->object, '-');
	memcpy(item.snap_hash, x->hash, sizeof(item.snap_hash));
	if (hex == NULL || text_unhex(hex + 1, sizeof(item.object), item.object) != 0)
		return err_set(err, ERR_CORRUPT, "object '%s' has a wrong name", x->object);
	int rc = p->order.count == PRUNE_ORDER_MAX ? part_keep(c, p, err) : 0;
	return rc != 0 ? rc : part_add(p, &item, x->body.record, err);
}

/* What the source end has as snapshots, and the copy was not asked to take. */
static int reach_left_out(struct copy_chain *c, const struct snapshot *s, struct err *err)
{
	char policy[] = LEFT_OUT;
	char none[] = "";
	size_t count = 0;
	struct part p = { .order = { .cause = PRUNE_ORDER_COPY,
				  .wall_ns = env_now_ns(),
				  .policy = policy,
				  .approval = none } };
	CLEANUP(cleanup_free_p)
	struct left_out *sorted = calloc(c->from_list->count + 1, sizeof(*sorted));
	if (sorted == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < c->from_list->count; i++) {
		const struct snapshot *x = &c->from_list->at[i];
		if (is_before(&x->record, s) && id_set_find(c->known, x->hash) == 0)
			sorted[count++].s = x;
	}
	qsort(sorted, count, sizeof(*sorted), compare_hashes);
	int rc = env_random(p.order.id, sizeof(p.order.id), err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = leave_out(c, &p, sorted[i].s, err);
	if (rc == 0)
		rc = part_keep(c, &p, err);
	part_done(&p);
	return rc;
}

int copy_chain_reach(struct copy_chain *c, const struct snapshot *s, struct err *err)
{
	struct reaching r = { .c = c, .s = s };
	static const uint8_t none[32];
	if (memcmp(s->record.prev, none, sizeof(none)) == 0 ||
		id_set_find(c->known, s->record.prev) > 0)
		return 0; /* whoever brought that brought all before it */
	int rc = prune_kept(c->from, pass_over, NULL, reach_kept, &r, err);
	return rc != 0 ? rc : reach_left_out(c, s, err);
}
