/*
 * env: the one door to clock, randomness and the file operations that change a store, so that
 * tests can fake or break them.  Everything else calls these, never clock_gettime() or getrandom().
 * Threading: env_swap() only before threads start; the rest is thread-safe.
 */
#ifndef BASE_ENV_H
#define BASE_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* Each slot follows the system call of the same name: -1 and errno on failure. */
struct env_ops {
	int64_t (*now_ns)(void);  /* CLOCK_REALTIME */
	int64_t (*mono_ns)(void); /* CLOCK_BOOTTIME: counts while suspended, never steps */
	int (*random)(void *out, size_t len);
	int (*openat)(int dirfd, const char *path, int flags, mode_t mode);
	ssize_t (*write)(int fd, const void *data, size_t len);
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*linkat)(int from_dir, const char *from, int to_dir, const char *to, int flags);
	int (*renameat)(int from_dir, const char *from, int to_dir, const char *to);
	int (*unlinkat)(int dirfd, const char *path, int flags);
	int (*mkdirat)(int dirfd, const char *path, mode_t mode);
};

/* Replace the operations (NULL = the real ones).  Return the ones before.  Tests only. */
const struct env_ops *env_swap(const struct env_ops *ops);

/* The real operations, for a fake that changes one slot. */
const struct env_ops *env_real(void);

/* Nanoseconds since 1970 UTC; good until 2262. */
int64_t env_now_ns(void);

/* Nanoseconds of a clock that never steps; only differences mean something. */
int64_t env_mono_ns(void);

/* Fill ${out} with ${len} random bytes.  Return 0 or -ERR_IO (no caller may go on then). */
int env_random(void *out, size_t len, struct err *err);

int env_openat(int dirfd, const char *path, int flags, mode_t mode);
/* Write all ${len} bytes (short writes and EINTR are continued).  Return 0, or -1 and errno. */
int env_write_all(int fd, const void *data, size_t len);
int env_fdatasync(int fd);
int env_fsync(int fd);
int env_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags);
int env_renameat(int from_dir, const char *from, int to_dir, const char *to);
int env_unlinkat(int dirfd, const char *path, int flags);
int env_mkdirat(int dirfd, const char *path, mode_t mode);

#endif
