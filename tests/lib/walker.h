/*
 * walker: a scratch directory, a files source over it, and what it gave and told.
 * One at a time: each test is a process of its own.
 */
#ifndef TESTS_LIB_WALKER_H
#define TESTS_LIB_WALKER_H

#include <stdbool.h>

#include "agents/sources/files.h"
#include "agents/sources/path_filter.h"
#include "agents/sources/root_list.h"
#include "base/err.h"

#define WALKER_TEXT_BYTES 65536

struct walker {
	char dir[64]; /* absolute; the current directory of a test */
	struct err err;
	/* One "path: why" a line, paths without ${dir}. */
	char warned[WALKER_TEXT_BYTES], noted[WALKER_TEXT_BYTES];
	struct root_list *roots;
	struct path_filter *filter;
	struct files_opts opts; /* with roots, filter and callbacks set */
	struct files *files;
	const struct source *source;
	struct source_item item; /* given last */
};

extern struct walker walker_now;

/* For a TestSuite. */
void walker_setup(void);
void walker_teardown(void);

/* Skip the test; a skipped one is not torn down otherwise. */
#define WALKER_SKIP(why)                                                                           \
	do {                                                                                       \
		walker_teardown();                                                                 \
		cr_skip_test(why);                                                                 \
	} while (0)

/* Write a file; append to it; make a directory. */
void walker_put(const char *name, const char *text);
void walker_append(const char *name, const char *text);
void walker_make_dir(const char *name);

/* ${levels} directories called ${name} in each other, a file "a" and a file "z" beside each, and
 * "bottom" in the last, which becomes the current directory. */
void walker_make_well(const char *name, int levels);

void walker_add_root(const char *name, const char *prefix);
void walker_exclude(const char *pattern);

/* Make the source. */
void walker_begin(void);

/* Make the source of the scratch directory, called "d". */
void walker_walk_dir(void);

/* The next entry.  Return 1 or 0. */
int walker_next(void);

/* The item's key with '/' for 00, without the scratch directory's path. */
const char *walker_key(void);

/* All keys that are left, each with a blank behind it; checks that they ascend. */
const char *walker_walk(void);

/* Go on to the entry ${want}. */
void walker_go_to(const char *want);

/* Have no privilege any more (effective only).  Return false when that does not work. */
bool walker_become_user(void);

#endif
