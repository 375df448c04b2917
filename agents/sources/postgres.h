/*
 * postgres: capture a running PostgreSQL cluster as a base backup over the replication protocol.
 * Knows: BASE_BACKUP of server versions 15 and later, its tar stream, the server's manifest.
 * Hides: messages, tar, hashing.  Nothing runs on the server but its own walsender; no file system
 * access, no shell.  The copy holds the WAL that makes it consistent (consistency "application").
 * Needs a role with REPLICATION.  Clusters with table spaces of their own are refused by name.
 * Threading: a capture belongs to one thread; several may run side by side.
 */
#ifndef AGENTS_SOURCES_POSTGRES_H
#define AGENTS_SOURCES_POSTGRES_H

#include <stddef.h>
#include <stdint.h>

#include "agents/sources/pg_conn.h"

struct err;

#define POSTGRES_MIN_VERSION 150000
#define POSTGRES_IDLE_MS 300000 /* a server silent for that long is given up */
#define POSTGRES_LABEL "holdfast"

enum postgres_kind { POSTGRES_FILE, POSTGRES_DIR };

struct postgres_entry {
	enum postgres_kind kind;
	const char *path; /* relative to the data directory, no ".."; borrowed for the call */
	unsigned mode;    /* 07777 */
	int64_t mtime_s;  /* since 1970 */
	uint64_t size;    /* 0 for a directory */
};

/* What is known when the first byte is about to come, and the rest when the last one has. */
struct postgres_info {
	uint64_t system_id;
	int server_version_num;
	uint32_t timeline;
	uint64_t start_lsn;
	uint64_t end_lsn;         /* 0 in begin() */
	uint64_t estimated_bytes; /* the server's guess without WAL */
	uint64_t received_bytes;  /* of file content; 0 in begin() */
	size_t file_count;        /* 0 in begin() */
};

/*
 * Where the entries go, in the server's order (not sorted).  A failure stops the capture and is
 * passed on.  Every slot is needed; a directory gets entry() and end(), too.  backup_manifest is
 * the last entry.  Nothing received counts until postgres_capture() has returned 0.
 */
struct postgres_sink {
	int (*begin)(void *self, const struct postgres_info *info, struct err *err);
	int (*entry)(void *self, const struct postgres_entry *e, struct err *err);
	int (*data)(void *self, const void *data, size_t len, struct err *err);
	int (*end)(void *self, struct err *err);
};

/**
 * postgres_capture(opts, sink, self, info, err):
 * Stream a base backup into ${sink}.  Every file is hashed on the way and compared with the
 * server's manifest at the end, so that a torn stream is seen.  ${info} may be NULL.
 * Return 0, -ERR_AUTH, -ERR_UNREACHABLE, -ERR_CONFIG (server too old, table spaces), -ERR_CORRUPT
 * (the stream, or page checksums at the server; the file is named), -ERR_INTERRUPTED (a stop was
 * asked) or what the sink returned.
 */
int postgres_capture(const struct pg_conn_opts *opts, const struct postgres_sink *sink, void *self,
	struct postgres_info *info, struct err *err);

#endif
