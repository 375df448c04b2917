#include "vault/vault_info.h"

#include <stdio.h>
#include <string.h>

#include "store/store.h"
#include "vault/collect_mark.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Every object counts in exactly one class.
 */

static const char *const classes[VAULT_INFO_CLASSES] = { "pk", "ix", "rf", "ev", "rw", "sn", "hs",
	"pr", "se", "gc", "dd", "cf", "ks", "vh", "lg", "pa", "wb", "qr", "text", "other" };

#define CLASS_INDEX 1

struct counting {
	struct vault_info *out;
};

static int count_object(void *arg, const char *name, uint64_t size)
{
	struct counting *c = arg;
	size_t at = VAULT_INFO_CLASSES - 1;
	if (strcmp(name, "README.txt") == 0 || strcmp(name, "FORMAT.txt") == 0)
		at = VAULT_INFO_CLASSES - 2;
	for (size_t i = 0; i < VAULT_INFO_CLASSES - 2 && strlen(name) > 3; i++) {
		if (strncmp(name, classes[i], 2) == 0 && name[2] == '/')
			at = i;
	}
	c->out->classes[at].objects++;
	c->out->classes[at].bytes += size;
	c->out->objects++;
	c->out->bytes += size;
	return 0;
}

static void count_snapshots(const struct snapshot_list *l, struct vault_info *out)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct snaprec *r = &l->at[i].record;
		bool is_new = true;
		out->pruned += l->at[i].fate == SNAPSHOT_PRUNED;
		out->voided += l->at[i].fate == SNAPSHOT_VOID;
		if (l->at[i].fate != SNAPSHOT_LIVE)
			continue;
		out->snapshots++;
		for (size_t k = 0; k < i && is_new; k++)
			is_new = l->at[k].fate != SNAPSHOT_LIVE ||
				 memcmp(l->at[k].record.agent_id, r->agent_id, 16) != 0 ||
				 memcmp(l->at[k].record.source_id, r->source_id, 16) != 0;
		out->sources += is_new;
	}
}

static void count_packs(
	const struct collect_mark *m, const struct collect_view *view, struct vault_info *out)
{
	for (size_t i = 0; i < index_pack_count(m->index); i++) {
		uint32_t len;
		const struct collect_mark_pack *p = &m->packs[i];
		const uint8_t *name = index_pack_at(m->index, i, &len);
		if (!p->is_there || collect_view_is_dead(view, COLLECT_LIST_PACK, name))
			continue;
		out->packs++;
		out->pack_bytes += len;
		out->live_bytes += p->kept;
		out->waste_bytes += p->body - p->kept;
	}
	out->records = index_entry_count(m->index);
	out->index_memory = index_memory(m->index);
	out->index_mapped = index_mapped(m->index);
	collect_mark_unknown(m, &out->unknown_packs, &out->unknown_bytes);
	out->missing_records = id_set_count(m->strays);
}

/* Is a condemned list decided on?  Then what is to go counts as dead, or is gone. */
static bool is_decided(const struct collect_view *view, const struct collect_view_entry *e)
{
	for (size_t i = 0; i < view->count; i++) {
		if (view->at[i].list.type == COLLECT_LIST_DELETE &&
			memcmp(view->at[i].list.about, e->hash, 32) == 0)
			return true;
	}
	return false;
}

static void count_lists(const struct collect_view *view, struct vault_info *out)
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_view_entry *e = &view->at[i];
		uint64_t bytes = 0;
		for (size_t k = 0; k < e->list.count; k++)
			bytes += e->list.items[k].len;
		out->fenced += e->list.verdict_count;
		out->fenced += e->list.type == COLLECT_LIST_FENCE;
		if (e->list.type == COLLECT_LIST_CONDEMNED && !is_decided(view, e)) {
			out->condemned += e->list.count;
			out->condemned_bytes += bytes;
		} else if (e->list.type == COLLECT_LIST_DEAD) {
			out->dead += e->list.count;
			out->dead_bytes += bytes;
			if (out->oldest_dead_ns == 0 || e->list.wall_ns < out->oldest_dead_ns)
				out->oldest_dead_ns = e->list.wall_ns;
		}
	}
}

static int count_sessions(
	struct vault *v, const struct collect_view *view, struct vault_info *out, struct err *err)
{
	struct collect_sessions s;
	int rc = collect_sessions_load(v, &s, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < s.count; i++) {
		bool is_open = collect_sessions_is_open(&s.at[i], view);
		out->sessions += is_open && !s.at[i].is_restore;
		out->restores += is_open && s.at[i].is_restore;
	}
	collect_sessions_done(&s);
	return 0;
}

int vault_info_get(
	struct vault *v, const struct id_set *bad_packs, struct vault_info *out, struct err *err)
{
	struct vault_info info = { .objects = 0 };
	struct counting c = { .out = &info };
	struct collect_view view = { .count = 0 };
	struct collect_mark m;
	for (size_t i = 0; i < VAULT_INFO_CLASSES; i++)
		(void)snprintf(info.classes[i].name, sizeof(info.classes[i].name), "%s",
			classes[i]); /* fits */
	int rc = store_list(v->store, "", count_object, &c, err);
	if (rc == 0)
		rc = collect_view_look(v, &view, NULL, NULL, err);
	if (rc == 0)
		rc = count_sessions(v, &view, &info, err);
	if (rc == 0)
		rc = collect_mark_run(v, &view, bad_packs, &m, err);
	if (rc == 0) {
		count_snapshots(&m.list, &info);
		count_packs(&m, &view, &info);
		count_lists(&view, &info);
		info.index_segments = info.classes[CLASS_INDEX].objects;
		collect_mark_done(&m);
		*out = info;
	}
	collect_view_done(&view);
	return rc;
}
