#include "agents/sources/gentle_open.h"

#include <errno.h>
#include <fcntl.h>

/*
 * INVARIANTS
 * (1) Nothing is opened through a symbolic link in the last component.
 */

static int open_retry(int dirfd, const char *name, int flags)
{
	int fd;
	do {
		fd = openat(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static int open_read(int dirfd, const char *name, int flags)
{
	flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY;
	int fd = open_retry(dirfd, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM) /* only the owner may ask for that */
		fd = open_retry(dirfd, name, flags);
	return fd;
}

int gentle_open_file(int dirfd, const char *name)
{
	return open_read(dirfd, name, 0);
}

int gentle_open_dir(int dirfd, const char *name)
{
	return open_read(dirfd, name, O_DIRECTORY);
}

int gentle_open_path(int dirfd, const char *name)
{
	return open_retry(dirfd, name, O_PATH);
}
