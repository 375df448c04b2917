#include "agents/sources/file_meta.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/lib/walker.h"

static struct walker *const w = &walker_now;

TestSuite(file_meta, .init = walker_setup, .fini = walker_teardown);

/* ---- metadata -------------------------------------------------------------------------------- */

Test(file_meta, kinds_have_their_own_metadata)
{
	char target[4000];
	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	cr_assert(eq(int, symlink(target, "link"), 0));
	cr_assert(eq(int, mkfifo("fifo", 0622), 0));
	cr_assert(eq(int, chmod("fifo", 0622), 0));
	bool has_device = mknod("device", S_IFCHR | 0600, makedev(4095, 1048575)) == 0;
	walker_walk_dir();
	if (has_device) {
		walker_go_to("d/device");
		cr_expect(eq(int, (int)w->item.entry.kind, ENTRY_CHAR));
		cr_expect(eq(u32, w->item.entry.dev_major, 4095));
		cr_expect(eq(u32, w->item.entry.dev_minor, 1048575));
	}
	walker_go_to("d/fifo");
	cr_expect(eq(int, (int)w->item.entry.kind, ENTRY_FIFO));
	cr_expect(eq(int, (int)w->item.entry.mode, 0622));
	walker_go_to("d/link");
	cr_expect(eq(int, (int)w->item.entry.kind, ENTRY_SYMLINK));
	cr_expect(eq(sz, w->item.entry.target_len, 3999));
	cr_expect(memcmp(w->item.entry.target, target, 3999) == 0);
	cr_expect(eq(str, w->warned, ""));
}

Test(file_meta, owners_modes_and_times_are_kept)
{
	if (getuid() != 0)
		WALKER_SKIP("only root can give files away");
	walker_put("f", "x");
	cr_assert(eq(int, chown("f", 0, 12345), 0));
	cr_assert(eq(int, chmod("f", 06751), 0));
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = -2, .tv_nsec = 999999999 } };
	cr_assert(eq(int, utimensat(AT_FDCWD, "f", times, 0), 0));
	walker_put("g", "x");
	cr_assert(eq(int, chown("g", 4294967294u, 0), 0));
	walker_walk_dir();
	walker_go_to("d/f");
	cr_expect(eq(u32, w->item.entry.mode, 06751));
	cr_expect(eq(u32, w->item.entry.uid, 0));
	cr_expect(eq(u32, w->item.entry.gid, 12345));
	cr_assert(ne(ptr, (void *)w->item.entry.user, NULL));
	cr_expect(eq(str, (char *)w->item.entry.user, "root"));
	cr_expect(eq(ptr, (void *)w->item.entry.group, NULL));
	cr_expect(eq(i64, w->item.entry.mtime.s, -2));
	cr_expect(eq(u32, w->item.entry.mtime.ns, 999999999));
	struct stat st;
	cr_assert(eq(int, stat("f", &st), 0));
	cr_expect(eq(u64, w->item.ino, st.st_ino));
	cr_expect(eq(i64, w->item.ctime.s, st.st_ctim.tv_sec));
	walker_go_to("d/g");
	cr_expect(eq(u32, w->item.entry.uid, 4294967294u));
	cr_expect(eq(ptr, (void *)w->item.entry.user, NULL));
	cr_expect(eq(str, (char *)w->item.entry.group, "root"));
}

static const struct entry_xattr *xattr(const char *name)
{
	for (size_t i = 0; i < w->item.entry.xattr_count; i++) {
		const struct entry_xattr *x = &w->item.entry.xattrs[i];
		cr_expect(i == 0 || strcmp(x[-1].name, x->name) < 0);
		if (x->name_len == strlen(name) && memcmp(x->name, name, x->name_len) == 0)
			return x;
	}
	return NULL;
}

static void expect_xattr(const char *name, const void *value, size_t len)
{
	const struct entry_xattr *x = xattr(name);
	cr_assert(x != NULL, "%s", name);
	cr_expect(eq(sz, x->value_len, len), "%s", name);
	cr_expect(x->value_len == len && memcmp(x->value, value, len) == 0, "%s", name);
}

Test(file_meta, extended_attributes_of_every_kind_are_kept)
{
	char big[3500];
	memset(big, 'B', sizeof(big));
	walker_put("f", "x");
	if (setxattr("f", "user.a", "1", 1, 0) != 0)
		WALKER_SKIP("the file system has no extended attributes");
	cr_assert(eq(int, setxattr("f", "user.z", "", 0, 0), 0));
	cr_assert(eq(int, setxattr("f", "user.\xff\n", "\0\1", 2, 0), 0));
	walker_put("g", "x");
	cr_assert(eq(int, setxattr("g", "user.big", big, sizeof(big), 0), 0));
	bool is_root = getuid() == 0;
	cr_assert(eq(int, symlink("f", "link"), 0));
	cr_assert(eq(int, mkfifo("fifo", 0600), 0));
	if (is_root) {
		cr_assert(eq(int, setxattr("f", "trusted.t", "tt", 2, 0), 0));
		cr_assert(eq(int, lsetxattr("link", "trusted.l", "ll", 2, 0), 0));
		cr_assert(eq(int, lsetxattr("fifo", "trusted.p", "pp", 2, 0), 0));
	}
	walker_walk_dir();
	walker_go_to("d/f");
	expect_xattr("user.a", "1", 1);
	expect_xattr("user.z", "", 0);
	expect_xattr("user.\xff\n", "\0\1", 2);
	if (is_root) {
		expect_xattr("trusted.t", "tt", 2);
		walker_go_to("d/fifo");
		expect_xattr("trusted.p", "pp", 2);
	}
	walker_go_to("d/g");
	expect_xattr("user.big", big, sizeof(big));
	if (is_root) {
		walker_go_to("d/link");
		expect_xattr("trusted.l", "ll", 2);
		cr_expect(xattr("trusted.t") == NULL, "of the link, not of its target");
	}
	cr_expect(eq(str, w->warned, ""));
}

Test(file_meta, access_lists_and_capabilities_are_kept)
{
	/* version 2; owner rwx, user 4711 r-x, group r--, mask r-x, others --x */
	static const uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 5, 0, 0x67,
		0x12, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0,
		1, 0, 255, 255, 255, 255 };
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	walker_make_dir("dir");
	walker_put("f", "x");
	if (setxattr("f", "system.posix_acl_access", acl, sizeof(acl), 0) != 0)
		WALKER_SKIP("the file system has no access lists");
	cr_assert(eq(int, setxattr("dir", "system.posix_acl_default", acl, sizeof(acl), 0), 0));
	bool has_cap = setxattr("f", "security.capability", cap, sizeof(cap), 0) == 0;
	walker_walk_dir();
	walker_go_to("d/dir");
	expect_xattr("system.posix_acl_default", acl, sizeof(acl));
	walker_go_to("d/f");
	expect_xattr("system.posix_acl_access", acl, sizeof(acl));
	if (has_cap)
		expect_xattr("security.capability", cap, sizeof(cap));
	cr_expect(eq(str, w->warned, ""));
}

static int set_flags(const char *name, unsigned flags)
{
	CLEANUP(cleanup_close_p) int fd = open(name, O_RDONLY);
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

Test(file_meta, inode_flags_are_kept)
{
	walker_make_dir("dir");
	walker_put("f", "x");
	walker_put("g", "x");
	if (set_flags("f", FS_NODUMP_FL | FS_NOATIME_FL) != 0 || set_flags("dir", FS_SYNC_FL) != 0)
		WALKER_SKIP("the file system has no such flags");
	bool is_locked = set_flags("g", FS_IMMUTABLE_FL) == 0;
	walker_walk_dir();
	walker_go_to("d/dir");
	cr_expect(eq(u32, w->item.entry.flags, FS_SYNC_FL));
	walker_go_to("d/f");
	cr_expect(eq(u32, w->item.entry.flags, FS_NODUMP_FL | FS_NOATIME_FL));
	walker_go_to("d/g");
	cr_expect(eq(u32, w->item.entry.flags, is_locked ? FS_IMMUTABLE_FL : 0));
	if (is_locked)
		cr_expect(eq(int, set_flags("g", 0), 0));
}
