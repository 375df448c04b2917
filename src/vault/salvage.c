#include "vault/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/id_set.h"
#include "vault/pack_out.h"
#include "vault/parity.h"
#include "vault/record.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A record is carried over only if its bytes hash to its ID.
 * (2) One record that cannot be read costs no other.
 */

/* What the index says of a pack whose footer cannot be read. */
static int places_of_index(
	struct vault *v, const uint8_t hash[32], struct fetch_footer *out, struct err *err)
{
	struct fetch *fetch = NULL;
	struct index *index = NULL;
	struct fetch_footer f = { .at = NULL, .class = PACK_METADATA };
	int rc = fetch_new(v, &fetch, err);
	if (rc == 0)
		rc = fetch_index(fetch, &index, err);
	for (size_t i = 0; rc == 0 && i < index_entry_count(index); i++) {
		struct index_place p;
		const uint8_t *id;
		size_t number;
		index_at(index, i, &p, &id, &number);
		if (memcmp(p.pack, hash, 32) != 0)
			continue;
		struct pack_place *grown = reallocarray(f.at, f.count + 1, sizeof(*grown));
		if (grown == NULL) {
			rc = err_set(err, ERR_NOMEM, "out of memory");
			break;
		}
		f.at = grown;
		struct pack_place *to = &f.at[f.count++];
		*to = (struct pack_place){
			.suite = p.suite, .type = p.type, .offset = p.offset, .cr_len = p.cr_len
		};
		memcpy(to->id, id, sizeof(to->id));
		if (p.type == RECORD_DATA)
			f.class = PACK_DATA;
	}
	fetch_free(fetch);
	if (rc == 0)
		*out = f;
	else
		fetch_footer_done(&f);
	return rc;
}

/* *${is_unread} is set when the store could not be read: it may tell more another time. */
static int find_places(struct vault *v, const uint8_t hash[32], uint64_t size,
	struct fetch_footer *out, bool *is_unread, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = fetch_footer(v, hash, size, out, &why);
	if (rc == 0)
		return 0;
	*is_unread = err_is_retryable(rc);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	return places_of_index(v, hash, out, err);
}

/* Read a record as the pack holds it: 1, 0 when it is damaged, or -ERR_NOMEM.  *${is_unread} as
 * find_places(). */
static int read_record(struct vault *v, const char *name, const struct pack_place *p,
	struct buf *out, bool *is_unread, struct err *err)
{
	uint8_t header[RECORD_HEADER_BYTES];
	uint8_t id[HASH_BYTES];
	struct err why = ERR_INIT;
	buf_clear(out);
	if (p->cr_len < RECORD_HEADER_BYTES + RECORD_TAG_BYTES || p->cr_len > RECORD_MAX_BYTES)
		return 0;
	int rc = store_get_range(
		v->store, name, p->offset, p->cr_len - RECORD_HEADER_BYTES, out, &why);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "out of memory");
	*is_unread = *is_unread || err_is_retryable(rc);
	if (rc != 0)
		return 0;
	record_header(p->suite, p->type, p->cr_len, header);
	const struct hash_part parts[] = { { header, sizeof(header) }, { out->data, out->len } };
	hash_parts(parts, 2, id);
	return memcmp(id, p->id, sizeof(id)) == 0;
}

static bool is_wanted(const struct salvage_opts *o, const struct pack_place *p)
{
	return id_set_find(o->good, p->id) == 0 &&
	       (o->wanted == NULL || id_set_find(o->wanted, p->id) == p->cr_len);
}

int salvage_pack(struct vault *v, const char *name, uint64_t size, const struct salvage_opts *opts,
	struct salvage_result *out, struct err *err)
{
	struct buf record = BUF_INIT(RECORD_MAX_BYTES);
	struct fetch_footer places = { .at = NULL };
	struct salvage_result r = { .saved = 0 };
	uint8_t hash[HASH_BYTES];
	if (!parity_is_member(name, hash, NULL))
		return err_set(err, ERR_FAILED, "'%s' is no pack", name);
	int rc = find_places(v, hash, size, &places, &r.is_unread, err);
	for (size_t i = 0; rc == 0 && i < places.count; i++) {
		const struct pack_place *p = &places.at[i];
		if (!is_wanted(opts, p))
			continue;
		int is_good = read_record(v, name, p, &record, &r.is_unread, err);
		if (is_good < 0)
			rc = is_good;
		r.saved += is_good == 1;
		r.lost += is_good == 0;
		if (is_good == 1)
			rc = id_set_add(opts->good, p->id, p->cr_len, NULL, err);
		if (rc == 0 && is_good == 1 && opts->to != NULL)
			rc = pack_out_add(
				opts->to, (enum pack_class)places.class, p, record.data, err);
	}
	r.is_known = places.count > 0;
	fetch_footer_done(&places);
	buf_done(&record);
	if (rc == 0)
		*out = r;
	return rc;
}

struct listing {
	struct vault *v;
	struct index *index; /* of the readable segments */
	bool (*is_bad)(void *arg, const char *name);
	void *arg;
	struct pack_out *to;
	uint64_t count;
	struct err *err;
};

static int list_pack(void *arg, const char *name, uint64_t size)
{
	struct listing *l = arg;
	struct fetch_footer footer = { .at = NULL };
	uint8_t hash[HASH_BYTES];
	struct err why = ERR_INIT;
	if (!parity_is_member(name, hash, NULL) || index_has_pack(l->index, hash) ||
		l->is_bad(l->arg, name))
		return 0;
	int rc = fetch_footer(l->v, hash, size, &footer, &why);
	if (vault_is_object_loss(rc))
		return 0; /* told as a damaged pack */
	if (rc != 0) {
		if (l->err != NULL)
			*l->err = why;
		return rc;
	}
	l->count++;
	if (l->to != NULL)
		rc = pack_out_list(l->to, hash, (uint32_t)size, footer.at, footer.count, l->err);
	fetch_footer_done(&footer);
	return rc;
}

int salvage_index(struct vault *v, bool (*is_bad)(void *arg, const char *name), void *arg,
	struct pack_out *to, uint64_t *count, struct err *err)
{
	struct fetch *fetch = NULL;
	struct listing l = { .v = v, .is_bad = is_bad, .arg = arg, .to = to, .err = err };
	char *cache_dir = v->cache_dir;
	int rc = fetch_new(v, &fetch, err);
	v->cache_dir =
		NULL; /* it knows what damaged segments said: here those count that are readable */
	if (rc == 0)
		rc = fetch_index(fetch, &l.index, err);
	v->cache_dir = cache_dir;
	if (rc == 0)
		rc = store_list(v->store, "pk/", list_pack, &l, err);
	fetch_free(fetch);
	if (rc == 0)
		*count = l.count;
	return rc;
}
