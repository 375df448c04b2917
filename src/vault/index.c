#include "vault/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "vault/id_table.h"
#include "vault/record.h"

/*
 * INVARIANTS
 * (1) entries[0 .. settled) is sorted by (id, pack, offset) without two equal places; what was
 *     added since lies behind, in any order.
 * (2) Every entry's pack is a number of packs[], and lies within that pack.
 * (3) No pack name is there twice; pack_ids finds every one.
 * (4) A segment is checked whole before its first entry is added.
 */

/* docs/FORMAT.md section 6 */
#define VERSION 1
#define SEGMENT_HEADER_BYTES 16
#define SEGMENT_PACK_BYTES 40
#define SEGMENT_ENTRY_BYTES 48
#define SEGMENT_MAX_PACKS INDEX_SEGMENT_MAX
#define INDEX_MAX_ENTRIES ((size_t)1 << 28)
#define MIN_RECORD_BYTES (RECORD_HEADER_BYTES + RECORD_INNER_BYTES + RECORD_TAG_BYTES)

static const char magic[4] = { 'H', 'F', 'I', 'X' };

struct entry_place {
	uint8_t id[32];
	uint32_t pack;
	uint32_t offset;
	uint32_t cr_len;
	uint8_t suite, type;
};

struct index_pack {
	uint8_t name[32];
	uint32_t len;
};

struct index {
	struct entry_place *entries; /* owned */
	size_t count, room, settled;
	struct index_pack *packs; /* owned */
	size_t pack_count, pack_room;
	struct id_table pack_ids;
};

static struct id_table_array pack_names(const struct index *x)
{
	return (struct id_table_array){ (const uint8_t *)x->packs, sizeof(*x->packs) };
}

int index_new(struct index **out, struct err *err)
{
	struct index *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = x;
	return 0;
}

void index_free(struct index *x)
{
	if (x == NULL)
		return;
	free(x->entries);
	free(x->packs);
	id_table_done(&x->pack_ids);
	free(x);
}

/* ---- adding --------------------------------------------------------------------------------- */

/* Make room for ${more} entries; grows by a half, so that many small adds stay cheap. */
static int reserve_entries(struct index *x, size_t more, struct err *err)
{
	size_t need = x->count + more;
	if (need <= x->room)
		return 0;
	if (need > INDEX_MAX_ENTRIES)
		return err_set(
			err, ERR_LIMIT, "more than %zu records in the index", INDEX_MAX_ENTRIES);
	size_t room = x->room + x->room / 2;
	if (room < need)
		room = need;
	struct entry_place *entries = realloc(x->entries, room * sizeof(*entries));
	if (entries == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for an index of %zu records", room);
	x->entries = entries;
	x->room = room;
	return 0;
}

/* Store the number of pack ${name}, which is noted when it is new. */
static int intern_pack(
	struct index *x, const uint8_t name[32], uint32_t len, uint32_t *number, struct err *err)
{
	size_t at = id_table_find(&x->pack_ids, pack_names(x), name);
	if (at != ID_TABLE_NONE) {
		if (x->packs[at].len != len)
			return err_set(err, ERR_CORRUPT, "one pack with two lengths, %u and %u",
				x->packs[at].len, len);
		*number = (uint32_t)at;
		return 0;
	}
	if (x->pack_count == x->pack_room) {
		size_t room = x->pack_room == 0 ? 64 : x->pack_room * 2;
		struct index_pack *packs = realloc(x->packs, room * sizeof(*packs));
		if (packs == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for %zu packs", room);
		x->packs = packs;
		x->pack_room = room;
	}
	memcpy(x->packs[x->pack_count].name, name, 32);
	x->packs[x->pack_count].len = len;
	int rc = id_table_add(&x->pack_ids, pack_names(x), x->pack_count, err);
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
	if (cr_len < MIN_RECORD_BYTES || cr_len > RECORD_MAX_BYTES ||
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
		struct entry_place *entry = &x->entries[x->count++];
		*entry = (struct entry_place){ .pack = number,
			.offset = places[i].offset,
			.cr_len = places[i].cr_len,
			.suite = places[i].suite,
			.type = places[i].type };
		memcpy(entry->id, places[i].id, sizeof(entry->id));
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
		struct entry_place *entry = &x->entries[x->count++];
		memcpy(entry->id, in, sizeof(entry->id));
		entry->pack = numbers[bytes_get32(in + 32)];
		entry->offset = bytes_get32(in + 36);
		entry->cr_len = bytes_get32(in + 40);
		entry->suite = in[44];
		entry->type = in[45];
	}
	return 0;
}

/* ---- sorting and finding -------------------------------------------------------------------- */

static int compare_places(const void *left, const void *right)
{
	const struct entry_place *a = left;
	const struct entry_place *b = right;
	int order = memcmp(a->id, b->id, sizeof(a->id));
	if (order != 0)
		return order;
	if (a->pack != b->pack)
		return a->pack < b->pack ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Merge the sorted tail behind ${settled} into the sorted front, from the back. */
static int merge_tail(struct index *x, struct err *err)
{
	size_t tail_count = x->count - x->settled;
	CLEANUP(cleanup_free_p) struct entry_place *tail = malloc(tail_count * sizeof(*tail));
	if (tail == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu records", tail_count);
	memcpy(tail, x->entries + x->settled, tail_count * sizeof(*tail));
	size_t front = x->settled;
	size_t to = x->count;
	while (tail_count > 0) {
		if (front > 0 && compare_places(&x->entries[front - 1], &tail[tail_count - 1]) > 0)
			x->entries[--to] = x->entries[--front];
		else
			x->entries[--to] = tail[--tail_count];
	}
	return 0;
}

int index_settle(struct index *x, struct err *err)
{
	if (x->settled == x->count)
		return 0;
	qsort(x->entries + x->settled, x->count - x->settled, sizeof(*x->entries), compare_places);
	if (x->settled > 0) {
		int rc = merge_tail(x, err);
		if (rc != 0)
			return rc;
	}
	/* a place may be told by two segments: keep it once */
	size_t kept = 0;
	for (size_t i = 0; i < x->count; i++) {
		if (kept > 0 && compare_places(&x->entries[kept - 1], &x->entries[i]) == 0)
			continue;
		if (kept != i)
			x->entries[kept] = x->entries[i];
		kept++;
	}
	x->count = kept;
	x->settled = kept;
	return 0;
}

/*
 * The first settled entry whose ID is not below ${id}.  IDs are hash values, so the place is
 * guessed from the ID's first bytes and the search widens from there: few steps when they are
 * spread as hashes are, and never more than twice a binary search.
 */
static size_t lower_bound(const struct index *x, const uint8_t id[32])
{
	if (x->settled == 0)
		return 0;
	size_t guess = (size_t)(((unsigned __int128)bytes_get64(id) * x->settled) >> 64);
	size_t low = guess;
	size_t high = guess;
	size_t step = 8;
	/* entries below low are below id; entries from high on are not */
	if (memcmp(x->entries[guess].id, id, 32) < 0) {
		while (high < x->settled && memcmp(x->entries[high].id, id, 32) < 0) {
			low = high + 1;
			high = x->settled - high > step ? high + step : x->settled;
			step *= 2;
		}
	} else {
		while (low > 0 && memcmp(x->entries[low - 1].id, id, 32) >= 0) {
			high = low - 1;
			low = high > step ? high - step : 0;
			step *= 2;
		}
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(x->entries[middle].id, id, 32) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool index_find(const struct index *x, const uint8_t id[32], size_t nth, struct index_place *out)
{
	size_t first = lower_bound(x, id);
	if (nth >= x->settled - first)
		return false;
	const struct entry_place *entry = &x->entries[first + nth];
	if (memcmp(entry->id, id, 32) != 0)
		return false;
	*out = (struct index_place){ .pack = x->packs[entry->pack].name,
		.pack_len = x->packs[entry->pack].len,
		.offset = entry->offset,
		.cr_len = entry->cr_len,
		.suite = entry->suite,
		.type = entry->type };
	return true;
}

size_t index_ordinal(const struct index *x, const uint8_t id[32])
{
	size_t first = lower_bound(x, id);
	return first < x->settled && memcmp(x->entries[first].id, id, 32) == 0 ? first : INDEX_NONE;
}

void index_at(const struct index *x, size_t ordinal, struct index_place *out, const uint8_t **id,
	size_t *pack)
{
	const struct entry_place *entry = &x->entries[ordinal];
	*out = (struct index_place){ .pack = x->packs[entry->pack].name,
		.pack_len = x->packs[entry->pack].len,
		.offset = entry->offset,
		.cr_len = entry->cr_len,
		.suite = entry->suite,
		.type = entry->type };
	*id = entry->id;
	*pack = entry->pack;
}

bool index_has_pack(const struct index *x, const uint8_t name[32])
{
	return id_table_find(&x->pack_ids, pack_names(x), name) != ID_TABLE_NONE;
}

size_t index_entry_count(const struct index *x)
{
	return x->count;
}

size_t index_pack_count(const struct index *x)
{
	return x->pack_count;
}

size_t index_memory(const struct index *x)
{
	return sizeof(*x) + x->room * sizeof(*x->entries) + x->pack_room * sizeof(*x->packs) +
	       x->pack_ids.size * sizeof(*x->pack_ids.slots);
}

const uint8_t *index_pack_at(const struct index *x, size_t i, uint32_t *pack_len)
{
	*pack_len = x->packs[i].len;
	return x->packs[i].name;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_entry(uint8_t *at, const struct entry_place *entry, size_t first_pack)
{
	memcpy(at, entry->id, 32);
	bytes_put32(at + 32, entry->pack - (uint32_t)first_pack);
	bytes_put32(at + 36, entry->offset);
	bytes_put32(at + 40, entry->cr_len);
	at[44] = entry->suite;
	at[45] = entry->type;
	bytes_put16(at + 46, 0);
}

int index_encode(const struct index *x, size_t first_pack, struct buf *out, struct err *err)
{
	if (x->settled != x->count)
		return err_set(err, ERR_FAILED, "unable to encode an index that is not settled");
	size_t packs = first_pack < x->pack_count ? x->pack_count - first_pack : 0;
	size_t count = 0;
	for (size_t i = 0; i < x->count; i++)
		count += x->entries[i].pack >= first_pack;
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
		memcpy(at, x->packs[i].name, 32);
		bytes_put32(at + 32, x->packs[i].len);
		bytes_put32(at + 36, 0);
	}
	for (size_t i = 0; i < x->count; i++) {
		if (x->entries[i].pack < first_pack)
			continue;
		put_entry(at, &x->entries[i], first_pack);
		at += SEGMENT_ENTRY_BYTES;
	}
	out->len += total;
	return 0;
}
