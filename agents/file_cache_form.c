#include "agents/file_cache_form.h"

#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hmac.h"
#include "crypto/siphash.h"

/*
 * Header (88 bytes):
 *	 0 "HFPC"   4 u32 version   8 key id (16)   24 base (32)   56 u64 count
 *	64 u64 index_at   72 u64 file_bytes   80 MAC of 0..80
 * Record:
 *	 0 u64 fs_id   8 u64 ino   16 u64 size   24 i64 mtime s   32 u32 mtime ns   36 u32 ctime ns
 *	40 i64 ctime s   48 u32 extent count   52 u32 digest kind   56 digest (32)
 *	88 u32 inode flags   92 u32 1 + bytes of attributes, 0: they and the flags are not told
 *	96 extents   .. attributes   .. MAC of all before
 * Extent (88 bytes): ref (72, all zero for a hole)   72 u64 offset   80 u64 length
 * Attribute: u32 bytes of the name   u32 bytes of the value   name   value
 *
 * INVARIANTS
 * (1) What is encoded decodes to the same; every length is computed in 64 bits from the count,
 *     which is bounded first.
 */

static const uint8_t magic[8] = { 'H', 'F', 'P', 'C', 0, 0, 0, 2 };

#define ATTR_HEAD_BYTES 8

DEFINE_CLEANUP(struct content *, content_free)

void file_cache_form_keys(const uint8_t k_fp[32], struct file_cache_keys *out)
{
	hmac_kdf(k_fp, 32, NULL, 0, "hf1/path-cache-id", NULL, 0, out->id, sizeof(out->id));
	hmac_kdf(k_fp, 32, NULL, 0, "hf1/path-cache-mac", NULL, 0, out->mac, sizeof(out->mac));
}

void file_cache_form_encode_header(const struct file_cache_keys *k,
	const struct file_cache_header *h, uint8_t out[FILE_CACHE_HEADER_BYTES])
{
	memcpy(out, magic, sizeof(magic));
	memcpy(out + 8, k->id, 16);
	memcpy(out + 24, h->base, 32);
	bytes_put64(out + 56, h->count);
	bytes_put64(out + 64, h->index_at);
	bytes_put64(out + 72, h->file_bytes);
	bytes_put64(out + 80, siphash_key(k->mac, out, 80));
}

int file_cache_form_decode_header(const struct file_cache_keys *k,
	const uint8_t in[FILE_CACHE_HEADER_BYTES], struct file_cache_header *out)
{
	if (memcmp(in, magic, sizeof(magic)) != 0 || memcmp(in + 8, k->id, 16) != 0 ||
		siphash_key(k->mac, in, 80) != bytes_get64(in + 80))
		return -1;
	memcpy(out->base, in + 24, 32);
	out->count = bytes_get64(in + 56);
	out->index_at = bytes_get64(in + 64);
	out->file_bytes = bytes_get64(in + 72);
	return 0;
}

static uint32_t attr_bytes_of(const uint8_t *head)
{
	uint32_t told = bytes_get32(head + 92);
	return told == 0 ? 0 : told - 1;
}

uint64_t file_cache_form_record_len(const uint8_t head[FILE_CACHE_RECORD_HEAD_BYTES])
{
	uint32_t count = bytes_get32(head + 48);
	uint32_t attr_bytes = attr_bytes_of(head);
	if (count > FILE_CACHE_MAX_EXTENTS || attr_bytes > FILE_CACHE_MAX_ATTR_BYTES)
		return 0;
	return FILE_CACHE_RECORD_HEAD_BYTES + (uint64_t)count * FILE_CACHE_EXTENT_BYTES +
	       attr_bytes + FILE_CACHE_MAC_BYTES;
}

static void encode_extent(const struct extent *x, uint8_t out[FILE_CACHE_EXTENT_BYTES])
{
	if (x->is_hole)
		memset(out, 0, REF_BYTES);
	else
		ref_encode(&x->ref, out);
	bytes_put64(out + 72, x->is_hole ? 0 : x->offset);
	bytes_put64(out + 80, x->length);
}

static uint64_t size_of_attrs(const struct entry *e)
{
	uint64_t n = 0;
	for (size_t i = 0; i < e->xattr_count; i++)
		n += ATTR_HEAD_BYTES + e->xattrs[i].name_len + e->xattrs[i].value_len;
	return n;
}

static void encode_attrs(const struct entry *e, uint8_t *p)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		bytes_put32(p, (uint32_t)x->name_len);
		bytes_put32(p + 4, (uint32_t)x->value_len);
		p += ATTR_HEAD_BYTES;
		memcpy(p, x->name, x->name_len);
		p += x->name_len;
		if (x->value_len > 0)
			memcpy(p, x->value, x->value_len);
		p += x->value_len;
	}
}

int file_cache_form_add_record(const struct file_cache_keys *k, const struct file_cache_record *r,
	const struct content *content, const struct entry *detail, struct buf *out, struct err *err)
{
	const uint64_t attr_bytes = detail == NULL ? 0 : size_of_attrs(detail);
	if (attr_bytes > FILE_CACHE_MAX_ATTR_BYTES)
		return file_cache_form_add_record(k, r, content, NULL, out, err);
	const size_t attrs_at =
		FILE_CACHE_RECORD_HEAD_BYTES + content->count * FILE_CACHE_EXTENT_BYTES;
	const size_t len = attrs_at + (size_t)attr_bytes;
	int rc = buf_reserve(out, len + FILE_CACHE_MAC_BYTES, err);
	if (rc != 0)
		return rc;
	uint8_t *p = out->data + out->len;
	bytes_put64(p, r->fs_id);
	bytes_put64(p + 8, r->ino);
	bytes_put64(p + 16, r->size);
	bytes_put64(p + 24, (uint64_t)r->mtime.s);
	bytes_put32(p + 32, r->mtime.ns);
	bytes_put32(p + 36, r->ctime.ns);
	bytes_put64(p + 40, (uint64_t)r->ctime.s);
	bytes_put32(p + 48, (uint32_t)content->count);
	bytes_put32(p + 52, (uint32_t)content->digest_kind);
	memcpy(p + 56, content->digest, 32);
	bytes_put32(p + 88, detail == NULL ? 0 : detail->flags);
	bytes_put32(p + 92, detail == NULL ? 0 : (uint32_t)attr_bytes + 1);
	for (size_t i = 0; i < content->count; i++)
		encode_extent(&content->extents[i],
			p + FILE_CACHE_RECORD_HEAD_BYTES + i * FILE_CACHE_EXTENT_BYTES);
	if (detail != NULL)
		encode_attrs(detail, p + attrs_at);
	bytes_put64(p + len, siphash_key(k->mac, p, len));
	out->len += len + FILE_CACHE_MAC_BYTES;
	return 0;
}

int file_cache_form_check_record(const struct file_cache_keys *k, const uint8_t *record, size_t len,
	struct file_cache_record *out)
{
	if (len < FILE_CACHE_RECORD_HEAD_BYTES || file_cache_form_record_len(record) != len)
		return -1;
	size_t used = len - FILE_CACHE_MAC_BYTES;
	if (siphash_key(k->mac, record, used) != bytes_get64(record + used))
		return -1;
	*out = (struct file_cache_record){ .fs_id = bytes_get64(record),
		.ino = bytes_get64(record + 8),
		.size = bytes_get64(record + 16),
		.mtime = { .s = (int64_t)bytes_get64(record + 24), .ns = bytes_get32(record + 32) },
		.ctime = { .s = (int64_t)bytes_get64(record + 40), .ns = bytes_get32(record + 36) },
		.extent_count = bytes_get32(record + 48),
		.digest_kind = bytes_get32(record + 52),
		.extents = record + FILE_CACHE_RECORD_HEAD_BYTES,
		.has_detail = bytes_get32(record + 92) != 0,
		.flags = bytes_get32(record + 88),
		.attr_bytes = attr_bytes_of(record) };
	out->attrs = out->extents + (size_t)out->extent_count * FILE_CACHE_EXTENT_BYTES;
	memcpy(out->digest, record + 56, 32);
	return 0;
}

int file_cache_form_attrs(
	const struct file_cache_record *r, struct entry_xattr *out, size_t room, size_t *count)
{
	const uint8_t *p = r->attrs;
	size_t left = r->attr_bytes, n = 0;
	while (left > 0) {
		if (left < ATTR_HEAD_BYTES || n == room)
			return -1;
		const uint64_t name_len = bytes_get32(p), value_len = bytes_get32(p + 4);
		left -= ATTR_HEAD_BYTES;
		p += ATTR_HEAD_BYTES;
		if (name_len + value_len > left)
			return -1;
		out[n++] = (struct entry_xattr){ .name = (const char *)p,
			.name_len = (size_t)name_len,
			.value = p + name_len,
			.value_len = (size_t)value_len };
		p += name_len + value_len;
		left -= (size_t)(name_len + value_len);
	}
	*count = n;
	return 0;
}

static int add_extent(struct content *c, const uint8_t *in, struct err *err)
{
	struct ref ref;
	ref_decode(in, &ref);
	uint64_t length = bytes_get64(in + 80);
	return ref.cr_len == 0 ? content_add_hole(c, length, err)
			       : content_add(c, &ref, bytes_get64(in + 72), length, err);
}

int file_cache_form_content(
	const struct file_cache_record *r, struct content **out, struct err *err)
{
	CLEANUP(content_free_p) struct content *c = NULL;
	uint64_t covered = 0;
	int rc = content_new(&c, err);
	for (uint32_t i = 0; rc == 0 && i < r->extent_count; i++) {
		const uint8_t *extent = r->extents + (size_t)i * FILE_CACHE_EXTENT_BYTES;
		if (__builtin_add_overflow(covered, bytes_get64(extent + 80), &covered))
			return 0;
		rc = add_extent(c, extent, err);
	}
	if (rc != 0)
		return rc;
	if (covered != r->size || r->digest_kind > ENTRY_DIGEST_BLOCKS)
		return 0;
	c->size = r->size;
	c->digest_kind = r->digest_kind;
	memcpy(c->digest, r->digest, sizeof(c->digest));
	*out = TAKE(c);
	return 1;
}
