/*
 * root_list: the paths a backup begins at: as given, then absolute, in key order, none inside
 * another.
 */
#ifndef AGENTS_SOURCES_ROOT_LIST_H
#define AGENTS_SOURCES_ROOT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/source.h"

struct err;
struct root_list;

#define ROOT_LIST_MAX (1u << 20)

struct root_list_root {
	char *path;   /* absolute, no link but perhaps the last component; "/" is "/" */
	uint8_t *key; /* of the root's own entry; empty for "/", which has none */
	size_t key_len;
	bool is_mapped; /* the key is a given one, not the path's: no ancestors are kept */
};

int root_list_new(struct root_list **out, struct err *err);
void root_list_free(struct root_list *l);

/**
 * root_list_add(l, path, key_prefix, err):
 * Add a path.  ${key_prefix} (may be NULL) is what stands in the backup instead of the absolute
 * path, such as "pgdata".  Return 0 or -ERR_USAGE (empty, longer than the system takes) /
 * -ERR_LIMIT / -ERR_NOMEM.
 */
int root_list_add(struct root_list *l, const char *path, const char *key_prefix, struct err *err);

/* Add the paths of a text: NUL-separated if it holds a NUL, else one a line; empty ones are passed
 * over.  Return as root_list_add(). */
int root_list_add_text(struct root_list *l, const char *text, size_t len, struct err *err);

/**
 * root_list_resolve(l, on_missing, arg, err):
 * Make the paths absolute (a link is followed on the way, but not as the last component, unless a
 * '/' follows it), sort them by key and drop those inside another.  A path that is not there is
 * told to ${on_missing} (may be NULL) and dropped.  Before what follows; again it does nothing.
 * Return 0, or -ERR_USAGE: there is none, none exists, or two would have the same place in the
 * backup.
 */
int root_list_resolve(struct root_list *l, source_warn_fn on_missing, void *arg, struct err *err);

size_t root_list_count(const struct root_list *l);

/* How many given paths were not there. */
size_t root_list_missing(const struct root_list *l);

/* Borrowed until free. */
const struct root_list_root *root_list_at(const struct root_list *l, size_t i);

/* True if a given path lies on the file system ${dev}, one inside another included. */
bool root_list_has_dev(const struct root_list *l, uint64_t dev);

#endif
