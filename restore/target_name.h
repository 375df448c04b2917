/*
 * target_name: the name an entry gets in its directory of the target: checked, never merged with
 * another entry's, and taken in one step.  Not thread-safe.
 */
#ifndef RESTORE_TARGET_NAME_H
#define RESTORE_TARGET_NAME_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;
struct id_map;
struct restore_note;

#define TARGET_NAME_TEMP_BYTES 40

/* An entry that collides is called NAME~1, NAME~2 and so on. */
#define TARGET_NAME_MAX_COLLISIONS 9999

struct target_name {
	char name[NAME_MAX + 1];
	bool exists;
	struct stat st; /* of what exists, a link itself */
};

/* Which existing names belong to other entries of this restore. */
struct target_name_rule {
	const struct id_map *made; /* those of these inodes; NULL: every one */
	uint64_t own_dev, own_ino; /* but never this one (the entry's own group); ino 0 = none */
};

/**
 * target_name_check(component, len, err):
 * Return 0, -ERR_CORRUPT when a component could lead elsewhere (empty, ".", "..", '/' or NUL in
 * it), or -ERR_LIMIT when it is longer than a name can be here.
 */
int target_name_check(const uint8_t *component, size_t len, struct err *err);

/**
 * target_name_choose(dirfd, component, rule, note, out, err):
 * Choose the name for ${component} (NUL-terminated, checked) in ${dirfd}.  When it belongs to
 * another entry of this restore by ${rule}, though its letters may differ, the next free name is
 * taken and a note says so.  Return 0, -ERR_LIMIT (TARGET_NAME_MAX_COLLISIONS) or -ERR_IO.
 */
int target_name_choose(int dirfd, const char *component, const struct target_name_rule *rule,
	struct restore_note *note, struct target_name *out, struct err *err);

/* Write a name that nothing has.  Return 0 or -ERR_IO (no randomness). */
int target_name_temp(char out[static TARGET_NAME_TEMP_BYTES], struct err *err);

/* Return true if target_name_temp() could have written ${name}. */
bool target_name_is_temp(const char *name);

/**
 * target_name_take(dirfd, temp, name, replace, err):
 * Rename ${temp} to ${name} in one step.  Return 0, -ERR_EXISTS (not ${replace}, and the name is
 * taken) or -ERR_IO; ${temp} is still there then.
 */
int target_name_take(int dirfd, const char *temp, const char *name, bool replace, struct err *err);

#endif
