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

/* Byte and bit of the only difference to ${before}; the test fails if there is another. */
static int only_change(const char *before, size_t len, int *bit)
{
	char now[3 * 8192];
	int changed = 0, at = -1;
	int fd = openat(top, "d/file", O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && read(fd, now, len) == (ssize_t)len);
	(void)close(fd);
	for (int i = 0; i < (int)len; i++) {
		if (now[i] == before[i])
			continue;
		changed++;
		at = i;
		*bit = (unsigned char)(now[i] ^ before[i]);
	}
	cr_expect(eq(int, changed, 1));
	cr_expect(eq(int, *bit &(*bit - 1), 0), "one bit");
	return at;
}

Test(damage, one_bit_of_a_file_changes_and_can_be_put_back)
{
	static const char zeros[3 * 8192];
	int bit;
	cr_assert(eq(int, damage_flip(top, "d/file", 123456789, &damage, &err), 0), "%s", err.msg);
	cr_expect(eq(int, only_change(zeros, sizeof(zeros), &bit), 123456789 % (3 * 8192)));
	cr_expect(strstr(damage.text, "'d/file'") != NULL);
	cr_assert(eq(int, damage_undo_flip(top, "d/file", &damage, &err), 0), "%s", err.msg);
	cr_assert(eq(int, damage_flip(top, "d/file", 7, &damage, &err), 0), "%s", err.msg);
	cr_expect(eq(int, only_change(zeros, sizeof(zeros), &bit), 7));
}

/* ---- pages as a server writes them ---- */

static char pages[3 * 8192];

static void put16(size_t at, unsigned v)
{
	const uint16_t value = (uint16_t)v;
	memcpy(pages + at, &value, sizeof(value));
}

/* Page 1: an unused place, then a row of 40 bytes at its end. */
static void write_pages(void)
{
	const uint32_t item = (8192 - 40) | 1u << 15 | 40u << 17;
	memset(pages, 0, sizeof(pages));
	put16(8192 + 10, 4);
	put16(8192 + 12, 24 + 8);
	put16(8192 + 14, 8192 - 40);
	put16(8192 + 16, 8192);
	put16(8192 + 18, 8192 + 4);
	memcpy(pages + 8192 + 24 + 4, &item, sizeof(item));
	cr_assert(eq(int, fchmodat(top, "d/file", 0600, 0), 0));
	int fd = openat(top, "d/file", O_WRONLY | O_CLOEXEC);
	cr_assert(fd >= 0 && write(fd, pages, sizeof(pages)) == sizeof(pages));
	(void)close(fd);
}

Test(damage, a_row_goes_with_the_one_bit_that_says_it_is_there)
{
	const struct damage_place at = { .page = 1, .page_bytes = 8192, .item = 2 };
	int bit;
	write_pages();
	cr_assert(eq(int, damage_row(top, "d/file", &at, &damage, &err), 0), "%s", err.msg);
	/* bit 15 of the second number, little-endian */
	cr_expect(eq(int, only_change(pages, sizeof(pages), &bit), 8192 + 24 + 4 + 1));
	cr_expect(eq(int, bit, 0x80));
	cr_expect(strstr(damage.text, "row 2 of page 1 is gone from 'd/file'") != NULL);
	cr_expect(eq(int, damage_row(top, "d/file", &at, &damage, &err), -ERR_NOT_FOUND));
}

Test(damage, a_page_is_refused_for_one_bit_of_its_header)
{
	const struct damage_place at = { .page = 1, .page_bytes = 8192, .item = 2 };
	int bit;
	write_pages();
	cr_assert(eq(int, damage_page(top, "d/file", &at, &damage, &err), 0), "%s", err.msg);
	cr_expect(eq(int, only_change(pages, sizeof(pages), &bit), 8192 + 11));
	cr_expect(eq(int, bit, 0x80));
}

Test(damage, what_is_no_row_of_a_page_is_left_alone)
{
	static const struct damage_place none[] = {
		{ .page = 1, .page_bytes = 8192, .item = 0 },
		{ .page = 1, .page_bytes = 8192, .item = 1 },
		{ .page = 1, .page_bytes = 8192, .item = 3 },
		{ .page = 0, .page_bytes = 8192, .item = 1 },
		{ .page = 3, .page_bytes = 8192, .item = 2 },
		{ .page = 1, .page_bytes = 0, .item = 2 },
		{ .page = 0, .page_bytes = 1 << 20, .item = 2 },
	};
	int bit;
	write_pages();
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		cr_expect(eq(
			int, damage_row(top, "d/file", &none[i], &damage, &err), -ERR_NOT_FOUND));
		cr_expect(eq(
			int, damage_page(top, "d/file", &none[i], &damage, &err), -ERR_NOT_FOUND));
	}
	cr_expect(eq(str, damage.text, ""));
	cr_assert(eq(int, damage_flip(top, "d/file", 3, &damage, &err), 0));
	cr_expect(eq(int, only_change(pages, sizeof(pages), &bit), 3));
}

Test(damage, cutting_and_removing_say_what_they_did)
{
	struct stat st;
	cr_assert(eq(int, damage_cut(top, "d/file", &damage, &err), 0), "%s", err.msg);
	cr_assert(eq(int, fstatat(top, "d/file", &st, 0), 0));
	cr_expect(eq(i64, st.st_size, 1));
	cr_assert(eq(int, damage_remove(top, "d", &damage, &err), 0), "%s", err.msg);
	cr_expect(eq(int, fstatat(top, "d", &st, 0), -1));
	cr_expect(eq(str, damage.text, "cut after its first byte 'd/file', removed 'd'"));
	cr_expect(damage.has_removal);
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
