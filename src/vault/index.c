#include "vault/index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/spill.h"
#include "crypto/aead.h"
#include "vault/id_table.h"
#include "vault/index_internal.h"
#include "vault/record.h"

/*
 * INVARIANTS
 * (1) base[0 .. base_count) and each run of own[0 .. settled) is sorted by (id, pack, offset); what
 *     was added since lies behind, in any order.  After index_settle() no place is there twice.
 * (2) Every entry's pack is a number of packs[], and lies within that pack.
 * (3) No pack name is there twice; pack_ids finds every one.
 * (4) A segment is checked whole before its first entry is added.
 * (5) An ordinal below index_freeze() names the same place until the index ends.
 */

/* docs/FORMAT.md section 6 */
#define VERSION 1
#define SEGMENT_HEADER_BYTES 16
#define SEGMENT_PACK_BYTES 40
#define SEGMENT_ENTRY_BYTES 48
#define SEGMENT_MAX_PACKS INDEX_SEGMENT_MAX
#define INDEX_MAX_ENTRIES ((size_t)1 << 28)
#define INDEX_MAX_RUNS 64
#define RUN_RATIO 4
#define MIN_RECORD_BYTES (RECORD_HEADER_BYTES + RECORD_INNER_BYTES + RECORD_TAG_BYTES)

static const char magic[4] = { 'H', 'F', 'I', 'X' };

/* A run of places in ascending order. */
struct run {
	const struct index_entry *at;
	size_t count;
	size_t first; /* the ordinal of at[0] */
};

struct index {
	const struct index_entry *base; /* in map; a run of its own */
	size_t base_count, base_packs;
	void *map; /* owned: the cache file; NULL = none */
	size_t map_bytes;
	struct spill own; /* struct index_entry */
	size_t count, settled;
	size_t runs[INDEX_MAX_RUNS]; /* where each run of own begins */
	size_t run_count;
	size_t frozen;      /* of own: what lies before stays where it is */
	bool has_twins;     /* a place may be there twice */
	struct spill packs; /* struct index_pack */
	size_t pack_count;
	struct id_table pack_ids;
};

static struct index_entry *own_entries(const struct index *x)
{
	return x->own.at;
}

static const struct index_pack *packs_of(const struct index *x)
{
	return x->packs.at;
}

static struct id_table_array pack_names(const struct index *x)
{
	return (struct id_table_array){ x->packs.at, sizeof(struct index_pack) };
}

int index_new(struct index **out, struct err *err)
{
	struct index *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = x;
	return 0;
}

static void unmap(struct index *x)
{
	if (x->map != NULL)
		(void)munmap(x->map, x->map_bytes); /* ours: cannot fail */
	x->map = NULL;
	x->map_bytes = 0;
	x->base = NULL;
	x->base_count = 0;
}

void index_free(struct index *x)
{
	if (x == NULL)
		return;
	unmap(x);
	spill_done(&x->own);
	spill_done(&x->packs);
	id_table_done(&x->pack_ids);
	free(x);
}

/* ---- adding --------------------------------------------------------------------------------- */

static int reserve_entries(struct index *x, size_t more, struct err *err)
{
	if (x->base_count + x->count + more > INDEX_MAX_ENTRIES)
		return err_set(
			err, ERR_LIMIT, "more than %zu records in the index", INDEX_MAX_ENTRIES);
	return spill_reserve(&x->own, (x->count + more) * sizeof(struct index_entry), err);
}

/* Store the number of pack ${name}, which is noted when it is new. */
static int intern_pack(
	struct index *x, const uint8_t name[32], uint32_t len, uint32_t *number, struct err *err)
{
	size_t at = id_table_find(&x->pack_ids, pack_names(x), name);
	if (at != ID_TABLE_NONE) {
		uint32_t known = bytes_get32(packs_of(x)[at].len);
		if (known != len)
			return err_set(err, ERR_CORRUPT, "one pack with two lengths, %u and %u",
				known, len);
		*number = (uint32_t)at;
		return 0;
	}
	int rc = spill_reserve(&x->packs, (x->pack_count + 1) * sizeof(struct index_pack), err);
	if (rc != 0)
		return rc;
	struct index_pack *p = (struct index_pack *)x->packs.at + x->pack_count;
	memcpy(p->name, name, sizeof(p->name));
	bytes_put32(p->len, len);
	rc = id_table_add(&x->pack_ids, pack_names(x), x->pack_count, err);
	if (rc == 0)
		*number = (uint32_t)x->pack_count++;
	return rc;
}

static int check_place(uint8_t suite, uint8_t type, uint32_t offset, uint32_t cr_len,
	uint32_t pack_len, struct err *err)
{
	if (suite != AEAD_AES256GCM && suite != AEAD_CHACHA20)
		return err_set(
			err, ERR_UNSUPPORTED, "index has a record of unknown suite %u", suite);
	if (type < RECORD_DATA || type > RECORD_ATTR)
		return err_set(err, ERR_UNSUPPORTED, "index has a record of unknown type %u", type);
	if (pack_len > PACK_MAX_BYTES || cr_len < MIN_RECORD_BYTES || cr_len > RECORD_MAX_BYTES ||
		(uint64_t)offset + cr_len - RECORD_HEADER_BYTES > pack_len)
		return err_set(err, ERR_CORRUPT, "index has a record outside its pack");
	return 0;
}

int index_add_pack(struct index *x, const uint8_t name[32], uint32_t pack_len,
	const struct pack_place *places, size_t count, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = check_place(places[i].suite, places[i].type, places[i].offset,
			places[i].cr_len, pack_len, err);
	if (rc == 0)
		rc = reserve_entries(x, count, err);
	uint32_t number = 0;
	if (rc == 0)
		rc = intern_pack(x, name, pack_len, &number, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		const struct index_place place = { .offset = places[i].offset,
			.cr_len = places[i].cr_len,
			.suite = places[i].suite,
			.type = places[i].type };
		index_entry_put(own_entries(x) + x->count++, places[i].id, number, &place);
	}
	return 0;
}

/* A segment body, its parts found. */
struct segment {
	const uint8_t *packs;
	const uint8_t *entries;
	uint32_t pack_count;
	uint32_t count;
};

static int open_segment(const uint8_t *body, size_t len, struct segment *out, struct err *err)
{
	if (len < SEGMENT_HEADER_BYTES || memcmp(body, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not an index segment");
	if (bytes_get32(body + 4) != VERSION)
		return err_set(err, ERR_UNSUPPORTED, "index segment of unknown version %u",
			bytes_get32(body + 4));
	uint32_t packs = bytes_get32(body + 8);
	uint32_t count = bytes_get32(body + 12);
	if (packs > SEGMENT_MAX_PACKS || count > INDEX_SEGMENT_MAX ||
		SEGMENT_HEADER_BYTES + (size_t)packs * SEGMENT_PACK_BYTES +
				(size_t)count * SEGMENT_ENTRY_BYTES !=
			len)
		return err_set(err, ERR_CORRUPT,
			"index segment of %zu bytes with %u packs and %u records", len, packs,
			count);
	out->packs = body + SEGMENT_HEADER_BYTES;
	out->pack_count = packs;
	out->entries = out->packs + (size_t)packs * SEGMENT_PACK_BYTES;
	out->count = count;
	return 0;
}

/* ID, pack and offset lie first in an entry, so that bytes order as the fields do. */
#define SORT_KEY_BYTES 40

static int check_segment(const struct segment *s, struct err *err)
{
	for (uint32_t i = 0; i < s->pack_count; i++) {
		const uint8_t *pack = s->packs + (size_t)i * SEGMENT_PACK_BYTES;
		uint32_t pack_len = bytes_get32(pack + 32);
		if (pack_len == 0 || pack_len > PACK_MAX_BYTES)
			return err_set(err, ERR_CORRUPT, "index has a pack of %u bytes", pack_len);
		if (bytes_get32(pack + 36) != 0)
			return err_set(err, ERR_UNSUPPORTED, "index has a pack with unknown flags");
	}
	for (uint32_t i = 0; i < s->count; i++) {
		const uint8_t *entry = s->entries + (size_t)i * SEGMENT_ENTRY_BYTES;
		uint32_t pack = bytes_get32(entry + 32);
		if (pack >= s->pack_count)
			return err_set(err, ERR_CORRUPT, "index has a record in no pack");
		if (bytes_get16(entry + 46) != 0)
			return err_set(err, ERR_CORRUPT, "index has reserved bytes set");
		if (i > 0 && memcmp(entry - SEGMENT_ENTRY_BYTES, entry, SORT_KEY_BYTES) >= 0)
			return err_set(err, ERR_CORRUPT, "index is not in order");
		int rc = check_place(entry[44], entry[45], bytes_get32(entry + 36),
			bytes_get32(entry + 40),
			bytes_get32(s->packs + (size_t)pack * SEGMENT_PACK_BYTES + 32), err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int index_add_segment(struct index *x, const uint8_t *body, size_t len, struct err *err)
{
	struct segment s = { .count = 0 };
	int rc = open_segment(body, len, &s, err);
	if (rc == 0)
		rc = check_segment(&s, err);
	if (rc == 0)
		rc = reserve_entries(x, s.count, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_free_p)
	uint32_t *numbers = calloc((size_t)s.pack_count + 1, sizeof(*numbers));
	if (numbers == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %u packs", s.pack_count);
	for (uint32_t i = 0; i < s.pack_count; i++) {
		const uint8_t *pack = s.packs + (size_t)i * SEGMENT_PACK_BYTES;
		rc = intern_pack(x, pack, bytes_get32(pack + 32), &numbers[i], err);
		if (rc != 0)
			return rc;
	}
	for (uint32_t i = 0; i < s.count; i++) {
		const uint8_t *in = s.entries + (size_t)i * SEGMENT_ENTRY_BYTES;
		const struct index_place place = { .offset = bytes_get32(in + 36),
			.cr_len = bytes_get32(in + 40),
			.suite = in[44],
			.type = in[45] };
		index_entry_put(
			own_entries(x) + x->count++, in, numbers[bytes_get32(in + 32)], &place);
	}
	return 0;
}

/* ---- sorting and finding -------------------------------------------------------------------- */

static int compare_entries(const void *left, const void *right)
{
	return index_entry_compare(left, right);
}

/* Run ${r} of x: the cache file first, if there is one, then those of our own. */
static bool get_run(const struct index *x, size_t r, struct run *out)
{
	if (x->base_count > 0) {
		if (r == 0) {
			*out = (struct run){ .at = x->base, .count = x->base_count };
			return true;
		}
		r--;
	}
	if (r >= x->run_count)
		return false;
	size_t end = r + 1 < x->run_count ? x->runs[r + 1] : x->settled;
	*out = (struct run){ .at = own_entries(x) + x->runs[r],
		.count = end - x->runs[r],
		.first = x->base_count + x->runs[r] };
	return true;
}

/*
 * The first entry of a run whose ID is not below ${id}.  IDs are hash values, so the place is
 * guessed from the ID's first bytes and the search widens from there: few steps when they are
 * spread as hashes are, and never more than twice a binary search.
 */
static size_t lower_bound(const struct run *r, const uint8_t id[32])
{
	if (r->count == 0)
		return 0;
	size_t guess = (size_t)(((unsigned __int128)bytes_get64(id) * r->count) >> 64);
	size_t low = guess;
	size_t high = guess;
	size_t step = 8;
	/* entries below low are below id; entries from high on are not */
	if (memcmp(r->at[guess].id, id, 32) < 0) {
		while (high < r->count && memcmp(r->at[high].id, id, 32) < 0) {
			low = high + 1;
			high = r->count - high > step ? high + step : r->count;
			step *= 2;
		}
	} else {
		while (low > 0 && memcmp(r->at[low - 1].id, id, 32) >= 0) {
			high = low - 1;
			low = high > step ? high - step : 0;
			step *= 2;
		}
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(r->at[middle].id, id, 32) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is the very place in a run already? */
static bool has_place(const struct index *x, const struct index_entry *e)
{
	struct run r;
	for (size_t n = 0; get_run(x, n, &r); n++) {
		for (size_t i = lower_bound(&r, e->id);
			i < r.count && memcmp(r.at[i].id, e->id, 32) == 0; i++) {
			if (index_entry_compare(&r.at[i], e) == 0)
				return true;
		}
	}
	return false;
}

/* Merge the last two runs, from the back. */
static int merge_last(struct index *x, struct err *err)
{
	CLEANUP(spill_done) struct spill copy = { .at = NULL };
	struct index_entry *entries = own_entries(x);
	size_t begin = x->runs[x->run_count - 2];
	size_t front = x->runs[x->run_count - 1];
	size_t tail_count = x->settled - front;
	int rc = spill_reserve(&copy, tail_count * sizeof(*entries), err);
	if (rc != 0)
		return rc;
	struct index_entry *tail = copy.at;
	memcpy(tail, entries + front, tail_count * sizeof(*tail));
	size_t to = x->settled;
	while (tail_count > 0) {
		bool is_front = front > begin &&
				index_entry_compare(&entries[front - 1], &tail[tail_count - 1]) > 0;
		entries[--to] = is_front ? entries[--front] : tail[--tail_count];
	}
	x->run_count--;
	return 0;
}

/* Sort what lies behind the runs, keep each place once, and what the runs do not have. */
static void sort_tail(struct index *x, bool is_exact)
{
	struct index_entry *tail = own_entries(x) + x->settled;
	size_t count = x->count - x->settled;
	bool is_sorted = true;
	for (size_t i = 1; i < count && is_sorted; i++)
		is_sorted = index_entry_compare(&tail[i - 1], &tail[i]) < 0;
	if (!is_sorted)
		qsort(tail, count, sizeof(*tail), compare_entries);
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if ((kept > 0 && index_entry_compare(&tail[kept - 1], &tail[i]) == 0) ||
			(is_exact && has_place(x, &tail[i])))
			continue;
		if (kept != i)
			tail[kept] = tail[i];
		kept++;
	}
	x->count = x->settled + kept;
}

/* The tail becomes a run; runs grow by RUN_RATIO at least from the last to the first, so that there
 * are few, and each place is moved a few times only, however many packs are added. */
static int add_run(struct index *x, bool is_exact, struct err *err)
{
	if (x->settled == x->count)
		return 0;
	if (x->run_count == INDEX_MAX_RUNS)
		return err_set(err, ERR_LIMIT, "more than %d runs in the index", INDEX_MAX_RUNS);
	sort_tail(x, is_exact);
	if (x->settled == x->count)
		return 0;
	x->runs[x->run_count++] = x->settled;
	x->settled = x->count;
	while (x->run_count > 1) {
		size_t last = x->runs[x->run_count - 1];
		size_t before = x->runs[x->run_count - 2];
		if (before < x->frozen || (last - before) / RUN_RATIO >= x->settled - last)
			break;
		int rc = merge_last(x, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int index_settle(struct index *x, struct err *err)
{
	return add_run(x, true, err);
}

int index_stack(struct index *x, struct err *err)
{
	x->has_twins = true;
	return add_run(x, false, err);
}

size_t index_freeze(struct index *x)
{
	x->frozen = x->settled;
	return x->base_count + x->settled;
}

bool index_find(const struct index *x, const uint8_t id[32], size_t nth, struct index_place *out)
{
	struct run r;
	for (size_t n = 0; get_run(x, n, &r); n++) {
		for (size_t i = lower_bound(&r, id); i < r.count && memcmp(r.at[i].id, id, 32) == 0;
			i++) {
			const uint8_t *same;
			size_t pack;
			if (nth-- > 0)
				continue;
			index_at(x, r.first + i, out, &same, &pack);
			return true;
		}
	}
	return false;
}

size_t index_ordinal(const struct index *x, const uint8_t id[32])
{
	struct run r;
	for (size_t n = 0; get_run(x, n, &r); n++) {
		size_t i = lower_bound(&r, id);
		if (i < r.count && memcmp(r.at[i].id, id, 32) == 0)
			return r.first + i;
	}
	return INDEX_NONE;
}

void index_at(const struct index *x, size_t ordinal, struct index_place *out, const uint8_t **id,
	size_t *pack)
{
	const struct index_entry *entry = ordinal < x->base_count
						  ? &x->base[ordinal]
						  : own_entries(x) + (ordinal - x->base_count);
	size_t number = bytes_get32(entry->pack);
	index_entry_get(entry, out);
	out->pack = packs_of(x)[number].name;
	out->pack_len = bytes_get32(packs_of(x)[number].len);
	*id = entry->id;
	*pack = number;
}

bool index_has_pack(const struct index *x, const uint8_t name[32])
{
	return index_pack_number(x, name) != INDEX_NONE;
}

size_t index_pack_number(const struct index *x, const uint8_t name[32])
{
	size_t at = id_table_find(&x->pack_ids, pack_names(x), name);
	return at == ID_TABLE_NONE ? INDEX_NONE : at;
}

size_t index_entry_count(const struct index *x)
{
	return x->base_count + x->count;
}

size_t index_pack_count(const struct index *x)
{
	return x->pack_count;
}

size_t index_memory(const struct index *x)
{
	return sizeof(*x) + x->base_count * sizeof(*x->base) + x->own.bytes + x->packs.bytes +
	       x->pack_ids.size * sizeof(*x->pack_ids.slots);
}

size_t index_mapped(const struct index *x)
{
	return x->base_count * sizeof(*x->base) + (spill_is_file(&x->own) ? x->own.bytes : 0) +
	       (spill_is_file(&x->packs) ? x->packs.bytes : 0);
}

const uint8_t *index_pack_at(const struct index *x, size_t i, uint32_t *pack_len)
{
	*pack_len = bytes_get32(packs_of(x)[i].len);
	return packs_of(x)[i].name;
}

/* ---- all of it in order --------------------------------------------------------------------- */

struct walk {
	struct run runs[INDEX_MAX_RUNS + 1];
	size_t count;
};

static void walk_begin(const struct index *x, bool has_base, struct walk *w)
{
	w->count = 0;
	for (size_t n = !has_base && x->base_count > 0; get_run(x, n, &w->runs[w->count]); n++)
		w->count++;
}

/* The next place of all runs, or NULL. */
static const struct index_entry *walk_next(struct walk *w)
{
	struct run *least = NULL;
	for (size_t i = 0; i < w->count; i++) {
		struct run *r = &w->runs[i];
		if (r->count > 0 && (least == NULL || index_entry_compare(r->at, least->at) < 0))
			least = r;
	}
	if (least == NULL)
		return NULL;
	least->count--;
	return least->at++;
}

int index_compact(struct index *x, struct err *err)
{
	struct walk w;
	struct spill all = { .at = NULL };
	size_t count = 0;
	if (x->settled != x->count || x->frozen > 0)
		return err_set(err, ERR_FAILED, "unable to compact an index that is in use");
	if (!x->has_twins && (x->base_count > 0) + x->run_count <= 1)
		return 0;
	int rc = spill_reserve(&all, (x->base_count + x->count) * sizeof(struct index_entry), err);
	if (rc != 0)
		return rc;
	struct index_entry *to = all.at;
	walk_begin(x, true, &w);
	for (const struct index_entry *e; (e = walk_next(&w)) != NULL;) {
		if (count == 0 || index_entry_compare(&to[count - 1], e) != 0)
			to[count++] = *e;
	}
	unmap(x);
	spill_done(&x->own);
	x->own = all;
	x->count = count;
	x->settled = count;
	x->runs[0] = 0;
	x->run_count = 1;
	x->base_packs = 0;
	x->has_twins = false;
	return 0;
}

void index_raw(const struct index *x, struct index_parts *out)
{
	*out = (struct index_parts){ .entries = x->own.at,
		.count = x->count,
		.packs = x->packs.at,
		.pack_count = x->pack_count };
}

int index_adopt(struct index *x, void *map, size_t map_bytes, const struct index_parts *parts,
	struct err *err)
{
	int rc = spill_reserve(&x->packs, (parts->pack_count + 1) * sizeof(struct index_pack), err);
	for (size_t i = 0; rc == 0 && i < parts->pack_count; i++) {
		((struct index_pack *)x->packs.at)[i] = parts->packs[i];
		rc = id_table_add(&x->pack_ids, pack_names(x), i, err);
	}
	if (rc != 0)
		return rc;
	x->pack_count = parts->pack_count;
	x->base_packs = parts->pack_count;
	x->base = parts->entries;
	x->base_count = parts->count;
	x->map = map;
	x->map_bytes = map_bytes;
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_entry(uint8_t *at, const struct index_entry *entry, size_t first_pack)
{
	struct index_place p;
	index_entry_get(entry, &p);
	memcpy(at, entry->id, 32);
	bytes_put32(at + 32, bytes_get32(entry->pack) - (uint32_t)first_pack);
	bytes_put32(at + 36, p.offset);
	bytes_put32(at + 40, p.cr_len);
	at[44] = p.suite;
	at[45] = p.type;
	bytes_put16(at + 46, 0);
}

/* Walk the places of the packs from ${first_pack} on. */
static const struct index_entry *next_from(struct walk *w, size_t first_pack)
{
	const struct index_entry *e;
	do
		e = walk_next(w);
	while (e != NULL && bytes_get32(e->pack) < first_pack);
	return e;
}

int index_encode(const struct index *x, size_t first_pack, struct buf *out, struct err *err)
{
	struct walk w;
	bool has_base = first_pack < x->base_packs;
	if (x->settled != x->count)
		return err_set(err, ERR_FAILED, "unable to encode an index that is not settled");
	size_t packs = first_pack < x->pack_count ? x->pack_count - first_pack : 0;
	size_t count = 0;
	walk_begin(x, has_base, &w);
	while (next_from(&w, first_pack) != NULL)
		count++;
	if (count > INDEX_SEGMENT_MAX || packs > SEGMENT_MAX_PACKS)
		return err_set(
			err, ERR_LIMIT, "%zu records do not fit into an index segment", count);
	size_t total =
		SEGMENT_HEADER_BYTES + packs * SEGMENT_PACK_BYTES + count * SEGMENT_ENTRY_BYTES;
	int rc = buf_reserve(out, total, err);
	if (rc != 0)
		return rc;
	uint8_t *at = out->data + out->len;
	memcpy(at, magic, sizeof(magic));
	bytes_put32(at + 4, VERSION);
	bytes_put32(at + 8, (uint32_t)packs);
	bytes_put32(at + 12, (uint32_t)count);
	at += SEGMENT_HEADER_BYTES;
	for (size_t i = first_pack; i < x->pack_count; i++, at += SEGMENT_PACK_BYTES) {
		memcpy(at, packs_of(x)[i].name, 32);
		memcpy(at + 32, packs_of(x)[i].len, 4);
		bytes_put32(at + 36, 0);
	}
	walk_begin(x, has_base, &w);
	for (const struct index_entry *e; (e = next_from(&w, first_pack)) != NULL;
		at += SEGMENT_ENTRY_BYTES)
		put_entry(at, e, first_pack);
	out->len += total;
	return 0;
}
