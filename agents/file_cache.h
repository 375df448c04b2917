/*
 * file_cache: what the last backup of a source knew of each file, content and attributes, so that
 * an unchanged file costs one stat (docs/FORMAT.md section 11).  Looked up by (file system id,
 * inode): a renamed directory re-reads nothing.  Local, never part of a vault; every entry carries
 * a MAC, and a bad one is a miss.  Not thread-safe.
 */
#ifndef AGENTS_FILE_CACHE_H
#define AGENTS_FILE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/content.h"
#include "agents/source.h"

struct err;
struct file_cache;

/**
 * file_cache_open(path, k_fp, base, out, err):
 * Open the cache file ${path} for a backup on top of the snapshot ${base} (32 bytes; NULL = none).
 * A file that is missing, damaged, of another key or of another base counts as empty.
 * The file is replaced by file_cache_commit() only.  Return 0 or -ERR_NOMEM / -ERR_IO.
 */
int file_cache_open(const char *path, const uint8_t k_fp[32], const uint8_t *base,
	struct file_cache **out, struct err *err);
void file_cache_free(struct file_cache *c);
/* Whether nothing can be found in it. */
bool file_cache_is_empty(const struct file_cache *c);

/**
 * file_cache_find(c, item, scan_start, out, err):
 * Find the content of an unchanged file: size, mtime and ctime equal, and ctime more than 2 s
 * before ${scan_start} (seconds).  A brief item is brief no more when its flags and extended
 * attributes are known, too (borrowed until the next find); it must come from a source whose time
 * of change tells of them.  Return 1 with a new content (owned), 0 when there is none, or
 * -ERR_NOMEM.
 */
int file_cache_find(struct file_cache *c, struct source_item *item, int64_t scan_start,
	struct content **out, struct err *err);

/**
 * file_cache_add(c, item, content, err):
 * Remember a file for the next backup (spooled to a temporary file beside ${path}).  Passed over
 * are an item without an identity or whose times are not to be trusted, one with a note (it changed
 * while it was read), content that waits for a bundle, and a file whose ctime is not more than 2 s
 * before file_cache_open(): it may be written once more without getting another time.  Nor is
 * anything remembered while another backup adds to the same cache.  Return 0 or -ERR_IO /
 * -ERR_NOMEM, again for every later call.
 */
int file_cache_add(struct file_cache *c, const struct source_item *item,
	const struct content *content, struct err *err);

/* The snapshot exists: make what was added the cache for ${snap_hash}.  Return 0 or -ERR_IO (the
 * next backup reads everything again; nothing is lost). */
int file_cache_commit(struct file_cache *c, const uint8_t snap_hash[32], struct err *err);

#endif
