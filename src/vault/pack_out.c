#include "vault/pack_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/index.h"
#include "vault/record.h"
#include "vault/sealed.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) A new pack holds one class; a record goes to it only if its bytes hash to its ID.
 * (2) No segment is put before the packs it lists.
 */

#define SEGMENT_FLUSH_ENTRIES 300000

int pack_out_begin(struct vault *v, struct pack_out *out, struct err *err)
{
	*out = (struct pack_out){ .v = v };
	int rc = index_new(&out->index, err);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = pack_new(v->store, (enum pack_class)i, &out->packs[i], err);
	return rc;
}

void pack_out_done(struct pack_out *o)
{
	pack_free(o->packs[0]);
	pack_free(o->packs[1]);
	index_free(o->index);
	memset(o, 0, sizeof(*o));
}

static int flush_index(struct pack_out *o, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	if (index_entry_count(o->index) == 0)
		return 0;
	int rc = index_settle(o->index, err);
	if (rc == 0)
		rc = index_encode(o->index, 0, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(o->v->store, &o->v->key, SEALED_INDEX, "ix/", body.data,
			body.len, name, NULL, err);
	if (rc != 0)
		return rc;
	index_free(o->index);
	o->index = NULL;
	return index_new(&o->index, err);
}

static int flush_full_index(struct pack_out *o, struct err *err)
{
	return index_entry_count(o->index) < SEGMENT_FLUSH_ENTRIES ? 0 : flush_index(o, err);
}

int pack_out_list(struct pack_out *o, const uint8_t hash[32], uint32_t len,
	const struct pack_place *places, size_t count, struct err *err)
{
	int rc = index_add_pack(o->index, hash, len, places, count, err);
	return rc != 0 ? rc : flush_full_index(o, err);
}

int pack_out_put(struct pack *p, const struct sealed_key *key, struct index *index,
	struct pack_made *made, struct err *err)
{
	*made = (struct pack_made){ .count = 0 };
	if (pack_count(p) == 0)
		return 0;
	int rc = pack_put(p, key, NULL, made, err);
	if (rc == 0)
		rc = index_add_pack(index, made->hash, made->len, made->places, made->count, err);
	return rc != 0 ? rc : index_settle(index, err);
}

static int flush_pack(struct pack_out *o, enum pack_class class, struct err *err)
{
	struct pack_made made;
	int rc = pack_out_put(o->packs[class], &o->v->key, o->index, &made, err);
	return rc != 0 ? rc : flush_full_index(o, err);
}

int pack_out_add(struct pack_out *o, enum pack_class class, const struct pack_place *place,
	const uint8_t *bytes, struct err *err)
{
	CLEANUP(buf_done) struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	struct pack *to = o->packs[class];
	uint8_t header[RECORD_HEADER_BYTES];
	uint8_t id[HASH_BYTES];
	record_header(place->suite, place->type, place->cr_len, header);
	int rc = buf_add(&cr, header, sizeof(header), err);
	if (rc == 0)
		rc = buf_add(&cr, bytes, place->cr_len - sizeof(header), err);
	if (rc != 0)
		return rc;
	hash_sha256(cr.data, cr.len, id);
	if (memcmp(id, place->id, sizeof(id)) != 0)
		return err_set(err, ERR_CORRUPT, "a record does not hash to its ID");
	if (pack_bytes(to) + cr.len > PACK_TARGET_BYTES || pack_count(to) >= PACK_MAX_RECORDS)
		rc = flush_pack(o, class, err);
	if (rc != 0)
		return rc;
	rc = pack_add(to, place->id, cr.data, cr.len, err);
	return rc == -ERR_EXISTS ? 0 : rc;
}

int pack_out_end(struct pack_out *o, struct err *err)
{
	int rc = flush_pack(o, PACK_DATA, err);
	if (rc == 0)
		rc = flush_pack(o, PACK_METADATA, err);
	if (rc == 0)
		rc = flush_index(o, err);
	return rc != 0 ? rc : store_barrier(o->v->store, err);
}
