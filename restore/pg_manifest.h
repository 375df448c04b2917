/*
 * pg_manifest: PostgreSQL's backup_manifest: the server's own list of the files of a base backup
 * with their SHA-256, and the range of WAL that makes it consistent.
 * Knows: the manifest's JSON (versions 1 and 2) and its own checksum; that WAL segments are
 * not listed.  Hides: nothing.
 */
#ifndef RESTORE_PG_MANIFEST_H
#define RESTORE_PG_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define PG_MANIFEST_FILE_NAME "backup_manifest"
#define PG_MANIFEST_MAX_BYTES ((size_t)256 << 20)
#define PG_MANIFEST_MAX_FILES ((size_t)1000000)

struct pg_manifest_file {
	char *path; /* relative to the data directory; owned */
	uint64_t size;
	uint8_t sha256[32];
};

struct pg_manifest_wal {
	uint32_t timeline;
	uint64_t start, end; /* byte positions in the WAL */
};

struct pg_manifest_list {
	struct pg_manifest_file *files; /* sorted by path after pg_manifest_list_sort() */
	size_t count;
};

struct pg_manifest {
	struct pg_manifest_list list;
	struct pg_manifest_wal *wal;
	size_t wal_count;
};

/* Append; the path is copied.  Return 0, -ERR_LIMIT or -ERR_NOMEM. */
int pg_manifest_list_add(
	struct pg_manifest_list *list, const struct pg_manifest_file *file, struct err *err);
void pg_manifest_list_done(struct pg_manifest_list *list);

/**
 * pg_manifest_parse(data, len, out, err):
 * Check the manifest's own checksum and parse it; *${out} is owned.  Return 0, -ERR_CORRUPT, or
 * -ERR_UNSUPPORTED (files without SHA-256, or another version).
 */
int pg_manifest_parse(const void *data, size_t len, struct pg_manifest **out, struct err *err);
void pg_manifest_free(struct pg_manifest *m);

/**
 * pg_manifest_match(m, seen, err):
 * Compare what was received (sorted here) with the list.  Files below pg_wal/ and the manifest
 * itself need not be listed.  Return 0, or -ERR_CORRUPT that names the first file that is missing,
 * unknown or different.
 */
int pg_manifest_match(const struct pg_manifest *m, struct pg_manifest_list *seen, struct err *err);

/**
 * pg_manifest_verify(m, dirfd, err):
 * Read every file below ${dirfd} and pg_manifest_match() it; also see that pg_wal holds whole
 * segments for every byte of WAL the backup needs.  Return 0, -ERR_CORRUPT or -ERR_IO.
 */
int pg_manifest_verify(const struct pg_manifest *m, int dirfd, struct err *err);

#endif
