/*
 * file_reader: any byte range of one file of a snapshot, without restoring it: the extents by
 * extent_map, their records through a record_cache, holes as zeros, ahead of who reads in order.
 * Every byte given comes from a record whose ID and tag were right.  The whole file's digest is
 * not looked at: for that the whole file must be read.
 * Threading: any number of threads may read at the same time.
 */
#ifndef VAULT_FILE_READER_H
#define VAULT_FILE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct err;
struct file_reader;
struct record_cache;

/* A reader of the file ${e}, of which everything needed is copied; ${cache} is borrowed until free.
 * Return 0, -ERR_CORRUPT or -ERR_NOMEM. */
int file_reader_new(struct record_cache *cache, const struct entry *e, struct file_reader **out,
	struct err *err);
void file_reader_free(struct file_reader *r);

/* The file's size in bytes. */
uint64_t file_reader_size(const struct file_reader *r);

/**
 * file_reader_read(r, offset, out, len, got, err):
 * Read up to ${len} bytes at ${offset}; *${got} is less only at the end of the file.  On failure
 * *${got} says how many bytes before the fault are right; the rest of ${out} is undefined.
 * Return 0, -ERR_CORRUPT, -ERR_NOT_FOUND, -ERR_UNSUPPORTED, -ERR_IO or -ERR_NOMEM.
 */
int file_reader_read(struct file_reader *r, uint64_t offset, void *out, size_t len, size_t *got,
	struct err *err);

/**
 * file_reader_seek(r, offset, wants_hole, out, err):
 * The next offset from ${offset} on that lies in a hole (the end of the file counts as one), or in
 * data.  Return 0, -ERR_NOT_FOUND (no more data, or ${offset} is not in the file) or as read.
 */
int file_reader_seek(
	struct file_reader *r, uint64_t offset, bool wants_hole, uint64_t *out, struct err *err);

#endif
