#include "vault/fetch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash_lanes.h"
#include "store/store.h"
#include "vault/index_cache.h"
#include "vault/record_reader.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) index, once there, is settled.
 * (2) has_footers: the footers of all packs on the store were read; no more can be learned.
 * (3) fetch_record() may run on several threads: it reads the index under lock, and changes it
 *     under lock taken for writing.  Everything else is for the thread that owns the fetch.
 */

#define RUN_GAP_BYTES 16384u /* read for nothing rather than apart */

struct fetch {
	struct vault *vault; /* borrowed */
	struct index *index; /* NULL until loaded */
	bool has_footers;
	pthread_rwlock_t lock;
	struct record_store store;
	struct record_reader *reader; /* owned; asks store */
};

DEFINE_CLEANUP(struct fetch *, fetch_free)

static int store_get_record(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	return fetch_record(self, id, cr, err);
}

static int store_get_run(void *self, const uint8_t *const *ids, size_t count,
	struct record_run *out, struct err *err)
{
	return fetch_run(self, ids, count, false, out, err);
}

static int store_type(void *self, const uint8_t id[32])
{
	struct fetch *f = self;
	struct index_place place = { .type = 0 };
	(void)pthread_rwlock_rdlock(&f->lock);
	if (f->index != NULL && !index_find(f->index, id, 0, &place))
		place.type = 0;
	(void)pthread_rwlock_unlock(&f->lock);
	return place.type;
}

int fetch_new(struct vault *v, struct fetch **out, struct err *err)
{
	CLEANUP(fetch_free_p) struct fetch *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->vault = v;
	(void)pthread_rwlock_init(&f->lock, NULL); /* default attributes: cannot fail */
	f->store = (struct record_store){ .self = f,
		.get = store_get_record,
		.get_run = store_get_run,
		.type = store_type,
		.is_shared = true,
		.is_checked = true };
	int rc = record_reader_new(&f->store, &f->reader, err);
	if (rc != 0)
		return rc;
	*out = TAKE(f);
	return 0;
}

void fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	record_reader_free(f->reader);
	index_free(f->index);
	(void)pthread_rwlock_destroy(&f->lock);
	free(f);
}

int fetch_index(struct fetch *f, struct index **out, struct err *err)
{
	if (f->index == NULL) {
		int rc = index_cache_load(f->vault, &f->index, err);
		if (rc != 0)
			return rc;
	}
	*out = f->index;
	return 0;
}

void fetch_pack_name(const uint8_t hash[32], char name[FETCH_PACK_NAME_BYTES])
{
	char hex[2 * HASH_BYTES + 1];
	text_hex(hash, HASH_BYTES, hex);
	(void)snprintf(name, FETCH_PACK_NAME_BYTES, "pk/%.2s/%s", hex, hex); /* fits */
}

static int collect_place(void *arg, const struct pack_place *place, struct err *err)
{
	struct fetch_footer *p = arg;
	if (p->count % 256 == 0) {
		struct pack_place *grown = reallocarray(p->at, p->count + 256, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		p->at = grown;
	}
	p->at[p->count++] = *place;
	return 0;
}

int fetch_footer(struct vault *v, const uint8_t hash[32], uint64_t size, struct fetch_footer *out,
	struct err *err)
{
	CLEANUP(buf_done) struct buf tail = BUF_INIT(PACK_MAX_BYTES);
	char name[FETCH_PACK_NAME_BYTES];
	fetch_pack_name(hash, name);
	if (size > PACK_MAX_BYTES || size < PACK_TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "pack '%s' has %llu bytes", name,
			(unsigned long long)size);
	size_t want = size < PACK_TAIL_READ_BYTES ? (size_t)size : PACK_TAIL_READ_BYTES;
	size_t need = 0;
	int rc = store_get_range(v->store, name, size - want, want, &tail, err);
	if (rc == 0)
		rc = pack_footer_need(tail.data, tail.len, &need, err);
	if (rc == 0 && need > want && need <= size) {
		buf_clear(&tail);
		rc = store_get_range(v->store, name, size - need, need, &tail, err);
	}
	struct fetch_footer f = { .at = NULL };
	if (rc == 0)
		rc = pack_footer_open(
			&v->key, tail.data, tail.len, size, &f.class, collect_place, &f, err);
	if (rc == 0)
		*out = f;
	else
		fetch_footer_done(&f);
	return rc;
}

void fetch_footer_done(struct fetch_footer *f)
{
	free(f->at);
	f->at = NULL;
	f->count = 0;
}

int fetch_learn_pack(
	struct fetch *f, const uint8_t hash[32], uint64_t size, size_t *count, struct err *err)
{
	struct fetch_footer footer = { .at = NULL };
	int rc = fetch_footer(f->vault, hash, size, &footer, err);
	if (rc == 0)
		rc = index_add_pack(f->index, hash, (uint32_t)size, footer.at, footer.count, err);
	*count = rc == 0 ? footer.count : 0;
	fetch_footer_done(&footer);
	/* its epoch, too, may be a flipped bit: no hash was checked */
	return vault_is_object_loss(rc) ? 0 : rc;
}

struct scanning {
	struct fetch *f;
	struct err *err;
};

static int scan_pack(void *arg, const char *name, uint64_t size)
{
	struct scanning *l = arg;
	uint8_t hash[HASH_BYTES];
	size_t count, len = strlen(name);
	if (len < 64 || text_unhex(name + len - 64, sizeof(hash), hash) != 0 ||
		index_has_pack(l->f->index, hash))
		return 0;
	return fetch_learn_pack(l->f, hash, size, &count, l->err);
}

int fetch_footers(struct fetch *f, struct err *err)
{
	struct index *index;
	int rc = fetch_index(f, &index, err);
	if (rc != 0 || f->has_footers)
		return rc;
	struct scanning l = { .f = f, .err = err };
	rc = store_list(f->vault->store, "pk/", scan_pack, &l, err);
	if (rc == 0)
		rc = index_settle(f->index, err);
	if (rc == 0)
		f->has_footers = true;
	return rc;
}

int fetch_place(struct fetch *f, const uint8_t id[32], const struct index_place *p, struct buf *cr,
	struct err *err)
{
	size_t before = cr->len;
	char name[FETCH_PACK_NAME_BYTES];
	uint8_t header[RECORD_HEADER_BYTES];
	uint8_t hash[HASH_BYTES];

	fetch_pack_name(p->pack, name);
	if (p->cr_len < RECORD_HEADER_BYTES + RECORD_TAG_BYTES || p->cr_len > RECORD_MAX_BYTES)
		return err_set(
			err, ERR_CORRUPT, "pack '%s': a record of %u bytes", name, p->cr_len);
	record_header(p->suite, p->type, p->cr_len, header);
	int rc = buf_add(cr, header, sizeof(header), err);
	if (rc == 0)
		rc = store_get_range(
			f->vault->store, name, p->offset, p->cr_len - sizeof(header), cr, err);
	if (rc == 0) {
		hash_sha256(cr->data + before, cr->len - before, hash);
		if (memcmp(hash, id, sizeof(hash)) != 0)
			rc = err_set(err, ERR_CORRUPT, "a record in pack '%s' at %u is damaged",
				name, p->offset);
	}
	if (rc != 0)
		cr->len = before;
	return rc;
}

/* Try every place the index knows.  *${can_learn}: the packs' footers may know more. */
static int read_places(
	struct fetch *f, const uint8_t id[32], struct buf *cr, bool *can_learn, struct err *err)
{
	int last = -ERR_NOT_FOUND;
	struct index_place place;
	(void)pthread_rwlock_rdlock(&f->lock); /* fails for bad locks only, here and below */
	*can_learn = !f->has_footers;
	for (size_t nth = 0; f->index != NULL && index_find(f->index, id, nth, &place); nth++) {
		last = fetch_place(f, id, &place, cr, err);
		if (last == 0 || !vault_is_object_loss(last)) {
			*can_learn = false;
			break;
		}
	}
	(void)pthread_rwlock_unlock(&f->lock);
	return last;
}

/* Load the index, or when it is loaded what the footers know. */
static int learn(struct fetch *f, struct err *err)
{
	struct index *index;
	(void)pthread_rwlock_wrlock(&f->lock);
	int rc = f->index == NULL ? fetch_index(f, &index, err) : fetch_footers(f, err);
	(void)pthread_rwlock_unlock(&f->lock);
	return rc;
}

int fetch_record(struct fetch *f, const uint8_t id[32], struct buf *cr, struct err *err)
{
	bool can_learn;
	int last = read_places(f, id, cr, &can_learn, err);
	for (int round = 0; round < 2 && last != 0 && can_learn; round++) {
		int rc = learn(f, err);
		if (rc != 0)
			return rc;
		last = read_places(f, id, cr, &can_learn, err);
	}
	if (last == -ERR_NOT_FOUND) {
		char hex[2 * HASH_BYTES + 1];
		text_hex(id, HASH_BYTES, hex);
		return err_set(err, ERR_NOT_FOUND, "record %s is in no pack of this vault", hex);
	}
	return last;
}

/* ---- several records with one read ------------------------------------------------------------
 */

/* Where the records of a run lie. */
struct run_place {
	uint8_t pack[HASH_BYTES];
	uint64_t begin, end;         /* in the pack */
	size_t from[RECORD_RUN_MAX]; /* of each record's body, in bytes behind begin */
};

/* The first place of a record, if it is one that can be. */
static bool first_place(const struct fetch *f, const uint8_t id[32], struct index_place *out)
{
	return f->index != NULL && index_find(f->index, id, 0, out) &&
	       out->cr_len >= RECORD_HEADER_BYTES + RECORD_TAG_BYTES &&
	       out->cr_len <= RECORD_MAX_BYTES;
}

/* With the lock.  Return how many records are in the run. */
static size_t find_run(const struct fetch *f, const uint8_t *const *ids, size_t count,
	struct record_run *out, struct run_place *place)
{
	size_t n = 0;
	for (; n < count && n < RECORD_RUN_MAX; n++) {
		struct index_place p;
		if (!first_place(f, ids[n], &p))
			break;
		const size_t body_len = p.cr_len - RECORD_HEADER_BYTES;
		const uint64_t end = (uint64_t)p.offset + body_len;
		if (n == 0) {
			memcpy(place->pack, p.pack, sizeof(place->pack));
			place->begin = p.offset;
		} else if (memcmp(place->pack, p.pack, sizeof(place->pack)) != 0 ||
			   p.offset < place->end || p.offset - place->end > RUN_GAP_BYTES ||
			   end - place->begin > RECORD_RUN_BYTES) {
			break;
		}
		place->end = end;
		place->from[n] = (size_t)(p.offset - place->begin);
		record_header(p.suite, p.type, p.cr_len, out->at[n].header);
		out->at[n].body_len = body_len;
	}
	return n;
}

static int check_run(const struct record_run *run, const uint8_t *const *ids, struct err *err)
{
	struct hash_part parts[RECORD_RUN_MAX][2];
	struct hash_lanes_item items[RECORD_RUN_MAX];
	for (size_t i = 0; i < run->count; i++) {
		const struct record_run_item *r = &run->at[i];
		parts[i][0] = (struct hash_part){ r->header, sizeof(r->header) };
		parts[i][1] = (struct hash_part){ r->body, r->body_len };
		items[i] = (struct hash_lanes_item){ .parts = parts[i], .count = 2 };
	}
	hash_lanes_run(items, run->count);
	for (size_t i = 0; i < run->count; i++) {
		if (memcmp(items[i].out, ids[i], HASH_BYTES) != 0)
			return err_set(err, ERR_CORRUPT, "a record is damaged");
	}
	return 0;
}

int fetch_run(struct fetch *f, const uint8_t *const *ids, size_t count, bool is_known,
	struct record_run *out, struct err *err)
{
	struct run_place place = { .begin = 0 };
	char name[FETCH_PACK_NAME_BYTES];
	out->count = 0;
	(void)pthread_rwlock_rdlock(&f->lock);
	size_t n = find_run(f, ids, count, out, &place);
	(void)pthread_rwlock_unlock(&f->lock);
	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "the index does not know a record");
	fetch_pack_name(place.pack, name);
	buf_clear(&out->span);
	out->span.max = RECORD_MAX_BYTES;
	int rc = store_get_range(f->vault->store, name, place.begin,
		(size_t)(place.end - place.begin), &out->span, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		out->at[i].body = out->span.data + place.from[i];
	out->count = n;
	rc = is_known ? 0 : check_run(out, ids, err);
	if (rc != 0)
		out->count = 0;
	return rc;
}

const struct record_store *fetch_store(struct fetch *f)
{
	return &f->store;
}

const struct record_source *fetch_source(struct fetch *f)
{
	return record_reader_source(f->reader);
}
