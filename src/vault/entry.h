/*
 * entry: one name of a snapshot: what a file system says of it, and where its content lies.
 * Knows: the TLVs of a leaf entry (docs/FORMAT.md section 4) and their order.
 * Keys are path components joined by 00 bytes, without a leading one; "" is never a key.
 */
#ifndef VAULT_ENTRY_H
#define VAULT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vault/ref.h"

struct buf;
struct err;

#define ENTRY_MAX_COMPONENT_BYTES 4096
#define ENTRY_MAX_KEY_BYTES 32768
#define ENTRY_MAX_XATTRS 4096
#define ENTRY_MAX_XATTR_BYTES 65536 /* one value; Linux has the same limit */
#define ENTRY_MAX_XATTR_NAME_BYTES 255
#define ENTRY_MAX_ATTR_BYTES (16u << 20) /* all names and values of one entry together */
#define ENTRY_MAX_TARGET_BYTES 65536
#define ENTRY_MAX_OWNER_BYTES 1024 /* a user's or group's name */
#define ENTRY_MAX_SIZE INT64_MAX   /* of a file */
#define ENTRY_MAX_INLINE_EXTENTS 32

enum entry_kind {
	ENTRY_FILE = 1,
	ENTRY_DIR = 2,
	ENTRY_SYMLINK = 3,
	ENTRY_FIFO = 4,
	ENTRY_CHAR = 5,
	ENTRY_BLOCK = 6,
};

/* TLV tags; DECISIONS "Format".  In the tree, 128 and above are kept and skipped. */
enum entry_tag {
	ENTRY_TAG_KIND = 1,
	ENTRY_TAG_MODE = 2,
	ENTRY_TAG_UID = 3,
	ENTRY_TAG_GID = 4,
	ENTRY_TAG_USER = 5,
	ENTRY_TAG_GROUP = 6,
	ENTRY_TAG_MTIME = 7,
	ENTRY_TAG_BTIME = 8,
	ENTRY_TAG_FLAGS = 9,
	ENTRY_TAG_TARGET = 10,
	ENTRY_TAG_DEVICE = 11,
	ENTRY_TAG_SIZE = 12,
	ENTRY_TAG_DIGEST = 13,
	ENTRY_TAG_EXTENTS = 14,
	ENTRY_TAG_HARDLINK = 15,
	ENTRY_TAG_XATTR = 16,
	ENTRY_TAG_SPILL = 17,
	ENTRY_TAG_NOTE = 18,
};

enum entry_note {
	ENTRY_NOTE_CHANGED = 1,  /* changed while it was read; content is what was read */
	ENTRY_NOTE_APPENDED = 2, /* grew while it was read; content is the length at open */
};

enum entry_digest {
	ENTRY_DIGEST_NONE = 0,
	ENTRY_DIGEST_SHA256 = 1, /* of the content */
	ENTRY_DIGEST_BLOCKS = 2, /* of the SHA-256 of 1 MiB blocks */
};

/* Seconds since 1970 (negative before) and nanoseconds 0..999999999: every time a file can have. */
struct entry_time {
	int64_t s;
	uint32_t ns;
};

/* Content: ${length} bytes at ${offset} of the raw record ${ref}, or a hole. */
struct extent {
	bool is_hole;
	struct ref ref; /* unset for a hole */
	uint64_t offset;
	uint64_t length;
};

struct entry_xattr {
	const char *name; /* any bytes but NUL */
	size_t name_len;
	const uint8_t *value;
	size_t value_len;
};

/*
 * Pointers are borrowed: from the caller who fills an entry for writing, or from the reader
 * (tree_reader.h) until it goes on to the next one.
 */
struct entry {
	enum entry_kind kind;
	uint32_t mode; /* 07777 */
	uint32_t uid, gid;
	const char *user; /* NUL-terminated; NULL = no name */
	const char *group;
	struct entry_time mtime;
	bool has_btime;
	struct entry_time btime;
	uint32_t flags;        /* FS_IOC_GETFLAGS bits that restore can set; 0 = none */
	const uint8_t *target; /* symlink */
	size_t target_len;
	uint32_t dev_major, dev_minor; /* ENTRY_CHAR, ENTRY_BLOCK */
	uint64_t size;                 /* ENTRY_FILE */
	enum entry_digest digest_kind;
	uint8_t digest[32];
	uint64_t hardlink; /* 0, or the group: ordinal (from 1) of its first name among groups */
	const struct entry_xattr *xattrs; /* ascending by name bytes */
	size_t xattr_count;
	uint32_t notes; /* enum entry_note bits */
	/* Extents in order, covering exactly ${size} bytes.  When reading a file with an extent
	 * tree, extent_count is 0 and extent_tree is set: tree_reader_extents() walks both forms.
	 * A writer may give a tree as well: one made by extent_tree.h, its records noted.
	 */
	const struct extent *extents;
	size_t extent_count;
	bool has_extent_tree;
	struct ref extent_tree;
	uint8_t extent_height; /* levels of the extent tree; 1 = its top node is a leaf */
};

/* Return <0, 0, >0: keys compared as bytes. */
int entry_key_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* True if ${key} is ${dir} or lies below it; every key lies below the empty one. */
bool entry_key_is_within(const uint8_t *key, size_t len, const uint8_t *dir, size_t dir_len);

/* S_IFREG and so on, or 0 for what is no kind. */
mode_t entry_kind_mode(enum entry_kind kind);

/* Return the key's pseudo-random number: SipHash-2-4(k_tree, tag || key), len <= the limit. */
uint64_t entry_key_prf(const uint8_t k_tree[16], uint8_t tag, const uint8_t *key, size_t len);

/**
 * entry_key_check(key, len, err):
 * Return 0, or -ERR_CORRUPT when a component is empty, ".", "..", holds '/' or passes a limit.
 */
int entry_key_check(const uint8_t *key, size_t len, struct err *err);

/* Append the key as a path with '/' (and a leading one) for people.  Return as buf_add(). */
int entry_key_path(const uint8_t *key, size_t len, struct buf *out, struct err *err);

/**
 * entry_path_key(path, out, err):
 * Append the key of an absolute or relative path; "." and empty components are dropped, so "/"
 * appends nothing.
 * Return 0, -ERR_USAGE (a ".." component) or -ERR_LIMIT.
 */
int entry_path_key(const char *path, struct buf *out, struct err *err);

#endif
