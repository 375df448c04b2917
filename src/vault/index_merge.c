#include "vault/index_merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/spill.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/index.h"
#include "vault/pack.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A place of a pack that is there and not dead is in some segment at every moment, if it was.
 */

struct segment {
	char name[VAULT_NAME_BYTES];
	size_t entries;
	uint8_t (*packs)[32]; /* owned */
	size_t pack_count;
	bool is_stale; /* lists a pack that is dead or gone */
	bool is_replaced;
};

struct merging {
	struct vault *v;
	const struct collect_view *view;
	struct id_set *there; /* owned; packs */
	struct segment *at;   /* owned */
	size_t count;
	struct index *merged; /* owned; of the segments that are replaced */
	struct err *err;
};

static int note_pack(void *arg, const char *name, uint64_t size)
{
	(void)size; /* the length is the index's to know */
	struct merging *m = arg;
	uint8_t hash[32];
	size_t len = strlen(name);
	if (len < 64 || text_unhex(name + len - 64, sizeof(hash), hash) != 0)
		return 0;
	return id_set_add(m->there, hash, 1, NULL, m->err);
}

static bool is_alive(const struct merging *m, const uint8_t pack[32])
{
	return id_set_find(m->there, pack) > 0 &&
	       !collect_view_is_dead(m->view, COLLECT_LIST_PACK, pack);
}

static int read_segment(struct merging *m, const char *name, struct index *into, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	int rc = vault_get_sealed(m->v, SEALED_INDEX, name, &body, err);
	return rc != 0 ? rc : index_add_segment(into, body.data, body.len, err);
}

static int keep_packs(struct segment *s, const struct index *x, struct err *err)
{
	s->pack_count = index_pack_count(x);
	s->packs = calloc(s->pack_count + 1, sizeof(*s->packs));
	if (s->packs == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < s->pack_count; i++) {
		uint32_t len;
		memcpy(s->packs[i], index_pack_at(x, i, &len), sizeof(s->packs[i]));
	}
	return 0;
}

static int see_segment(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct merging *m = arg;
	struct index *x = NULL;
	struct err why = ERR_INIT;
	if (strlen(name) >= VAULT_NAME_BYTES)
		return 0; /* none of ours */
	struct segment *grown = reallocarray(m->at, m->count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(m->err, ERR_NOMEM, "out of memory");
	m->at = grown;
	int rc = index_new(&x, &why);
	if (rc == 0)
		rc = read_segment(m, name, x, &why);
	if (rc == 0) {
		struct segment *s = &m->at[m->count++];
		*s = (struct segment){ .entries = index_entry_count(x) };
		(void)snprintf(s->name, sizeof(s->name), "%s", name); /* its length was seen */
		rc = keep_packs(s, x, &why);
	}
	index_free(x);
	if (vault_is_object_loss(rc)) {
		log_debug("index_merge.read", "segment=%s error=%s, continuing", name, why.msg);
		return 0;
	}
	if (rc != 0 && m->err != NULL)
		*m->err = why;
	return rc;
}

static size_t choose(struct merging *m)
{
	size_t small = 0;
	size_t chosen = 0;
	for (size_t i = 0; i < m->count; i++) {
		struct segment *s = &m->at[i];
		for (size_t k = 0; k < s->pack_count; k++)
			s->is_stale |= !is_alive(m, s->packs[k]);
		small += !s->is_stale && s->entries < INDEX_MERGE_SMALL_ENTRIES;
	}
	for (size_t i = 0; i < m->count; i++) {
		struct segment *s = &m->at[i];
		s->is_replaced = s->is_stale || (small > INDEX_MERGE_SMALL_MAX &&
							s->entries < INDEX_MERGE_SMALL_ENTRIES);
		chosen += s->is_replaced;
	}
	return chosen;
}

/* The places of every pack, one pack behind the other: order[first[p] .. first[p + 1]) are the
 * ordinals of pack p. */
struct by_pack {
	size_t *first;      /* owned */
	struct spill order; /* uint32_t each: the index has fewer places than 2^28 */
};

static int sort_by_pack(const struct index *x, struct by_pack *out, struct err *err)
{
	size_t packs = index_pack_count(x);
	size_t count = index_entry_count(x);
	struct index_place p;
	const uint8_t *id;
	size_t pack;
	out->first = calloc(packs + 2, sizeof(*out->first));
	if (out->first == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = spill_reserve(&out->order, (count + 1) * sizeof(uint32_t), err);
	if (rc != 0)
		return rc;
	uint32_t *order = out->order.at;
	for (size_t i = 0; i < count; i++) {
		index_at(x, i, &p, &id, &pack);
		out->first[pack + 2]++;
	}
	for (size_t i = 2; i < packs + 2; i++)
		out->first[i] += out->first[i - 1];
	for (size_t i = 0; i < count; i++) { /* first[pack + 1] walks to the begin of the next */
		index_at(x, i, &p, &id, &pack);
		order[out->first[pack + 1]++] = (uint32_t)i;
	}
	return 0;
}

static int put_segment(struct merging *m, struct index *x, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = index_settle(x, err);
	if (rc == 0)
		rc = index_encode(x, 0, &body, err);
	return rc != 0 ? rc
		       : vault_put_sealed(m->v->store, &m->v->key, SEALED_INDEX, "ix/", body.data,
				 body.len, name, NULL, err);
}

static int add_pack(const struct index *from, const struct by_pack *b, size_t number,
	struct index *to, struct err *err)
{
	size_t count = b->first[number + 1] - b->first[number];
	CLEANUP(cleanup_free_p) struct pack_place *places = calloc(count + 1, sizeof(*places));
	uint32_t len;
	const uint32_t *order = (const uint32_t *)b->order.at + b->first[number];
	const uint8_t *name = index_pack_at(from, number, &len);
	if (places == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct index_place p;
		const uint8_t *id;
		size_t pack;
		index_at(from, order[i], &p, &id, &pack);
		places[i] = (struct pack_place){
			.suite = p.suite, .type = p.type, .offset = p.offset, .cr_len = p.cr_len
		};
		memcpy(places[i].id, id, 32);
	}
	return index_add_pack(to, name, len, places, count, err);
}

/* Write the packs of the merged index that live, as few segments as hold them. */
static int write_all(struct merging *m, struct index_merge_result *r, struct err *err)
{
	struct by_pack b = { .first = NULL };
	struct index *x = NULL;
	int rc = index_compact(m->merged, err);
	if (rc == 0)
		rc = sort_by_pack(m->merged, &b, err);
	if (rc == 0)
		rc = index_new(&x, err);
	for (size_t i = 0; rc == 0 && i < index_pack_count(m->merged); i++) {
		uint32_t len;
		size_t count = b.first[i + 1] - b.first[i];
		if (!is_alive(m, index_pack_at(m->merged, i, &len)))
			continue;
		if (index_entry_count(x) + count > INDEX_SEGMENT_MAX) {
			rc = put_segment(m, x, err);
			index_free(x);
			x = NULL;
			r->written++;
			if (rc == 0)
				rc = index_new(&x, err);
		}
		if (rc == 0)
			rc = add_pack(m->merged, &b, i, x, err);
	}
	if (rc == 0 && index_pack_count(x) > 0) {
		rc = put_segment(m, x, err);
		r->written++;
	}
	index_free(x);
	free(b.first);
	spill_done(&b.order);
	return rc != 0 ? rc : store_barrier(m->v->store, err);
}

static int replace(struct merging *m, struct index_merge_result *r, struct err *err)
{
	int rc = index_new(&m->merged, err);
	for (size_t i = 0; rc == 0 && i < m->count; i++) {
		if (!m->at[i].is_replaced)
			continue;
		rc = read_segment(m, m->at[i].name, m->merged, err);
		if (rc == 0)
			rc = index_stack(m->merged, err);
		if (vault_is_object_loss(rc)) { /* went away, or contradicts another */
			m->at[i].is_replaced = false;
			rc = 0;
		}
	}
	if (rc == 0)
		rc = write_all(m, r, err);
	for (size_t i = 0; rc == 0 && i < m->count; i++) {
		if (!m->at[i].is_replaced)
			continue;
		rc = store_remove(m->v->store, m->at[i].name, err);
		r->replaced++;
	}
	return rc != 0 ? rc : store_barrier(m->v->store, err);
}

int index_merge(struct vault *v, const struct collect_view *view, struct index_merge_result *out,
	struct err *err)
{
	struct merging m = { .v = v, .view = view, .err = err };
	struct index_merge_result r = { .segments = 0 };
	int rc = id_set_new(&m.there, err);
	if (rc == 0) /* segments first: what they list and no list of packs shows is gone */
		rc = store_list(v->store, "ix/", see_segment, &m, err);
	if (rc == 0)
		rc = store_list(v->store, "pk/", note_pack, &m, err);
	r.segments = m.count;
	if (rc == 0 && choose(&m) > 0)
		rc = replace(&m, &r, err);
	id_set_free(m.there);
	index_free(m.merged);
	for (size_t i = 0; i < m.count; i++)
		free(m.at[i].packs);
	free(m.at);
	if (rc == 0)
		*out = r;
	return rc;
}
