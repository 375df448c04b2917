/*
 * owner_names: names of users and groups, each asked of the system once.
 */
#ifndef AGENTS_SOURCES_OWNER_NAMES_H
#define AGENTS_SOURCES_OWNER_NAMES_H

#include <stdint.h>

struct err;
struct owner_names;

int owner_names_new(struct owner_names **out, struct err *err);
void owner_names_free(struct owner_names *o);

/**
 * owner_names_find(o, uid, gid, user, group, err):
 * Store both names, NULL for one without a name; borrowed until the next call.  Return 0 or
 * -ERR_NOMEM.
 */
int owner_names_find(struct owner_names *o, uint32_t uid, uint32_t gid, const char **user,
	const char **group, struct err *err);

#endif
