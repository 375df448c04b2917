#include "tests/lib/nasty.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define KIB ((off_t)1024)
#define MIB (KIB * 1024)
#define TIB (MIB * 1024 * 1024)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct nasty {
	unsigned what;
	FILE *log;
	struct nasty_counts counts;
};

/* ${rc} is a system call's: count the feature, and say why it is not there. */
static void count(struct nasty *n, int rc, const char *feature)
{
	if (rc >= 0) {
		n->counts.made++;
		return;
	}
	n->counts.skipped++;
	if (n->log != NULL)
		fprintf(n->log, "skipped %s: %s\n", feature, strerror(errno));
}

/* Make and open a directory; -1 and errno. */
static int sub(int dirfd, const char *name)
{
	if (mkdirat(dirfd, name, 0755) != 0 && errno != EEXIST)
		return -1;
	return openat(dirfd, name, DIR_FLAGS);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd); /* of a test tree */
}

/* ---- content --------------------------------------------------------------------------------- */

/* Bytes that do not compress, the same for the same seed. */
static int write_random(int fd, off_t at, off_t len, uint64_t seed)
{
	uint64_t block[512];
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	while (len > 0) {
		for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			block[i] = x;
		}
		size_t part = len < (off_t)sizeof(block) ? (size_t)len : sizeof(block);
		ssize_t done = pwrite(fd, block, part, at);
		if (done <= 0)
			return -1;
		at += done;
		len -= done;
	}
	return 0;
}

static int create(int dirfd, const char *name, mode_t mode)
{
	return openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

static int put_random(int dirfd, const char *name, off_t len, uint64_t seed)
{
	int fd = create(dirfd, name, 0644);
	if (fd < 0)
		return -1;
	int rc = write_random(fd, 0, len, seed);
	close_fd(fd);
	return rc;
}

static int put_text(int dirfd, const char *name, const char *text)
{
	int fd = create(dirfd, name, 0644);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	close_fd(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

struct island {
	off_t at, len;
};

static int put_sparse(int dirfd, const char *name, off_t size, const struct island *islands)
{
	int fd = create(dirfd, name, 0644);
	if (fd < 0)
		return -1;
	int rc = ftruncate(fd, size);
	for (; rc == 0 && islands->len > 0; islands++)
		rc = write_random(fd, islands->at, islands->len, (uint64_t)islands->at + 7);
	close_fd(fd);
	return rc;
}

static int put_zeros(int dirfd, const char *name, off_t len)
{
	static const char zeros[4096];
	int fd = create(dirfd, name, 0644);
	if (fd < 0)
		return -1;
	int rc = 0;
	for (; rc == 0 && len > 0; len -= (off_t)sizeof(zeros))
		rc = write(fd, zeros, sizeof(zeros)) == (ssize_t)sizeof(zeros) ? 0 : -1;
	close_fd(fd);
	return rc;
}

static void make_content(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "content");
	char name[32];
	static const off_t sizes[] = { 0, 1, 4095, 4096, 4097, 65535, 65536, 262143, 262144,
		300 * KIB, MIB - 1, MIB, 5 * MIB };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		(void)snprintf(name, sizeof(name), "random-%lld", (long long)sizes[i]);
		count(n, put_random(dir, name, sizes[i], i + 1), name);
	}
	count(n, put_random(dir, "same-as-random-307200", 300 * KIB, 10), "equal file");
	count(n, put_zeros(dir, "zeros-written-1m", MIB), "written zeros");

	static const struct island none[] = { { 0, 0 } };
	static const struct island start[] = { { 128 * KIB, 64 * KIB }, { 0, 0 } };
	static const struct island middle[] = { { 0, 64 * KIB }, { MIB, 64 * KIB }, { 0, 0 } };
	static const struct island end[] = { { 0, 100 }, { 0, 0 } };
	static const struct island odd[] = { { 1, 1 }, { 70001, 3 }, { 999999, 1 }, { 0, 0 } };
	static const struct island far[] = { { 0, 5 }, { TIB / 2 + 1, 4096 }, { TIB - 9, 9 },
		{ 0, 0 } };
	count(n, put_sparse(dir, "hole-only", 10 * MIB, none), "hole only");
	count(n, put_sparse(dir, "hole-at-start", 192 * KIB, start), "hole at the start");
	count(n, put_sparse(dir, "hole-in-the-middle", MIB + 64 * KIB, middle), "hole inside");
	count(n, put_sparse(dir, "hole-at-end", 3 * MIB + 1, end), "hole at the end");
	count(n, put_sparse(dir, "holes-unaligned", MIB, odd), "unaligned islands");
	if ((n->what & NASTY_TERABYTE) != 0)
		count(n, put_sparse(dir, "terabyte", TIB, far), "1 TiB sparse file");
	close_fd(dir);

	dir = sub(dirfd, "many");
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "file-%03u", i);
		count(n, put_random(dir, name, (off_t)(i * i), i + 100), name);
	}
	close_fd(dir);
}

/* ---- names and depths ------------------------------------------------------------------------ */

static void make_names(struct nasty *n, int dirfd)
{
	static const char *const names[] = { " ", "  ", " leading", "trailing ", "-rf", "--", "~",
		"*", "?", "$(touch x)", "`id`", "a;b", "a|b", "a'b", "a\"b", "a\\b", "\\",
		"new\nline", "\n", "tab\tname", "bell\a", "\x1b[31mred\x1b[0m", "\x1b]0;title\a",
		"carriage\rreturn", "\x7f", "\xff\xfe", "latin1-\xe9", "cut-utf8-\xe2\x82",
		"overlong-\xc0\xaf", "surrogate-\xed\xa0\x80", "\xf0\x9f\x98\x80 emoji",
		"rtl-\xe2\x80\xae"
		"txt.exe",
		"nfc-\xc3\xa9", "nfc-e\xcc\x81", "...", "..a", ".hidden", "a..", "CON", "nul.txt",
		"name:stream", "\x01", "%s%n", "Case", "case", "CASE", "a", "a!", "a\x01", "a-b",
		"a.b" };
	int dir = sub(dirfd, "names");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		count(n, put_text(dir, names[i], names[i]), names[i]);
	char longest[NAME_MAX + 1];
	memset(longest, 'x', NAME_MAX);
	longest[NAME_MAX] = '\0';
	count(n, put_text(dir, longest, "255 bytes"), "name of 255 bytes");
	memset(longest, '\n', NAME_MAX);
	int deep = sub(dir, longest);
	count(n, deep, "directory of 255 newlines");
	if (deep >= 0)
		count(n, put_text(deep, "in", "it"), "file in it");
	close_fd(deep);
	close_fd(dir);
}

/* ${levels} directories called ${name} in each other, and a file in the last. */
static void make_deep(struct nasty *n, int dirfd, const char *top, const char *name, int levels)
{
	int dir = sub(dirfd, top);
	for (int i = 0; i < levels && dir >= 0; i++) {
		int next = sub(dir, name);
		close_fd(dir);
		dir = next;
	}
	count(n, dir, top);
	if (dir >= 0)
		count(n, put_text(dir, "bottom", "of the well"), "file at the bottom");
	close_fd(dir);
}

static void make_depths(struct nasty *n, int dirfd)
{
	char name[201];
	memset(name, 'L', 200);
	name[200] = '\0';
	make_deep(n, dirfd, "deep-names", name, 30); /* 6000 bytes: past PATH_MAX */
	make_deep(n, dirfd, "deep-levels", "d", 300);
}

/* ---- kinds and links ------------------------------------------------------------------------- */

static void make_kinds(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "kinds");
	char target[4096];
	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	count(n, symlinkat("/etc/passwd", dir, "absolute"), "absolute link");
	count(n, symlinkat("nowhere/at all", dir, "dangling"), "dangling link");
	count(n, symlinkat("../../../..", dir, "upwards"), "upward link");
	count(n, symlinkat("self", dir, "self"), "link to itself");
	count(n, symlinkat("\xff\n\x1b[1m", dir, "odd-target"), "link with odd target");
	count(n, symlinkat(target, dir, "longest-target"), "link of 4095 bytes");
	count(n, mkfifoat(dir, "fifo", 0622), "fifo");
	count(n, mknodat(dir, "null", S_IFCHR | 0666, makedev(1, 3)), "character device");
	count(n, mknodat(dir, "block", S_IFBLK | 0660, makedev(7, 200)), "block device");
	count(n, mknodat(dir, "big-numbers", S_IFCHR | 0600, makedev(4095, 1048575)),
		"device with the largest numbers");
	if ((n->what & NASTY_SOCKETS) != 0)
		count(n, mknodat(dir, "socket", S_IFSOCK | 0600, 0), "socket");
	close_fd(dir);
}

static void make_links(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "links"), other = sub(dirfd, "a-links");
	count(n, put_random(dir, "file", 300 * KIB, 50), "linked file");
	count(n, linkat(dir, "file", dir, "file-2", 0), "hard link");
	count(n, linkat(dir, "file", dir, "file-3", 0), "hard link");
	count(n, linkat(dir, "file", other, "file-elsewhere", 0), "hard link across directories");
	count(n, put_text(dir, "empty", ""), "linked empty file");
	count(n, linkat(dir, "empty", dir, "empty-2", 0), "hard link of an empty file");
	count(n, symlinkat("file", dir, "symlink"), "linked link");
	count(n, linkat(dir, "symlink", other, "symlink-2", 0), "hard link of a link");
	count(n, mkfifoat(dir, "fifo", 0600), "linked fifo");
	count(n, linkat(dir, "fifo", dir, "fifo-2", 0), "hard link of a fifo");
	if (mknodat(dir, "device", S_IFCHR | 0600, makedev(1, 5)) == 0)
		count(n, linkat(dir, "device", dir, "device-2", 0), "hard link of a device");
	close_fd(other);
	close_fd(dir);
}

/* ---- modes, owners, times -------------------------------------------------------------------- */

static int put_mode(int dirfd, const char *name, mode_t mode)
{
	if (put_text(dirfd, name, name) != 0)
		return -1;
	return fchmodat(dirfd, name, mode, 0);
}

static void make_modes(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "modes");
	static const mode_t modes[] = { 0, 0400, 0200, 0111, 0644, 0777, 04755, 02755, 06711, 01644,
		07777, 02644 };
	char name[32];
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		(void)snprintf(name, sizeof(name), "file-%04o", (unsigned)modes[i]);
		count(n, put_mode(dir, name, modes[i]), name);
	}
	static const mode_t dirs[] = { 0, 0111, 0555, 0700, 01777, 02775, 07777 };
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(name, sizeof(name), "dir-%04o", (unsigned)dirs[i]);
		int made = sub(dir, name);
		/* an ordinary user could not read what is in the unreadable ones */
		if (made >= 0 && (dirs[i] & 0500) == 0500)
			count(n, put_text(made, "inside", name), "file in it");
		count(n, fchmodat(dir, name, dirs[i], 0), name);
		close_fd(made);
	}
	count(n, put_text(dir, "owned", "by others"), "file to own");
	count(n, fchownat(dir, "owned", 12345, 54321, 0), "owner without a name");
	count(n, symlinkat("owned", dir, "owned-link"), "link to own");
	count(n, fchownat(dir, "owned-link", 4294967294, 65534, AT_SYMLINK_NOFOLLOW),
		"owner of a link");
	if (put_text(dir, "owned-set-id", "x") == 0 &&
		fchownat(dir, "owned-set-id", 77, 78, 0) == 0)
		count(n, fchmodat(dir, "owned-set-id", 06755, 0), "set-id of others");
	close_fd(dir);
}

/* Times that count: asked back, so that a clamped one is a feature that is not there. */
static void make_times(struct nasty *n, int dirfd)
{
	static const struct {
		const char *name;
		long long s;
		long ns;
	} times[] = {
		{ "1901", -2147483647, 1 },
		{ "1969", -1, 999999999 },
		{ "1969-half", -2, 500000000 },
		{ "1970", 0, 1 },
		{ "2001", 1000000000, 123456789 },
		{ "2038", 2147483648, 7 },
		{ "2100", 4102444800, 999999999 },
		{ "2263", 9246182400, 5 },
		{ "2400", 13569465600, 42 },
		{ "1600", -11676096000, 42 },
	};
	int dir = sub(dirfd, "times");
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct timespec both[2] = { { .tv_nsec = UTIME_OMIT },
			{ .tv_sec = times[i].s, .tv_nsec = times[i].ns } };
		struct stat st;
		int rc = put_text(dir, times[i].name, times[i].name);
		if (rc == 0)
			rc = utimensat(dir, times[i].name, both, 0);
		if (rc == 0 && fstatat(dir, times[i].name, &st, 0) == 0 &&
			st.st_mtim.tv_sec != times[i].s) {
			errno = ERANGE;
			rc = -1;
		}
		count(n, rc, times[i].name);
	}
	struct timespec old[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = -86400, .tv_nsec = 3 } };
	if (symlinkat("1969", dir, "link") == 0)
		count(n, utimensat(dir, "link", old, AT_SYMLINK_NOFOLLOW), "time of a link");
	if (mkfifoat(dir, "fifo", 0600) == 0)
		count(n, utimensat(dir, "fifo", old, 0), "time of a fifo");
	if (mkdirat(dir, "dir", 0755) == 0)
		count(n, utimensat(dir, "dir", old, 0), "time of a directory");
	count(n, utimensat(dirfd, "times", old, 0), "time of a directory with files");
	close_fd(dir);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int set_xattr(int dirfd, const char *file, const char *name, const void *value, size_t len)
{
	char path[64 + NAME_MAX];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, file);
	return lsetxattr(path, name, value, len, 0);
}

static void make_xattrs(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "xattrs");
	char big[1800], longest[256];
	memset(big, 'B', sizeof(big));
	memset(longest, 'n', sizeof(longest) - 1);
	memcpy(longest, "user.", 5);
	longest[255] = '\0';
	count(n, put_text(dir, "file", "attributes"), "file with attributes");
	count(n, set_xattr(dir, "file", "user.plain", "value", 5), "user attribute");
	count(n, set_xattr(dir, "file", "user.empty", "", 0), "empty attribute");
	count(n, set_xattr(dir, "file", "user.binary", "\0\xff\n\0", 4), "binary attribute");
	count(n, set_xattr(dir, "file", "user.\xff\xfe", "x", 1), "attribute name not UTF-8");
	count(n, set_xattr(dir, "file", "user.new\nline", "x", 1), "attribute name with newline");
	count(n, set_xattr(dir, "file", "trusted.secret", "t", 1), "trusted attribute");
	count(n, put_text(dir, "long-name", "x"), "file");
	count(n, set_xattr(dir, "long-name", longest, "x", 1), "attribute name of 255 bytes");
	count(n, put_text(dir, "big", "x"), "file");
	count(n, set_xattr(dir, "big", "user.big", big, sizeof(big)), "attribute of 1800 bytes");
	count(n, mkdirat(dir, "dir", 0755), "directory");
	count(n, set_xattr(dir, "dir", "user.dir", "d", 1), "attribute of a directory");
	count(n, symlinkat("file", dir, "link"), "link");
	count(n, set_xattr(dir, "link", "trusted.link", "l", 1), "attribute of a link");
	count(n, mkfifoat(dir, "fifo", 0600), "fifo");
	count(n, set_xattr(dir, "fifo", "trusted.fifo", "f", 1), "attribute of a fifo");

	/* cap_net_raw as permitted and effective; revision 2, little-endian */
	static const uint8_t cap[20] = { 0x01, 0, 0, 0x02, 0x00, 0x20 };
	count(n, put_mode(dir, "capable", 0755), "file");
	count(n, set_xattr(dir, "capable", "security.capability", cap, sizeof(cap)), "capability");
	close_fd(dir);
}

static size_t add_ace(uint8_t *at, uint8_t tag, uint8_t perm, uint32_t id)
{
	const uint8_t ace[8] = { tag, 0, perm, 0, (uint8_t)id, (uint8_t)(id >> 8),
		(uint8_t)(id >> 16), (uint8_t)(id >> 24) };
	memcpy(at, ace, sizeof(ace));
	return sizeof(ace);
}

/* The kernel's form: version 2, then tag, permissions and id of each entry, little-endian. */
static size_t make_acl(uint8_t out[static 64], uint8_t mask)
{
	static const uint8_t version[4] = { 2 };
	size_t len = sizeof(version);
	memcpy(out, version, len);
	len += add_ace(out + len, 0x01, 7, UINT32_MAX); /* owner */
	len += add_ace(out + len, 0x02, 5, 4711);       /* a user */
	len += add_ace(out + len, 0x02, 6, 4712);
	len += add_ace(out + len, 0x04, 4, UINT32_MAX); /* group */
	len += add_ace(out + len, 0x08, 3, 815);        /* a group */
	len += add_ace(out + len, 0x10, mask, UINT32_MAX);
	len += add_ace(out + len, 0x20, 1, UINT32_MAX); /* others */
	return len;
}

static void make_acls(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "acls");
	uint8_t acl[64];
	size_t len = make_acl(acl, 7);
	count(n, put_text(dir, "file", "acl"), "file");
	count(n, set_xattr(dir, "file", "system.posix_acl_access", acl, len), "ACL");
	count(n, put_text(dir, "tight-mask", "acl"), "file");
	len = make_acl(acl, 1);
	count(n, set_xattr(dir, "tight-mask", "system.posix_acl_access", acl, len), "ACL mask");
	int sub_dir = sub(dir, "dir");
	len = make_acl(acl, 5);
	count(n, put_text(sub_dir, "before", "no acl"), "file");
	count(n, set_xattr(dir, "dir", "system.posix_acl_access", acl, len), "ACL of a directory");
	count(n, set_xattr(dir, "dir", "system.posix_acl_default", acl, len), "default ACL");
	count(n, put_text(sub_dir, "inherits", "acl"), "file that inherits");
	count(n, mkdirat(sub_dir, "inherits-dir", 0755), "directory that inherits");
	close_fd(sub_dir);
	close_fd(dir);
}

static int set_flags(int dirfd, const char *name, unsigned set, unsigned clear)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	unsigned flags = 0;
	int rc = ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags = (flags & ~clear) | set;
	if (rc == 0)
		rc = ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close_fd(fd);
	return rc;
}

static void make_flags(struct nasty *n, int dirfd)
{
	int dir = sub(dirfd, "flags");
	count(n, put_text(dir, "nodump", "x"), "file");
	count(n, set_flags(dir, "nodump", FS_NODUMP_FL, 0), "no-dump");
	count(n, put_text(dir, "noatime", "x"), "file");
	count(n, set_flags(dir, "noatime", FS_NOATIME_FL, 0), "no-atime");
	count(n, mkdirat(dir, "sync-dir", 0755), "directory");
	count(n, set_flags(dir, "sync-dir", FS_SYNC_FL, 0), "sync");
	if ((n->what & NASTY_LOCKED) != 0) {
		count(n, put_text(dir, "append", "log"), "file");
		count(n, linkat(dir, "append", dir, "append-2", 0), "hard link of append-only");
		count(n, set_flags(dir, "append", FS_APPEND_FL, 0), "append-only");
		count(n, put_text(dir, "immutable", "x"), "file");
		count(n, set_flags(dir, "immutable", FS_IMMUTABLE_FL, 0), "immutable");
		int locked = sub(dir, "immutable-dir");
		count(n, put_text(locked, "inside", "x"), "file");
		count(n, set_flags(dir, "immutable-dir", FS_IMMUTABLE_FL, 0),
			"immutable directory");
		close_fd(locked);
	}
	close_fd(dir);
}

int nasty_make(int dirfd, unsigned what, FILE *log, struct nasty_counts *counts)
{
	struct nasty n = { .what = what, .log = log };
	if (put_text(dirfd, "top", "a file at the top") != 0 || mkdirat(dirfd, "empty", 0755) != 0)
		return -1;
	mode_t before = umask(022);
	make_content(&n, dirfd);
	make_names(&n, dirfd);
	make_depths(&n, dirfd);
	make_kinds(&n, dirfd);
	make_links(&n, dirfd);
	make_modes(&n, dirfd);
	make_xattrs(&n, dirfd);
	make_acls(&n, dirfd);
	make_flags(&n, dirfd);
	make_times(&n, dirfd);
	(void)umask(before); /* cannot fail */
	if (counts != NULL)
		*counts = n.counts;
	return 0;
}

/* ---- removal --------------------------------------------------------------------------------- */

static int remove_name(int dirfd, const char *name)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	bool is_dir = S_ISDIR(st.st_mode);
	if (is_dir || S_ISREG(st.st_mode)) /* without privilege there are no such flags */
		(void)set_flags(dirfd, name, 0, FS_IMMUTABLE_FL | FS_APPEND_FL);
	if (!is_dir)
		return unlinkat(dirfd, name, 0);
	if (fchmodat(dirfd, name, 0700, 0) != 0)
		return -1;
	int fd = openat(dirfd, name, DIR_FLAGS);
	int rc = fd < 0 ? -1 : nasty_remove(fd);
	close_fd(fd);
	return rc != 0 ? rc : unlinkat(dirfd, name, AT_REMOVEDIR);
}

int nasty_remove(int dirfd)
{
	for (;;) {
		/* one name at a time, so that the depth costs one descriptor a level */
		int fd = openat(dirfd, ".", DIR_FLAGS);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		if (dir == NULL)
			return -1;
		const struct dirent *d;
		do {
			errno = 0;
			d = readdir(dir);
		} while (
			d != NULL && (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0));
		int saved = errno;
		char name[NAME_MAX + 1] = "";
		if (d != NULL)
			(void)snprintf(name, sizeof(name), "%s", d->d_name); /* fits */
		(void)closedir(dir);                                         /* read only */
		errno = saved;
		if (d == NULL)
			return saved == 0 ? 0 : -1;
		if (remove_name(dirfd, name) != 0)
			return -1;
	}
}
