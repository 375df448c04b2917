#include "vault/entry_decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "vault/extent_tree.h"
#include "vault/node_codec.h"

/*
 * INVARIANTS
 * (1) A decoded entry points into its node's bytes and its store, nowhere else.
 * (2) What has its default value is absent; every kind has exactly the TLVs that belong to it.
 * (3) Inline attributes ascend by name, spilled ones too; entry_decode_complete() joins them.
 */
#define TAG_BIT(tag) (1u << (tag))

void entry_decode_store_init(struct entry_store *s)
{
	memset(s, 0, sizeof(*s));
}

void entry_decode_store_done(struct entry_store *s)
{
	free(s->xattrs);
	s->xattrs = NULL;
	s->xattr_cap = 0;
	buf_wipe(&s->spilled);
}

/* Take a varint that is the whole value. */
static int take_number(
	struct wire *value, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
	uint64_t v = 0;

	int rc = wire_take_varint(value, &v, err);
	if (rc != 0)
		return rc;
	if (v < min || v > max)
		return err_set(err, ERR_CORRUPT, "an entry has the number %llu out of its range",
			(unsigned long long)v);
	*out = v;
	return 0;
}

static int take_number32(
	struct wire *value, uint64_t min, uint64_t max, uint32_t *out, struct err *err)
{
	uint64_t v = 0;

	int rc = take_number(value, min, max, &v, err);
	if (rc == 0)
		*out = (uint32_t)v;
	return rc;
}

static int take_time(struct wire *value, struct entry_time *out, struct err *err)
{
	uint64_t s = 0;
	uint32_t ns = 0;

	int rc = wire_take64(value, &s, err);
	if (rc == 0)
		rc = wire_take32(value, &ns, err);
	if (rc == 0)
		*out = (struct entry_time){ .s = (int64_t)s, .ns = ns };
	return rc;
}

static int take_owner(struct wire *value, char *store, const char **out, struct err *err)
{
	const uint8_t *name = NULL;
	size_t len = value->left;

	if (len == 0 || len > ENTRY_MAX_OWNER_BYTES)
		return err_set(err, ERR_CORRUPT, "an owner's name has %zu bytes", len);
	int rc = wire_take(value, len, &name, err);
	if (rc != 0)
		return rc;
	if (memchr(name, 0, len) != NULL)
		return err_set(err, ERR_CORRUPT, "an owner's name holds a NUL byte");
	memcpy(store, name, len);
	store[len] = '\0';
	*out = store;
	return 0;
}

static int take_digest(struct wire *value, struct entry *e, struct err *err)
{
	uint8_t kind = 0;
	const uint8_t *digest = NULL;

	int rc = wire_take8(value, &kind, err);
	if (rc == 0)
		rc = wire_take(value, sizeof(e->digest), &digest, err);
	if (rc != 0)
		return rc;
	if (kind == ENTRY_DIGEST_NONE)
		return err_set(err, ERR_CORRUPT, "an entry has digest 0");
	if (kind > ENTRY_DIGEST_BLOCKS)
		return err_set(err, ERR_UNSUPPORTED, "an entry has digest %u", (unsigned)kind);
	e->digest_kind = kind;
	memcpy(e->digest, digest, sizeof(e->digest));
	return 0;
}

static int take_extents(struct wire *value, struct node_view *node, struct entry_store *s,
	struct entry *e, struct err *err)
{
	uint8_t form = 0;
	uint64_t index = 0;

	int rc = wire_take8(value, &form, err);
	if (rc != 0)
		return rc;
	if (form > ENTRY_CODEC_EXTENTS_TREE)
		return err_set(err, ERR_UNSUPPORTED, "extents have form %u", (unsigned)form);
	if (form == ENTRY_CODEC_EXTENTS_TREE) {
		e->has_extent_tree = true;
		rc = wire_take_varint(value, &index, err);
		if (rc == 0)
			rc = node_codec_ref(node, index, &e->extent_tree, err);
		return rc != 0 ? rc : wire_take8(value, &e->extent_height, err);
	}
	e->extents = s->extents;
	while (value->left > 0) {
		if (e->extent_count == ENTRY_MAX_INLINE_EXTENTS)
			return err_set(err, ERR_CORRUPT, "an entry has too many inline extents");
		rc = extent_tree_take_item(value, node, &s->extents[e->extent_count], err);
		if (rc != 0)
			return rc;
		e->extent_count++;
	}
	return 0;
}

static int take_spills(
	struct wire *value, struct node_view *node, struct entry_store *s, struct err *err)
{
	if (value->left == 0)
		return err_set(err, ERR_CORRUPT, "an entry has an empty spill list");
	while (value->left > 0) {
		uint64_t index = 0;
		if (s->spill_count == ENTRY_CODEC_MAX_SPILLS)
			return err_set(err, ERR_CORRUPT, "an entry has too many spilled records");
		int rc = wire_take_varint(value, &index, err);
		if (rc == 0)
			rc = node_codec_ref(node, index, &s->spills[s->spill_count], err);
		if (rc != 0)
			return rc;
		s->spill_count++;
	}
	return 0;
}

int entry_decode_target(struct wire *value, struct entry_store *s, struct entry *e, struct err *err)
{
	size_t len = value->left;

	if (len == 0 || len > ENTRY_MAX_TARGET_BYTES)
		return err_set(err, ERR_CORRUPT, "a link target has %zu bytes", len);
	if (e->target != NULL)
		return err_set(err, ERR_CORRUPT, "an entry has two link targets");
	s->tags |= TAG_BIT(ENTRY_TAG_TARGET);
	e->target_len = len;
	return wire_take(value, len, &e->target, err);
}

static int grow_xattrs(struct entry_store *s, size_t count, struct err *err)
{
	if (count == ENTRY_MAX_XATTRS)
		return err_set(err, ERR_CORRUPT, "an entry has too many extended attributes");
	if (count < s->xattr_cap)
		return 0;
	size_t cap = s->xattr_cap == 0 ? 16 : s->xattr_cap * 2;
	struct entry_xattr *grown = realloc(s->xattrs, cap * sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->xattrs = grown;
	s->xattr_cap = cap;
	return 0;
}

int entry_decode_xattr(struct wire *value, struct entry_store *s, struct entry *e, struct err *err)
{
	const uint8_t *name = NULL;
	uint64_t name_len = 0;

	int rc = grow_xattrs(s, e->xattr_count, err);
	if (rc == 0)
		rc = wire_take_varint(value, &name_len, err);
	if (rc != 0)
		return rc;
	if (name_len > ENTRY_MAX_XATTR_NAME_BYTES)
		return err_set(err, ERR_CORRUPT, "an extended attribute has a name too long");
	rc = wire_take(value, (size_t)name_len, &name, err);
	if (rc != 0)
		return rc;
	struct entry_xattr x = {
		.name = (const char *)name, .name_len = (size_t)name_len, .value_len = value->left
	};
	rc = wire_take(value, value->left, &x.value, err);
	if (rc != 0)
		return rc;
	if (entry_codec_check_xattr(&x, NULL) != 0)
		return err_set(err, ERR_CORRUPT, "an extended attribute is malformed");
	if (e->xattr_count > s->xattr_from &&
		entry_codec_compare_xattrs(&s->xattrs[e->xattr_count - 1], &x) >= 0)
		return err_set(err, ERR_CORRUPT, "extended attributes do not ascend");
	s->xattrs[e->xattr_count] = x;
	e->xattrs = s->xattrs;
	e->xattr_count++;
	return 0;
}

static int take_fixed(uint8_t tag, struct wire *value, struct entry *e, struct err *err)
{
	uint8_t kind = 0;
	int rc;

	switch (tag) {
	case ENTRY_TAG_KIND:
		rc = wire_take8(value, &kind, err);
		if (rc == 0 && kind > ENTRY_BLOCK)
			rc = err_set(err, ERR_UNSUPPORTED, "an entry has kind %u", (unsigned)kind);
		e->kind = kind;
		return rc;
	case ENTRY_TAG_MODE:
		return take_number32(value, 0, ENTRY_CODEC_MAX_MODE, &e->mode, err);
	case ENTRY_TAG_UID:
		return take_number32(value, 0, UINT32_MAX, &e->uid, err);
	case ENTRY_TAG_GID:
		return take_number32(value, 0, UINT32_MAX, &e->gid, err);
	case ENTRY_TAG_MTIME:
		return take_time(value, &e->mtime, err);
	case ENTRY_TAG_BTIME:
		e->has_btime = true;
		return take_time(value, &e->btime, err);
	case ENTRY_TAG_FLAGS:
		rc = wire_take32(value, &e->flags, err);
		if (rc == 0 && e->flags == 0)
			rc = err_set(err, ERR_CORRUPT, "an entry has a flags field without flags");
		return rc;
	case ENTRY_TAG_DEVICE:
		rc = wire_take32(value, &e->dev_major, err);
		return rc != 0 ? rc : wire_take32(value, &e->dev_minor, err);
	case ENTRY_TAG_SIZE:
		return take_number(value, 0, ENTRY_MAX_SIZE, &e->size, err);
	case ENTRY_TAG_DIGEST:
		return take_digest(value, e, err);
	case ENTRY_TAG_HARDLINK:
		return take_number(value, 1, UINT64_MAX, &e->hardlink, err);
	case ENTRY_TAG_NOTE:
		return take_number32(value, 1, UINT32_MAX, &e->notes, err);
	default:
		return err_set(
			err, ERR_UNSUPPORTED, "an entry has the unknown tag %u", (unsigned)tag);
	}
}

static int take_tlv(uint8_t tag, struct wire *value, struct node_view *node, struct entry_store *s,
	struct entry *e, struct err *err)
{
	switch (tag) {
	case ENTRY_TAG_USER:
		return take_owner(value, s->user, &e->user, err);
	case ENTRY_TAG_GROUP:
		return take_owner(value, s->group, &e->group, err);
	case ENTRY_TAG_TARGET:
		return entry_decode_target(value, s, e, err);
	case ENTRY_TAG_EXTENTS:
		return take_extents(value, node, s, e, err);
	case ENTRY_TAG_XATTR:
		return entry_decode_xattr(value, s, e, err);
	case ENTRY_TAG_SPILL:
		return take_spills(value, node, s, err);
	default:
		return take_fixed(tag, value, e, err);
	}
}

int entry_decode_tlvs(struct wire tlvs, struct node_view *node, struct entry_store *s,
	struct entry *e, struct err *err)
{
	uint8_t last = 0, tag = 0;
	struct wire value;

	memset(e, 0, sizeof(*e));
	s->tags = 0;
	s->xattr_from = 0;
	s->spill_count = 0;
	s->inline_bytes = 0;
	for (;;) {
		uint8_t before = last;
		size_t left = tlvs.left;
		int rc = wire_next_tlv(&tlvs, &last, &tag, &value, err);
		if (rc <= 0)
			return rc;
		if (tag != ENTRY_TAG_SPILL)
			s->inline_bytes += left - tlvs.left;
		if (tag >= 128)
			continue;
		if (tag == before && tag != ENTRY_TAG_XATTR)
			return err_set(
				err, ERR_CORRUPT, "an entry has tag %u twice", (unsigned)tag);
		rc = take_tlv(tag, &value, node, s, e, err);
		if (rc == 0)
			rc = wire_end(&value, err);
		if (rc != 0)
			return rc;
		if (tag < 32)
			s->tags |= TAG_BIT(tag);
	}
}

/* The TLVs that this entry must have, and all that it may have. */
static bool are_tags_right(uint32_t tags, const struct entry *e)
{
	uint32_t must = TAG_BIT(ENTRY_TAG_KIND) | TAG_BIT(ENTRY_TAG_MODE) | TAG_BIT(ENTRY_TAG_UID) |
			TAG_BIT(ENTRY_TAG_GID) | TAG_BIT(ENTRY_TAG_MTIME);
	uint32_t content = TAG_BIT(ENTRY_TAG_TARGET) | TAG_BIT(ENTRY_TAG_DEVICE) |
			   TAG_BIT(ENTRY_TAG_SIZE) | TAG_BIT(ENTRY_TAG_EXTENTS);
	uint32_t of_kind = 0;

	if (e->kind == ENTRY_SYMLINK)
		of_kind = TAG_BIT(ENTRY_TAG_TARGET);
	else if ((e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK))
		of_kind = TAG_BIT(ENTRY_TAG_DEVICE);
	else if (e->kind == ENTRY_FILE)
		of_kind = TAG_BIT(ENTRY_TAG_SIZE) | (e->size > 0 ? TAG_BIT(ENTRY_TAG_EXTENTS) : 0);
	return (tags & must) == must && (tags & content) == of_kind;
}

int entry_decode_complete(struct entry_store *s, struct entry *e, struct err *err)
{
	if (s->inline_bytes > ENTRY_CODEC_MAX_INLINE_BYTES)
		return err_set(err, ERR_CORRUPT, "an entry has %zu bytes", s->inline_bytes);
	if (!are_tags_right(s->tags, e))
		return err_set(err, ERR_CORRUPT, "fields and kind of an entry disagree");
	if (s->spill_count > 0 && e->xattr_count > 1)
		qsort(s->xattrs, e->xattr_count, sizeof(s->xattrs[0]), entry_codec_compare_xattrs);
	int rc = entry_codec_check(e, err);
	/* what is too long to write cannot have been written */
	return rc == -ERR_LIMIT ? err_set(err, ERR_CORRUPT, "an entry passes a limit") : rc;
}
