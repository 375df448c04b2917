#include "vault/entry_spill.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/node_codec.h"

/*
 * INVARIANTS
 * (1) Link target and extended attributes can spill, nothing else: the rest is under 4 KiB.
 * (2) Spilled TLVs stand in the records in the order they would have in the entry; a record ends
 *     before it would pass ENTRY_SPILL_RECORD_BYTES, unless it would be empty.
 * (3) The size that decides counts two bytes for every ref index, so that it does not depend on
 *     the node into which the entry falls.
 */
#define FIXED_MAX_BYTES 4096
#define IS_TARGET SIZE_MAX
/* longest record: one xattr or target with its head; and all of them together */
#define LONGEST_BYTES (ENTRY_MAX_XATTR_BYTES + 1024)
#define SPILL_MAX_BYTES (ENTRY_MAX_ATTR_BYTES + (1u << 20))

/* A TLV that may spill. */
struct candidate {
	size_t size;
	size_t xattr; /* its number, or IS_TARGET */
};

/* Largest first; ties in entry order: the target's tag is before the xattrs'. */
static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	if (x->xattr == IS_TARGET || y->xattr == IS_TARGET)
		return x->xattr == IS_TARGET ? -1 : 1;
	return x->xattr < y->xattr ? -1 : x->xattr > y->xattr;
}

static size_t sum_sizes(const struct entry *e)
{
	size_t sum = e->kind == ENTRY_SYMLINK ? entry_codec_target_size(e) : 0;

	for (size_t i = 0; i < e->xattr_count; i++)
		sum += entry_codec_xattr_size(&e->xattrs[i]);
	return sum;
}

/* The size of everything that cannot spill. */
static int fixed_size(
	const struct entry *e, struct entry_parts *parts, size_t *out, struct err *err)
{
	CLEANUP(buf_done) struct buf fixed = BUF_INIT(FIXED_MAX_BYTES);

	struct entry rest = *e;
	rest.xattr_count = 0;
	parts->is_target_spilled = true;
	int rc = entry_codec_encode(&rest, parts, NULL, &fixed, err);
	parts->is_target_spilled = false;
	if (rc == 0)
		*out = fixed.len;
	return rc;
}

/* Mark what spills. */
static int choose(const struct entry *e, size_t size, struct entry_parts *parts, struct err *err)
{
	size_t count = 0;

	CLEANUP(cleanup_free_p)
	struct candidate *list = calloc(e->xattr_count + 1, sizeof(*list));
	if (list == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (e->kind == ENTRY_SYMLINK)
		list[count++] = (struct candidate){ entry_codec_target_size(e), IS_TARGET };
	for (size_t i = 0; i < e->xattr_count; i++)
		list[count++] = (struct candidate){ entry_codec_xattr_size(&e->xattrs[i]), i };
	qsort(list, count, sizeof(*list), compare_candidates);
	for (size_t i = 0; size > ENTRY_CODEC_MAX_INLINE_BYTES && i < count; i++) {
		if (list[i].xattr == IS_TARGET)
			parts->is_target_spilled = true;
		else
			parts->is_xattr_spilled[list[i].xattr] = 1;
		size -= list[i].size;
	}
	return 0;
}

static int put_record(const struct record_sink *sink, struct buf *record, struct entry_parts *parts,
	struct err *err)
{
	if (record->len == 0)
		return 0;
	if (parts->spill_count == ENTRY_CODEC_MAX_SPILLS)
		return err_set(err, ERR_LIMIT, "the attributes of an entry need too many records");
	int rc = sink->put(sink->self, RECORD_ATTR, RECORD_CLASS_META, record->data, record->len,
		&parts->spills[parts->spill_count], err);
	if (rc != 0)
		return rc;
	parts->spill_count++;
	buf_clear(record);
	return 0;
}

static int put_marked(const struct record_sink *sink, const struct entry *e,
	struct entry_parts *parts, struct err *err)
{
	CLEANUP(buf_wipe) struct buf record = BUF_INIT(LONGEST_BYTES);
	int rc = 0;

	if (parts->is_target_spilled)
		rc = entry_codec_add_target(e, &record, err);
	for (size_t i = 0; rc == 0 && i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		if (!parts->is_xattr_spilled[i])
			continue;
		if (record.len + entry_codec_xattr_size(x) > ENTRY_SPILL_RECORD_BYTES)
			rc = put_record(sink, &record, parts, err);
		if (rc == 0)
			rc = entry_codec_add_xattr(x, &record, err);
	}
	return rc != 0 ? rc : put_record(sink, &record, parts, err);
}

int entry_spill_put(const struct record_sink *sink, const struct entry *e,
	struct entry_parts *parts, struct err *err)
{
	size_t fixed = 0, attributes = sum_sizes(e);

	parts->is_target_spilled = false;
	memset(parts->is_xattr_spilled, 0, e->xattr_count);
	parts->spill_count = 0;
	if (attributes <= ENTRY_CODEC_MAX_INLINE_BYTES - FIXED_MAX_BYTES)
		return 0;
	int rc = fixed_size(e, parts, &fixed, err);
	if (rc == 0)
		rc = choose(e, fixed + attributes, parts, err);
	return rc != 0 ? rc : put_marked(sink, e, parts, err);
}

/* One record's TLVs; ${record} is fully there.  *${last} is the last tag seen over all records. */
static int take_record(struct wire record, size_t len_before, uint8_t *last, struct entry_store *s,
	struct entry *e, struct err *err)
{
	size_t len = record.left;
	uint8_t tag = 0;
	struct wire value;
	int rc;

	if (len == 0)
		return err_set(err, ERR_CORRUPT, "an attribute record is empty");
	while ((rc = wire_next_tlv(&record, last, &tag, &value, err)) > 0) {
		size_t used = len - record.left;
		/* the first TLV here must not have fitted into the record before */
		if (len_before != 0 && len_before + used <= ENTRY_SPILL_RECORD_BYTES)
			return err_set(err, ERR_CORRUPT, "attribute records are not filled up");
		len_before = 0;
		if (used < len && len > ENTRY_SPILL_RECORD_BYTES)
			return err_set(err, ERR_CORRUPT, "an attribute record is too long");
		if (tag == ENTRY_TAG_TARGET)
			rc = entry_decode_target(&value, s, e, err);
		else if (tag == ENTRY_TAG_XATTR)
			rc = entry_decode_xattr(&value, s, e, err);
		else
			rc = err_set(err, ERR_CORRUPT, "tag %u cannot spill", (unsigned)tag);
		if (rc != 0)
			return rc;
	}
	return rc;
}

/* Fetch all records; nothing may point into the bytes before the last one is there. */
static int fetch(const struct node_source *ns, struct entry_store *s, struct err *err)
{
	size_t total = 0;

	for (size_t i = 0; i < s->spill_count; i++)
		total += s->spills[i].raw_len;
	if (total > SPILL_MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "the attributes of an entry are too long");
	s->spilled.max = SPILL_MAX_BYTES;
	buf_clear(&s->spilled);
	for (size_t i = 0; i < s->spill_count; i++) {
		int rc = node_codec_get(
			ns, &s->spills[i], RECORD_ATTR, LONGEST_BYTES, &s->spilled, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int entry_spill_load(
	const struct node_source *ns, struct entry_store *s, struct entry *e, struct err *err)
{
	size_t at = 0, len_before = 0;
	uint8_t last = 0;

	if (s->spill_count == 0)
		return 0;
	int rc = fetch(ns, s, err);
	s->xattr_from = e->xattr_count;
	for (size_t i = 0; rc == 0 && i < s->spill_count; i++) {
		size_t len = s->spills[i].raw_len;
		struct wire record = { .p = s->spilled.data + at, .left = len };
		rc = take_record(record, len_before, &last, s, e, err);
		len_before = len;
		at += len;
	}
	return rc;
}
