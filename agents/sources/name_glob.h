/*
 * name_glob: one name against one pattern of `*`, `?`, `[..]` and `\`.
 * Characters are those of UTF-8; a byte that is none is a character of its own.
 */
#ifndef AGENTS_SOURCES_NAME_GLOB_H
#define AGENTS_SOURCES_NAME_GLOB_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Return 0, or -ERR_USAGE when the pattern is not well formed. */
int name_glob_check(const char *pattern, size_t len, struct err *err);

/* Return true if a checked pattern matches the whole name.  Time is at most the product of both
 * lengths. */
bool name_glob_is_match(const char *pattern, size_t pattern_len, const char *name, size_t name_len);

#endif
