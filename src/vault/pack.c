#include "vault/pack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/id_table.h"
#include "vault/record.h"

/*
 * INVARIANTS
 * (1) places[i].offset is the sum of the stripped lengths before it; their sum is body_len.
 * (2) No ID is in a pack twice; ids finds every place.
 * (3) pack_size() never passes PACK_MAX_BYTES.
 * (4) A footer is checked as a whole before the first callback.
 * (5) end holds the end of the body, at most PIECE_BYTES; what is before went into draft and sum,
 *     in order.
 * (6) Once is_broken nothing is added and nothing is put: what is where is not known any more.
 */

#define PIECE_BYTES ((size_t)256 << 10)

/* docs/FORMAT.md section 6 */
#define FOOTER_HEADER_BYTES 16
#define FOOTER_ENTRY_BYTES 40
#define FOOTER_VERSION 1
#define FOOTER_MAX_BYTES                                                                           \
	(FOOTER_HEADER_BYTES + FOOTER_ENTRY_BYTES * PACK_MAX_RECORDS + 65536 + AEAD_TAG_BYTES)
#define MAGIC_AT 40
#define FIRST_PLACES 64
#define RANDOM_BYTES 16
#define MIN_RECORD_BYTES (RECORD_HEADER_BYTES + RECORD_INNER_BYTES + RECORD_TAG_BYTES)

static const char footer_magic[4] = { 'H', 'F', 'P', 'F' };
static const char tail_magic[8] = { 'H', 'F', 'P', 'A', 'C', 'K', '0', '1' };

struct pack {
	enum pack_class class;
	struct store *store;       /* borrowed */
	struct store_draft *draft; /* owned; NULL until the first piece is written */
	struct hash *sum;          /* owned */
	struct buf end;
	size_t body_len;
	struct pack_place *places; /* owned */
	size_t count;
	size_t room; /* places allocated */
	struct id_table ids;
	bool is_broken; /* a write failed */
};

/* Length of the whole object, padding included. */
static size_t pack_size(size_t body_len, size_t count)
{
	return sealed_padded(body_len + FOOTER_HEADER_BYTES + FOOTER_ENTRY_BYTES * count +
			     AEAD_TAG_BYTES + PACK_TAIL_BYTES);
}

static struct id_table_array ids_of(const struct pack_place *places)
{
	return (struct id_table_array){ places == NULL ? NULL : places->id, sizeof(*places) };
}

DEFINE_CLEANUP(struct pack *, pack_free)

int pack_new(struct store *store, enum pack_class class, struct pack **out, struct err *err)
{
	CLEANUP(pack_free_p) struct pack *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->class = class;
	p->store = store;
	p->end = (struct buf)BUF_INIT(PACK_MAX_BYTES);
	p->sum = hash_new();
	if (p->sum == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = TAKE(p);
	return 0;
}

void pack_free(struct pack *p)
{
	if (p == NULL)
		return;
	store_draft_free(p->draft);
	hash_free(p->sum);
	buf_done(&p->end);
	free(p->places);
	id_table_done(&p->ids);
	free(p);
}

static int grow_places(struct pack *p, struct err *err)
{
	if (p->count < p->room)
		return 0;
	size_t room = p->room == 0 ? FIRST_PLACES : p->room * 2;
	struct pack_place *places = realloc(p->places, room * sizeof(*places));
	if (places == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu records", room);
	p->places = places;
	p->room = room;
	return 0;
}

static int check_whole(const struct pack *p, struct err *err)
{
	return p->is_broken ? err_set(err, ERR_FAILED, "an earlier write of this pack failed") : 0;
}

/* To the store. */
static int write_out(struct pack *p, const uint8_t *data, size_t len, struct err *err)
{
	int rc = p->draft == NULL ? store_draft_new(p->store, &p->draft, err) : 0;
	if (rc == 0)
		rc = store_draft_add(p->draft, data, len, err);
	if (rc == 0)
		hash_add(p->sum, data, len);
	return rc;
}

/* What does not fit behind the end sends it away; a long piece passes it by. */
static int add_body(struct pack *p, const uint8_t *data, size_t len, struct err *err)
{
	if (p->end.len + len > PIECE_BYTES) {
		int rc = p->end.len > 0 ? write_out(p, p->end.data, p->end.len, err) : 0;
		buf_clear(&p->end);
		if (rc != 0 || len > PIECE_BYTES)
			return rc != 0 ? rc : write_out(p, data, len, err);
	}
	return buf_add(&p->end, data, len, err);
}

int pack_add(struct pack *p, const uint8_t id[32], const void *cr, size_t cr_len, struct err *err)
{
	uint32_t said_len;
	int suite;
	int type;
	int rc = check_whole(p, err);
	if (rc == 0)
		rc = record_peek(cr, cr_len, &said_len, &suite, &type, err);
	if (rc != 0)
		return rc;
	if (said_len != cr_len)
		return err_set(err, ERR_CORRUPT, "record has another length than it says");
	if (id_table_find(&p->ids, ids_of(p->places), id) != ID_TABLE_NONE)
		return err_set(err, ERR_EXISTS, "record is in the pack already");
	const size_t stripped = cr_len - RECORD_HEADER_BYTES;
	if (p->count >= PACK_MAX_RECORDS ||
		pack_size(p->body_len + stripped, p->count + 1) > PACK_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "record does not fit into the pack");

	rc = grow_places(p, err);
	if (rc == 0)
		rc = buf_reserve(&p->end, p->end.cap == 0 ? PIECE_BYTES : 0, err);
	if (rc != 0)
		return rc;
	struct pack_place *place = &p->places[p->count];
	memcpy(place->id, id, sizeof(place->id));
	place->suite = (uint8_t)suite;
	place->type = (uint8_t)type;
	place->offset = (uint32_t)p->body_len;
	place->cr_len = (uint32_t)cr_len;
	rc = id_table_add(&p->ids, ids_of(p->places), p->count, err);
	if (rc == 0)
		rc = add_body(p, (const uint8_t *)cr + RECORD_HEADER_BYTES, stripped, err);
	p->is_broken = rc != 0;
	if (rc != 0)
		return rc;
	p->body_len += stripped;
	p->count++;
	return 0;
}

size_t pack_bytes(const struct pack *p)
{
	return p->body_len;
}

size_t pack_count(const struct pack *p)
{
	return p->count;
}

static void footer_key(
	const struct sealed_key *k, const uint8_t salt[32], uint8_t out[AEAD_KEY_BYTES])
{
	hmac_kdf(k->k_vault, sizeof(k->k_vault), salt, 32, "hf1/pack-footer", k->vault_id,
		sizeof(k->vault_id), out, AEAD_KEY_BYTES);
}

/* Write the footer's plaintext, ${len} bytes with its zeros. */
static void write_footer(const struct pack *p, uint8_t *footer, size_t len)
{
	memset(footer, 0, len);
	memcpy(footer, footer_magic, sizeof(footer_magic));
	footer[4] = FOOTER_VERSION;
	footer[5] = (uint8_t)p->class;
	bytes_put32(footer + 8, (uint32_t)p->count);
	bytes_put32(footer + 12, (uint32_t)p->body_len);
	for (size_t i = 0; i < p->count; i++) {
		uint8_t *entry = footer + FOOTER_HEADER_BYTES + i * FOOTER_ENTRY_BYTES;
		memcpy(entry, p->places[i].id, 32);
		entry[32] = p->places[i].suite;
		entry[33] = p->places[i].type;
		bytes_put32(entry + 36, p->places[i].cr_len);
	}
}

/* Write footer and tail behind the end of the body. */
static int seal_footer(
	struct pack *p, const struct sealed_key *k, const uint8_t *random, struct err *err)
{
	uint8_t fresh[RANDOM_BYTES];
	int rc = random == NULL ? env_random(fresh, sizeof(fresh), err) : 0;
	const size_t added = pack_size(p->body_len, p->count) - p->body_len;
	if (rc == 0)
		rc = buf_reserve(&p->end, added, err);
	if (rc != 0)
		return rc;

	uint8_t *footer = p->end.data + p->end.len;
	uint8_t *tail = footer + added - PACK_TAIL_BYTES;
	const size_t plain_len = added - AEAD_TAG_BYTES - PACK_TAIL_BYTES;
	write_footer(p, footer, plain_len);

	const struct hmac_part parts[] = { { "P", 1 },
		{ random == NULL ? fresh : random, RANDOM_BYTES }, { footer, plain_len } };
	hmac_sha256(k->k_ss, sizeof(k->k_ss), parts, 3, tail);
	bytes_put32(tail + 32, k->kv_epoch);
	bytes_put32(tail + 36, (uint32_t)(plain_len + AEAD_TAG_BYTES));
	memcpy(tail + MAGIC_AT, tail_magic, sizeof(tail_magic));
	uint8_t key[AEAD_KEY_BYTES];
	footer_key(k, tail, key);
	rc = aead_seal(
		AEAD_AES256GCM, key, NULL, tail, PACK_TAIL_BYTES, footer, plain_len, footer, err);
	secret_wipe(key, sizeof(key));
	if (rc == 0)
		p->end.len += added;
	return rc;
}

int pack_put(struct pack *p, const struct sealed_key *k, const uint8_t *random,
	struct pack_made *made, struct err *err)
{
	char name[FETCH_PACK_NAME_BYTES];
	if (p->count == 0)
		return err_set(err, ERR_FAILED, "unable to put a pack without records");
	struct pack_made m = { .len = (uint32_t)pack_size(p->body_len, p->count),
		.places = p->places,
		.count = p->count };
	int rc = check_whole(p, err);
	if (rc == 0)
		rc = seal_footer(p, k, random, err);
	if (rc == 0)
		rc = write_out(p, p->end.data, p->end.len, err);
	if (rc == 0) {
		hash_end(p->sum, m.hash);
		fetch_pack_name(m.hash, name);
		rc = store_draft_put(TAKE(p->draft), name, err);
	}
	p->is_broken = rc != 0;
	if (rc != 0)
		return rc;
	buf_clear(&p->end);
	p->body_len = 0;
	p->count = 0;
	id_table_clear(&p->ids);
	*made = m;
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

int pack_footer_need(const uint8_t *tail, size_t len, size_t *need, struct err *err)
{
	if (len < PACK_TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "pack is cut short");
	const uint8_t *last = tail + len - PACK_TAIL_BYTES;
	if (memcmp(last + MAGIC_AT, tail_magic, sizeof(tail_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a pack");
	uint32_t footer_len = bytes_get32(last + 36);
	if (footer_len < FOOTER_HEADER_BYTES + FOOTER_ENTRY_BYTES + AEAD_TAG_BYTES ||
		footer_len > FOOTER_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "pack with a footer of %u bytes", footer_len);
	*need = PACK_TAIL_BYTES + (size_t)footer_len;
	return 0;
}

/* Turn entry ${i} of an opened footer into a place that begins at *${offset}, and step on. */
static int read_place(const uint8_t *footer, size_t i, uint64_t *offset, struct pack_place *place,
	struct err *err)
{
	const uint8_t *entry = footer + FOOTER_HEADER_BYTES + i * FOOTER_ENTRY_BYTES;
	if (bytes_get16(entry + 34) != 0)
		return err_set(err, ERR_CORRUPT, "pack footer has reserved bytes set");
	uint32_t cr_len = bytes_get32(entry + 36);
	if (cr_len < MIN_RECORD_BYTES || cr_len > RECORD_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "pack lists a record of %u bytes", cr_len);
	if (entry[32] != AEAD_AES256GCM && entry[32] != AEAD_CHACHA20)
		return err_set(
			err, ERR_UNSUPPORTED, "pack lists a record of unknown suite %u", entry[32]);
	if (entry[33] < RECORD_DATA || entry[33] > RECORD_ATTR)
		return err_set(
			err, ERR_UNSUPPORTED, "pack lists a record of unknown type %u", entry[33]);
	memcpy(place->id, entry, 32);
	place->suite = entry[32];
	place->type = entry[33];
	place->cr_len = cr_len;
	place->offset = (uint32_t)*offset; /* the sum is compared with the body by the caller */
	*offset += cr_len - RECORD_HEADER_BYTES;
	return 0;
}

/* The head of an opened footer: *${count} places, a body of *${body_len} bytes. */
static int check_footer(const uint8_t *footer, size_t plain_len, uint64_t pack_len, size_t *count,
	uint32_t *body_len, struct err *err)
{
	if (memcmp(footer, footer_magic, sizeof(footer_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a pack footer");
	if (footer[4] != FOOTER_VERSION)
		return err_set(
			err, ERR_UNSUPPORTED, "pack footer of unknown version %u", footer[4]);
	if (footer[5] > PACK_METADATA)
		return err_set(err, ERR_UNSUPPORTED, "pack of unknown class %u", footer[5]);
	if (bytes_get16(footer + 6) != 0)
		return err_set(err, ERR_CORRUPT, "pack footer has reserved bytes set");
	size_t n = bytes_get32(footer + 8);
	uint32_t body = bytes_get32(footer + 12);
	if (n == 0 || n > PACK_MAX_RECORDS || body > PACK_MAX_BYTES ||
		FOOTER_HEADER_BYTES + n * FOOTER_ENTRY_BYTES > plain_len ||
		pack_size(body, n) != pack_len ||
		body + plain_len + AEAD_TAG_BYTES + PACK_TAIL_BYTES != pack_len)
		return err_set(err, ERR_CORRUPT, "pack footer does not fit its pack");
	for (size_t i = FOOTER_HEADER_BYTES + n * FOOTER_ENTRY_BYTES; i < plain_len; i++) {
		if (footer[i] != 0)
			return err_set(err, ERR_CORRUPT, "pack footer has padding that is not 0");
	}
	*count = n;
	*body_len = body;
	return 0;
}

/* Check every place and that no ID is there twice, then call ${fn} for each. */
static int walk_places(const uint8_t *footer, size_t count, uint32_t body_len, pack_place_fn fn,
	void *arg, struct err *err)
{
	CLEANUP(id_table_done) struct id_table ids = { .slots = NULL };
	const struct id_table_array array = { footer + FOOTER_HEADER_BYTES, FOOTER_ENTRY_BYTES };
	struct pack_place place;
	uint64_t offset = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = read_place(footer, i, &offset, &place, err);
		if (rc == 0 && id_table_find(&ids, array, place.id) != ID_TABLE_NONE)
			rc = err_set(err, ERR_CORRUPT, "pack lists a record twice");
		if (rc == 0)
			rc = id_table_add(&ids, array, i, err);
	}
	if (rc == 0 && offset != body_len)
		rc = err_set(err, ERR_CORRUPT, "pack lists other lengths than its body has");
	offset = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = read_place(footer, i, &offset, &place, err);
		if (rc == 0)
			rc = fn(arg, &place, err);
	}
	return rc;
}

int pack_footer_open(const struct sealed_key *k, const uint8_t *tail, size_t len, uint64_t pack_len,
	int *class, pack_place_fn fn, void *arg, struct err *err)
{
	size_t need;
	int rc = pack_footer_need(tail, len, &need, err);
	if (rc != 0)
		return rc;
	if (need > len || need > pack_len || pack_len > PACK_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "pack is shorter than its footer, or too long");
	const uint8_t *last = tail + len - PACK_TAIL_BYTES;
	const uint32_t epoch = bytes_get32(last + 32);
	const struct sealed_key *own = sealed_key_of(k, epoch);
	if (own == NULL)
		return err_set(err, ERR_AUTH, "pack is of vault key epoch %u, ours is %u", epoch,
			k->kv_epoch);

	const size_t sealed_len = need - PACK_TAIL_BYTES;
	const size_t plain_len = sealed_len - AEAD_TAG_BYTES;
	CLEANUP(cleanup_free_p) uint8_t *footer = malloc(plain_len);
	if (footer == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu bytes", plain_len);
	uint8_t key[AEAD_KEY_BYTES];
	footer_key(own, last, key);
	rc = aead_open(AEAD_AES256GCM, key, NULL, last, PACK_TAIL_BYTES, last - sealed_len,
		sealed_len, footer, err);
	secret_wipe(key, sizeof(key));
	if (rc != 0)
		return err_wrap(err, "pack footer");

	size_t count = 0;
	uint32_t body_len = 0;
	rc = check_footer(footer, plain_len, pack_len, &count, &body_len, err);
	if (rc != 0)
		return rc;
	int class_read = footer[5];
	rc = walk_places(footer, count, body_len, fn, arg, err);
	if (rc == 0)
		*class = class_read;
	return rc;
}
