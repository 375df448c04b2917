#include "cmd/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

static int remove_level(int dirfd, const char *name, int depth, struct err *err);

static int empty_directory(DIR *dir, int depth, struct err *err)
{
	for (;;) {
		errno = 0;
		const struct dirent *d = readdir(dir);
		if (d == NULL)
			return errno == 0 ? 0 : err_sys(err, ERR_IO, "unable to read a directory");
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		int rc = remove_level(dirfd(dir), d->d_name, depth, err);
		if (rc != 0)
			return rc;
	}
}

static int remove_level(int dirfd, const char *name, int depth, struct err *err)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, ERR_IO, "unable to remove '%s'", name);
	if (depth == 0)
		return err_set(err, ERR_LIMIT, "unable to remove '%s': too deep", name);
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		int rc = err_sys(err, ERR_IO, "unable to remove '%s'", name);
		if (fd >= 0)
			(void)close(fd); /* nothing was written */
		return rc;
	}
	int rc = empty_directory(dir, depth - 1, err);
	(void)closedir(dir); /* as above */
	if (rc == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		rc = err_sys(err, ERR_IO, "unable to remove '%s'", name);
	return rc;
}

int remove_tree_at(int dirfd, const char *name, struct err *err)
{
	return remove_level(dirfd, name, REMOVE_TREE_DEPTH, err);
}
