#include "agents/sources/owner_names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) known[0..count) ascends by (is_group, id); a name of NULL is known to be none.
 */

#define MAX_KNOWN 8192 /* then all is forgotten: a bound, not a tuned size */
#define MAX_ANSWER_BYTES (1u << 20)
#define MAX_NAME_BYTES 1024

struct owner {
	bool is_group;
	uint32_t id;
	char *name; /* owned */
};

struct owner_names {
	struct owner *known; /* owned, room for MAX_KNOWN + 2 */
	size_t count;
};

int owner_names_new(struct owner_names **out, struct err *err)
{
	struct owner_names *o = calloc(1, sizeof(*o));
	if (o != NULL)
		o->known = calloc(MAX_KNOWN + 2, sizeof(*o->known));
	if (o == NULL || o->known == NULL) {
		free(o);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	*out = o;
	return 0;
}

static void forget(struct owner_names *o)
{
	for (size_t i = 0; i < o->count; i++)
		free(o->known[i].name);
	o->count = 0;
}

void owner_names_free(struct owner_names *o)
{
	if (o == NULL)
		return;
	forget(o);
	free(o->known);
	free(o);
}

/* One question with room for ${len} bytes.  Return 0 or an errno; *${name} NULL: there is none. */
static int ask_with(bool is_group, uint32_t id, char *room, size_t len, const char **name)
{
	*name = NULL;
	if (is_group) {
		struct group gr, *found = NULL;
		int rc = getgrgid_r(id, &gr, room, len, &found);
		if (rc == 0 && found != NULL)
			*name = found->gr_name;
		return rc;
	}
	struct passwd pw, *found = NULL;
	int rc = getpwuid_r(id, &pw, room, len, &found);
	if (rc == 0 && found != NULL)
		*name = found->pw_name;
	return rc;
}

/* *${out} is owned; NULL when the system knows no name or cannot say. */
static int ask(bool is_group, uint32_t id, char **out, struct err *err)
{
	*out = NULL;
	for (size_t len = 4096; len <= MAX_ANSWER_BYTES; len *= 4) {
		CLEANUP(cleanup_free_p) char *room = malloc(len);
		if (room == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		const char *name;
		int rc = ask_with(is_group, id, room, len, &name);
		if (rc == ERANGE)
			continue; /* a group with many members */
		if (name == NULL || name[0] == '\0' || strlen(name) > MAX_NAME_BYTES)
			return 0;
		*out = strdup(name);
		return *out == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	}
	return 0;
}

static int find(
	struct owner_names *o, bool is_group, uint32_t id, const char **out, struct err *err)
{
	size_t low = 0, high = o->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct owner *k = &o->known[mid];
		if (k->is_group == is_group && k->id == id) {
			*out = k->name;
			return 0;
		}
		if (k->is_group < is_group || (k->is_group == is_group && k->id < id))
			low = mid + 1;
		else
			high = mid;
	}
	struct owner added = { .is_group = is_group, .id = id };
	int rc = ask(is_group, id, &added.name, err);
	if (rc != 0)
		return rc;
	memmove(&o->known[low + 1], &o->known[low], (o->count - low) * sizeof(added));
	o->known[low] = added;
	o->count++;
	*out = added.name;
	return 0;
}

int owner_names_find(struct owner_names *o, uint32_t uid, uint32_t gid, const char **user,
	const char **group, struct err *err)
{
	if (o->count >= MAX_KNOWN)
		forget(o);
	const char *u, *g;
	int rc = find(o, false, uid, &u, err);
	if (rc == 0)
		rc = find(o, true, gid, &g, err);
	if (rc != 0)
		return rc;
	*user = u;
	*group = g;
	return 0;
}
