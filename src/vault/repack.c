#include "vault/repack.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "vault/collect_mark.h"
#include "vault/fetch.h"
#include "vault/index.h"
#include "vault/pack_out.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A pack of the plan, after repack_run(): every record of it that it keeps lies, durably, in a
 *     new pack that an index segment lists.
 */

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

/* Copy what one pack keeps.  All of it is looked at before the first record is taken over. */
static int copy_pack(
	struct pack_out *w, const struct collect_mark *m, size_t number, struct err *err)
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
			rc = pack_out_add(
				w, (enum pack_class)footer.class, p, object.data + p->offset, err);
	}
	fetch_footer_done(&footer);
	return rc;
}

static int copy_all(
	struct pack_out *w, const struct collect_mark *m, struct repack_plan *plan, struct err *err)
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
	struct pack_out w;
	int rc = pack_out_begin(v, &w, err);
	if (rc == 0)
		rc = copy_all(&w, m, plan, err);
	if (rc == 0)
		rc = pack_out_end(&w, err);
	pack_out_done(&w);
	return rc;
}
