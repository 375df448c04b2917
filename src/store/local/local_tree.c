#include "store/local/local_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Every open inside the store carries O_NOFOLLOW and one component only.
 * (2) A name reported by local_tree_list() is in the grammar and a regular file.
 */

#define TREE_DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define TREE_DIR_MODE 0700

static void close_dir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side: nothing to lose */
}

static int step_into(int dir, const char *component, bool can_create, struct err *err)
{
	int fd = env_openat(dir, component, TREE_DIR_FLAGS, 0);
	if (fd < 0 && errno == ENOENT && can_create) {
		if (env_mkdirat(dir, component, TREE_DIR_MODE) != 0 && errno != EEXIST)
			return err_sys(err, ERR_IO, "unable to make directory '%s'", component);
		fd = env_openat(dir, component, TREE_DIR_FLAGS, 0);
	}
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "no such object");
	if (errno == ENOTDIR || errno == ELOOP)
		return err_set(
			err, ERR_CORRUPT, "something else than a directory is at '%s'", component);
	return err_sys(err, ERR_IO, "unable to open directory '%s'", component);
}

int local_tree_open_dir(
	int root, const char *dir, size_t len, bool can_create, int *out_fd, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = env_openat(root, ".", TREE_DIR_FLAGS, 0);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open the store's directory");
	for (size_t at = 0; at < len;) {
		char component[STORE_MAX_NAME_BYTES + 1];
		size_t part = strcspn(dir + at, "/");
		if (part > len - at)
			part = len - at;
		memcpy(component, dir + at, part);
		component[part] = '\0';
		int next = step_into(fd, component, can_create, err);
		if (next < 0)
			return next;
		(void)close(fd); /* read side */
		fd = next;
		at += part + 1;
	}
	*out_fd = TAKE_FD(fd);
	return 0;
}

size_t local_tree_dir_len(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash == NULL ? 0 : (size_t)(slash - name);
}

const char *local_tree_leaf(const char *name)
{
	const char *slash = strrchr(name, '/');
	return slash == NULL ? name : slash + 1;
}

static int check_is_object(const struct stat *st, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set(err, ERR_NOT_FOUND, "no such object");
	if (!S_ISREG(st->st_mode))
		return err_set(err, ERR_CORRUPT, "something else than a file is in its place");
	return 0;
}

int local_tree_open_object(
	int root, const char *name, int *out_fd, uint64_t *out_size, struct err *err)
{
	CLEANUP(cleanup_close_p) int dir = -1;
	int rc = local_tree_open_dir(root, name, local_tree_dir_len(name), false, &dir, err);
	if (rc != 0)
		return rc;
	/* O_NONBLOCK: a pipe in an object's place must not hang us */
	CLEANUP(cleanup_close_p)
	int fd = env_openat(dir, local_tree_leaf(name),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "no such object");
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_CORRUPT, "a symbolic link is in its place");
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open its file");
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to look at its file");
	rc = check_is_object(&st, err);
	if (rc != 0)
		return rc;
	*out_size = (uint64_t)st.st_size;
	*out_fd = TAKE_FD(fd);
	return 0;
}

int local_tree_stat(int root, const char *name, uint64_t *out_size, struct err *err)
{
	CLEANUP(cleanup_close_p) int dir = -1;
	int rc = local_tree_open_dir(root, name, local_tree_dir_len(name), false, &dir, err);
	if (rc != 0)
		return rc;
	struct stat st;
	if (fstatat(dir, local_tree_leaf(name), &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return err_set(err, ERR_NOT_FOUND, "no such object");
		return err_sys(err, ERR_IO, "unable to look at its file");
	}
	rc = check_is_object(&st, err);
	if (rc == 0)
		*out_size = (uint64_t)st.st_size;
	return rc;
}

struct walk {
	const char *prefix;
	store_list_fn fn;
	void *arg;
	char name[STORE_MAX_NAME_BYTES + 2]; /* the name so far; one byte for a last '/' */
	struct err *err;
};

/* True if objects that begin with the prefix may be called, or lie below, the ${len} name bytes. */
static bool is_on_the_way(const struct walk *w, size_t len)
{
	size_t want = strlen(w->prefix);
	if (len >= want)
		return memcmp(w->name, w->prefix, want) == 0;
	return memcmp(w->name, w->prefix, len) == 0 && w->prefix[len] == '/';
}

static int walk_dir(struct walk *w, int take_fd, size_t at);

static int visit(struct walk *w, int dir, size_t at, size_t len)
{
	struct stat st;
	if (fstatat(dir, w->name + at, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno == ENOENT)
			return 0; /* removed since the directory was read */
		return err_sys(w->err, ERR_IO, "unable to look at '%s'", w->name);
	}
	if (S_ISREG(st.st_mode) && len >= strlen(w->prefix))
		return w->fn(w->arg, w->name, (uint64_t)st.st_size);
	if (!S_ISDIR(st.st_mode) || len >= STORE_MAX_NAME_BYTES)
		return 0;
	int fd = env_openat(dir, w->name + at, TREE_DIR_FLAGS, 0);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(w->err, ERR_IO, "unable to open directory '%s'", w->name);
	w->name[len] = '/';
	return walk_dir(w, fd, len + 1);
}

/* List the directory ${take_fd}, whose name with its '/' is the first ${at} bytes of w->name. */
static int walk_dir(struct walk *w, int take_fd, size_t at)
{
	CLEANUP(close_dir_p) DIR *d = fdopendir(take_fd);
	if (d == NULL) {
		int rc = err_sys(w->err, ERR_IO, "unable to read a directory");
		(void)close(take_fd); /* read side */
		return rc;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (e == NULL && errno != 0) {
			w->name[at] = '\0';
			return err_sys(w->err, ERR_IO, "unable to read directory '%s'", w->name);
		}
		if (e == NULL)
			return 0;
		size_t len = strlen(e->d_name);
		if (at + len > STORE_MAX_NAME_BYTES)
			continue;
		memcpy(w->name + at, e->d_name, len + 1);
		if (!store_is_valid_name(w->name) || !is_on_the_way(w, at + len))
			continue;
		int rc = visit(w, dirfd(d), at, at + len);
		if (rc != 0)
			return rc;
	}
}

int local_tree_list(int root, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	struct walk w = { .prefix = prefix, .fn = fn, .arg = arg, .err = err };
	int fd = -1;
	int rc = local_tree_open_dir(root, "", 0, false, &fd, err);
	return rc != 0 ? rc : walk_dir(&w, fd, 0);
}

int local_tree_sync_dir(int root, const char *dir, size_t len, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = -1;
	int rc = local_tree_open_dir(root, dir, len, false, &fd, err);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0)
		return rc;
	/* EINVAL: a file system (some network ones) that has no sync of directories to offer */
	if (env_fsync(fd) != 0 && errno != EINVAL)
		return err_sys(err, ERR_IO, "unable to sync directory '%.*s'",
			len == 0 ? 1 : (int)len, len == 0 ? "." : dir);
	return 0;
}
