/*
 * store_scratch: a directory for one test, and an env that notes and breaks file operations.
 * One of each at a time; Criterion runs every test in a process of its own.
 */
#ifndef LIB_STORE_SCRATCH_H
#define LIB_STORE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make the directory (its name has a blank) and return its path, borrowed; NULL on failure. */
const char *store_scratch_new(void);

/* Remove the directory, if there is one, and put the real env back. */
void store_scratch_done(void);

/* The number of entries in ${dir} (a path below the scratch directory); -1 if there is none. */
int store_scratch_entries(const char *dir);

/* Watch the file operations, on top of the env that is in place.  Each has a letter: o openat, w
 * write, d fdatasync, f fsync, l linkat, r renameat, u unlinkat, m mkdirat.  "change" means all but
 * o without O_CREAT. */
void store_scratch_watch(void);

/* The letters of all changes since store_scratch_watch(), borrowed; the last 4 KiB at most. */
const char *store_scratch_log(void);

/* Let the ${nth} operation whose letter is in ${letters} fail with ${error}, and the ${times} - 1
 * matching ones after it.  Counting starts now.  "*" = every change.  A write that fails has taken
 * half of its bytes; with ${error} 0 it takes half and says so. */
void store_scratch_break(const char *letters, uint64_t nth, uint64_t times, int error);

/* How many operations matched since store_scratch_break(). */
uint64_t store_scratch_matched(void);

/* Set the wall clock ${ns} forward. */
void store_scratch_advance(int64_t ns);

#endif
