/*
 * backup_file: one file's bytes from a source into records: holes and zero runs found, large files
 * cut by the chunker, small ones handed to the open bundle.
 */
#ifndef AGENTS_BACKUP_FILE_H
#define AGENTS_BACKUP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/content.h"
#include "agents/source.h"
#include "vault/bundle.h"
#include "vault/chunker.h"

struct err;
struct backup_file;
struct uploader;

#define BACKUP_FILE_ZERO_BLOCK 4096
#define BACKUP_FILE_ZERO_RUN (64u << 10) /* zero runs from here on are holes */

struct backup_file_opts {
	const struct chunker *chunker; /* borrowed, as all here */
	struct uploader *uploader;
	struct bundle *bundle;
	void *arg;
	/* The open bundle must be given away before the next small file fits: backup_file_sum(),
	 * then its bytes. */
	int (*close_bundle)(void *arg, struct err *err);
	/* May be NULL; true ends the run. */
	bool (*is_stopped)(void *arg);
	uint64_t *read_bytes; /* counted up */
};

int backup_file_new(const struct backup_file_opts *opts, struct backup_file **out, struct err *err);
void backup_file_free(struct backup_file *f);

/**
 * backup_file_read(f, source, item, out, err):
 * Read the item's content; its entry is brought up to date.  Return 1 with a new content, 0 when
 * the source could not read it (told there), or an error that ends the backup.  The content may
 * still wait for its records (content_is_whole); that of a small file may wait for its digest, too,
 * until backup_file_sum().
 */
int backup_file_read(struct backup_file *f, const struct source *source, struct source_item *item,
	struct content **out, struct err *err);

/* Take the digests of the small files in the open bundle: once before its bytes are given away. */
void backup_file_sum(struct backup_file *f);

/**
 * backup_file_compare(f, source, item, want, err):
 * Read the item only to compare it with what is known.  Return 1 equal, 0 different, 2 when the
 * source could not read it, or an error.
 */
int backup_file_compare(struct backup_file *f, const struct source *source,
	struct source_item *item, const struct content *want, struct err *err);

#endif
