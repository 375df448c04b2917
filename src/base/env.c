#include "base/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;
	if (clock_gettime(id, &ts) != 0) /* lint-ok: the door itself */
		return 0;                /* both clocks exist on every Linux we run on */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t real_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static int64_t real_mono_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

static int real_random(void *out, size_t len)
{
	uint8_t *p = out;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0); /* lint-ok: the door itself */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int real_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags, mode);
}

static const struct env_ops real_ops = {
	.now_ns = real_now_ns,
	.mono_ns = real_mono_ns,
	.random = real_random,
	.openat = real_openat,
	.write = write,
	.fdatasync = fdatasync,
	.fsync = fsync,
	.linkat = linkat,
	.renameat = renameat,
	.unlinkat = unlinkat,
	.mkdirat = mkdirat,
};

static const struct env_ops *ops = &real_ops;

const struct env_ops *env_swap(const struct env_ops *next)
{
	const struct env_ops *before = ops;
	ops = next == NULL ? &real_ops : next;
	return before;
}

const struct env_ops *env_real(void)
{
	return &real_ops;
}

int64_t env_now_ns(void)
{
	return ops->now_ns();
}

int64_t env_mono_ns(void)
{
	return ops->mono_ns();
}

int env_random(void *out, size_t len, struct err *err)
{
	if (ops->random(out, len) != 0) /* lint-ok: our slot */
		return err_sys(err, ERR_IO, "unable to get %zu random bytes", len);
	return 0;
}

int env_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return ops->openat(dirfd, path, flags, mode);
}

int env_write_all(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;
	while (len > 0) {
		ssize_t n = ops->write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			errno = EIO;
			return -1;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int env_fdatasync(int fd)
{
	return ops->fdatasync(fd);
}

int env_fsync(int fd)
{
	return ops->fsync(fd);
}

int env_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return ops->linkat(from_dir, from, to_dir, to, flags);
}

int env_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return ops->renameat(from_dir, from, to_dir, to);
}

int env_unlinkat(int dirfd, const char *path, int flags)
{
	return ops->unlinkat(dirfd, path, flags);
}

int env_mkdirat(int dirfd, const char *path, mode_t mode)
{
	return ops->mkdirat(dirfd, path, mode);
}
