#include "vault/entry_codec.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"
#include "vault/ref_table.h"

/*
 * INVARIANTS
 * (1) What has its default value is absent: hardlink 0, no flags, no notes, no digest, no names.
 * (2) Every kind has exactly the TLVs that belong to it; writer and reader share the check.
 */
#define MAX_NS 999999999u
#define TIME_BYTES 12
#define DEVICE_BYTES 8
#define DIGEST_BYTES 33
/* index, offset and length of each extent at their longest */
#define EXTENTS_MAX_BYTES (1 + ENTRY_MAX_INLINE_EXTENTS * 30)

static bool is_device(const struct entry *e)
{
	return e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK;
}

static int check_kind(const struct entry *e, struct err *err)
{
	bool is_file = e->kind == ENTRY_FILE;

	if (e->kind < ENTRY_FILE || e->kind > ENTRY_BLOCK)
		return err_set(err, ERR_CORRUPT, "an entry has kind %d", (int)e->kind);
	if (e->mode > ENTRY_CODEC_MAX_MODE)
		return err_set(err, ERR_CORRUPT, "an entry has mode 0%o", (unsigned)e->mode);
	if (e->mtime.ns > MAX_NS || (e->has_btime && e->btime.ns > MAX_NS))
		return err_set(err, ERR_CORRUPT, "an entry has a time past its second");
	if ((e->target_len > 0) != (e->kind == ENTRY_SYMLINK))
		return err_set(err, ERR_CORRUPT, "link target and kind of an entry disagree");
	if (!is_device(e) && (e->dev_major != 0 || e->dev_minor != 0))
		return err_set(err, ERR_CORRUPT, "device and kind of an entry disagree");
	if (!is_file && (e->size != 0 || e->digest_kind != ENTRY_DIGEST_NONE ||
				e->extent_count != 0 || e->has_extent_tree))
		return err_set(err, ERR_CORRUPT, "content and kind of an entry disagree");
	if (e->digest_kind > ENTRY_DIGEST_BLOCKS)
		return err_set(err, ERR_CORRUPT, "an entry has digest %d", (int)e->digest_kind);
	if (e->hardlink != 0 && e->kind == ENTRY_DIR)
		return err_set(err, ERR_CORRUPT, "a directory has a hard-link group");
	return 0;
}

static int check_target(const uint8_t *target, size_t len, struct err *err)
{
	if (len > ENTRY_MAX_TARGET_BYTES)
		return err_set(err, ERR_LIMIT, "a link target has %zu bytes", len);
	if (len > 0 && memchr(target, 0, len) != NULL)
		return err_set(err, ERR_CORRUPT, "a link target holds a NUL byte");
	return 0;
}

int entry_codec_check_xattr(const struct entry_xattr *x, struct err *err)
{
	if (x->name_len > ENTRY_MAX_XATTR_NAME_BYTES || x->value_len > ENTRY_MAX_XATTR_BYTES)
		return err_set(err, ERR_LIMIT, "an extended attribute has %zu and %zu bytes",
			x->name_len, x->value_len);
	if (x->name_len == 0 || memchr(x->name, 0, x->name_len) != NULL)
		return err_set(err, ERR_CORRUPT, "an extended attribute has no proper name");
	return 0;
}

int entry_codec_compare_xattrs(const void *a, const void *b)
{
	const struct entry_xattr *x = a, *y = b;

	return entry_key_compare(
		(const uint8_t *)x->name, x->name_len, (const uint8_t *)y->name, y->name_len);
}

static int check_xattrs(const struct entry_xattr *xattrs, size_t count, struct err *err)
{
	size_t total = 0;

	if (count > ENTRY_MAX_XATTRS)
		return err_set(err, ERR_LIMIT, "an entry has %zu extended attributes", count);
	for (size_t i = 0; i < count; i++) {
		int rc = entry_codec_check_xattr(&xattrs[i], err);
		if (rc != 0)
			return rc;
		if (i > 0 && entry_codec_compare_xattrs(&xattrs[i - 1], &xattrs[i]) >= 0)
			return err_set(err, ERR_CORRUPT, "extended attributes do not ascend");
		total += xattrs[i].name_len + xattrs[i].value_len;
	}
	if (total > ENTRY_MAX_ATTR_BYTES)
		return err_set(err, ERR_LIMIT, "extended attributes of %zu bytes together", total);
	return 0;
}

static int check_extents(const struct entry *e, struct err *err)
{
	uint64_t sum = 0;

	if (e->size > ENTRY_MAX_SIZE)
		return err_set(
			err, ERR_LIMIT, "a file has %llu bytes", (unsigned long long)e->size);
	if (e->has_extent_tree) {
		if (e->extent_count != 0 || e->size == 0 || e->extent_height == 0 ||
			e->extent_height > NODE_CODEC_MAX_HEIGHT)
			return err_set(err, ERR_CORRUPT, "an entry has an impossible extent tree");
		return 0;
	}
	for (size_t i = 0; i < e->extent_count; i++) {
		int rc = extent_tree_check(&e->extents[i], err);
		if (rc != 0)
			return rc;
		if (e->extents[i].length > e->size - sum)
			return err_set(err, ERR_CORRUPT, "extents are longer than their file");
		sum += e->extents[i].length;
	}
	if (sum != e->size)
		return err_set(err, ERR_CORRUPT, "extents are shorter than their file");
	return 0;
}

static int check_owner(const char *name, struct err *err)
{
	if (name != NULL && strlen(name) > ENTRY_MAX_OWNER_BYTES)
		return err_set(err, ERR_LIMIT, "an owner's name has %zu bytes", strlen(name));
	return 0;
}

int entry_codec_check(const struct entry *e, struct err *err)
{
	int rc = check_kind(e, err);
	if (rc == 0)
		rc = check_owner(e->user, err);
	if (rc == 0)
		rc = check_owner(e->group, err);
	if (rc == 0)
		rc = check_target(e->target, e->target_len, err);
	if (rc == 0)
		rc = check_xattrs(e->xattrs, e->xattr_count, err);
	return rc != 0 ? rc : check_extents(e, err);
}

static int add_number(struct buf *out, uint8_t tag, uint64_t v, struct err *err)
{
	int rc = buf_add8(out, tag, err);
	if (rc == 0)
		rc = buf_add8(out, (uint8_t)wire_varint_len(v), err);
	return rc != 0 ? rc : wire_add_varint(out, v, err);
}

static int add_time(struct buf *out, uint8_t tag, const struct entry_time *t, struct err *err)
{
	uint8_t raw[TIME_BYTES];

	bytes_put64(raw, (uint64_t)t->s);
	bytes_put32(raw + 8, t->ns);
	return wire_add_tlv(out, tag, raw, sizeof(raw), err);
}

static int add_owner(struct buf *out, uint8_t tag, const char *name, struct err *err)
{
	return name == NULL || name[0] == '\0' ? 0
					       : wire_add_tlv(out, tag, name, strlen(name), err);
}

/* kind to inode flags */
static int add_attributes(const struct entry *e, struct buf *out, struct err *err)
{
	uint8_t raw[4], kind = (uint8_t)e->kind;

	int rc = wire_add_tlv(out, ENTRY_TAG_KIND, &kind, 1, err);
	if (rc == 0)
		rc = add_number(out, ENTRY_TAG_MODE, e->mode, err);
	if (rc == 0)
		rc = add_number(out, ENTRY_TAG_UID, e->uid, err);
	if (rc == 0)
		rc = add_number(out, ENTRY_TAG_GID, e->gid, err);
	if (rc == 0)
		rc = add_owner(out, ENTRY_TAG_USER, e->user, err);
	if (rc == 0)
		rc = add_owner(out, ENTRY_TAG_GROUP, e->group, err);
	if (rc == 0)
		rc = add_time(out, ENTRY_TAG_MTIME, &e->mtime, err);
	if (rc == 0 && e->has_btime)
		rc = add_time(out, ENTRY_TAG_BTIME, &e->btime, err);
	if (rc == 0 && e->flags != 0) {
		bytes_put32(raw, e->flags);
		rc = wire_add_tlv(out, ENTRY_TAG_FLAGS, raw, sizeof(raw), err);
	}
	return rc;
}

int entry_codec_add_target(const struct entry *e, struct buf *out, struct err *err)
{
	return wire_add_tlv(out, ENTRY_TAG_TARGET, e->target, e->target_len, err);
}

size_t entry_codec_target_size(const struct entry *e)
{
	return 1 + wire_varint_len(e->target_len) + e->target_len;
}

static size_t xattr_value_size(const struct entry_xattr *x)
{
	return wire_varint_len(x->name_len) + x->name_len + x->value_len;
}

int entry_codec_add_xattr(const struct entry_xattr *x, struct buf *out, struct err *err)
{
	int rc = buf_add8(out, ENTRY_TAG_XATTR, err);
	if (rc == 0)
		rc = wire_add_varint(out, xattr_value_size(x), err);
	if (rc == 0)
		rc = wire_add_varint(out, x->name_len, err);
	if (rc == 0)
		rc = buf_add(out, x->name, x->name_len, err);
	return rc != 0 ? rc : buf_add(out, x->value, x->value_len, err);
}

size_t entry_codec_xattr_size(const struct entry_xattr *x)
{
	size_t value = xattr_value_size(x);

	return 1 + wire_varint_len(value) + value;
}

/* The index of ${ref} in the node, or the highest there can be. */
static int index_of(struct ref_table *refs, const struct ref *ref, size_t *index, struct err *err)
{
	*index = REF_TABLE_MAX - 1;
	return refs == NULL ? 0 : ref_table_add(refs, ref, index, err);
}

static int add_extents(const struct entry *e, const struct entry_parts *parts,
	struct ref_table *refs, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT(EXTENTS_MAX_BYTES);
	size_t index = 0;
	int rc;

	if (parts->has_tree) {
		rc = buf_add8(&value, ENTRY_CODEC_EXTENTS_TREE, err);
		if (rc == 0)
			rc = index_of(refs, &parts->tree, &index, err);
		if (rc == 0)
			rc = wire_add_varint(&value, index, err);
		if (rc == 0)
			rc = buf_add8(&value, parts->tree_height, err);
	} else {
		rc = buf_add8(&value, ENTRY_CODEC_EXTENTS_INLINE, err);
		for (size_t i = 0; rc == 0 && i < e->extent_count; i++)
			rc = extent_tree_add_item(&value, refs, &e->extents[i], err);
	}
	return rc != 0 ? rc : wire_add_tlv(out, ENTRY_TAG_EXTENTS, value.data, value.len, err);
}

/* link target to hard-link group */
static int add_content(const struct entry *e, const struct entry_parts *parts,
	struct ref_table *refs, struct buf *out, struct err *err)
{
	uint8_t raw[DIGEST_BYTES];
	int rc = 0;

	if (e->kind == ENTRY_SYMLINK && !parts->is_target_spilled)
		rc = entry_codec_add_target(e, out, err);
	if (rc == 0 && is_device(e)) {
		bytes_put32(raw, e->dev_major);
		bytes_put32(raw + 4, e->dev_minor);
		rc = wire_add_tlv(out, ENTRY_TAG_DEVICE, raw, DEVICE_BYTES, err);
	}
	if (rc == 0 && e->kind == ENTRY_FILE)
		rc = add_number(out, ENTRY_TAG_SIZE, e->size, err);
	if (rc == 0 && e->digest_kind != ENTRY_DIGEST_NONE) {
		raw[0] = (uint8_t)e->digest_kind;
		memcpy(raw + 1, e->digest, sizeof(e->digest));
		rc = wire_add_tlv(out, ENTRY_TAG_DIGEST, raw, DIGEST_BYTES, err);
	}
	if (rc == 0 && e->size > 0)
		rc = add_extents(e, parts, refs, out, err);
	if (rc == 0 && e->hardlink != 0)
		rc = add_number(out, ENTRY_TAG_HARDLINK, e->hardlink, err);
	return rc;
}

static int add_spills(
	const struct entry_parts *parts, struct ref_table *refs, struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf value = BUF_INIT(2 * ENTRY_CODEC_MAX_SPILLS);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < parts->spill_count; i++) {
		size_t index = 0;
		rc = index_of(refs, &parts->spills[i], &index, err);
		if (rc == 0)
			rc = wire_add_varint(&value, index, err);
	}
	return rc != 0 ? rc : wire_add_tlv(out, ENTRY_TAG_SPILL, value.data, value.len, err);
}

int entry_codec_encode(const struct entry *e, const struct entry_parts *parts,
	struct ref_table *refs, struct buf *out, struct err *err)
{
	int rc = add_attributes(e, out, err);
	if (rc == 0)
		rc = add_content(e, parts, refs, out, err);
	for (size_t i = 0; rc == 0 && i < e->xattr_count; i++) {
		if (!parts->is_xattr_spilled[i])
			rc = entry_codec_add_xattr(&e->xattrs[i], out, err);
	}
	if (rc == 0 && parts->spill_count > 0)
		rc = add_spills(parts, refs, out, err);
	if (rc == 0 && e->notes != 0)
		rc = add_number(out, ENTRY_TAG_NOTE, e->notes, err);
	return rc;
}
