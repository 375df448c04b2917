#include "restore/target_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "restore/id_map.h"
#include "restore/restore_note.h"

/*
 * INVARIANTS
 * (1) A name is one component: no '/' and no dot name ever reaches a system call.
 * (2) What is not to be replaced is never replaced, also when it appears at the last moment.
 */

#define TEXT_BYTES (NAME_MAX * 4 + 1)

/* A temporary name: digits between the two. */
#define TEMP_BEFORE ".holdfast-"
#define TEMP_BEHIND ".new"
#define TEMP_DIGITS 16

int target_name_check(const uint8_t *component, size_t len, struct err *err)
{
	if (len == 0)
		return err_set(err, ERR_CORRUPT, "a component of the name is empty");
	if ((len == 1 && component[0] == '.') ||
		(len == 2 && component[0] == '.' && component[1] == '.'))
		return err_set(err, ERR_CORRUPT, "'%.*s' is no name", (int)len, component);
	if (memchr(component, '/', len) != NULL || memchr(component, '\0', len) != NULL)
		return err_set(err, ERR_CORRUPT, "a component of the name holds '/' or NUL");
	if (len > NAME_MAX)
		return err_set(err, ERR_LIMIT, "a name of %zu bytes is too long", len);
	return 0;
}

/* NAME~i, cut so that it fits; a cut within a UTF-8 character is moved to its start. */
static void number_name(char out[static NAME_MAX + 1], const char *component, unsigned i)
{
	size_t len = strlen(component), room = NAME_MAX - strlen("~9999");
	if (len > room) {
		len = room;
		while (len > room - 3 && ((unsigned char)component[len] & 0xc0) == 0x80)
			len--;
	}
	(void)snprintf(out, NAME_MAX + 1, "%.*s~%u", (int)len, component, i); /* fits */
}

_Static_assert(TARGET_NAME_MAX_COLLISIONS <= 9999, "four digits of room");

/* An existing name that belongs to another entry of this restore. */
static bool is_taken(const struct stat *st, const struct target_name_rule *rule)
{
	if (rule->own_ino != 0 && rule->own_dev == st->st_dev && rule->own_ino == st->st_ino)
		return false;
	return rule->made == NULL || id_map_get(rule->made, st->st_dev, st->st_ino, NULL);
}

int target_name_choose(int dirfd, const char *component, const struct target_name_rule *rule,
	struct restore_note *note, struct target_name *out, struct err *err)
{
	struct target_name t;
	memcpy(t.name, component, strlen(component) + 1);
	for (unsigned i = 1; i <= TARGET_NAME_MAX_COLLISIONS; i++) {
		t.exists = fstatat(dirfd, t.name, &t.st, AT_SYMLINK_NOFOLLOW) == 0;
		if (!t.exists && errno != ENOENT)
			return err_sys(err, ERR_IO, "unable to look up the name");
		if (!t.exists || !is_taken(&t.st, rule)) {
			if (i > 1) {
				char text[TEXT_BYTES];
				(void)escape_str(text, sizeof(text), t.name); /* fits */
				restore_note_add(note, RESTORE_NOTE_RENAMED,
					"the name is taken by another entry; restored as '%s'",
					text);
			}
			*out = t;
			return 0;
		}
		number_name(t.name, component, i);
	}
	return err_set(err, ERR_LIMIT, "more than %d entries collide with the name",
		TARGET_NAME_MAX_COLLISIONS);
}

int target_name_temp(char out[static TARGET_NAME_TEMP_BYTES], struct err *err)
{
	uint64_t r;
	int rc = env_random(&r, sizeof(r), err);
	if (rc != 0)
		return rc;
	(void)snprintf(out, TARGET_NAME_TEMP_BYTES, TEMP_BEFORE "%016llx" TEMP_BEHIND,
		(unsigned long long)r); /* fits */
	return 0;
}

bool target_name_is_temp(const char *name)
{
	size_t before = strlen(TEMP_BEFORE);
	return strncmp(name, TEMP_BEFORE, before) == 0 &&
	       strspn(name + before, "0123456789abcdef") == TEMP_DIGITS &&
	       strcmp(name + before + TEMP_DIGITS, TEMP_BEHIND) == 0;
}

int target_name_take(int dirfd, const char *temp, const char *name, bool replace, struct err *err)
{
	if (replace) {
		if (env_renameat(dirfd, temp, dirfd, name) != 0)
			return err_sys(err, ERR_IO, "unable to rename to the name");
		return 0;
	}
	if (renameat2(dirfd, temp, dirfd, name, RENAME_NOREPLACE) == 0)
		return 0;
	/* file systems without that flag: a second name does the same where there are links */
	if (errno == EINVAL || errno == ENOSYS) {
		if (env_linkat(dirfd, temp, dirfd, name, 0) == 0) {
			(void)env_unlinkat(dirfd, temp, 0); /* a leftover is only a second name */
			return 0;
		}
		struct stat st;
		/* no links at all: look, then rename, is the best there is */
		if (errno != EEXIST && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			errno = EEXIST;
		else if (errno != EEXIST && env_renameat(dirfd, temp, dirfd, name) == 0)
			return 0;
	}
	if (errno == EEXIST)
		return err_set(err, ERR_EXISTS, "somebody else took the name meanwhile");
	return err_sys(err, ERR_IO, "unable to rename to the name");
}
