#include "agents/sources/postgres_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agents/sources/postgres.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"

/*
 * INVARIANTS
 * (1) Everything is made new (O_EXCL, mkdir) below a directory only we can enter, and the capture
 *     lets no link through, so no path can lead out of it.
 * (2) fd >= 0 exactly between entry() and end() of a file.
 */

#define POSTGRES_DIR_WAL_BYTES (UINT64_C(64) << 20) /* on top of the server's guess */

struct dir_sink {
	const char *name; /* for messages */
	int dirfd;
	int fd;
	struct timespec mtime;
};

static int check_room(void *self, const struct postgres_info *info, struct err *err)
{
	const struct dir_sink *d = self;
	struct statvfs fs;
	if (fstatvfs(d->dirfd, &fs) != 0)
		return err_sys(err, ERR_IO, "unable to ask for the free space at '%s'", d->name);
	uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t need = info->estimated_bytes + info->estimated_bytes / 20 + POSTGRES_DIR_WAL_BYTES;
	if (room >= need)
		return 0;
	char have_text[HUMAN_BYTES], need_text[HUMAN_BYTES];
	(void)err_set(err, ERR_NOSPACE, "unable to stage the database in '%s': %s needed, %s free",
		d->name, human_size(need_text, need), human_size(have_text, room));
	(void)err_hint(err, "free some space there or choose another staging directory");
	return -ERR_NOSPACE;
}

static int make_entry(void *self, const struct postgres_entry *e, struct err *err)
{
	struct dir_sink *d = self;
	if (e->kind == POSTGRES_DIR) {
		if (env_mkdirat(d->dirfd, e->path, e->mode & 0700) != 0)
			return err_sys(err, ERR_IO, "unable to create '%s/%s'", d->name, e->path);
		return 0;
	}
	d->mtime = (struct timespec){ .tv_sec = e->mtime_s };
	d->fd = env_openat(d->dirfd, e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		e->mode & 0600);
	if (d->fd < 0)
		return err_sys(err, ERR_IO, "unable to create '%s/%s'", d->name, e->path);
	return 0;
}

static int add_data(void *self, const void *data, size_t len, struct err *err)
{
	const struct dir_sink *d = self;
	if (env_write_all(d->fd, data, len) != 0)
		return err_sys(err, ERR_IO, "unable to write to '%s'", d->name);
	return 0;
}

static int end_entry(void *self, struct err *err)
{
	struct dir_sink *d = self;
	if (d->fd < 0)
		return 0;
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, d->mtime };
	int bad = futimens(d->fd, times);
	bad |= close(d->fd);
	d->fd = -1;
	return bad == 0 ? 0 : err_sys(err, ERR_IO, "unable to write to '%s'", d->name);
}

int postgres_dir_capture(const struct pg_conn_opts *opts, int dirfd, const char *name,
	struct postgres_info *info, struct err *err)
{
	static const struct postgres_sink sink = { check_room, make_entry, add_data, end_entry };
	if (env_mkdirat(dirfd, name, 0700) != 0)
		return err_sys(err, errno == EEXIST ? ERR_EXISTS : ERR_IO,
			"unable to create the staging directory '%s'", name);
	struct dir_sink d = { .name = name, .dirfd = -1, .fd = -1 };
	d.dirfd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (d.dirfd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", name);
	int rc = postgres_capture(opts, &sink, &d, info, err);
	if (d.fd >= 0)
		(void)close(d.fd); /* the capture failed anyway */
	(void)close(d.dirfd);      /* a directory */
	return rc;
}
