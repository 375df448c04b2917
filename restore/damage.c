#include "restore/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "restore/erase_tree.h"
#include "restore/tree_walk.h"

#define DAMAGE_PAGE_BYTES 8192
#define DAMAGE_TAIL_BYTES 2048 /* of a page: rows are put in from its end */

static void tell(struct damage *d, const char *what, const char *path)
{
	size_t len = strlen(d->text);
	(void)snprintf(d->text + len, sizeof(d->text) - len, "%s%s '%s'", len == 0 ? "" : ", ",
		what, path); /* cut is fine */
}

/* Open ${path} for writing even when its mode forbids that. */
static int open_to_change(int dirfd, const char *path, struct err *err)
{
	int fd = tree_walk_open_path(dirfd, path, O_RDWR | O_NONBLOCK);
	if (fd < 0 && errno == EACCES) {
		CLEANUP(cleanup_close_p) int own = tree_walk_open_path(dirfd, path, O_RDONLY);
		if (own >= 0 && fchmod(own, 0600) == 0)
			fd = tree_walk_open_path(dirfd, path, O_RDWR | O_NONBLOCK);
	}
	if (fd < 0)
		(void)err_sys(err, ERR_IO, "unable to damage '%s'", path); /* the caller returns */
	return fd;
}

int damage_flip(int dirfd, const char *path, uint64_t seed, struct damage *out, struct err *err)
{
	struct stat st;
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	if (fd < 0)
		return -ERR_IO;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, ERR_NOT_FOUND, "'%s' has nothing to damage", path);
	const uint64_t pages = (uint64_t)st.st_size / DAMAGE_PAGE_BYTES;
	uint64_t at = seed % (uint64_t)st.st_size;
	if (pages > 0)
		at = seed % pages * DAMAGE_PAGE_BYTES + DAMAGE_PAGE_BYTES - 1 -
		     seed / 7 % DAMAGE_TAIL_BYTES;
	unsigned char byte;
	if (pread(fd, &byte, 1, (off_t)at) != 1)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	byte ^= (unsigned char)(1U << seed / 11 % 8);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	char what[64];
	(void)snprintf(what, sizeof(what), "one bit changed at byte %llu of",
		(unsigned long long)at); /* fits */
	out->has_flip = true;
	out->flip_at = at;
	out->flip_value = byte;
	tell(out, what, path);
	return 0;
}

bool damage_is_there(int dirfd, const char *path, const struct damage *d)
{
	CLEANUP(cleanup_close_p) int fd = tree_walk_open_path(dirfd, path, O_RDONLY | O_NONBLOCK);
	unsigned char byte;
	return fd >= 0 && pread(fd, &byte, 1, (off_t)d->flip_at) == 1 && byte == d->flip_value;
}

int damage_remove(int dirfd, const char *path, struct damage *out, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_free_p)
	char *parent = slash == NULL ? strdup("") : strndup(path, (size_t)(slash - path));
	if (parent == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p)
	int fd = tree_walk_open_path(dirfd, parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	(void)fchmod(fd, 0700); /* the removal tells */
	int rc = erase_tree_run(fd, slash == NULL ? path : slash + 1, NULL, err);
	if (rc != 0)
		return rc;
	out->has_removal = true;
	tell(out, "removed", path);
	return 0;
}

int damage_cut(int dirfd, const char *path, struct damage *out, struct err *err)
{
	struct stat st;
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	if (fd < 0)
		return -ERR_IO;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	if (st.st_size < 2)
		return err_set(err, ERR_NOT_FOUND, "'%s' has nothing to cut", path);
	if (ftruncate(fd, st.st_size / 2) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	out->has_cut = true;
	tell(out, "cut in half", path);
	return 0;
}
