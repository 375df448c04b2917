/*
 * filter_options: --exclude, --exclude-file and --include as filters.
 */
#ifndef CMD_FILTER_OPTIONS_H
#define CMD_FILTER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct cli;
struct err;
struct path_filter;

/**
 * filter_options_exclude(cli, out, err):
 * A new filter of --exclude and --exclude-file, in the order given; *${out} is NULL when there is
 * none.  Return 0, -ERR_USAGE (a bad pattern, which is named), -ERR_NOT_FOUND or -ERR_IO.
 */
int filter_options_exclude(const struct cli *cli, struct path_filter **out, struct err *err);

/* The same of --include: a path that it "excludes" is one that is wanted. */
int filter_options_include(const struct cli *cli, struct path_filter **out, struct err *err);

/**
 * filter_options_is_within(f, path, len, is_dir):
 * True if the filter matches ${path} or one of the directories above it.
 */
bool filter_options_is_within(
	const struct path_filter *f, const char *path, size_t len, bool is_dir);

#endif
