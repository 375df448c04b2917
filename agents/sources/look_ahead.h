/*
 * look_ahead: looks at the names of a directory, many of them made by a thread of its own before
 * they are asked for, and the next directory read meanwhile.  What is answered is what a look of
 * the caller's own would have said then or some time before. Knows: which names are worth it
 * (regular files by the word of their directory, several in a row), how far ahead it may be, and
 * when a thread is no use: then all is the caller's own to do.  The caller does not wait for the
 * thread to wake up; it waits for what the thread has begun. Threading: one caller at a time.
 */
#ifndef AGENTS_SOURCES_LOOK_AHEAD_H
#define AGENTS_SOURCES_LOOK_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "agents/sources/name_list.h"

struct err;
struct look_ahead;

#define LOOK_AHEAD_MAX 256       /* names looked at and not asked for yet */
#define LOOK_AHEAD_MIN_RUN 16    /* names for which it is worth to wake a thread */
#define LOOK_AHEAD_DIR_MAX_MS 50 /* a directory read so long ago is not given */

/* As file_meta_look(): 0, or -1 and errno. */
typedef int (*look_ahead_fn)(int dirfd, const char *name, struct statx *out);

/* A directory: its descriptor, what the system said of it when it was opened, and then its names.
 */
struct look_ahead_dir {
	int fd;
	struct statx sx;
	struct name_list names;
};

/* ${look} is called by both threads, on ours with all signals blocked.  The thread begins when it
 * is first worth it.  Return 0 or -ERR_NOMEM. */
int look_ahead_new(look_ahead_fn look, struct look_ahead **out, struct err *err);
/* As look_ahead_stop().  NULL is fine. */
void look_ahead_free(struct look_ahead *a);

/**
 * look_ahead_begin(a, dirfd, names, i):
 * Say that the name ${i}, a regular file's, is to be asked for next.  ${names} are those of the
 * directory ${dirfd}; both are the thread's, too, until look_ahead_leave() or look_ahead_stop(),
 * one of which is due before another directory is asked about, but for one that was taken.  Return,
 * at the first of several files in a row that are worth it, where the row ends; else 0.
 */
size_t look_ahead_begin(struct look_ahead *a, int dirfd, const struct name_list *names, size_t i);

/**
 * look_ahead_expect(a, dirfd, name):
 * The directory ${name} in ${dirfd} comes next, behind the files just begun.  ${dirfd} is the
 * thread's until the directory is taken or look_ahead_stop().
 */
void look_ahead_expect(struct look_ahead *a, int dirfd, const char *name);

/**
 * look_ahead_at(a, i, out):
 * Look at the name ${i}, behind look_ahead_begin().  Names are asked for in ascending order, and
 * may be left out.  Return 0, or -1 and errno.
 */
int look_ahead_at(struct look_ahead *a, size_t i, struct statx *out);

/* The file of several names with the number ${ino} was read until now: no look at another of its
 * names is given that was made before. */
void look_ahead_note_read(struct look_ahead *a, uint64_t ino);

/* Give the directory ${name} in ${dirfd}, read as look_ahead_begin() has it, if that was expected
 * and done.  Return true; ${out} is the caller's then. */
bool look_ahead_take(struct look_ahead *a, int dirfd, const char *name, struct look_ahead_dir *out);

/* The directory asked about last is the caller's alone when this returns.  NULL is fine. */
void look_ahead_leave(struct look_ahead *a);

/* So is any, and what was found is forgotten.  NULL is fine. */
void look_ahead_stop(struct look_ahead *a);

#endif
