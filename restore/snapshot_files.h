/*
 * snapshot_files: the regular files of a snapshot with size and digest, in memory: what its tree
 * says, to be compared with what was restored.
 */
#ifndef RESTORE_SNAPSHOT_FILES_H
#define RESTORE_SNAPSHOT_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;
struct record_source;
struct ref;

#define SNAPSHOT_FILES_MAX ((size_t)4000000)

struct snapshot_file {
	char *path; /* relative, '/' between components; owned */
	uint64_t size;
	int64_t mtime_s;
	enum entry_digest digest_kind;
	uint8_t digest[32];
};

struct snapshot_files {
	struct snapshot_file *items; /* sorted by path bytes */
	size_t count, cap;
	uint64_t bytes; /* of all of them */
};

/**
 * snapshot_files_read(source, top, out, err):
 * Walk the tree under ${top}.  ${out} (zeroed) is ended by snapshot_files_done(), also on failure.
 * Return 0, -ERR_LIMIT, -ERR_NOMEM, -ERR_CORRUPT or what the source says.
 */
int snapshot_files_read(const struct record_source *source, const struct ref *top,
	struct snapshot_files *out, struct err *err);

/* Append one; the path is copied.  Sort with snapshot_files_sort() after the last. */
int snapshot_files_add(struct snapshot_files *f, const struct snapshot_file *file, struct err *err);
void snapshot_files_sort(struct snapshot_files *f);

/* The file ${path}, or NULL; borrowed. */
const struct snapshot_file *snapshot_files_find(const struct snapshot_files *f, const char *path);

void snapshot_files_done(struct snapshot_files *f);

#endif
