/*
 * owner_map: user and group names of a snapshot to the numbers of this host.
 * Hides: the look-ups in the system's databases and a small cache of them.  Not thread-safe.
 */
#ifndef RESTORE_OWNER_MAP_H
#define RESTORE_OWNER_MAP_H

#include <sys/types.h>

struct owner_map;
struct err;

/* Store an empty map, owned by the caller, in *${out}.  Return 0 or -ERR_NOMEM. */
int owner_map_new(struct owner_map **out, struct err *err);

/* NULL is fine. */
void owner_map_free(struct owner_map *m);

/* Return this host's number of ${name}; ${number} when the name is NULL, empty or unknown here. */
uid_t owner_map_uid(struct owner_map *m, const char *name, uid_t number);
gid_t owner_map_gid(struct owner_map *m, const char *name, gid_t number);

#endif
