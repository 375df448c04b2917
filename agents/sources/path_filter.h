/*
 * path_filter: patterns that say which paths a backup leaves out (docs/CLI-filters.md).
 * Pure: knows names, never a file system.  The last pattern that matches decides.
 * Not thread-safe while patterns are added; path_filter_is_excluded() is.
 */
#ifndef AGENTS_SOURCES_PATH_FILTER_H
#define AGENTS_SOURCES_PATH_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct path_filter;

#define PATH_FILTER_MAX_PATTERNS 65536
#define PATH_FILTER_MAX_PATTERN_BYTES 4096

int path_filter_new(struct path_filter **out, struct err *err);
void path_filter_free(struct path_filter *f);

/**
 * path_filter_add(f, pattern, err):
 * Add one pattern; "!pattern" takes in again what an earlier one leaves out.  Return 0, -ERR_USAGE
 * (empty, a '[' without its ']', a "." component, ..) or -ERR_LIMIT / -ERR_NOMEM.
 */
int path_filter_add(struct path_filter *f, const char *pattern, struct err *err);

/**
 * path_filter_add_text(f, text, len, err):
 * Add the lines of an exclude file: one pattern a line, '#' begins a comment line, blank lines are
 * passed over, blanks at the end of a line are dropped unless escaped.  Return as
 * path_filter_add(), the message names the line.
 */
int path_filter_add_text(struct path_filter *f, const char *text, size_t len, struct err *err);

/**
 * path_filter_is_excluded(f, path, len, is_dir):
 * Judge one absolute path ("/srv/data/x", ${len} bytes).  Its directories are not looked at: a walk
 * that leaves a directory out never asks for what is below it.  ${f} may be NULL: false.
 */
bool path_filter_is_excluded(
	const struct path_filter *f, const char *path, size_t len, bool is_dir);

#endif
