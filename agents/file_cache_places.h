/*
 * file_cache_places: where the records of a new cache file begin, collected for its index.
 * A place in the file: u64 fs_id, u64 ino, u64 at; ascending by (fs_id, ino).
 */
#ifndef AGENTS_FILE_CACHE_PLACES_H
#define AGENTS_FILE_CACHE_PLACES_H

#include <stdint.h>

struct buf;
struct err;
struct file_cache_places;

struct file_cache_key {
	uint64_t fs_id, ino;
};

/* Return <0, 0, >0. */
int file_cache_places_compare(const struct file_cache_key *a, const struct file_cache_key *b);

int file_cache_places_new(struct file_cache_places **out, struct err *err);
void file_cache_places_free(struct file_cache_places *p);

/* Remember a place (24 bytes of memory). */
int file_cache_places_add(
	struct file_cache_places *p, uint64_t fs_id, uint64_t ino, uint64_t at, struct err *err);

/* Sort, keep the first place of each inode, return how many there are. */
uint64_t file_cache_places_sort(struct file_cache_places *p);

/* Append place ${i} as it stands in the file.  Return as buf_add(). */
int file_cache_places_format(
	const struct file_cache_places *p, uint64_t i, struct buf *out, struct err *err);

#endif
