/*
 * link_map: which names are the same file: (file system, inode) of every entry with more than one
 * link, its group number and its content.
 */
#ifndef AGENTS_LINK_MAP_H
#define AGENTS_LINK_MAP_H

#include <stdint.h>

#include "agents/content.h"

struct err;
struct link_map;

struct link_found {
	uint64_t group;          /* ordinal of the first name among groups, from 1 */
	struct content *content; /* borrowed; NULL for what is no regular file */
};

int link_map_new(struct link_map **out, struct err *err);
void link_map_free(struct link_map *m);

/* Find the group of an inode.  Return 1 or 0. */
int link_map_find(const struct link_map *m, uint64_t fs_id, uint64_t ino, struct link_found *out);

/* Begin the next group; a user of ${content} (may be NULL) is kept.  Store its number. */
int link_map_add(struct link_map *m, uint64_t fs_id, uint64_t ino, struct content *content,
	uint64_t *group, struct err *err);

#endif
