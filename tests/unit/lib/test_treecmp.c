#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/lib/nasty.h"
#include "tests/lib/treecmp.h"

static char scratch[64];
static int a = -1, b = -1;
static char said[4096];

/* One small tree, made the same way twice. */
static void make_tree(int dirfd)
{
	static const char data[200000] = "content";
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };
	static const char *const names[] = { "dir/file", "dir/other", "link", "dir", "." };
	cr_assert(eq(int, mkdirat(dirfd, "dir", 0755), 0));
	int fd = openat(dirfd, "dir/file", O_CREAT | O_WRONLY, 0644);
	cr_assert(eq(sz, (size_t)write(fd, data, sizeof(data)), sizeof(data)));
	cr_assert(eq(int, ftruncate(fd, 1 << 20), 0));
	(void)close(fd);
	cr_assert(eq(int, linkat(dirfd, "dir/file", dirfd, "dir/linked", 0), 0));
	(void)close(openat(dirfd, "dir/other", O_CREAT | O_WRONLY, 0644));
	cr_assert(eq(int, symlinkat("target", dirfd, "link"), 0));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert(eq(int, utimensat(dirfd, names[i], times, AT_SYMLINK_NOFOLLOW), 0));
}

static void setup(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/treecmp-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(scratch), NULL));
	int fd = open(scratch, O_RDONLY | O_DIRECTORY);
	cr_assert(eq(int, mkdirat(fd, "a", 0755), 0));
	cr_assert(eq(int, mkdirat(fd, "b", 0755), 0));
	a = openat(fd, "a", O_RDONLY | O_DIRECTORY);
	b = openat(fd, "b", O_RDONLY | O_DIRECTORY);
	(void)close(fd);
	make_tree(a);
	make_tree(b);
}

static void teardown(void)
{
	(void)close(a);
	(void)close(b);
	int fd = open(scratch, O_RDONLY | O_DIRECTORY);
	(void)nasty_remove(fd);
	(void)close(fd);
	(void)rmdir(scratch);
}

TestSuite(treecmp, .init = setup, .fini = teardown);

/* A skipped test is left without its teardown. */
static void need_root(void)
{
	if (geteuid() == 0)
		return;
	teardown();
	cr_skip("needs root");
}

/* Keep ${name}'s time, so that only what a test changes differs. */
static void reset_time(const char *name)
{
	struct timespec times[2] = { { 1, 1 }, { 1, 1 } };
	cr_assert(eq(int, utimensat(b, name, times, AT_SYMLINK_NOFOLLOW), 0));
}

static long compare(void)
{
	struct treecmp_opts opts = { .compare_root = true };
	memset(said, 0, sizeof(said));
	FILE *out = fmemopen(said, sizeof(said) - 1, "w");
	long differences = treecmp_dirs(a, b, &opts, out);
	(void)fclose(out);
	return differences;
}

static void expect_one(const char *what)
{
	cr_expect(eq(i64, compare(), 1), "%s", said);
	cr_expect(ne(ptr, strstr(said, what), NULL), "%s", said);
}

Test(treecmp, equal_trees_have_no_difference)
{
	cr_expect(eq(i64, compare(), 0), "%s", said);
}

Test(treecmp, a_missing_and_a_new_name_are_told)
{
	cr_assert(eq(int, renameat(b, "dir/other", b, "dir/ot\nher"), 0));
	reset_time("dir");
	cr_expect(eq(i64, compare(), 2));
	cr_expect(eq(str, said, "dir/ot\\x0aher: is new\ndir/other: is missing\n"));
}

Test(treecmp, one_changed_byte_is_told)
{
	int fd = openat(b, "dir/file", O_WRONLY);
	cr_assert(eq(i64, pwrite(fd, "X", 1, 150000), 1));
	(void)close(fd);
	reset_time("dir/file");
	cr_expect(eq(i64, compare(), 2)); /* by both of its names */
	cr_expect(ne(ptr, strstr(said, "dir/file: content differs"), NULL), "%s", said);
}

Test(treecmp, data_where_a_hole_was_is_compared_and_lost_holes_are_told)
{
	static const char zeros[1 << 19];
	int fd = openat(b, "dir/file", O_WRONLY);
	cr_assert(eq(i64, pwrite(fd, zeros, sizeof(zeros), 1 << 19), (int64_t)sizeof(zeros)));
	reset_time("dir/file");
	cr_expect(eq(i64, compare(), 2));
	cr_expect(ne(ptr, strstr(said, "dir/file: 200704 bytes allocated"), NULL), "%s", said);
	cr_assert(eq(i64, pwrite(fd, "X", 1, (1 << 20) - 1), 1));
	(void)close(fd);
	reset_time("dir/file");
	(void)compare();
	cr_expect(ne(ptr, strstr(said, "dir/file: content differs"), NULL), "%s", said);
}

Test(treecmp, size_mode_time_and_target_are_told)
{
	int fd = openat(b, "dir/other", O_WRONLY);
	cr_assert(eq(i64, write(fd, "x", 1), 1));
	(void)close(fd);
	reset_time("dir/other");
	expect_one("dir/other: size 0 != 1");
	fd = openat(b, "dir/other", O_WRONLY | O_TRUNC);
	(void)close(fd);
	reset_time("dir/other");
	cr_assert(eq(int, fchmodat(b, "dir", 0711, 0), 0));
	expect_one("dir: mode 0755 != 0711");
	cr_assert(eq(int, fchmodat(b, "dir", 0755, 0), 0));
	struct timespec times[2] = { { 1, 1 }, { 1, 2 } };
	cr_assert(eq(int, utimensat(b, "link", times, AT_SYMLINK_NOFOLLOW), 0));
	expect_one("link: time 1.000000001 != 1.000000002");
	cr_assert(eq(int, unlinkat(b, "link", 0), 0));
	cr_assert(eq(int, symlinkat("tarGet", b, "link"), 0));
	reset_time("link");
	reset_time(".");
	expect_one("link: link target differs");
}

Test(treecmp, a_broken_and_a_false_hard_link_are_told)
{
	cr_assert(eq(int, unlinkat(b, "dir/other", 0), 0));
	cr_assert(eq(int, linkat(b, "dir/file", b, "dir/other", 0), 0));
	reset_time("dir");
	(void)compare();
	cr_expect(ne(ptr, strstr(said, "dir/other: hard-link groups differ"), NULL), "%s", said);
}

Test(treecmp, kind_attributes_and_flags_are_told)
{
	cr_assert(eq(int, unlinkat(b, "dir/other", 0), 0));
	cr_assert(eq(int, mkfifoat(b, "dir/other", 0644), 0));
	reset_time("dir");
	expect_one("dir/other: kind 100000 != 010000");
	cr_assert(eq(int, unlinkat(b, "dir/other", 0), 0));
	int fd = openat(b, "dir/other", O_CREAT | O_WRONLY, 0644);
	reset_time("dir/other");
	reset_time("dir");
	cr_assert(eq(int, fsetxattr(fd, "user.x", "1", 1, 0), 0));
	expect_one("dir/other: attribute 'user.x' is new");
	int other = openat(a, "dir/other", O_WRONLY);
	cr_assert(eq(int, fsetxattr(other, "user.x", "2", 1, 0), 0));
	expect_one("dir/other: attribute 'user.x' differs");
	cr_assert(eq(int, fremovexattr(fd, "user.x"), 0));
	expect_one("dir/other: attribute 'user.x' is missing");
	cr_assert(eq(int, fremovexattr(other, "user.x"), 0));
	unsigned flags = 0;
	cr_assert(eq(int, ioctl(fd, FS_IOC_GETFLAGS, &flags), 0));
	flags |= FS_NODUMP_FL;
	cr_assert(eq(int, ioctl(fd, FS_IOC_SETFLAGS, &flags), 0));
	expect_one("dir/other: inode flags 0x0 != 0x40");
	(void)close(fd);
	(void)close(other);
}

Test(treecmp, an_owner_is_told_unless_ignored)
{
	need_root();
	cr_assert(eq(int, fchownat(b, "link", 1, 2, AT_SYMLINK_NOFOLLOW), 0));
	expect_one("link: owner 0:0 != 1:2");
	struct treecmp_opts opts = { .ignore_owner = true };
	cr_expect(eq(i64, treecmp_dirs(a, b, &opts, stderr), 0));
}
