#include "vault/repack.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/collect_mark.h"
#include "vault/fetch.h"
#include "vault/index.h"
#include "vault/pack.h"
#include "vault/record.h"
#include "vault/sealed.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A pack of the plan, after repack_run(): every record of it that it keeps lies, durably, in a
 *     new pack that an index segment lists.
 * (2) A new pack holds one class; a record goes to it only if its bytes hash to its ID.
 */

#define SEGMENT_FLUSH_ENTRIES 300000

static bool is_small(const struct collect_mark *m, size_t i)
{
	uint32_t len;
	(void)index_pack_at(m->index, i, &len);
	return m->packs[i].is_eligible && !m->packs[i].is_early && m->packs[i].kept > 0 &&
	       len < REPACK_SMALL_BYTES;
}

static bool is_sparse(const struct collect_mark *m, size_t i)
{
	const struct collect_mark_pack *p = &m->packs[i];
	return p->is_eligible && !p->is_early && p->kept > 0 && p->kept * 2 < p->body;
}

int repack_choose(
	const struct collect_mark *m, uint64_t max_bytes, struct repack_plan *out, struct err *err)
{
	size_t count = index_pack_count(m->index);
	size_t small[2] = { 0, 0 };
	struct repack_plan plan = { .is_going = calloc(count + 1, sizeof(bool)) };
	if (plan.is_going == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		small[m->packs[i].is_metadata] += is_small(m, i);
	for (size_t i = 0; i < count; i++) {
		bool is_joined =
			is_small(m, i) && small[m->packs[i].is_metadata] > REPACK_SMALL_PACKS;
		if ((!is_joined && !is_sparse(m, i)) || plan.bytes + m->packs[i].kept > max_bytes)
			continue;
		plan.is_going[i] = true;
		plan.packs++;
		plan.bytes += m->packs[i].kept;
	}
	*out = plan;
	return 0;
}

void repack_plan_done(struct repack_plan *p)
{
	free(p->is_going);
	memset(p, 0, sizeof(*p));
}

struct writing {
	struct vault *v;
	struct pack *packs[2]; /* owned; by class */
	struct index *index;   /* owned; of the new packs that no segment lists yet */
};

static int flush_index(struct writing *w, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	if (index_entry_count(w->index) == 0)
		return 0;
	int rc = index_settle(w->index, err);
	if (rc == 0)
		rc = index_encode(w->index, 0, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(w->v->store, &w->v->key, SEALED_INDEX, "ix/", body.data,
			body.len, name, NULL, err);
	if (rc != 0)
		return rc;
	index_free(w->index);
	w->index = NULL;
	return index_new(&w->index, err);
}

static int flush_pack(struct writing *w, struct pack *p, struct err *err)
{
	size_t count = pack_count(p);
	CLEANUP(buf_done) struct buf object = BUF_INIT(PACK_MAX_BYTES);
	char name[FETCH_PACK_NAME_BYTES];
	uint8_t hash[HASH_BYTES];
	if (count == 0)
		return 0;
	CLEANUP(cleanup_free_p) struct pack_place *places = calloc(count, sizeof(*places));
	if (places == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		places[i] = *pack_at(p, i);
	int rc = pack_finish(p, &w->v->key, NULL, &object, hash, err);
	if (rc != 0)
		return rc;
	fetch_pack_name(hash, name);
	rc = store_put(w->v->store, name, object.data, object.len, err);
	if (rc == 0)
		rc = index_add_pack(w->index, hash, (uint32_t)object.len, places, count, err);
	if (rc == 0 && index_entry_count(w->index) >= SEGMENT_FLUSH_ENTRIES)
		rc = flush_index(w, err);
	return rc;
}

static int copy_record(struct writing *w, struct pack *to, const uint8_t *body,
	const struct pack_place *p, struct err *err)
{
	CLEANUP(buf_done) struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	uint8_t header[RECORD_HEADER_BYTES];
	uint8_t id[HASH_BYTES];
	record_header(p->suite, p->type, p->cr_len, header);
	int rc = buf_add(&cr, header, sizeof(header), err);
	if (rc == 0)
		rc = buf_add(&cr, body + p->offset, p->cr_len - sizeof(header), err);
	if (rc != 0)
		return rc;
	hash_sha256(cr.data, cr.len, id);
	if (memcmp(id, p->id, sizeof(id)) != 0)
		return err_set(err, ERR_CORRUPT, "a record does not hash to its ID");
	if (pack_bytes(to) + cr.len > PACK_TARGET_BYTES || pack_count(to) >= PACK_MAX_RECORDS)
		rc = flush_pack(w, to, err);
	if (rc == 0)
		rc = pack_add(to, p->id, cr.data, cr.len, err);
	return rc == -ERR_EXISTS ? 0 : rc;
}

/* Copy what one pack keeps.  All of it is looked at before the first record is taken over. */
static int copy_pack(
	struct writing *w, const struct collect_mark *m, size_t number, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(PACK_MAX_BYTES);
	struct fetch_footer footer = { .at = NULL };
	char name[FETCH_PACK_NAME_BYTES];
	uint32_t len;
	const uint8_t *hash = index_pack_at(m->index, number, &len);
	fetch_pack_name(hash, name);
	int rc = vault_get_hashed(w->v->store, name, &object, err);
	if (rc == 0)
		rc = fetch_footer(w->v, hash, len, &footer, err);
	for (size_t i = 0; rc == 0 && i < footer.count; i++) {
		const struct pack_place *p = &footer.at[i];
		if (collect_mark_has(m, p->id) && collect_mark_keeper(m, p->id) == number)
			rc = copy_record(w, w->packs[footer.class], object.data, p, err);
	}
	fetch_footer_done(&footer);
	return rc;
}

static int copy_all(
	struct writing *w, const struct collect_mark *m, struct repack_plan *plan, struct err *err)
{
	for (size_t i = 0; i < index_pack_count(m->index); i++) {
		struct err why = ERR_INIT;
		if (!plan->is_going[i])
			continue;
		int rc = copy_pack(w, m, i, &why);
		if (rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND) {
			log_debug("repack.copy", "error=%s, continuing without this pack", why.msg);
			plan->is_going[i] = false;
			plan->packs--;
			plan->bytes -= m->packs[i].kept;
		} else if (rc != 0) {
			if (err != NULL)
				*err = why;
			return rc;
		}
	}
	return 0;
}

int repack_run(
	struct vault *v, const struct collect_mark *m, struct repack_plan *plan, struct err *err)
{
	struct writing w = { .v = v };
	int rc = index_new(&w.index, err);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = pack_new((enum pack_class)i, &w.packs[i], err);
	if (rc == 0)
		rc = copy_all(&w, m, plan, err);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = flush_pack(&w, w.packs[i], err);
	if (rc == 0)
		rc = flush_index(&w, err);
	if (rc == 0)
		rc = store_barrier(v->store, err);
	pack_free(w.packs[0]);
	pack_free(w.packs[1]);
	index_free(w.index);
	return rc;
}
