#include "tests/lib/treecmp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <search.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/*
 * INVARIANTS
 * (1) Both trees are walked in one order, by name bytes; so hard-link groups agree exactly when
 *     every name's group was first seen at the same name in both.
 * (2) path is the way to the pair at hand.
 */

#define PATH_BYTES ((size_t)65536)
#define BLOCK_BYTES ((size_t)1 << 16)
#define HOLE_SLACK ((int64_t)65536)
#define XATTR_BYTES ((size_t)65536)
#define FLAGS (FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

struct group {
	dev_t dev;
	ino_t ino;
	uint64_t first; /* ordinal of the first name */
};

struct tree {
	void *groups; /* tsearch() */
};

struct treecmp {
	const struct treecmp_opts *opts;
	FILE *out;
	long differences;
	bool failed;
	uint64_t ordinal;
	struct tree a, b;
	size_t path_len;
	char path[PATH_BYTES];
	char list_a[XATTR_BYTES], list_b[XATTR_BYTES];
	char value_a[XATTR_BYTES], value_b[XATTR_BYTES];
	char block_a[BLOCK_BYTES], block_b[BLOCK_BYTES];
};

/* One object of a pair. */
struct side {
	int dirfd;
	const char *name;
	struct stat st;
	struct tree *tree;
};

static void print_escaped(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c >= 0x7f || c == '\\')
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
}

static void vtell(struct treecmp *t, const char *fmt, va_list ap)
{
	print_escaped(t->out, t->path, t->path_len);
	fputs(": ", t->out);
	vfprintf(t->out, fmt, ap);
	fputc('\n', t->out);
}

static void __attribute__((format(printf, 2, 3))) differ(struct treecmp *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vtell(t, fmt, ap);
	va_end(ap);
	t->differences++;
}

static void __attribute__((format(printf, 2, 3))) fail(struct treecmp *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vtell(t, fmt, ap);
	va_end(ap);
	t->failed = true;
}

/* ---- names ----------------------------------------------------------------------------------- */

struct names {
	char **list;
	size_t count, cap;
};

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->list[i]);
	free(n->list);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(int dirfd, bool no_sockets, struct names *n)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL)
		return -1;
	const struct dirent *d;
	while ((errno = 0, d = readdir(dir)) != NULL) {
		struct stat st;
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (no_sockets && fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISSOCK(st.st_mode))
			continue;
		if (n->count == n->cap) {
			n->cap = n->cap == 0 ? 64 : n->cap * 2;
			n->list = reallocarray(n->list, n->cap, sizeof(*n->list));
			if (n->list == NULL)
				abort();
		}
		n->list[n->count] = strdup(d->d_name);
		if (n->list[n->count++] == NULL)
			abort();
	}
	int rc = errno == 0 ? 0 : -1;
	(void)closedir(dir); /* read only */
	if (n->count > 0)
		qsort(n->list, n->count, sizeof(*n->list), by_bytes);
	return rc;
}

/* ---- hard links ------------------------------------------------------------------------------ */

static int by_inode(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Return the ordinal of the first name of the inode. */
static uint64_t first_name(struct treecmp *t, struct side *s)
{
	struct group *g = malloc(sizeof(*g));
	if (g == NULL)
		abort();
	*g = (struct group){ .dev = s->st.st_dev, .ino = s->st.st_ino, .first = t->ordinal };
	struct group **found = tsearch(g, &s->tree->groups, by_inode);
	if (found == NULL)
		abort();
	if (*found != g)
		free(g);
	return (*found)->first;
}

static void compare_links(struct treecmp *t, struct side *a, struct side *b)
{
	if (a->st.st_nlink == 1 && b->st.st_nlink == 1)
		return;
	if (first_name(t, a) != first_name(t, b))
		differ(t, "hard-link groups differ (links %lu, %lu)", (unsigned long)a->st.st_nlink,
			(unsigned long)b->st.st_nlink);
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* Attributes go by the directory's link in /proc, so that nothing is followed or opened. */
static void proc_path(const struct side *s, char out[static 32 + NAME_MAX])
{
	(void)snprintf(out, 32 + NAME_MAX, "/proc/self/fd/%d/%s", s->dirfd, s->name);
}

static bool is_compared(const struct treecmp *t, const char *name)
{
	if (!t->opts->ignore_owner)
		return true;
	return strncmp(name, "trusted.", 8) != 0 && strncmp(name, "security.", 9) != 0;
}

static bool lists(const char *list, ssize_t len, const char *name)
{
	for (const char *p = list; p < list + len; p += strlen(p) + 1) {
		if (strcmp(p, name) == 0)
			return true;
	}
	return false;
}

static void compare_value(
	struct treecmp *t, const char *path_a, const char *path_b, const char *name)
{
	ssize_t a = lgetxattr(path_a, name, t->value_a, sizeof(t->value_a));
	ssize_t b = lgetxattr(path_b, name, t->value_b, sizeof(t->value_b));
	if (a < 0 || b < 0)
		fail(t, "unable to read the attribute '%s': %s", name, strerror(errno));
	else if (a != b || memcmp(t->value_a, t->value_b, (size_t)a) != 0)
		differ(t, "attribute '%s' differs", name);
}

static void compare_xattrs(struct treecmp *t, const struct side *a, const struct side *b)
{
	char path_a[32 + NAME_MAX], path_b[32 + NAME_MAX];
	proc_path(a, path_a);
	proc_path(b, path_b);
	ssize_t len_a = llistxattr(path_a, t->list_a, sizeof(t->list_a));
	ssize_t len_b = llistxattr(path_b, t->list_b, sizeof(t->list_b));
	if (len_a < 0 && errno == EOPNOTSUPP && len_b < 0)
		return;
	if (len_a < 0 || len_b < 0) {
		fail(t, "unable to list attributes: %s", strerror(errno));
		return;
	}
	for (const char *p = t->list_a; p < t->list_a + len_a; p += strlen(p) + 1) {
		if (!is_compared(t, p))
			continue;
		if (lists(t->list_b, len_b, p))
			compare_value(t, path_a, path_b, p);
		else
			differ(t, "attribute '%s' is missing", p);
	}
	for (const char *p = t->list_b; p < t->list_b + len_b; p += strlen(p) + 1) {
		if (is_compared(t, p) && !lists(t->list_a, len_a, p))
			differ(t, "attribute '%s' is new", p);
	}
}

static unsigned inode_flags(int fd)
{
	unsigned flags = 0;
	return ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? flags & FLAGS : 0;
}

/* ---- content --------------------------------------------------------------------------------- */

/* Where data begins at or after ${at}; ${size} when none does. */
static off_t next_data(int fd, off_t at, off_t size)
{
	off_t data = lseek(fd, at, SEEK_DATA);
	if (data >= 0)
		return data;
	return errno == ENXIO ? size : at;
}

static bool read_exact(int fd, char *out, size_t len, off_t at)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, out + done, len - done, at + (off_t)done);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static void compare_content(struct treecmp *t, int a, int b, off_t size)
{
	for (off_t at = 0; at < size;) {
		off_t data_a = next_data(a, at, size), data_b = next_data(b, at, size);
		at = data_a < data_b ? data_a : data_b;
		if (at >= size)
			return;
		size_t len = size - at < (off_t)BLOCK_BYTES ? (size_t)(size - at) : BLOCK_BYTES;
		if (!read_exact(a, t->block_a, len, at) || !read_exact(b, t->block_b, len, at)) {
			fail(t, "unable to read: %s", strerror(errno));
			return;
		}
		if (memcmp(t->block_a, t->block_b, len) != 0) {
			differ(t, "content differs in the %zu bytes at %lld", len, (long long)at);
			return;
		}
		at += (off_t)len;
	}
}

static void compare_files(struct treecmp *t, const struct side *a, const struct side *b)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int fd_a = openat(a->dirfd, a->name, flags), fd_b = openat(b->dirfd, b->name, flags);
	if (fd_a < 0 || fd_b < 0) {
		fail(t, "unable to open: %s", strerror(errno));
	} else {
		if (a->st.st_size != b->st.st_size)
			differ(t, "size %lld != %lld", (long long)a->st.st_size,
				(long long)b->st.st_size);
		else
			compare_content(t, fd_a, fd_b, a->st.st_size);
		if (inode_flags(fd_a) != inode_flags(fd_b))
			differ(t, "inode flags 0x%x != 0x%x", inode_flags(fd_a), inode_flags(fd_b));
	}
	int64_t blocks_a = (int64_t)a->st.st_blocks * 512;
	int64_t blocks_b = (int64_t)b->st.st_blocks * 512;
	if (!t->opts->ignore_holes && blocks_b > blocks_a + HOLE_SLACK + blocks_a / 64)
		differ(t, "%lld bytes allocated, then %lld", (long long)blocks_a,
			(long long)blocks_b);
	if (fd_a >= 0)
		(void)close(fd_a); /* read only */
	if (fd_b >= 0)
		(void)close(fd_b); /* read only */
}

static void compare_targets(struct treecmp *t, const struct side *a, const struct side *b)
{
	char target_a[PATH_MAX], target_b[PATH_MAX];
	ssize_t len_a = readlinkat(a->dirfd, a->name, target_a, sizeof(target_a));
	ssize_t len_b = readlinkat(b->dirfd, b->name, target_b, sizeof(target_b));
	if (len_a < 0 || len_b < 0)
		fail(t, "unable to read the link: %s", strerror(errno));
	else if (len_a != len_b || memcmp(target_a, target_b, (size_t)len_a) != 0)
		differ(t, "link target differs");
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static void compare_stat(struct treecmp *t, const struct stat *a, const struct stat *b)
{
	mode_t mask = t->opts->ignore_owner ? 01777 : 07777;
	if ((a->st_mode & mask) != (b->st_mode & mask) && !S_ISLNK(a->st_mode))
		differ(t, "mode %04o != %04o", (unsigned)a->st_mode & 07777,
			(unsigned)b->st_mode & 07777);
	if (!t->opts->ignore_owner && (a->st_uid != b->st_uid || a->st_gid != b->st_gid))
		differ(t, "owner %u:%u != %u:%u", a->st_uid, a->st_gid, b->st_uid, b->st_gid);
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		differ(t, "time %lld.%09ld != %lld.%09ld", (long long)a->st_mtim.tv_sec,
			a->st_mtim.tv_nsec, (long long)b->st_mtim.tv_sec, b->st_mtim.tv_nsec);
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) && a->st_rdev != b->st_rdev)
		differ(t, "device differs");
}

static void compare_dirs(struct treecmp *t, int a, int b);

static void compare_subdirs(struct treecmp *t, const struct side *a, const struct side *b)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd_a = openat(a->dirfd, a->name, flags), fd_b = openat(b->dirfd, b->name, flags);
	if (fd_a < 0 || fd_b < 0) {
		fail(t, "unable to open: %s", strerror(errno));
	} else {
		if (inode_flags(fd_a) != inode_flags(fd_b))
			differ(t, "inode flags 0x%x != 0x%x", inode_flags(fd_a), inode_flags(fd_b));
		compare_dirs(t, fd_a, fd_b);
	}
	if (fd_a >= 0)
		(void)close(fd_a); /* read only */
	if (fd_b >= 0)
		(void)close(fd_b); /* read only */
}

static void compare_pair(struct treecmp *t, int dir_a, int dir_b, const char *name)
{
	struct side a = { .dirfd = dir_a, .name = name, .tree = &t->a };
	struct side b = { .dirfd = dir_b, .name = name, .tree = &t->b };
	t->ordinal++;
	if (fstatat(dir_a, name, &a.st, AT_SYMLINK_NOFOLLOW) != 0 ||
		fstatat(dir_b, name, &b.st, AT_SYMLINK_NOFOLLOW) != 0) {
		fail(t, "unable to read the state: %s", strerror(errno));
		return;
	}
	if ((a.st.st_mode & S_IFMT) != (b.st.st_mode & S_IFMT)) {
		differ(t, "kind %06o != %06o", (unsigned)a.st.st_mode & S_IFMT,
			(unsigned)b.st.st_mode & S_IFMT);
		return;
	}
	compare_stat(t, &a.st, &b.st);
	compare_xattrs(t, &a, &b);
	if (S_ISDIR(a.st.st_mode)) {
		compare_subdirs(t, &a, &b);
		return;
	}
	compare_links(t, &a, &b);
	if (S_ISREG(a.st.st_mode))
		compare_files(t, &a, &b);
	else if (S_ISLNK(a.st.st_mode))
		compare_targets(t, &a, &b);
}

/* ${name} is in one tree or in both, by ${in_a} and ${in_b}. */
static void compare_name(struct treecmp *t, int a, int b, const char *name, int order)
{
	size_t before = t->path_len, len = strlen(name);
	if (before + len + 2 > PATH_BYTES) {
		fail(t, "path is too long to compare");
		return;
	}
	if (before > 0)
		t->path[t->path_len++] = '/';
	memcpy(t->path + t->path_len, name, len);
	t->path_len += len;
	if (order == 0)
		compare_pair(t, a, b, name);
	else
		differ(t, order < 0 ? "is missing" : "is new");
	t->path_len = before;
}

static void compare_dirs(struct treecmp *t, int a, int b)
{
	struct names in_a = { 0 }, in_b = { 0 };
	if (names_read(a, t->opts->ignore_sockets, &in_a) != 0 || names_read(b, false, &in_b) != 0)
		fail(t, "unable to list: %s", strerror(errno));
	for (size_t i = 0, j = 0; i < in_a.count || j < in_b.count;) {
		int order = i == in_a.count   ? 1
			    : j == in_b.count ? -1
					      : strcmp(in_a.list[i], in_b.list[j]);
		compare_name(t, a, b, order <= 0 ? in_a.list[i] : in_b.list[j], order);
		i += order <= 0;
		j += order >= 0;
	}
	names_done(&in_a);
	names_done(&in_b);
}

static void compare_roots(struct treecmp *t, int a, int b)
{
	struct side x = { .dirfd = a, .name = ".", .tree = &t->a };
	struct side y = { .dirfd = b, .name = ".", .tree = &t->b };
	if (fstat(a, &x.st) != 0 || fstat(b, &y.st) != 0) {
		fail(t, "unable to read the state: %s", strerror(errno));
		return;
	}
	compare_stat(t, &x.st, &y.st);
	compare_xattrs(t, &x, &y);
}

long treecmp_dirs(int a, int b, const struct treecmp_opts *opts, FILE *out)
{
	struct treecmp *t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	t->opts = opts;
	t->out = out;
	if (opts->compare_root)
		compare_roots(t, a, b);
	compare_dirs(t, a, b);
	tdestroy(t->a.groups, free);
	tdestroy(t->b.groups, free);
	long rc = t->failed ? -1 : t->differences;
	free(t);
	return rc;
}
