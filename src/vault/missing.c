#include "vault/missing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/prune_order.h"
#include "vault/repair_back.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) names holds nothing that was on the store when it was listed.
 */

struct looking {
	struct vault *v;
	const struct collect_view *view;
	struct missing *m;
	struct id_set *there; /* hashes of what is on the store; owned */
	struct err *err;
};

static int note_there(void *arg, const char *name, uint64_t size)
{
	struct looking *l = arg;
	uint8_t hash[HASH_BYTES];
	if (size == 0) /* a name without bytes: what it held is lost */
		return 0;
	return parity_is_member(name, hash, NULL) ? id_set_add(l->there, hash, 1, NULL, l->err) : 0;
}

static int add_name(struct looking *l, const char *name)
{
	struct missing *m = l->m;
	if (m->count == m->cap) {
		size_t cap = m->cap == 0 ? 16 : m->cap * 2;
		char(*grown)[PARITY_NAME_BYTES] = reallocarray(m->names, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(l->err, ERR_NOMEM, "out of memory");
		m->names = grown;
		m->cap = cap;
	}
	size_t len = strlen(name);
	if (len >= PARITY_NAME_BYTES)
		return err_set(l->err, ERR_LIMIT, "the name '%s' is too long", name);
	memcpy(m->names[m->count++], name, len + 1);
	return 0;
}

static int want(struct looking *l, enum collect_list_class class, const char *prefix,
	const uint8_t hash[32])
{
	char hex[2 * HASH_BYTES + 1];
	char name[FETCH_PACK_NAME_BYTES];
	bool is_new = false;
	if (id_set_find(l->there, hash) != 0 || id_set_find(l->m->gone, hash) != 0 ||
		collect_view_is_dead(l->view, class, hash) ||
		(class == COLLECT_LIST_PACK && collect_view_is_absent(l->view, false, hash)))
		return 0;
	int rc = id_set_add(l->there, hash, 1, &is_new, l->err); /* once */
	if (rc != 0 || !is_new)
		return rc;
	text_hex(hash, HASH_BYTES, hex);
	if (class == COLLECT_LIST_PACK)
		fetch_pack_name(hash, name);
	else
		(void)snprintf(name, sizeof(name), "%s%s", prefix, hex); /* fits */
	return add_name(l, name);
}

static int want_packs(struct looking *l)
{
	struct fetch *fetch = NULL;
	struct index *index;
	int rc = fetch_new(l->v, &fetch, l->err);
	if (rc == 0)
		rc = fetch_index(fetch, &index, l->err);
	if (rc == 0)
		l->m->packs = index_pack_count(index);
	for (size_t i = 0; rc == 0 && i < l->m->packs; i++) {
		uint32_t len;
		rc = want(l, COLLECT_LIST_PACK, NULL, index_pack_at(index, i, &len));
	}
	fetch_free(fetch);
	return rc;
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	(void)object;
	(void)why; /* verify names it */
}

static int want_of_snapshots(struct looking *l)
{
	struct snapshot_list list = { .at = NULL };
	int rc = snapshot_list_all(l->v, pass_over, NULL, &list, l->err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		const struct snapshot *s = &list.at[i];
		if (s->fate == SNAPSHOT_PRUNED)
			continue;
		rc = want(l, COLLECT_LIST_ENVELOPES, "ev/", s->body.ev);
		for (size_t k = 0; rc == 0 && k < s->body.segment_count; k++)
			rc = want(l, COLLECT_LIST_REFS, "rf/", s->body.segments[k].rf);
	}
	snapshot_list_done(&list);
	return rc;
}

static int note_order(struct looking *l, const char *name, bool is_carried_out)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_order order = { .count = 0 };
	const uint8_t *records = NULL;
	struct err why = ERR_INIT;
	int rc = vault_get_sealed(
		l->v, is_carried_out ? SEALED_PRUNED : SEALED_PRUNE, name, &body, &why);
	if (rc == 0)
		rc = is_carried_out ? prune_order_decode_pruned(
					      body.data, body.len, &order, &records, &why)
				    : prune_order_decode(body.data, body.len, &order, &why);
	if (vault_is_object_loss(rc))
		return 0;
	for (size_t i = 0; rc == 0 && i < order.count; i++)
		rc = id_set_add(l->m->gone, order.items[i].object, 1, NULL, &why);
	prune_order_done(&order);
	if (rc != 0 && l->err != NULL)
		*l->err = why;
	return rc;
}

static int note_pruned(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	return note_order(arg, name, strncmp(name, "hs/", 3) == 0);
}

/* "qr/<name with _>-<hash of what was found>" */
static int note_aside(void *arg, const char *name, uint64_t size)
{
	struct looking *l = arg;
	uint8_t hash[HASH_BYTES];
	size_t len = strlen(name);
	(void)size;
	if (len < 65 + 64 || text_unhex(name + len - 65 - 64, sizeof(hash), hash) != 0)
		return 0;
	return id_set_add(l->m->gone, hash, 1, NULL, l->err);
}

static int compare(const void *left, const void *right)
{
	return strcmp(left, right);
}

int missing_load(
	struct vault *v, const struct collect_view *view, struct missing *out, struct err *err)
{
	struct missing m = { .view = view };
	struct looking l = { .v = v, .view = view, .m = &m, .err = err };
	int rc = id_set_new(&l.there, err);
	if (rc == 0)
		rc = id_set_new(&m.gone, err);
	if (rc == 0)
		rc = store_list(v->store, "", note_there, &l, err);
	if (rc == 0)
		rc = store_list(v->store, "hs/", note_pruned, &l, err);
	if (rc == 0)
		rc = store_list(v->store, "pr/", note_pruned, &l, err);
	if (rc == 0)
		rc = store_list(v->store, REPAIR_BACK_QUARANTINE, note_aside, &l, err);
	if (rc == 0)
		rc = want_packs(&l);
	if (rc == 0)
		rc = want_of_snapshots(&l);
	id_set_free(l.there);
	if (rc == 0 && m.count > 1)
		qsort(m.names, m.count, sizeof(*m.names), compare);
	if (rc == 0)
		*out = m;
	else
		missing_done(&m);
	return rc;
}

void missing_done(struct missing *m)
{
	free(m->names);
	id_set_free(m->gone);
	memset(m, 0, sizeof(*m));
}

bool missing_has(const struct missing *m, const char *name)
{
	return m->count > 0 &&
	       bsearch(name, m->names, m->count, sizeof(*m->names), compare) != NULL;
}

bool missing_is_lost(const struct missing *m, const char *name)
{
	uint8_t hash[HASH_BYTES];
	bool is_pack;
	if (!parity_is_member(name, hash, &is_pack) || id_set_find(m->gone, hash) != 0)
		return false;
	if (strncmp(name, "ev/", 3) == 0) /* goes with its snapshot, at once */
		return missing_has(m, name);
	return !collect_view_is_dead(
		m->view, is_pack ? COLLECT_LIST_PACK : COLLECT_LIST_REFS, hash);
}
