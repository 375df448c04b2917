/*
 * source_open: a configured source (sources_conf.h) made ready to be read: its truth manifest
 * taken, a database copied to a directory of its own, its files found.  The kinds of source are
 * listed here and nowhere else.  Hides: staging and its lock.  One thread.
 */
#ifndef AGENTS_SOURCES_SOURCE_OPEN_H
#define AGENTS_SOURCES_SOURCE_OPEN_H

#include "agents/source_kinds.h"

extern const struct source_kinds source_open_kinds; /* the functions below */

int source_open_new(
	const struct source_kinds_opts *opts, struct source_open **out, struct err *err);
void source_open_free(struct source_open *s);
const struct source *source_open_source(const struct source_open *s);
const void *source_open_truth(const struct source_open *s, size_t *len);
const char *source_open_path(const struct sources_conf_source *from, size_t i);

#endif
