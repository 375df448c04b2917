#include "vault/chain_links.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "vault/snaprec.h"
#include "vault/snapshot.h"

static int compare(const void *left, const void *right)
{
	const struct chain_link *a = left;
	const struct chain_link *b = right;
	int order = memcmp(a->source, b->source, sizeof(a->source));
	if (order != 0)
		return order;
	return (a->seq > b->seq) - (a->seq < b->seq);
}

static struct chain_link key_of(const struct snaprec *r, uint64_t seq)
{
	struct chain_link k = { .seq = seq };
	memcpy(k.source, r->agent_id, 16);
	memcpy(k.source + 16, r->source_id, 16);
	return k;
}

static int add(
	struct chain_links *l, const struct snaprec *r, const uint8_t hash[32], struct err *err)
{
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 256 : l->cap * 2;
		struct chain_link *grown = reallocarray(l->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->at = grown;
		l->cap = cap;
	}
	l->at[l->count] = key_of(r, r->seq);
	memcpy(l->at[l->count++].hash, hash, 32);
	return 0;
}

static int add_pruned(void *arg, const uint8_t record[SNAPREC_BYTES], struct err *err)
{
	struct snaprec r;
	uint8_t hash[HASH_BYTES];
	snaprec_hash(record, hash);
	return snaprec_decode(record, &r, NULL) != 0 ? 0 : add(arg, &r, hash, err);
}

int chain_links_load(struct vault *v, const struct snapshot_list *list, prune_bad_fn on_bad,
	void *arg, struct chain_links *out, struct err *err)
{
	struct chain_links l = { .count = 0 };
	int rc = prune_records(v, on_bad, arg, add_pruned, &l, err);
	for (size_t i = 0; rc == 0 && i < list->count; i++)
		rc = add(&l, &list->at[i].record, list->at[i].hash, err);
	if (rc != 0) {
		chain_links_done(&l);
		return rc;
	}
	if (l.count > 1)
		qsort(l.at, l.count, sizeof(*l.at), compare);
	*out = l;
	return 0;
}

void chain_links_done(struct chain_links *l)
{
	free(l->at);
	memset(l, 0, sizeof(*l));
}

enum chain_link_state chain_links_before(const struct chain_links *l, const struct snaprec *record)
{
	static const uint8_t none[HASH_BYTES] = { 0 };
	if (record->seq <= 1)
		return memcmp(record->prev, none, sizeof(none)) == 0 ? CHAIN_LINK_IS_THERE
								     : CHAIN_LINK_ANOTHER;
	const struct chain_link key = key_of(record, record->seq - 1);
	const struct chain_link *at =
		l->count == 0 ? NULL : bsearch(&key, l->at, l->count, sizeof(*l->at), compare);
	if (at == NULL)
		return CHAIN_LINK_MISSING;
	while (at > l->at && compare(at - 1, &key) == 0)
		at--;
	for (; at < l->at + l->count && compare(at, &key) == 0; at++) {
		if (memcmp(at->hash, record->prev, sizeof(at->hash)) == 0)
			return CHAIN_LINK_IS_THERE;
	}
	return CHAIN_LINK_ANOTHER;
}

const struct snapshot *chain_links_gap(
	const struct chain_links *l, const struct snapshot_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (chain_links_before(l, &list->at[i].record) == CHAIN_LINK_MISSING)
			return &list->at[i];
	}
	return NULL;
}
