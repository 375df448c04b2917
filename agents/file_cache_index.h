/*
 * file_cache_index: where in a cache file the record of (file system, inode) begins, found by
 * reading one block: a cache of many millions of files costs little memory, and a failing disk is
 * a miss (mapped memory would end the program there).
 */
#ifndef AGENTS_FILE_CACHE_INDEX_H
#define AGENTS_FILE_CACHE_INDEX_H

#include <stdint.h>

struct err;
struct file_cache_index;
struct file_cache_key;

/**
 * file_cache_index_open(fd, at, count, out, err):
 * Use the ${count} places of 24 bytes at ${at} in ${fd} (borrowed until free; both checked against
 * the file's length).  Return 0 or -ERR_IO / -ERR_NOMEM.
 */
int file_cache_index_open(
	int fd, uint64_t at, uint64_t count, struct file_cache_index **out, struct err *err);
void file_cache_index_free(struct file_cache_index *x);

/* Find a place.  Return 1, or 0: not there, or not to be read.  *${at} may be anything in a damaged
 * file. */
int file_cache_index_find(struct file_cache_index *x, uint64_t fs_id, uint64_t ino, uint64_t *at);

/* Key and place ${i} of the index.  Return 1, or 0: not to be read. */
int file_cache_index_get(
	struct file_cache_index *x, uint64_t i, struct file_cache_key *key, uint64_t *at);

#endif
