#include "restore/erase_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Only names inside a directory that was opened without following a link are removed.
 * (2) Whoever works against the removal can only move what is removed: no mode is changed and
 *     nothing is opened through a link.
 * (3) why keeps the first failure.
 */

#define ERASE_TREE_DEPTH 4096
#define ERASE_TREE_PASSES 64 /* of one directory: names may appear again while it is read */

struct erase {
	uint64_t left;
	struct err why;
};

static void closedir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side */
}

/* Take away inode flags that forbid changes. */
static void unlock(int fd)
{
	int flags = 0;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 ||
		(flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0)
		return;
	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	(void)ioctl(fd, FS_IOC_SETFLAGS, &flags); /* the removal tells */
}

static void unlock_file(int dirfd, const char *name)
{
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		unlock(fd);
}

static void fail(struct erase *e, const char *name)
{
	e->left++;
	if (e->why.code == 0)
		(void)err_sys(&e->why, ERR_IO, "unable to remove '%s'", name);
}

static void erase_name(struct erase *e, int dirfd, const char *name, unsigned depth);

/* Empty the directory ${fd} (taken). */
static void empty(struct erase *e, int fd, unsigned depth)
{
	unlock(fd);
	(void)fchmod(fd, 0700); /* the removal tells */
	CLEANUP(closedir_p) DIR *d = fdopendir(fd);
	if (d == NULL) {
		cleanup_close_p(&fd);
		return;
	}
	for (int pass = 0; pass < ERASE_TREE_PASSES; pass++) {
		const uint64_t before = e->left;
		bool is_empty = true;
		rewinddir(d);
		for (const struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
			if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
				continue;
			is_empty = false;
			erase_name(e, dirfd(d), de->d_name, depth + 1);
		}
		if (is_empty || e->left != before)
			return;
	}
}

static void erase_name(struct erase *e, int dirfd, const char *name, unsigned depth)
{
	if (depth > ERASE_TREE_DEPTH) {
		errno = ELOOP;
		fail(e, name);
		return;
	}
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			fail(e, name);
		return;
	}
	const bool is_dir = S_ISDIR(st.st_mode);
	if (is_dir) {
		/* one that forbids reading is opened by path once its mode is changed */
		int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && fchmodat(dirfd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
			fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			empty(e, fd, depth);
	}
	if (env_unlinkat(dirfd, name, is_dir ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
		return;
	if (!is_dir && errno == EPERM) {
		unlock_file(dirfd, name);
		if (env_unlinkat(dirfd, name, 0) == 0)
			return;
	}
	fail(e, name);
}

int erase_tree_run(int dirfd, const char *name, uint64_t *left, struct err *err)
{
	struct erase e = { .why = ERR_INIT };
	erase_name(&e, dirfd, name, 0);
	if (left != NULL)
		*left = e.left;
	if (e.left > 0 && err != NULL)
		*err = e.why;
	return e.left > 0 ? -e.why.code : 0;
}
