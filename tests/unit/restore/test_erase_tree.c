#include "restore/erase_tree.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/lib/store_scratch.h"

#define NOBODY 65534 /* whose directories without a mode are closed to him too */

static int top = -1;

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, top, 0));
}

static void teardown(void)
{
	(void)close(top);
	store_scratch_done();
}

TestSuite(erase_tree, .init = setup, .fini = teardown, .timeout = 60);

static void make_dir(const char *path)
{
	cr_assert(eq(int, mkdirat(top, path, 0700), 0), "%s", path);
}

static void make_file(const char *path)
{
	int fd = openat(top, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert(ge(int, fd, 0), "%s", path);
	(void)close(fd);
}

static bool is_there(const char *path)
{
	struct stat st;
	return fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(erase_tree, what_a_link_points_to_stays_as_it_is)
{
	struct stat st;
	struct err err = ERR_INIT;
	uint64_t left = 7;
	make_dir("other");
	make_file("other/file");
	cr_assert(eq(int, fchmodat(top, "other", 0755, 0), 0));
	make_dir("gone");
	make_dir("gone/deep");
	make_file("gone/deep/file");
	cr_assert(eq(int, symlinkat("../../other", top, "gone/deep/link"), 0));
	cr_assert(eq(int, mkfifoat(top, "gone/fifo", 0600), 0));
	cr_expect(eq(int, erase_tree_run(top, "gone", &left, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, left, 0));
	cr_expect(not(is_there("gone")));
	cr_expect(is_there("other/file"));
	cr_assert(eq(int, fstatat(top, "other", &st, 0), 0));
	cr_expect(eq(int, (int)(st.st_mode & 07777), 0755));
	cr_assert(eq(int, symlinkat("other", top, "link"), 0));
	cr_expect(eq(int, erase_tree_run(top, "link", NULL, &err), 0), "%s", err.msg);
	cr_expect(is_there("other/file"));
	cr_expect(not(is_there("link")));
}

Test(erase_tree, what_is_not_there_is_gone_already)
{
	struct err err = ERR_INIT;
	cr_expect(eq(int, erase_tree_run(top, "nothing", NULL, &err), 0), "%s", err.msg);
}

/* As a user for whom modes count: exit status 0 = the tree is gone. */
static void erase_as_nobody(void)
{
	struct err err = ERR_INIT;
	if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
		_exit(2);
	if (mkdirat(top, "closed", 0700) != 0 || mkdirat(top, "closed/in", 0700) != 0 ||
		mkdirat(top, "closed/in/deep", 0700) != 0 || fchmodat(top, "closed/in", 0, 0) != 0)
		_exit(3);
	_exit(erase_tree_run(top, "closed", NULL, &err) == 0 && !is_there("closed") ? 0 : 4);
}

Test(erase_tree, a_directory_that_forbids_everything_is_opened_and_removed)
{
	int status = -1;
	cr_assert(eq(int, fchmod(top, 0777), 0));
	pid_t pid = fork();
	cr_assert(ge(int, pid, 0));
	if (pid == 0)
		erase_as_nobody();
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, status, 0), "it ended with %d", WEXITSTATUS(status));
}
