/*
 * faultshim: an LD_PRELOAD library that counts the calls that change a file system and, at the
 * N-th, kills the process (SIGKILL, as a power cut of one process) or fails the call.  For tests of
 * the real programs; nothing of it is in them.
 *
 *   FAULTSHIM_AT=N       the call that breaks (from 1); unset or 0 = only count
 *   FAULTSHIM_MODE=kill | eio | enospc     enospc lasts: every later growing call fails too
 *   FAULTSHIM_COUNT=FILE write the number of calls there at exit
 *   FAULTSHIM_ONLY=PATH  count only calls of a process whose command line holds this text
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static long break_at;
static enum { MODE_KILL, MODE_EIO, MODE_ENOSPC } mode;
static const char *count_file;
static bool is_on;

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("FAULTSHIM_AT");
	const char *m = getenv("FAULTSHIM_MODE");
	const char *only = getenv("FAULTSHIM_ONLY");
	char line[4096] = "";
	is_on = true;
	if (only != NULL) {
		int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
		ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
		if (fd >= 0)
			(void)syscall(SYS_close, fd);
		is_on = n > 0 && memmem(line, (size_t)n, only, strlen(only)) != NULL;
	}
	break_at = at == NULL ? 0 : atol(at);
	if (m != NULL && strcmp(m, "eio") == 0)
		mode = MODE_EIO;
	else if (m != NULL && strcmp(m, "enospc") == 0)
		mode = MODE_ENOSPC;
	count_file = getenv("FAULTSHIM_COUNT");
}

__attribute__((destructor)) static void end(void)
{
	if (!is_on || count_file == NULL)
		return;
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", atomic_load(&calls));
	int fd = (int)syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd >= 0) {
		(void)!syscall(SYS_write, fd, text, (size_t)n);
		(void)syscall(SYS_close, fd);
	}
}

/* Count one call.  Return true when it must fail with *error. */
static bool breaks(bool grows, int *error)
{
	if (!is_on)
		return false;
	long n = atomic_fetch_add(&calls, 1) + 1;
	if (break_at == 0 || n < break_at)
		return false;
	if (mode == MODE_ENOSPC && grows) {
		*error = ENOSPC;
		return true;
	}
	if (n != break_at)
		return false;
	if (mode == MODE_KILL) {
		(void)kill(getpid(), SIGKILL);
		for (;;)
			(void)pause();
	}
	*error = EIO;
	return mode == MODE_EIO;
}

#define REAL(type, name, ...)                                                                      \
	static type (*real)(__VA_ARGS__);                                                          \
	if (real == NULL)                                                                          \
	real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define FAIL_IF(grows)                                                                             \
	do {                                                                                       \
		int error_ = 0;                                                                    \
		if (breaks(grows, &error_)) {                                                      \
			errno = error_;                                                            \
			return -1;                                                                 \
		}                                                                                  \
	} while (0)

static int open_any(int dirfd, const char *path, int flags, mode_t mode_bits)
{
	if (flags & (O_CREAT | O_TRUNC))
		FAIL_IF((flags & O_CREAT) != 0);
	return (int)syscall(SYS_openat, dirfd, path, flags, mode_bits);
}

static mode_t mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) ? (mode_t)va_arg(ap, int) : 0;
}

#define OPEN(name)                                                                                 \
	int name(const char *path, int flags, ...)                                                 \
	{                                                                                          \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode_t m = mode_of(flags, ap);                                                     \
		va_end(ap);                                                                        \
		return open_any(AT_FDCWD, path, flags, m);                                         \
	}
#define OPENAT(name)                                                                               \
	int name(int dirfd, const char *path, int flags, ...)                                      \
	{                                                                                          \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode_t m = mode_of(flags, ap);                                                     \
		va_end(ap);                                                                        \
		return open_any(dirfd, path, flags, m);                                            \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t len)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	if (fd > 2)
		FAIL_IF(true);
	return real(fd, data, len);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
	FAIL_IF(true);
	return real(fd, data, len, offset);
}

int fdatasync(int fd)
{
	REAL(int, "fdatasync", int);
	FAIL_IF(false);
	return real(fd);
}

int fsync(int fd)
{
	REAL(int, "fsync", int);
	FAIL_IF(false);
	return real(fd);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	REAL(int, "linkat", int, const char *, int, const char *, int);
	FAIL_IF(true);
	return real(from_dir, from, to_dir, to, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	REAL(int, "renameat", int, const char *, int, const char *);
	FAIL_IF(false);
	return real(from_dir, from, to_dir, to);
}

int rename(const char *from, const char *to)
{
	REAL(int, "rename", const char *, const char *);
	FAIL_IF(false);
	return real(from, to);
}

int unlinkat(int dirfd, const char *path, int flags)
{
	REAL(int, "unlinkat", int, const char *, int);
	FAIL_IF(false);
	return real(dirfd, path, flags);
}

int mkdirat(int dirfd, const char *path, mode_t m)
{
	REAL(int, "mkdirat", int, const char *, mode_t);
	FAIL_IF(true);
	return real(dirfd, path, m);
}

int mkdir(const char *path, mode_t m)
{
	REAL(int, "mkdir", const char *, mode_t);
	FAIL_IF(true);
	return real(path, m);
}
