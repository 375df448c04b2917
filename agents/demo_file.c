#include "agents/demo_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Paths are made by the demo itself; nothing from outside becomes one.
 */

static int make_parents(int dirfd, const char *path)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = strchr(dir, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (env_mkdirat(dirfd, dir, 0755) != 0 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return 0;
}

static int put(int dirfd, const char *path, int flags, const struct buf *content,
	const struct timespec *mtime)
{
	int fd = env_openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644);
	if (fd < 0)
		return -1;
	int bad = env_write_all(fd, content->data, content->len);
	if (mtime != NULL) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, *mtime };
		bad |= futimens(fd, times);
	}
	bad |= close(fd);
	return bad;
}

int demo_file_write(
	int dirfd, const char *path, const struct buf *content, int64_t mtime_ms, struct err *err)
{
	const struct timespec mtime = { .tv_sec = mtime_ms / 1000,
		.tv_nsec = mtime_ms % 1000 * 1000000 };
	if (make_parents(dirfd, path) != 0 ||
		put(dirfd, path, O_CREAT | O_TRUNC, content, &mtime) != 0)
		return err_sys(err, ERR_IO, "unable to write '%s'", path);
	return 0;
}

int demo_file_append(int dirfd, const char *path, const struct buf *content, struct err *err)
{
	if (put(dirfd, path, O_APPEND, content, NULL) != 0)
		return err_sys(err, ERR_IO, "unable to append to '%s'", path);
	return 0;
}

const char *demo_file_time(char out[DEMO_FILE_TIME_BYTES], int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	if (gmtime_r(&s, &tm) == NULL ||
		strftime(out, DEMO_FILE_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
	return out;
}
