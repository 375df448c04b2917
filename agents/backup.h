/*
 * backup: the pipeline: entries of a source in key order become records, a tree, a root and a
 * signed snapshot, through a port.  Knows no store and no kind of source.
 */
#ifndef AGENTS_BACKUP_H
#define AGENTS_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/source.h"
#include "vault/domain.h"
#include "vault/keyring.h"
#include "vault/label.h"
#include "vault/port.h"
#include "vault/record.h"
#include "vault/root.h"

struct err;

struct backup_progress {
	uint64_t files, unchanged_files; /* entries of kind file so far */
	uint64_t bytes;      /* content bytes covered so far, unchanged files included */
	uint64_t read_bytes; /* content bytes actually read; in a dry run: to read, with holes */
	uint64_t sent_bytes; /* record bytes sent to the vault */
};

struct backup_opts {
	const struct port *port;
	const struct keyring_writer *keys;
	const struct domain *domain; /* recovery keys and drill groups get envelopes */
	const char *source_name;     /* names the chain */
	const struct label *label;   /* counts are filled in by the run */
	/* Of the file cache; with ".chunks" behind it, of the chunk cache.  NULL = neither. */
	const char *cache_path;
	enum root_consistency consistency;
	const void *truth; /* truth manifest (JSON), or NULL */
	size_t truth_len;
	enum record_check check;
	unsigned workers;        /* threads that seal; 0: one for each processor */
	bool is_dry_run;         /* read no content, write nothing, use no port: only forecast */
	const uint8_t *dry_base; /* with is_dry_run: snap_hash of the source's newest, or NULL */
	bool is_reread;          /* trust no cache entry: read everything */
	bool is_recheck;         /* re-read 1/64 of the unchanged files in rotation */
	void *arg;
	source_warn_fn on_warning;                                       /* may be NULL */
	void (*on_progress)(void *arg, const struct backup_progress *p); /* may be NULL */
	bool (*is_stopped)(void *arg); /* may be NULL; true ends the run with -ERR_INTERRUPTED */
	/* May be NULL: the run has failed, and waits only for what the port is in the middle of. */
	void (*on_failed)(void *arg);
};

struct backup_result {
	bool has_snapshot; /* false after a dry run */
	uint8_t snap_hash[32];
	uint64_t seq;
	uint64_t receipt_ns;
	uint64_t files, dirs, others;
	uint64_t new_files, unchanged_files; /* read, and taken from the cache */
	uint64_t bytes, read_bytes;
	uint64_t known_bytes; /* of read_bytes: known by their fingerprint, not sealed again */
	uint64_t sent_records, sent_bytes, sent_data_records, sent_data_bytes;
	/* Names that should be in the snapshot and are not, each named as a warning: vanished,
	 * replaced, unreadable, a directory that cannot be listed.  Any makes it partial. */
	uint64_t left_out;
};

/**
 * backup_run(opts, source, out, err):
 * Return 0 when the snapshot is acknowledged (look at left_out), -ERR_INTERRUPTED, or what the
 * source or the port says; then no snapshot was made.
 */
int backup_run(const struct backup_opts *opts, const struct source *source,
	struct backup_result *out, struct err *err);

#endif
