#include "vault/snaprec_refs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/spill.h"
#include "crypto/hash.h"
#include "vault/id_table.h"
#include "vault/record.h"

/*
 * INVARIANTS
 * (1) body holds closed segments and then, while open_count > 0, the open one from open_at.
 * (2) ids finds every ID of the open segment and no other.
 * (3) Where a segment ends follows from its IDs alone, so equal lists give equal segments.
 */

/* docs/FORMAT.md section 5 */
#define SEGMENT_HEADER_BYTES 8
#define SEGMENT_ENTRY_BYTES 36
#define CUT_MASK 0x0fffu
#define MIN_RECORD_BYTES (RECORD_HEADER_BYTES + RECORD_INNER_BYTES + RECORD_TAG_BYTES)
#define MAX_SEGMENTS (SNAPREC_REFS_MAX_BYTES / (SEGMENT_HEADER_BYTES + SEGMENT_ENTRY_BYTES))

static const char magic[4] = { 'H', 'F', 'R', '1' };

struct snaprec_refs {
	struct spill body;
	size_t len;             /* of body */
	struct buf segment_ids; /* 32 bytes each */
	size_t open_at;         /* where the open segment begins */
	size_t open_count;
	uint64_t count;
	struct id_table ids;
};

int snaprec_refs_new(struct snaprec_refs **out, struct err *err)
{
	struct snaprec_refs *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->segment_ids.max = (size_t)MAX_SEGMENTS * HASH_BYTES;
	*out = r;
	return 0;
}

void snaprec_refs_free(struct snaprec_refs *r)
{
	if (r == NULL)
		return;
	spill_done(&r->body);
	buf_done(&r->segment_ids);
	id_table_done(&r->ids);
	free(r);
}

/* Does a segment of ${count} entries end after this ID? */
static bool is_cut(const uint8_t id[32], size_t count)
{
	return count >= SNAPREC_SEGMENT_MAX ||
	       (count >= SNAPREC_SEGMENT_MIN && (bytes_get16(id + 30) & CUT_MASK) == 0);
}

static bool is_record_length(uint32_t cr_len)
{
	return cr_len >= MIN_RECORD_BYTES && cr_len <= RECORD_MAX_BYTES;
}

static struct id_table_array open_ids(const struct snaprec_refs *r)
{
	return (struct id_table_array){ (uint8_t *)r->body.at + r->open_at + SEGMENT_HEADER_BYTES,
		SEGMENT_ENTRY_BYTES };
}

static int close_segment(struct snaprec_refs *r, struct err *err)
{
	uint8_t id[HASH_BYTES];
	uint8_t *segment = (uint8_t *)r->body.at + r->open_at;
	bytes_put32(segment + 4, (uint32_t)r->open_count);
	hash_sha256(segment, r->len - r->open_at, id);
	int rc = buf_add(&r->segment_ids, id, sizeof(id), err);
	if (rc != 0)
		return rc;
	r->open_at = r->len;
	r->open_count = 0;
	id_table_clear(&r->ids);
	return 0;
}

/* Append header (at the first entry of a segment) and entry, for which there is room. */
static void append_entry(struct snaprec_refs *r, const uint8_t id[32], uint32_t cr_len)
{
	uint8_t *at = (uint8_t *)r->body.at + r->len;
	if (r->open_count == 0) {
		memcpy(at, magic, sizeof(magic));
		bytes_put32(at + 4, 0); /* set when it is closed */
		at += SEGMENT_HEADER_BYTES;
	}
	memcpy(at, id, 32);
	bytes_put32(at + 32, cr_len);
	r->len = (size_t)(at + SEGMENT_ENTRY_BYTES - (uint8_t *)r->body.at);
}

int snaprec_refs_add(struct snaprec_refs *r, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	if (!is_record_length(cr_len))
		return err_set(err, ERR_CORRUPT, "reference to a record of %u bytes", cr_len);
	if (r->open_count > 0) {
		size_t i = id_table_find(&r->ids, open_ids(r), id);
		if (i != ID_TABLE_NONE) {
			const uint8_t *entry = open_ids(r).base + i * SEGMENT_ENTRY_BYTES;
			if (bytes_get32(entry + 32) != cr_len)
				return err_set(err, ERR_CORRUPT, "one record with two lengths");
			return 0;
		}
	}
	size_t most = r->len + SEGMENT_HEADER_BYTES + SEGMENT_ENTRY_BYTES;
	if (most > SNAPREC_REFS_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "a reference list of more than %u bytes",
			SNAPREC_REFS_MAX_BYTES);
	int rc = spill_reserve(&r->body, most, err);
	if (rc != 0)
		return rc;
	size_t len_before = r->len;
	append_entry(r, id, cr_len);
	rc = id_table_add(&r->ids, open_ids(r), r->open_count, err);
	if (rc != 0) {
		r->len = len_before;
		return rc;
	}
	r->open_count++;
	r->count++;
	return is_cut(id, r->open_count) ? close_segment(r, err) : 0;
}

int snaprec_refs_finish(struct snaprec_refs *r, const uint8_t **body, size_t *body_len,
	uint64_t *count, uint8_t refs_root[32], struct err *err)
{
	if (r->count == 0)
		return err_set(err, ERR_FAILED, "unable to finish an empty reference list");
	int rc = r->open_count > 0 ? close_segment(r, err) : 0;
	if (rc != 0)
		return rc;
	hash_merkle((const uint8_t(*)[HASH_BYTES])r->segment_ids.data,
		r->segment_ids.len / HASH_BYTES, refs_root);
	*body = r->body.at;
	*body_len = r->len;
	*count = r->count;
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* What a walk carries from segment to segment. */
struct walk {
	struct id_table ids;
	struct buf segment_ids;
	uint64_t count;
};

static void walk_done(struct walk *w)
{
	id_table_done(&w->ids);
	buf_done(&w->segment_ids);
}

/* Check the head of the segment at ${at}, with ${left} bytes from there: *${count} entries. */
static int check_head(const uint8_t *at, size_t left, uint32_t *count, struct err *err)
{
	if (left < SEGMENT_HEADER_BYTES || memcmp(at, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a reference segment");
	uint32_t n = bytes_get32(at + 4);
	if (n == 0 || n > SNAPREC_SEGMENT_MAX ||
		(size_t)n * SEGMENT_ENTRY_BYTES > left - SEGMENT_HEADER_BYTES)
		return err_set(err, ERR_CORRUPT, "reference segment with %u entries", n);
	*count = n;
	return 0;
}

/* Check lengths, order of the cuts and uniqueness of ${count} entries at ${entries}. */
static int check_entries(
	struct walk *w, const uint8_t *entries, uint32_t count, bool is_last, struct err *err)
{
	const struct id_table_array array = { entries, SEGMENT_ENTRY_BYTES };
	id_table_clear(&w->ids);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *id = entries + (size_t)i * SEGMENT_ENTRY_BYTES;
		if (!is_record_length(bytes_get32(id + 32)))
			return err_set(err, ERR_CORRUPT, "reference to a record of %u bytes",
				bytes_get32(id + 32));
		bool is_end = i + 1 == count;
		if (is_cut(id, i + 1) ? !is_end : is_end && !is_last)
			return err_set(err, ERR_CORRUPT, "reference segment ends at a wrong place");
		if (id_table_find(&w->ids, array, id) != ID_TABLE_NONE)
			return err_set(err, ERR_CORRUPT, "reference segment has a record twice");
		int rc = id_table_add(&w->ids, array, i, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int walk_entries(
	const uint8_t *entries, uint32_t count, snaprec_ref_fn on_ref, void *arg, struct err *err)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && on_ref != NULL && i < count; i++) {
		const uint8_t *id = entries + (size_t)i * SEGMENT_ENTRY_BYTES;
		rc = on_ref(arg, id, bytes_get32(id + 32), err);
	}
	return rc;
}

int snaprec_refs_walk(const uint8_t *body, size_t len, snaprec_segment_fn on_segment,
	snaprec_ref_fn on_ref, void *arg, uint8_t refs_root[32], uint64_t *count, struct err *err)
{
	if (len == 0 || len > SNAPREC_REFS_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "reference list of %zu bytes", len);
	CLEANUP(walk_done)
	struct walk w = { .segment_ids = BUF_INIT((size_t)MAX_SEGMENTS * HASH_BYTES) };
	for (size_t at = 0; at < len;) {
		uint32_t n = 0;
		uint8_t id[HASH_BYTES];
		int rc = check_head(body + at, len - at, &n, err);
		if (rc != 0)
			return rc;
		const uint8_t *entries = body + at + SEGMENT_HEADER_BYTES;
		const size_t segment_len = SEGMENT_HEADER_BYTES + (size_t)n * SEGMENT_ENTRY_BYTES;
		rc = check_entries(&w, entries, n, at + segment_len == len, err);
		hash_sha256(body + at, segment_len, id);
		if (rc == 0)
			rc = buf_add(&w.segment_ids, id, sizeof(id), err);
		if (rc == 0 && on_segment != NULL)
			rc = on_segment(arg, id, (uint32_t)at, (uint32_t)segment_len, err);
		if (rc == 0)
			rc = walk_entries(entries, n, on_ref, arg, err);
		if (rc != 0)
			return rc;
		w.count += n;
		at += segment_len;
	}
	hash_merkle((const uint8_t(*)[HASH_BYTES])w.segment_ids.data,
		w.segment_ids.len / HASH_BYTES, refs_root);
	*count = w.count;
	return 0;
}
