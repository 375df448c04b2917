#include "restore/target_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "restore/target_name.h"

/*
 * INVARIANTS
 * (1) Only a name of the directory itself is unlinked, never what it points to.
 * (2) A file whose lock is held is somebody's work: it stays.
 */

/* One that holds a lock, or that became another object meanwhile. */
static bool is_at_work(int dirfd, const char *name, const struct stat *st)
{
	CLEANUP(cleanup_close_p)
	int fd = env_openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	struct stat now;
	if (fd < 0) /* its mode, given last, may forbid reading: the writer was all but done */
		return errno != EACCES;
	if (fstat(fd, &now) != 0 || now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return true;
	return flock(fd, LOCK_SH | LOCK_NB) != 0;
}

static bool is_leftover(int dirfd, const char *name, bool is_private)
{
	struct stat st;
	if (!target_name_is_temp(name) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		S_ISDIR(st.st_mode))
		return false;
	/* root gives a file its owner before its name: then the directory has to tell */
	if (st.st_uid != geteuid() && !is_private)
		return false;
	return !S_ISREG(st.st_mode) || !is_at_work(dirfd, name, &st);
}

uint64_t target_sweep(int dirfd)
{
	int fd = env_openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;
	uint64_t removed = 0;
	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd); /* read side */
		return 0;
	}
	bool is_private = fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
			  (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (is_leftover(fd, e->d_name, is_private) && env_unlinkat(fd, e->d_name, 0) == 0)
			removed++;
	}
	(void)closedir(dir); /* read side */
	return removed;
}
