#include "cmd/demo_home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "restore/erase_tree.h"

/*
 * INVARIANTS
 * (1) Nothing is written into a directory that was not empty and has no mark.
 * (2) lock_fd holds the lock on the mark until close.
 */

static const char *const rooms[] = { "conf", "keys", "reports", "logs" };

static const char head[] =
	"A demonstration of Holdfast.\n"
	"\n"
	"  conf/     what is backed up (sources.conf) and the continuity plan (line3.plan)\n"
	"  keys/     the keys, FOR THIS DEMONSTRATION ONLY: in a real plant the passphrase and "
	"the\n"
	"            recovery file are kept by people, away from every host\n"
	"  vault/    the backups, readable by nobody without a key (--vault: elsewhere)\n"
	"  controller/  its configuration with the schedules, keys and catalog, and the evidence "
	"of\n"
	"            drills; agents/ what each agent keeps (both not with --in-process)\n"
	"  pg/       the plant's historian: a PostgreSQL 15 database cluster\n"
	"  batch/    the plant's electronic batch records\n"
	"  plc/      the plant's controller projects\n"
	"  reports/  signed drill reports (.json), their pages (.html) and, with --in-process, "
	"their\n"
	"            evidence\n"
	"  logs/     what every command said\n"
	"\n"
	"Every command that the demonstration ran, in order, to be run again by hand:\n";

struct demo_home {
	char *path; /* owned */
	int dirfd;
	int lock_fd;
	bool is_old;
	FILE *readme; /* owned */
};

DEFINE_CLEANUP(struct demo_home *, demo_home_close)

static int is_empty(int dirfd, bool *out, struct err *err)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL) {
		cleanup_close_p(&copy);
		return err_sys(err, ERR_IO, "unable to read the directory");
	}
	*out = true;
	for (const struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			*out = false;
	}
	(void)closedir(d); /* read side */
	return 0;
}

static int take_mark(struct demo_home *h, struct err *err)
{
	struct stat st;
	bool empty = false;
	h->is_old = fstatat(h->dirfd, DEMO_HOME_MARK, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int rc = h->is_old ? 0 : is_empty(h->dirfd, &empty, err);
	if (rc == 0 && !h->is_old && !empty) {
		(void)err_set(err, ERR_EXISTS,
			"it is not empty, and no demonstration made what is in it");
		(void)err_hint(err, "name a directory that does not exist yet");
		return -ERR_EXISTS;
	}
	if (rc != 0)
		return rc;
	h->lock_fd =
		openat(h->dirfd, DEMO_HOME_MARK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (h->lock_fd < 0)
		return err_sys(err, ERR_IO, "unable to mark it");
	if (flock(h->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK
			       ? err_set(err, ERR_BUSY, "another demonstration runs in it")
			       : err_sys(err, ERR_IO, "unable to lock it");
	return 0;
}

static int make_rooms(struct demo_home *h, struct err *err)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		if (env_mkdirat(h->dirfd, rooms[i], 0700) != 0 && errno != EEXIST)
			return err_sys(err, ERR_IO, "unable to create '%s'", rooms[i]);
	}
	const bool is_first = !demo_home_has(h, "README");
	int fd = openat(
		h->dirfd, "README", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
	h->readme = fd < 0 ? NULL : fdopen(fd, "a");
	if (h->readme == NULL) {
		cleanup_close_p(&fd);
		return err_sys(err, ERR_IO, "unable to write README");
	}
	char now[HUMAN_BYTES];
	int rc = is_first ? demo_home_tell(h, err, "%s", head) : 0;
	return rc == 0 ? demo_home_tell(h, err, "\n---- %s\n", human_time_utc(now, env_now_ns()))
		       : rc;
}

int demo_home_open(const char *dir, struct demo_home **out, struct err *err)
{
	CLEANUP(demo_home_close_p) struct demo_home *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	h->dirfd = h->lock_fd = -1;
	if (env_mkdirat(AT_FDCWD, dir, 0700) != 0 && errno != EEXIST)
		return err_sys(err, ERR_IO, "unable to create '%s'", dir);
	h->path = realpath(dir, NULL);
	if (h->path != NULL)
		h->dirfd = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (h->dirfd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", dir);
	int rc = take_mark(h, err);
	if (rc == 0)
		rc = make_rooms(h, err);
	if (rc != 0)
		return err == NULL ? rc : err_wrap(err, "unable to use '%s'", dir);
	*out = TAKE(h);
	return 0;
}

void demo_home_close(struct demo_home *h)
{
	if (h == NULL)
		return;
	cleanup_fclose_p(&h->readme);
	cleanup_close_p(&h->lock_fd);
	cleanup_close_p(&h->dirfd);
	free(h->path);
	free(h);
}

const char *demo_home_path(const struct demo_home *h)
{
	return h->path;
}

bool demo_home_is_old(const struct demo_home *h)
{
	return h->is_old;
}

int demo_home_join(const struct demo_home *h, const char *name, char out[PATH_MAX], struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", h->path, name);
	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "path '%s' is too long", h->path)
				      : 0;
}

bool demo_home_has(const struct demo_home *h, const char *name)
{
	struct stat st;
	return fstatat(h->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int demo_home_remove(const struct demo_home *h, const char *name, struct err *err)
{
	return erase_tree_run(h->dirfd, name, NULL, err);
}

int demo_home_write(const struct demo_home *h, const char *name, const char *text, bool is_secret,
	struct err *err)
{
	char path[PATH_MAX];
	int rc = demo_home_join(h, name, path, err);
	return rc != 0 ? rc
		       : atomic_file_write(
				 AT_FDCWD, path, is_secret ? 0600 : 0644, text, strlen(text), err);
}

int demo_home_tell(struct demo_home *h, struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vfprintf(h->readme, fmt, ap);
	va_end(ap);
	if (n < 0 || fflush(h->readme) != 0)
		return err_sys(err, ERR_IO, "unable to write README");
	return 0;
}

int demo_home_quote(const char *text, struct buf *out, struct err *err)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-./=:,@%+";
	if (text[0] != '\0' && strspn(text, plain) == strlen(text))
		return buf_add(out, text, strlen(text), err);
	int rc = buf_add8(out, '\'', err);
	for (const char *p = text; *p != '\0' && rc == 0; p++)
		rc = *p == '\'' ? buf_add(out, "'\\''", 4, err) : buf_add8(out, (uint8_t)*p, err);
	return rc == 0 ? buf_add8(out, '\'', err) : rc;
}
