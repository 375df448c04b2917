/*
 * link_map: which names are the same file: (file system, inode, kind, birth) of every entry with
 * more than one link, its group number and its content.  Without the birth an inode that was freed
 * and given to another file while the backup ran would bring that file the content of the first.
 */
#ifndef AGENTS_LINK_MAP_H
#define AGENTS_LINK_MAP_H

#include <stdint.h>

#include "agents/content.h"
#include "agents/source.h"

struct err;
struct link_map;

struct link_found {
	uint64_t group;          /* ordinal of the first name among groups, from 1 */
	struct content *content; /* borrowed; NULL for what is no regular file */
	struct entry_time mtime; /* of the name whose content it is, */
	uint32_t notes;          /* as they were after reading it */
};

int link_map_new(struct link_map **out, struct err *err);
void link_map_free(struct link_map *m);

/* Find the group of the file that ${item} names.  Return 1 or 0. */
int link_map_find(const struct link_map *m, const struct source_item *item, struct link_found *out);

/* Begin the next group; a user of ${content} (may be NULL) is kept.  Store its number. */
int link_map_add(struct link_map *m, const struct source_item *item, struct content *content,
	uint64_t *group, struct err *err);

#endif
