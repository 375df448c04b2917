#include "vault/collect_mark.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/record.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A record of a live snapshot's list is marked: by a bit, or as a stray.
 * (2) Every pack whose footer can be read is in the index.
 */

struct listing {
	struct collect_mark *m;
	struct err *err;
};

static int note_pack(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	uint8_t hash[32];
	size_t len = strlen(name);
	if (size == 0 || size > PACK_MAX_BYTES || len < 64 ||
		text_unhex(name + len - 64, sizeof(hash), hash) != 0)
		return 0; /* no pack of this format */
	bool is_new = false;
	int rc = id_set_add(l->m->there, hash, (uint32_t)size, &is_new, l->err);
	l->m->there_bytes += is_new ? size : 0;
	return rc;
}

static int mark_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct collect_mark *m = arg;
	size_t at = index_ordinal(m->index, id);
	if (at == INDEX_NONE)
		return id_set_add(m->strays, id, cr_len, NULL, err);
	m->bits[at / 8] |= (uint8_t)(1 << at % 8);
	return 0;
}

static int name_objects(struct collect_mark *m, const struct snapshot *s, struct err *err)
{
	int rc = id_set_add(m->named, s->body.ev, 1, NULL, err);
	for (size_t i = 0; rc == 0 && i < s->body.segment_count; i++)
		rc = id_set_add(m->named, s->body.segments[i].rf, 1, NULL, err);
	return rc;
}

static int mark_all(struct vault *v, struct collect_mark *m, struct err *err)
{
	struct id_set *seen = NULL; /* segments */
	int rc = id_set_new(&seen, err);
	for (size_t i = 0; rc == 0 && i < m->list.count; i++) {
		const struct snapshot *s = &m->list.at[i];
		rc = name_objects(m, s, err);
		if (rc == 0 && s->fate == SNAPSHOT_LIVE)
			rc = snapshot_refs_new(v, s, seen, mark_ref, m, err);
		if (rc != 0)
			(void)err_wrap(err, "snapshot '%s'", s->object);
	}
	if (rc == 0)
		m->segments = id_set_count(seen);
	id_set_free(seen);
	return rc;
}

static bool has_bit(const struct collect_mark *m, size_t first)
{
	return (m->bits[first / 8] & 1 << first % 8) != 0;
}

/* Call ${fn} with each place of a marked record, the first place of its ID beside it. */
typedef void (*place_fn)(
	struct collect_mark *m, const uint8_t id[32], const struct index_place *p, size_t pack);

static void each_marked(struct collect_mark *m, place_fn fn)
{
	const uint8_t *first_id = NULL;
	bool is_marked = false;
	for (size_t i = 0; i < index_entry_count(m->index); i++) {
		struct index_place p;
		const uint8_t *id;
		size_t pack;
		index_at(m->index, i, &p, &id, &pack);
		if (first_id == NULL || memcmp(first_id, id, 32) != 0) {
			first_id = id;
			is_marked = has_bit(m, i);
		}
		m->packs[pack].is_metadata |= p.type != RECORD_DATA;
		if (fn == NULL)
			m->packs[pack].body += p.cr_len - RECORD_HEADER_BYTES;
		else if (is_marked)
			fn(m, id, &p, pack);
	}
}

static void add_marked(
	struct collect_mark *m, const uint8_t id[32], const struct index_place *p, size_t pack)
{
	(void)id;
	m->packs[pack].marked += p->cr_len - RECORD_HEADER_BYTES;
}

static void add_kept(
	struct collect_mark *m, const uint8_t id[32], const struct index_place *p, size_t pack)
{
	if (collect_mark_keeper(m, id) == pack)
		m->packs[pack].kept += p->cr_len - RECORD_HEADER_BYTES;
}

static int weigh(struct collect_mark *m, const struct collect_view *view,
	const struct id_set *bad_packs, struct err *err)
{
	size_t count = index_pack_count(m->index);
	m->packs = calloc(count + 1, sizeof(*m->packs));
	if (m->packs == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		uint32_t len;
		const uint8_t *name = index_pack_at(m->index, i, &len);
		struct collect_mark_pack *p = &m->packs[i];
		p->is_there = id_set_find(m->there, name) == len;
		p->is_eligible = p->is_there && !collect_view_is_absent(view, true, name) &&
				 (bad_packs == NULL || id_set_find(bad_packs, name) == 0);
	}
	each_marked(m, NULL);
	each_marked(m, add_marked);
	each_marked(m, add_kept);
	return 0;
}

int collect_mark_run(struct vault *v, const struct collect_view *view,
	const struct id_set *bad_packs, struct collect_mark *out, struct err *err)
{
	struct collect_mark m = { .segments = 0 };
	struct listing l = { .m = &m, .err = err };
	int rc = id_set_new(&m.strays, err);
	if (rc == 0)
		rc = id_set_new(&m.there, err);
	if (rc == 0)
		rc = id_set_new(&m.named, err);
	if (rc == 0)
		rc = snapshot_list_all(v, NULL, NULL, &m.list, err);
	if (rc == 0)
		rc = fetch_new(v, &m.fetch, err);
	if (rc == 0)
		rc = fetch_footers(m.fetch, err);
	if (rc == 0)
		rc = fetch_index(m.fetch, &m.index, err);
	if (rc == 0) /* the places of an ID stand together then */
		rc = index_compact(m.index, err);
	if (rc == 0)
		rc = store_list(v->store, "pk/", note_pack, &l, err);
	if (rc == 0) {
		m.bits = calloc(index_entry_count(m.index) / 8 + 1, 1);
		if (m.bits == NULL)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rc == 0)
		rc = mark_all(v, &m, err);
	if (rc == 0)
		rc = weigh(&m, view, bad_packs, err);
	if (rc == 0)
		*out = m;
	else
		collect_mark_done(&m);
	return rc;
}

void collect_mark_done(struct collect_mark *m)
{
	snapshot_list_done(&m->list);
	fetch_free(m->fetch);
	free(m->bits);
	free(m->packs);
	id_set_free(m->strays);
	id_set_free(m->there);
	id_set_free(m->named);
	memset(m, 0, sizeof(*m));
}

bool collect_mark_has(const struct collect_mark *m, const uint8_t id[32])
{
	size_t first = index_ordinal(m->index, id);
	return (first != INDEX_NONE && has_bit(m, first)) || id_set_find(m->strays, id) > 0;
}

/* Is pack ${a} the better home?  Not one that is mostly waste, then the one with more that is
 * needed: so what a repack copied stays, and small packs go before large ones. */
static bool is_better(const struct collect_mark_pack *a, const struct collect_mark_pack *b)
{
	bool is_a_sparse = a->marked * 2 < a->body;
	bool is_b_sparse = b->marked * 2 < b->body;
	return is_a_sparse != is_b_sparse ? is_b_sparse : a->marked > b->marked;
}

size_t collect_mark_keeper(const struct collect_mark *m, const uint8_t id[32])
{
	size_t first = index_ordinal(m->index, id);
	size_t best = INDEX_NONE;
	for (size_t i = first; i < index_entry_count(m->index); i++) {
		struct index_place p;
		const uint8_t *here;
		size_t pack;
		index_at(m->index, i, &p, &here, &pack);
		if (memcmp(here, id, 32) != 0)
			break;
		if (m->packs[pack].is_eligible &&
			(best == INDEX_NONE || is_better(&m->packs[pack], &m->packs[best])))
			best = pack;
	}
	return best;
}

int collect_mark_is_elsewhere(const struct collect_mark *m, const uint8_t id[32], struct err *err)
{
	CLEANUP(buf_done) struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	for (size_t i = index_ordinal(m->index, id); i < index_entry_count(m->index); i++) {
		struct index_place p;
		const uint8_t *here;
		size_t pack;
		index_at(m->index, i, &p, &here, &pack);
		if (memcmp(here, id, 32) != 0)
			break;
		if (!m->packs[pack].is_eligible)
			continue;
		struct err why = ERR_INIT;
		buf_clear(&cr);
		int rc = fetch_place(m->fetch, id, &p, &cr, &why);
		if (rc == 0)
			return 1;
		if (!vault_is_object_loss(rc)) {
			if (err != NULL)
				*err = why;
			return rc;
		}
		log_warn("collect.damaged", "%s: the copy that was to go stays, continuing",
			why.msg);
	}
	return 0;
}

int collect_mark_is_spare(const struct collect_mark *m, const uint8_t pack[32], struct err *err)
{
	size_t count = index_entry_count(m->index);
	if (id_set_count(m->strays) > 0)
		return 0;
	for (size_t i = 0, next; i < count; i = next) {
		struct index_place p;
		const uint8_t *id, *here;
		size_t number;
		bool has_home = false, is_in_it = false;
		index_at(m->index, i, &p, &id, &number);
		for (next = i; next < count; next++) {
			index_at(m->index, next, &p, &here, &number);
			if (memcmp(here, id, 32) != 0)
				break;
			has_home |= m->packs[number].is_eligible;
			is_in_it |= memcmp(p.pack, pack, 32) == 0;
		}
		if (!has_bit(m, i))
			continue;
		int rc = !has_home ? 0 : is_in_it ? collect_mark_is_elsewhere(m, id, err) : 1;
		if (rc <= 0)
			return rc;
	}
	return 1;
}

void collect_mark_unknown(const struct collect_mark *m, uint64_t *packs, uint64_t *bytes)
{
	*packs = id_set_count(m->there);
	*bytes = m->there_bytes;
	for (size_t i = 0; i < index_pack_count(m->index); i++) {
		uint32_t listed;
		const uint64_t len = id_set_find(m->there, index_pack_at(m->index, i, &listed));
		if (len > 0) { /* of whatever length: the index knows it */
			--*packs;
			*bytes -= len;
		}
	}
}

bool collect_mark_is_whole(const struct collect_mark *m)
{
	const uint8_t *last = NULL;
	if (id_set_count(m->strays) > 0)
		return false;
	for (size_t i = 0; i < index_entry_count(m->index); i++) {
		struct index_place p;
		const uint8_t *id;
		size_t pack;
		index_at(m->index, i, &p, &id, &pack);
		bool is_first = last == NULL || memcmp(last, id, 32) != 0;
		last = id;
		if (is_first && has_bit(m, i) && collect_mark_keeper(m, id) == INDEX_NONE)
			return false;
	}
	return true;
}
