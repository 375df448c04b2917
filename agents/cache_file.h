/*
 * cache_file: one local cache file of a source: records that are found by a key of 16 bytes, valid
 * for one base snapshot, read as the last backup left it and replaced as a whole at commit
 * (docs/FORMAT.md section 11).  Knows nothing of what a record says or whether it is whole: its
 * owner checks every one.  Not thread-safe.
 */
#ifndef AGENTS_CACHE_FILE_H
#define AGENTS_CACHE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/file_cache_form.h"
#include "agents/file_cache_places.h"

struct err;
struct cache_file;

struct cache_file_opts {
	const char *path;                   /* copied, as all here */
	const struct file_cache_keys *keys; /* one kind of cache, one set of keys */
	const uint8_t *base;                /* 32 bytes; NULL = none */
	/* Whether it is synced before it replaces the last one.  Without that a power cut may leave
	 * anything, which the MACs turn into misses. */
	bool is_synced;
};

/**
 * cache_file_open(opts, out, err):
 * Open ${path} for a backup on top of ${base}.  A file that is missing, damaged, of other keys or
 * of another base counts as empty.  Return 0 or -ERR_NOMEM / -ERR_IO.
 */
int cache_file_open(const struct cache_file_opts *opts, struct cache_file **out, struct err *err);
void cache_file_free(struct cache_file *c);

/* How many records the last backup left. */
uint64_t cache_file_count(const struct cache_file *c);
/* Find a record's place.  Return 1, or 0: not there, or not to be read.  *${at} may be anything. */
int cache_file_find(struct cache_file *c, const struct file_cache_key *key, uint64_t *at);
/* Key and place of the record ${i} of cache_file_count(), by ascending keys.  Return 1, or 0: not
 * to be read. */
int cache_file_get(struct cache_file *c, uint64_t i, struct file_cache_key *key, uint64_t *at);
/* How many bytes of records there are from ${at} on; 0 when it is outside of them. */
uint64_t cache_file_left(const struct cache_file *c, uint64_t at);
/* Whether ${len} bytes at ${at} lie among the records. */
bool cache_file_has(const struct cache_file *c, uint64_t at, uint64_t len);
/* Read them.  Return 1, or 0: not there, or not to be read. */
int cache_file_read(const struct cache_file *c, uint64_t at, void *out, size_t len);

/**
 * cache_file_add(c, key, record, len, err):
 * Remember a record for the next backup (spooled to ${path}.new; 24 bytes of memory); of several
 * with one key the first counts.  Nothing is remembered while another backup adds to the same
 * cache.  Return 0 or -ERR_IO / -ERR_NOMEM, again for every later call.
 */
int cache_file_add(struct cache_file *c, const struct file_cache_key *key, const void *record,
	size_t len, struct err *err);

/* The snapshot exists: make what was added the cache for ${snap_hash}.  Return 0 or -ERR_IO. */
int cache_file_commit(struct cache_file *c, const uint8_t snap_hash[32], struct err *err);

#endif
