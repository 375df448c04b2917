/*
 * files: the source of files and directories of this host: paths as they are found, in key order.
 * Hides: the walk, what is left out and why, how content is read and judged.
 * What may be kept of a tree that changes while it is walked: each file by itself is consistent or
 * noted as changed; between files there is no common moment.
 * One thread at a time.
 */
#ifndef AGENTS_SOURCES_FILES_H
#define AGENTS_SOURCES_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/source.h"

struct err;
struct files;
struct path_filter;
struct root_list;

/* A file or directory that is never backed up, whatever its name is. */
struct files_own {
	uint64_t dev, ino;
};

struct files_opts {
	struct root_list *roots;          /* as added; resolved here; borrowed until free */
	const struct path_filter *filter; /* borrowed until free; NULL = nothing is excluded */
	/* A directory with a CACHEDIR.TAG that has the signature keeps its entry and the tag. */
	bool is_exclude_caches;
	/* So does a directory that has a file of one of these names; borrowed until free. */
	const char *const *exclude_if_present;
	size_t exclude_if_present_count;
	/* Directories on a file system that no given path lies on keep only their entry. */
	bool is_one_file_system;
	uint64_t max_file_bytes;     /* larger files are left out; 0 = no limit */
	const struct files_own *own; /* the vault, caches, the output; borrowed until free */
	size_t own_count;
	void *arg;
	source_warn_fn on_warning; /* what should be in the backup and is not, or not whole */
	source_warn_fn on_note; /* what is left out on purpose, but not by a pattern; may be NULL */
};

/**
 * files_new(opts, out, err):
 * Make the source.  Given paths that are not there are told to on_warning.  Return 0, or -ERR_USAGE
 * when none is there.
 */
int files_new(const struct files_opts *opts, struct files **out, struct err *err);
void files_free(struct files *f);

/* The source; borrowed until free. */
const struct source *files_source(struct files *f);

/* Store the identity of ${path}, links followed.  Return 0 or -ERR_NOT_FOUND / -ERR_IO. */
int files_own_find(const char *path, struct files_own *out, struct err *err);

#endif
