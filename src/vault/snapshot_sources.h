/*
 * snapshot_sources: which sources the snapshots of a list are of, told to whoever named none of
 * them. Knows: the labels of a list.  Threading: none.
 */
#ifndef VAULT_SNAPSHOT_SOURCES_H
#define VAULT_SNAPSHOT_SOURCES_H

#include <stddef.h>

struct err;
struct snapshot_list;

#define SNAPSHOT_SOURCES_SHOWN 8
#define SNAPSHOT_SOURCES_BYTES 480 /* fits a hint */

/**
 * snapshot_sources_text(list, out):
 * Write the names of the sources of ${list} as "'a', 'b' and 3 more", each once, in their order, at
 * most SNAPSHOT_SOURCES_SHOWN of them and as many as fit, as they are: whoever shows them escapes.
 * Return how many sources there are; 0 also when memory ran out.  Nothing is written then.
 */
size_t snapshot_sources_text(const struct snapshot_list *list, char out[SNAPSHOT_SOURCES_BYTES]);

/**
 * snapshot_sources_check(list, source, err):
 * Return 0 if ${source} (as snapshot_is_of()) has a snapshot in ${list}, else -ERR_NOT_FOUND with
 * the sources there are as a hint.
 */
int snapshot_sources_check(const struct snapshot_list *list, const char *source, struct err *err);

#endif
