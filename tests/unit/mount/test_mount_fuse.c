#include "mount/mount_fuse.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* What is refused before the kernel is asked; tests/e2e/mount.sh has the rest. */
static char dir[] = "/tmp/mount_fuse.XXXXXX";
static char path[64];
static struct err err;

static void setup(void)
{
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/x", dir);
}

static void teardown(void)
{
	(void)unlink(path); /* not every test made it */
	cr_expect(eq(int, rmdir(dir), 0));
}

TestSuite(mount_fuse, .init = setup, .fini = teardown);

static int mount_at(const char *at)
{
	struct mount_fuse *m = NULL;
	const struct mount_fuse_opts opts = { .mountpoint = at, .threads = 1 };
	int rc = mount_fuse_new(NULL, &opts, &m, &err);
	cr_expect(m == NULL);
	return rc;
}

static void make_file(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(ge(int, fd, 0));
	(void)close(fd); /* empty */
}

Test(mount_fuse, there_must_be_a_directory)
{
	cr_expect(eq(int, mount_at(path), -ERR_NOT_FOUND));
	cr_expect(strstr(err.msg, path) != NULL, "%s", err.msg);
	cr_expect(strstr(err.hint, "mkdir") != NULL, "%s", err.hint);
}

Test(mount_fuse, a_file_is_none)
{
	make_file();
	cr_expect(eq(int, mount_at(path), -ERR_USAGE));
}

Test(mount_fuse, nothing_is_hidden_by_a_mount)
{
	make_file();
	cr_expect(eq(int, mount_at(dir), -ERR_USAGE));
	cr_expect(strstr(err.msg, "not empty") != NULL, "%s", err.msg);
}
