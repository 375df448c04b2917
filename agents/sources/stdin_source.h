/*
 * stdin_source: one file whose content comes from a descriptor: standard input, a pipe, a socket.
 */
#ifndef AGENTS_SOURCES_STDIN_SOURCE_H
#define AGENTS_SOURCES_STDIN_SOURCE_H

#include "agents/source.h"

struct err;
struct stdin_source;

/* So much is read ahead at open, so that a shorter input has its exact length from the start. */
#define STDIN_SOURCE_AHEAD_BYTES (256u << 10)

/**
 * stdin_source_new(fd, path, on_warning, arg, out, err):
 * A source of one file called ${path} (absolute or relative; its directories are not kept), mode
 * 0600, owned by this user, changed now, with what ${fd} gives until its end.  ${fd} is borrowed
 * until free.  Return 0, -ERR_USAGE (no name) or -ERR_LIMIT / -ERR_NOMEM.
 */
int stdin_source_new(int fd, const char *path, source_warn_fn on_warning, void *arg,
	struct stdin_source **out, struct err *err);
void stdin_source_free(struct stdin_source *s);

/* The source; borrowed until free.  Its input can be read only once. */
const struct source *stdin_source_source(struct stdin_source *s);

#endif
