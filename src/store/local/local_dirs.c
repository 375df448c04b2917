#include "store/local/local_dirs.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/local/local_tree.h"

#define DIRS_FIRST 16

/* The first place whose name is not below the ${len} bytes of ${dir}. */
static size_t place_of(const struct local_dirs *d, const char *dir, size_t len)
{
	size_t low = 0;
	size_t high = d->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strncmp(d->names[mid], dir, len);
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int add_one(struct local_dirs *d, const char *dir, size_t len, struct err *err)
{
	size_t i = place_of(d, dir, len);
	/* a name that only begins with dir sorts behind dir itself */
	if (i < d->count && strncmp(d->names[i], dir, len) == 0 && d->names[i][len] == '\0')
		return 0;
	if (d->count == d->cap) {
		size_t cap = d->cap == 0 ? DIRS_FIRST : d->cap * 2;
		char **names = reallocarray(d->names, cap, sizeof(*names));
		if (names == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		d->names = names;
		d->cap = cap;
	}
	char *copy = strndup(dir, len);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memmove(&d->names[i + 1], &d->names[i], (d->count - i) * sizeof(*d->names));
	d->names[i] = copy;
	d->count++;
	return 0;
}

int local_dirs_add(struct local_dirs *d, const char *name, struct err *err)
{
	size_t len = local_tree_dir_len(name);
	for (;;) {
		int rc = add_one(d, name, len, err);
		if (rc != 0 || len == 0)
			return rc;
		while (len > 0 && name[len - 1] != '/')
			len--;
		if (len > 0)
			len--; /* the '/' itself */
	}
}

int local_dirs_sync(const struct local_dirs *d, int root, struct err *err)
{
	/* a directory sorts before what is in it, so backwards is deepest first */
	for (size_t i = d->count; i > 0; i--) {
		const char *dir = d->names[i - 1];
		int rc = local_tree_sync_dir(root, dir, strlen(dir), err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

void local_dirs_clear(struct local_dirs *d)
{
	for (size_t i = 0; i < d->count; i++)
		free(d->names[i]);
	d->count = 0;
}

void local_dirs_done(struct local_dirs *d)
{
	local_dirs_clear(d);
	free(d->names);
	d->names = NULL;
	d->cap = 0;
}
