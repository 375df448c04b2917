/*
 * chunk_cache: which record a chunk, or a node of the tree, became, found again by a keyed
 * fingerprint of its bytes, so that what the last snapshot of a source holds is neither compressed
 * nor sealed again (docs/FORMAT.md section 11).  Local, never part of a vault; the refs in it open
 * only with the chunk at hand; every entry carries a MAC, and a bad one is a miss. print and find:
 * any thread; all else: one thread at a time, beside those.
 */
#ifndef AGENTS_CHUNK_CACHE_H
#define AGENTS_CHUNK_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/record.h"

struct err;
struct chunk_cache;

#define CHUNK_CACHE_ENTRY_BYTES 88 /* on disk, beside 24 in the file's index */

/* What a chunk's fingerprint says of it; the fingerprint itself is kept nowhere. */
struct chunk_print {
	uint8_t index[16];       /* where its entry is */
	uint8_t mask[REF_BYTES]; /* what hides its ref */
	uint8_t check[8];        /* goes into the entry's MAC */
};

/**
 * chunk_cache_open(path, k_fp, base, out, err):
 * Open the cache file ${path} for a backup on top of the snapshot ${base} (32 bytes; NULL = none).
 * A file that is missing, damaged, of another key or of another base counts as empty: what is found
 * is in use by ${base}.  Return 0 or -ERR_NOMEM / -ERR_IO.
 */
int chunk_cache_open(const char *path, const uint8_t k_fp[32], const uint8_t *base,
	struct chunk_cache **out, struct err *err);
void chunk_cache_free(struct chunk_cache *c);

/* Whether there is nothing to be found.  Any thread. */
bool chunk_cache_is_empty(const struct chunk_cache *c);

/* Take the fingerprint of ${len} raw bytes; what makes another record of them (${type}, ${class})
 * has another one. */
void chunk_cache_print(const struct chunk_cache *c, enum record_type type, enum record_class class,
	const void *raw, size_t len, struct chunk_print *out);

/* Find the record of a chunk of ${len} bytes.  Return 1 with its ref, or 0. */
int chunk_cache_find(
	struct chunk_cache *c, const struct chunk_print *print, size_t len, struct ref *out);

/* Remember for the next backup what a chunk was sealed as.  Memory: 24 bytes.  Nothing is
 * remembered while another backup adds to the same cache.  Return 0 or -ERR_IO / -ERR_NOMEM, again
 * for every later call. */
int chunk_cache_add(struct chunk_cache *c, const struct chunk_print *print, const struct ref *ref,
	struct err *err);

/**
 * chunk_cache_commit(c, snap_hash, refs, len, err):
 * The snapshot exists: what was added, and what was known before and is in its reference list
 * (${refs}, an rf body), becomes the cache for ${snap_hash}.  Memory: 8 bytes a reference, for
 * the time of the call, and 24 for each entry kept.  Return 0 or -ERR_IO / -ERR_NOMEM /
 * -ERR_CORRUPT (the next backup seals everything it reads; nothing is lost).
 */
int chunk_cache_commit(struct chunk_cache *c, const uint8_t snap_hash[32], const uint8_t *refs,
	size_t len, struct err *err);

#endif
