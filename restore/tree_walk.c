#include "restore/tree_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) path holds the name of the directory being read, without a '/' at its end, between calls.
 * (2) Every component is opened with O_NOFOLLOW.
 */

struct names {
	char **items;
	size_t count, cap;
};

struct walk {
	tree_walk_fn fn;
	void *arg;
	struct buf path;
};

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
}

static int add_name(struct names *n, const char *name, struct err *err)
{
	if (n->count == TREE_WALK_MAX_NAMES)
		return err_set(err, ERR_LIMIT, "more than %zu names in a directory",
			(size_t)TREE_WALK_MAX_NAMES);
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 64 : n->cap * 2;
		char **items = realloc(n->items, cap * sizeof(*items));
		if (items == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		n->items = items;
		n->cap = cap;
	}
	n->items[n->count] = strdup(name);
	if (n->items[n->count] == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	n->count++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const char *const *x = a;
	const char *const *y = b;
	return strcmp(*x, *y);
}

static void closedir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side */
}

static int read_names(int dirfd, struct names *out, struct err *err)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closedir_p) DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL) {
		int why = errno;
		cleanup_close_p(&copy);
		errno = why;
		return err_sys(err, ERR_IO, "unable to read a directory");
	}
	for (;;) {
		errno = 0;
		const struct dirent *de = readdir(d);
		if (de == NULL && errno != 0)
			return err_sys(err, ERR_IO, "unable to read a directory");
		if (de == NULL)
			break;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		int rc = add_name(out, de->d_name, err);
		if (rc != 0)
			return rc;
	}
	if (out->count > 0)
		qsort(out->items, out->count, sizeof(*out->items), compare_names);
	return 0;
}

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct err *err);

static int walk_name(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *err)
{
	struct stat st;
	const char *path = buf_cstr(&w->path);
	if (path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_IO, "unable to look at '%s'", path);
	const struct tree_walk_item item = { path, dirfd, name, &st };
	int rc = w->fn(w->arg, &item, err);
	if (rc != 0 || !S_ISDIR(st.st_mode))
		return rc;
	CLEANUP(cleanup_close_p)
	int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	return walk_dir(w, sub, depth + 1, err);
}

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct err *err)
{
	if (depth > TREE_WALK_DEPTH)
		return err_set(err, ERR_LIMIT, "directories nest deeper than %d", TREE_WALK_DEPTH);
	CLEANUP(names_done) struct names names = { .items = NULL };
	const size_t base = w->path.len;
	int rc = read_names(dirfd, &names, err);
	for (size_t i = 0; i < names.count && rc == 0; i++) {
		rc = buf_addf(&w->path, err, base == 0 ? "%s" : "/%s", names.items[i]);
		if (rc == 0)
			rc = walk_name(w, dirfd, names.items[i], depth, err);
		w->path.len = base;
	}
	return rc;
}

int tree_walk_run(int dirfd, tree_walk_fn fn, void *arg, struct err *err)
{
	struct walk w = { .fn = fn, .arg = arg, .path = BUF_INIT(TREE_WALK_PATH_BYTES) };
	int rc = walk_dir(&w, dirfd, 0, err);
	buf_done(&w.path);
	return rc;
}

int tree_walk_open(const struct tree_walk_item *item)
{
	/* what became a fifo meanwhile must not block us */
	return openat(item->dirfd, item->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

int tree_walk_open_path(int dirfd, const char *path, int flags)
{
	CLEANUP(cleanup_free_p) char *copy = strdup(path);
	if (copy == NULL)
		return -1;
	CLEANUP(cleanup_close_p) int at = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *name = strtok_r(copy, "/", &save);
	while (at >= 0 && name != NULL) {
		char *next = strtok_r(NULL, "/", &save);
		if (strcmp(name, "..") == 0) {
			errno = EINVAL;
			return -1;
		}
		int fd = openat(at, name,
			O_CLOEXEC | O_NOFOLLOW | (next == NULL ? flags : O_PATH | O_DIRECTORY));
		if (next == NULL)
			return fd;
		cleanup_close_p(&at);
		at = fd;
		name = next;
	}
	return at < 0 ? -1 : openat(at, ".", O_CLOEXEC | flags);
}

bool tree_walk_has_suffix(const char *path, const char *suffix)
{
	size_t len = strlen(path), tail = strlen(suffix);
	return len >= tail && strcasecmp(path + len - tail, suffix) == 0;
}
