/*
 * restore_writer: puts the entries of a snapshot back into one directory.
 * Knows: the overwrite rules, hard links, holes, and that nothing outside the directory is ever
 * touched, whatever the snapshot holds and whoever works against it at the same time.
 * Hides: temporary names, descriptors, the order of metadata.  Not thread-safe.
 */
#ifndef RESTORE_RESTORE_WRITER_H
#define RESTORE_RESTORE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/restore_note.h"

struct entry;
struct err;
struct restore_writer;

/* What is done when a name exists that this restore did not make itself. */
enum restore_overwrite {
	RESTORE_REFUSE,     /* the target directory must be empty */
	RESTORE_REPLACE,    /* put the entry in its place, whatever it is */
	RESTORE_IF_CHANGED, /* as above, but leave a file of the same kind, size and time alone */
	RESTORE_KEEP,       /* leave it alone, directories' metadata too; add what is missing */
};

struct restore_writer_opts {
	enum restore_overwrite overwrite;
	bool sparse; /* holes stay holes, blocks of zeros become holes; else all is allocated */
	bool numeric_ids;     /* user and group by number, never by name */
	bool no_owner;        /* do not try to set owners */
	bool sync;            /* finish makes everything durable */
	restore_note_fn note; /* NULL: notes are only counted */
	void *note_arg;
};

struct restore_stats {
	uint64_t dirs, files, symlinks, specials; /* made; specials: fifos and devices */
	uint64_t links;                           /* further names of hard-link groups */
	uint64_t bytes;                           /* of content that was given */
	uint64_t kept;                            /* existing names left alone by the rule */
	uint64_t leftovers;                       /* of a killed restore, removed (target_sweep) */
	uint64_t notes;                           /* more than 0: exit status "warnings" */
};

/* What became of an entry. */
enum restore_step {
	RESTORE_STEP_DATA,    /* a file: give its content, then end it */
	RESTORE_STEP_DONE,    /* made; a directory gets its metadata when all is finished */
	RESTORE_STEP_KEPT,    /* the overwrite rule leaves what is there */
	RESTORE_STEP_SKIPPED, /* cannot be made here; a note says why */
};

/**
 * restore_writer_target(path, fd, err):
 * Open the target directory ${path}, made (0700) when only its last name is missing; *${fd} is the
 * caller's.  Links in ${path} are followed: it is the user's own word.  Return 0, -ERR_NOT_FOUND or
 * -ERR_IO.
 */
int restore_writer_target(const char *path, int *fd, struct err *err);

/**
 * restore_writer_new(dirfd, opts, out, err):
 * Store an owned writer into the directory ${dirfd} (borrowed for the call) in *${out}.  Return 0,
 * -ERR_EXISTS (RESTORE_REFUSE and the directory is not empty), -ERR_NOMEM or -ERR_IO.
 */
int restore_writer_new(int dirfd, const struct restore_writer_opts *opts,
	struct restore_writer **out, struct err *err);

/* Drop the writer.  A file that was not ended vanishes; unfinished directories stay 0700.  NULL is
 * fine. */
void restore_writer_free(struct restore_writer *w);

/**
 * restore_writer_begin(w, key, key_len, e, step, err):
 * Put the entry ${e} at ${key}; keys never descend, ancestors without an entry are made 0700.  ${e}
 * is borrowed, until restore_writer_end() when *${step} is RESTORE_STEP_DATA.
 * Return 0, -ERR_CORRUPT (the snapshot's fault: a name that could lead elsewhere, keys out of
 * order, impossible values; nothing was made), -ERR_EXISTS (something is there that the rule does
 * not replace: a directory that is not empty, a file where a directory is needed), or -ERR_IO and
 * the like.  After any of them the entry is left out and the writer goes on.
 */
int restore_writer_begin(struct restore_writer *w, const uint8_t *key, size_t key_len,
	const struct entry *e, enum restore_step *step, struct err *err);

/**
 * restore_writer_data(w, offset, data, len, err):
 * Give ${len} bytes of the begun file; what is never given is zeros.  Return 0, -ERR_CORRUPT (past
 * the entry's size) or -ERR_IO; then the file is gone and must not be ended.
 */
int restore_writer_data(
	struct restore_writer *w, uint64_t offset, const void *data, size_t len, struct err *err);

/**
 * restore_writer_end(w, err):
 * Give the begun file its metadata and then its name.  Return 0, -ERR_EXISTS (somebody else took
 * the name meanwhile) or -ERR_IO; then there is no such file.
 */
int restore_writer_end(struct restore_writer *w, struct err *err);

/* Drop the begun file (its content cannot be had); nothing is left of it. */
void restore_writer_cancel(struct restore_writer *w);

/**
 * restore_writer_finish(w, err):
 * Set what comes last: flags that stop changes, then every directory's metadata, deepest first; and
 * sync when asked.  Everything is tried; return 0 or the first error: -ERR_FAILED (a directory
 * was moved or replaced by somebody else) or -ERR_IO.  Only restore_writer_free() may follow.
 */
int restore_writer_finish(struct restore_writer *w, struct err *err);

/* What was done so far; borrowed until the next call on ${w}. */
const struct restore_stats *restore_writer_stats(struct restore_writer *w);

#endif
