/*
 * file_cache_form: the bytes of a cache file's header and records, and their MACs.
 * Local to one host: no other program reads them; another version counts as empty.
 */
#ifndef AGENTS_FILE_CACHE_FORM_H
#define AGENTS_FILE_CACHE_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/content.h"
#include "vault/entry.h"

struct buf;
struct err;

#define FILE_CACHE_MAX_EXTENTS (4u << 20) /* of one file: 4 TiB at the usual record size */
#define FILE_CACHE_HEADER_BYTES 88
#define FILE_CACHE_RECORD_HEAD_BYTES 96
#define FILE_CACHE_EXTENT_BYTES 88
#define FILE_CACHE_MAC_BYTES 8
#define FILE_CACHE_PLACE_BYTES 24
#define FILE_CACHE_MAX_ATTR_BYTES 65536u /* encoded; a file with more is not known by its name */
#define FILE_CACHE_MAX_RECORD_BYTES                                                                \
	((size_t)FILE_CACHE_RECORD_HEAD_BYTES + FILE_CACHE_MAC_BYTES + FILE_CACHE_MAX_ATTR_BYTES + \
		(size_t)FILE_CACHE_MAX_EXTENTS * FILE_CACHE_EXTENT_BYTES)

struct file_cache_keys {
	uint8_t id[16];  /* says which key without telling it */
	uint8_t mac[16]; /* of SipHash-2-4 */
};

struct file_cache_header {
	uint8_t base[32]; /* the snapshot it belongs to */
	uint64_t count;   /* of places */
	uint64_t index_at;
	uint64_t file_bytes;
};

/* What a record says; extents and attributes are borrowed from its bytes. */
struct file_cache_record {
	uint64_t fs_id, ino, size;
	struct entry_time mtime, ctime;
	enum entry_digest digest_kind;
	uint8_t digest[32];
	uint32_t extent_count;
	const uint8_t *extents; /* encoded */
	bool has_detail;        /* it tells the next two */
	uint32_t flags;         /* of the inode */
	const uint8_t *attrs;   /* encoded; read by file_cache_form_attrs() */
	uint32_t attr_bytes;
};

/* Derive the keys from K_fp. */
void file_cache_form_keys(const uint8_t k_fp[32], struct file_cache_keys *out);

void file_cache_form_encode_header(const struct file_cache_keys *k,
	const struct file_cache_header *h, uint8_t out[FILE_CACHE_HEADER_BYTES]);

/* Return 0, or -1 when it is damaged, of another version or of another key. */
int file_cache_form_decode_header(const struct file_cache_keys *k,
	const uint8_t in[FILE_CACHE_HEADER_BYTES], struct file_cache_header *out);

/* The length of the record that begins with ${head}; 0 when it can be none. */
uint64_t file_cache_form_record_len(const uint8_t head[FILE_CACHE_RECORD_HEAD_BYTES]);

/* Append the record of ${r}'s file and times with digest and extents of ${content}, and with flags
 * and extended attributes of ${detail} (NULL: it does not tell them), where these are not too long.
 * Return as buf_reserve(). */
int file_cache_form_add_record(const struct file_cache_keys *k, const struct file_cache_record *r,
	const struct content *content, const struct entry *detail, struct buf *out,
	struct err *err);

/* Return 0 with what the record says, borrowed from its bytes, or -1: damaged. */
int file_cache_form_check_record(const struct file_cache_keys *k, const uint8_t *record, size_t len,
	struct file_cache_record *out);

/* The extended attributes of a checked record, borrowed from it, into ${out} (room for ${room}).
 * Return 0 with their count, or -1: they make no sense. */
int file_cache_form_attrs(
	const struct file_cache_record *r, struct entry_xattr *out, size_t room, size_t *count);

/* Make the content a checked record tells of.  Return 1, 0: it makes no sense, or -ERR_NOMEM. */
int file_cache_form_content(
	const struct file_cache_record *r, struct content **out, struct err *err);

#endif
