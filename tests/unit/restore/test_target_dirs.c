#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "restore/target_dirs.h"
#include "tests/lib/nasty.h"

#define KEY(s) (const uint8_t *)(s), sizeof(s) - 1

static char scratch[64];
static int root = -1;
static struct target_dirs *d;
static struct err err;

static void setup(void)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/target-dirs-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(scratch), NULL));
	root = open(scratch, O_RDONLY | O_DIRECTORY);
	cr_assert(eq(int, mkdirat(root, "a", 0700), 0));
	cr_assert(eq(int, mkdirat(root, "a/b", 0700), 0));
	cr_assert(eq(int, mkdirat(root, "c", 0700), 0));
	cr_assert(eq(int, target_dirs_new(root, &d, &err), 0));
}

static void teardown(void)
{
	target_dirs_free(d);
	(void)nasty_remove(root);
	(void)close(root);
	(void)rmdir(scratch);
}

TestSuite(target_dirs, .init = setup, .fini = teardown);

static uint64_t inode_of(int fd)
{
	struct stat st = { 0 };
	cr_expect(eq(int, fstat(fd, &st), 0));
	return st.st_ino;
}

Test(target_dirs, leaving_goes_up_to_the_common_directory_of_keys_not_of_letters)
{
	cr_expect(eq(sz, target_dirs_leave(d, KEY("a\0b\0c")), 0));
	cr_assert(eq(int, target_dirs_enter(d, "a", KEY("a"), &err), 0));
	cr_expect(eq(sz, target_dirs_leave(d, KEY("a\0b\0c")), 2));
	cr_assert(eq(int, target_dirs_enter(d, "b", KEY("b"), &err), 0));
	cr_expect(eq(sz, target_dirs_leave(d, KEY("a\0b\0d")), 4));
	cr_expect(eq(sz, target_dirs_leave(d, KEY("a\0bb")), 2));
	cr_expect(eq(ptr, target_dirs_top(d), target_dirs_at(d, 0)));
	cr_expect(eq(sz, target_dirs_leave(d, KEY("ab")), 0));
	cr_expect(eq(ptr, target_dirs_top(d), target_dirs_root(d)));
	cr_expect(eq(sz, target_dirs_count(d), 2));
}

Test(target_dirs, a_key_may_name_a_directory_otherwise_than_the_target_does)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(100);
	cr_assert(eq(int, target_dirs_enter(d, "a", KEY("other"), &err), 0));
	cr_assert(eq(int, target_dirs_enter(d, "b", KEY("b"), &err), 0));
	cr_expect(eq(sz, target_dirs_leave(d, KEY("other\0b\0f")), 8));
	cr_assert(eq(int, target_dirs_key(target_dirs_top(d), &key, &err), 0));
	cr_expect(eq(sz, key.len, 7));
	cr_expect(eq(int, memcmp(key.data, "other\0b", 7), 0));
}

Test(target_dirs, a_link_or_a_file_is_never_entered)
{
	cr_assert(eq(int, symlinkat("a", root, "link"), 0));
	(void)close(openat(root, "file", O_CREAT | O_WRONLY, 0600));
	cr_expect(eq(int, target_dirs_enter(d, "link", KEY("link"), &err), -ERR_IO));
	cr_expect(eq(int, target_dirs_enter(d, "file", KEY("file"), &err), -ERR_IO));
	cr_expect(eq(int, target_dirs_enter(d, "none", KEY("none"), &err), -ERR_IO));
	cr_expect(eq(int, target_dirs_enter(d, "..", KEY("up"), &err), -ERR_IO));
	cr_expect(eq(sz, target_dirs_count(d), 0));
}

Test(target_dirs, going_anywhere_finds_the_same_inodes_again)
{
	int fd = -1, other = -1;
	cr_assert(eq(int, target_dirs_enter(d, "a", KEY("a"), &err), 0));
	cr_assert(eq(int, target_dirs_enter(d, "b", KEY("b"), &err), 0));
	(void)target_dirs_leave(d, KEY("c"));
	cr_assert(eq(int, target_dirs_enter(d, "c", KEY("c"), &err), 0));
	struct target_dir *b = target_dirs_at(d, 1), *c = target_dirs_at(d, 2);

	cr_assert(eq(int, target_dirs_open(d, b, &other, &err), 0));
	cr_expect(eq(u64, inode_of(other), b->ino));
	cr_expect(eq(ptr, target_dirs_top(d), c));
	(void)close(other);
	cr_assert(eq(int, target_dirs_go(d, b, &err), 0));
	cr_assert(eq(int, target_dirs_fd(d, &fd, &err), 0));
	cr_expect(eq(u64, inode_of(fd), b->ino));
	cr_assert(eq(int, target_dirs_go(d, c, &err), 0));
	cr_assert(eq(int, target_dirs_go(d, target_dirs_root(d), &err), 0));
	cr_assert(eq(int, target_dirs_fd(d, &fd, &err), 0));
	cr_expect(eq(u64, inode_of(fd), inode_of(root)));
}

Test(target_dirs, another_directory_in_the_place_of_a_known_one_is_an_error)
{
	int fd = -1;
	cr_assert(eq(int, target_dirs_enter(d, "a", KEY("a"), &err), 0));
	cr_assert(eq(int, target_dirs_enter(d, "b", KEY("b"), &err), 0));
	struct target_dir *b = target_dirs_at(d, 1);
	(void)target_dirs_leave(d, KEY("c"));
	cr_assert(eq(int, renameat(root, "a/b", root, "b"), 0));
	cr_expect(eq(int, target_dirs_open(d, b, &fd, &err), -ERR_FAILED));
	cr_assert(eq(int, mkdirat(root, "a/b", 0700), 0));
	cr_expect(eq(int, target_dirs_open(d, b, &fd, &err), -ERR_FAILED));
	cr_assert(eq(int, unlinkat(root, "a/b", AT_REMOVEDIR), 0));
	cr_assert(eq(int, symlinkat("../b", root, "a/b"), 0));
	cr_expect(eq(int, target_dirs_open(d, b, &fd, &err), -ERR_FAILED));
	cr_expect(eq(int, target_dirs_go(d, b, &err), -ERR_FAILED));
	cr_expect(eq(int, fd, -1));
}
