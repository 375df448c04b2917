#include "restore/damage.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "restore/erase_tree.h"
#include "tests/lib/store_scratch.h"

static int top = -1;
static struct damage damage;
static struct err err;

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(eq(int, mkdirat(top, "d", 0700), 0));
	int fd = openat(top, "d/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	static const char zeros[3 * 8192];
	cr_assert(fd >= 0 && write(fd, zeros, sizeof(zeros)) == sizeof(zeros));
	(void)close(fd);
	memset(&damage, 0, sizeof(damage));
}

static void teardown(void)
{
	cleanup_close_p(&top);
	store_scratch_done();
}

TestSuite(damage, .init = setup, .fini = teardown);

Test(damage, one_bit_of_a_page_changes_where_rows_lie)
{
	char bytes[3 * 8192];
	int changed = 0, at = 0;
	cr_assert(eq(int, damage_flip(top, "d/file", 123456789, &damage, &err), 0), "%s", err.msg);
	int fd = openat(top, "d/file", O_RDONLY | O_CLOEXEC);
	cr_assert(read(fd, bytes, sizeof(bytes)) == sizeof(bytes));
	(void)close(fd);
	for (int i = 0; i < (int)sizeof(bytes); i++) {
		if (bytes[i] == 0)
			continue;
		changed++;
		at = i;
		cr_expect(eq(int, bytes[i] & (bytes[i] - 1), 0), "one bit");
	}
	cr_expect(eq(int, changed, 1));
	cr_expect(ge(int, at % 8192, 8192 - 2048));
	cr_expect(damage.has_flip);
	cr_expect(damage_is_there(top, "d/file", &damage));
	cr_expect(eq(u64, damage.flip_at, (uint64_t)at));
	cr_assert(eq(int, damage_flip(top, "d/file", 123456789, &damage, &err), 0));
	damage.flip_value ^= 0xff;
	cr_expect(not(damage_is_there(top, "d/file", &damage)));
	cr_expect(strstr(damage.text, "'d/file'") != NULL);
}

Test(damage, cutting_and_removing_say_what_they_did)
{
	struct stat st;
	cr_assert(eq(int, damage_cut(top, "d/file", &damage, &err), 0), "%s", err.msg);
	cr_assert(eq(int, fstatat(top, "d/file", &st, 0), 0));
	cr_expect(eq(i64, st.st_size, 3 * 4096));
	cr_assert(eq(int, damage_remove(top, "d", &damage, &err), 0), "%s", err.msg);
	cr_expect(eq(int, fstatat(top, "d", &st, 0), -1));
	cr_expect(eq(str, damage.text, "cut in half 'd/file', removed 'd'"));
	cr_expect(damage.has_cut && damage.has_removal);
}

Test(damage, nothing_is_damaged_through_a_link)
{
	cr_assert(eq(int, symlinkat("file", top, "d/link"), 0));
	cr_expect(eq(int, damage_flip(top, "d/link", 1, &damage, &err), -ERR_IO));
	cr_expect(eq(int, damage_cut(top, "d/link", &damage, &err), -ERR_IO));
	cr_expect(eq(int, damage_flip(top, "../x", 1, &damage, &err), -ERR_IO));
	cr_expect(eq(str, damage.text, ""));
}

Test(damage, an_erased_tree_takes_nothing_outside_with_it)
{
	struct stat st;
	uint64_t left = 9;
	cr_assert(eq(int, mkdirat(top, "out", 0700), 0));
	cr_assert(eq(int, mkdirat(top, "out/keep", 0700), 0));
	cr_assert(eq(int, mkdirat(top, "d/locked", 0700), 0));
	cr_assert(eq(int, symlinkat("../../out", top, "d/locked/link"), 0));
	cr_assert(eq(int, fchmodat(top, "d/locked", 0, 0), 0));
	cr_assert(eq(int, erase_tree_run(top, "d", &left, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, left, 0));
	cr_expect(eq(int, fstatat(top, "d", &st, 0), -1));
	cr_expect(eq(int, fstatat(top, "out/keep", &st, 0), 0));
	cr_expect(eq(int, erase_tree_run(top, "never there", &left, &err), 0));
}
