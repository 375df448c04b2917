/*
 * source_open: a configured source (sources_conf.h) made ready to be read: its truth manifest
 * taken, a database copied to a directory of its own, its files found.  The kinds of source are
 * listed here and nowhere else.  Hides: staging and its lock.  One thread.
 */
#ifndef AGENTS_SOURCE_KINDS_H
#define AGENTS_SOURCE_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/source.h"

struct err;
struct path_filter;
struct source_open;
struct sources_conf_source;

struct source_kinds_opts {
	const struct sources_conf_source *from; /* borrowed until free, as everything here */
	const char *staging; /* made for a database's copy and removed at the end; its parent is
				there */
	const char *const
		*own; /* directories that are never backed up; NULL members are passed over */
	size_t own_count;
	bool has_truth; /* the caller has a truth manifest: none is taken */
	/* files: more than the configuration says */
	struct path_filter *filter; /* the source's excludes are added to it; NULL = none */
	bool is_exclude_caches, is_one_file_system;
	const char *const *exclude_if_present;
	size_t exclude_if_present_count;
	uint64_t max_file_bytes; /* 0 = no limit */
	void *arg;
	source_warn_fn on_warning;     /* what should be in the backup and is not */
	source_warn_fn on_note;        /* what is left out on purpose; may be NULL */
	bool (*is_stopped)(void *arg); /* may be NULL; true ends a capture with -ERR_INTERRUPTED */
};

struct source_kinds {
	/* Take the truth manifest, copy a database, find the files.  Return 0, -ERR_BUSY (the
	 * staging directory is in use), or what the kind of source says. */
	int (*open)(
		const struct source_kinds_opts *opts, struct source_open **out, struct err *err);
	/* Remove what was staged; what cannot be removed is a warning. */
	void (*free)(struct source_open *s);
	/* Borrowed until free. */
	const struct source *(*source)(const struct source_open *s);
	/* The truth manifest as JSON; NULL = none. */
	const void *(*truth)(const struct source_open *s, size_t *len);
	/* What the label shows as a source's paths: the ${i}th, or NULL. */
	const char *(*path)(const struct sources_conf_source *from, size_t i);
};

#endif
