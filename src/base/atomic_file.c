#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) The final name is linked or renamed only after fsync of the temporary file returned 0.
 * (2) The temporary name is gone on every way out; it holds 64 random bits, so two writers of one
 *     name do not meet.
 */

static int sync_parent(int dirfd, const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		(void)snprintf(dir, sizeof(dir), "."); /* fits */
	else
		(void)snprintf(
			dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path); /* checked */
	CLEANUP(cleanup_close_p) int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return env_fsync(fd);
}

static int fill(int fd, mode_t mode, const void *data, size_t len)
{
	if (fchmod(fd, mode) != 0 || env_write_all(fd, data, len) != 0)
		return -1;
	return env_fsync(fd);
}

static int put(int dirfd, const char *name, mode_t mode, const void *data, size_t len, bool replace,
	struct err *err)
{
	char tmp[PATH_MAX];
	uint64_t r;
	int rc = env_random(&r, sizeof(r), err);
	if (rc != 0)
		return rc;
	int n = snprintf(tmp, sizeof(tmp), "%s.%016llx.new", name, (unsigned long long)r);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return err_set(err, ERR_LIMIT, "file name '%s' is too long", name);

	int fd = env_openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to create '%s'", name);
	if (fill(fd, mode, data, len) != 0)
		rc = err_sys(err, ERR_IO, "unable to write '%s'", name);
	if (close(fd) != 0 && rc == 0)
		rc = err_sys(err, ERR_IO, "unable to write '%s'", name);
	if (rc == 0 && replace && env_renameat(dirfd, tmp, dirfd, name) != 0)
		rc = err_sys(err, ERR_IO, "unable to rename to '%s'", name);
	if (rc == 0 && !replace && env_linkat(dirfd, tmp, dirfd, name, 0) != 0)
		rc = errno == EEXIST ? err_set(err, ERR_EXISTS, "'%s' exists already", name)
				     : err_sys(err, ERR_IO, "unable to create '%s'", name);
	if (rc != 0 || !replace)
		(void)env_unlinkat(dirfd, tmp, 0); /* a leftover is harmless, its name is random */
	if (rc == 0 && sync_parent(dirfd, name) != 0)
		rc = err_sys(err, ERR_IO, "unable to sync the directory of '%s'", name);
	return rc;
}

int atomic_file_write(
	int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *err)
{
	return put(dirfd, name, mode, data, len, true, err);
}

int atomic_file_create(
	int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *err)
{
	return put(dirfd, name, mode, data, len, false, err);
}
