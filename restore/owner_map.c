#include "restore/owner_map.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) A slot with a name holds the last answer for it, also the answer "unknown here".
 */
#define SLOTS 256
#define MAX_NAME_BYTES 256
#define FIRST_BYTES ((size_t)4 << 10)
#define MAX_BYTES ((size_t)1 << 20) /* a group with very many members */

struct slot {
	bool is_used, is_known;
	uint32_t id;
	char name[MAX_NAME_BYTES];
};

struct owner_map {
	struct slot users[SLOTS];
	struct slot groups[SLOTS];
};

int owner_map_new(struct owner_map **out, struct err *err)
{
	struct owner_map *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = m;
	return 0;
}

void owner_map_free(struct owner_map *m)
{
	free(m);
}

static int try_user(const char *name, char *buf, size_t size, bool *known, uint32_t *id)
{
	struct passwd pw, *found = NULL;
	int rc = getpwnam_r(name, &pw, buf, size, &found);
	*known = rc == 0 && found != NULL;
	if (*known)
		*id = found->pw_uid;
	return rc;
}

static int try_group(const char *name, char *buf, size_t size, bool *known, uint32_t *id)
{
	struct group gr, *found = NULL;
	int rc = getgrnam_r(name, &gr, buf, size, &found);
	*known = rc == 0 && found != NULL;
	if (*known)
		*id = found->gr_gid;
	return rc;
}

/* An error of the database counts as unknown: the number of the snapshot is used. */
static void ask(bool user, const char *name, bool *known, uint32_t *id)
{
	*known = false;
	for (size_t size = FIRST_BYTES; size <= MAX_BYTES; size *= 4) {
		char *buf = malloc(size);
		if (buf == NULL)
			return;
		int rc = user ? try_user(name, buf, size, known, id)
			      : try_group(name, buf, size, known, id);
		free(buf);
		if (rc != ERANGE)
			return;
	}
}

static uint32_t look_up(struct slot *slots, bool user, const char *name, uint32_t number)
{
	if (name == NULL || name[0] == '\0' || strlen(name) >= MAX_NAME_BYTES)
		return number;
	uint32_t h = 5381;
	for (const char *p = name; *p != '\0'; p++)
		h = h * 33 + (unsigned char)*p;
	struct slot *s = &slots[h % SLOTS];
	if (!s->is_used || strcmp(s->name, name) != 0) {
		ask(user, name, &s->is_known, &s->id);
		memcpy(s->name, name, strlen(name) + 1);
		s->is_used = true;
	}
	return s->is_known ? s->id : number;
}

uid_t owner_map_uid(struct owner_map *m, const char *name, uid_t number)
{
	return look_up(m->users, true, name, number);
}

gid_t owner_map_gid(struct owner_map *m, const char *name, gid_t number)
{
	return look_up(m->groups, false, name, number);
}
