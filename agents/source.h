/*
 * source: what a backup reads, as a stream of entries in key order.  One implementation per kind of
 * source, in agents/sources/; the pipeline (backup.h) knows only this.
 */
#ifndef AGENTS_SOURCE_H
#define AGENTS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;

/* The length of a content that is known only at its end (a pipe). */
#define SOURCE_SIZE_UNKNOWN UINT64_MAX

/* One entry as found; pointers are borrowed until the next call of next(). */
struct source_item {
	const uint8_t *key;
	size_t key_len;
	struct entry entry; /* without extents, digest and hard-link group: the pipeline's work */
	/* Who it is, for hard links and the cache.  ino 0: has no identity, is never cached. */
	uint64_t fs_id, ino;
	uint64_t links;
	struct entry_time ctime;
	bool is_unsure; /* number and times do not tell whether it changed: is never cached */
	bool is_brief;  /* a regular file whose flags and extended attributes detail() brings */
	bool is_poor;   /* some of its metadata could not be read, and that was told */
};

struct source {
	void *self;
	/* The next entry in key order.  Return 1, 0 at the end, or an error that ends the backup.
	 * What cannot be read is told to the warning callback the source was made with, and left
	 * out. */
	int (*next)(void *self, struct source_item *item, struct err *err);
	/* Both or none, may be NULL.  be_brief: regular files may be given brief from now on, as
	 * much as one look by name tells, since somebody knows the rest of most of them by their
	 * time of change.  That look was during this backup, but maybe some time ago. */
	void (*be_brief)(void *self);
	/* What the brief item just given lacks, into ${item}; should it have changed meanwhile, or
	 * another file have come in its place, all of it is as it is now.  Asked before its content
	 * is read.  Return 1, 0: it cannot be opened (told; the pipeline leaves it
	 * out), or an error that ends the backup. */
	int (*detail)(void *self, struct source_item *item, struct err *err);
	/* Begin reading the content of the item just given (a regular file).  *${size} is its
	 * length at open, or SOURCE_SIZE_UNKNOWN.  Return 0; another value: it cannot be read
	 * (vanished, permission), which the source has told; the pipeline leaves the entry out. */
	int (*open)(void *self, uint64_t *size, struct err *err);
	/* The next run: up to ${cap} bytes into ${data} (*${len} > 0), or a hole (*${hole} > 0).
	 * Return 1, 0 at the end, or an error: the file is left out. */
	int (*read)(
		void *self, void *data, size_t cap, size_t *len, uint64_t *hole, struct err *err);
	/* After read() returned 0.  Return true when the content grew while it was read; then it is
	 * read once more, to the same length: what was read is its beginning only if that still
	 * reads the same.  If not, the pipeline sets ENTRY_NOTE_CHANGED and close() tells it.  May
	 * be NULL. */
	bool (*again)(void *self);
	/* End reading.  ${item}: its entry's metadata is brought up to date when it changed while
	 * it was read, and notes are set. */
	void (*close)(void *self, struct source_item *item);
	/* At the end: how many names should be in the backup and were never given (vanished,
	 * cannot be looked at or listed, given and not there); each was told.  May be NULL: none.
	 */
	uint64_t (*lost)(void *self);
};

/* Told for everything left out or odd: a path for people (bytes as given; NULL: of no path) and
 * why. */
typedef void (*source_warn_fn)(void *arg, const char *path, size_t path_len, const char *why);

#endif
