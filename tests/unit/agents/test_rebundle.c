#include "agents/rebundle.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/content.h"
#include "base/err.h"
#include "vault/bundle.h"

static char dir[64];
static char path[96];
static struct err err;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/test-rebundle-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(path, sizeof(path), "%s/list", dir);
}

static void teardown(void)
{
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(rebundle, .init = setup, .fini = teardown);

static struct rebundle_row row(uint8_t id, uint32_t live, uint32_t raw)
{
	struct rebundle_row r = { .live = live, .raw = raw };
	memset(r.id, id, sizeof(r.id));
	return r;
}

/* A file of ${len} bytes in the bundle ${id}, which is ${raw} bytes long. */
static struct content *file_in(uint8_t id, uint32_t raw, uint64_t len)
{
	struct content *c = NULL;
	struct ref ref = { .raw_len = raw, .cr_len = raw + 28 };
	memset(ref.id, id, sizeof(ref.id));
	cr_assert(eq(int, content_new(&c, &err), 0));
	cr_assert(eq(int, content_add(c, &ref, 0, len, &err), 0));
	c->size = len;
	return c;
}

static struct rebundle *opened(void)
{
	struct rebundle *r = NULL;
	cr_assert(eq(int, rebundle_open(path, &r, &err), 0), "%s", err.msg);
	return r;
}

static bool is_due(const struct rebundle *r, uint8_t id)
{
	struct content *c = file_in(id, 600000, 1000);
	bool due = rebundle_is_due(r, c);
	content_free(c);
	return due;
}

static void count(struct rebundle *r, uint8_t id, uint32_t raw, uint64_t len)
{
	struct content *c = file_in(id, raw, len);
	cr_expect(eq(int, rebundle_count(r, c, &err), 0));
	content_free(c);
}

Test(rebundle, what_is_less_than_half_in_use_goes_worst_first)
{
	struct rebundle_row rows[] = { row(1, 300000, 600000), row(2, 299999, 600000),
		row(3, 600000, 600000), row(4, 1000, 900000), row(5, 200000, 500000) };
	cr_expect(eq(sz, rebundle_choose(rows, 5, 1u << 30), 3));
	cr_expect(eq(int, rows[0].id[0], 4));
	cr_expect(eq(int, rows[1].id[0], 5));
	cr_expect(eq(int, rows[2].id[0], 2));
	cr_expect(eq(sz, rebundle_choose(rows, 0, 1u << 30), 0));
}

Test(rebundle, no_more_a_run_than_was_new_or_a_fiftieth_of_all)
{
	struct rebundle_row rows[200];
	for (uint8_t i = 0; i < 200; i++)
		rows[i] = row(i, i < 20 ? 200000 : 600000, 600000);
	/* 4 MB + 108 MB are live: 2.24 MB may go, or what was new */
	cr_expect(eq(sz, rebundle_choose(rows, 200, 0), 11));
	cr_expect(eq(sz, rebundle_choose(rows, 200, 3000000), 15));
	/* one may go however little that is */
	struct rebundle_row few[] = { row(1, 200000, 600000), row(2, 200001, 600000) };
	cr_expect(eq(sz, rebundle_choose(few, 2, 0), 1));
	cr_expect(eq(int, few[0].id[0], 1));
}

Test(rebundle, many_small_ones_are_joined_and_few_are_let_be)
{
	struct rebundle_row rows[REBUNDLE_SMALL_MAX + 2];
	for (uint8_t i = 0; i < REBUNDLE_SMALL_MAX + 1; i++)
		rows[i] = row(i, BUNDLE_MIN_BYTES - 1, BUNDLE_MIN_BYTES - 1);
	rows[REBUNDLE_SMALL_MAX + 1] = row(200, BUNDLE_MIN_BYTES, BUNDLE_MIN_BYTES);
	cr_expect(eq(sz, rebundle_choose(rows, REBUNDLE_SMALL_MAX, 1u << 30), 0));
	cr_expect(eq(sz, rebundle_choose(rows, REBUNDLE_SMALL_MAX + 2, 1u << 30),
		REBUNDLE_SMALL_MAX + 1));
	cr_expect(eq(int, rows[REBUNDLE_SMALL_MAX + 1].id[0], 200), "that one is not small");
}

Test(rebundle, a_run_leaves_its_list_to_the_next)
{
	struct rebundle *r = opened();
	cr_expect(not(is_due(r, 1)));
	count(r, 1, 600000, 200000);
	count(r, 1, 600000, 50000);
	count(r, 2, 600000, 200000);
	count(r, 2, 600000, 200000);
	cr_assert(eq(int, rebundle_commit(r, 1u << 30, &err), 0), "%s", err.msg);
	cr_expect(not(is_due(r, 1)), "not in this run");
	rebundle_free(r);
	r = opened();
	cr_expect(is_due(r, 1));
	cr_expect(not(is_due(r, 2)));
	count(r, 3, 600000, 255000);
	count(r, 3, 600000, 255000);
	cr_assert(eq(int, rebundle_commit(r, 0, &err), 0));
	rebundle_free(r);
	cr_expect(eq(int, access(path, F_OK), -1), "nothing is due: no list");
	cr_expect(not(rebundle_is_due(NULL, NULL)));
}

Test(rebundle, large_files_and_names_of_one_file_do_not_mislead)
{
	struct rebundle *r = opened();
	count(r, 1, 1000000, BUNDLE_FILE_BYTES); /* a chunk of a large file */
	count(r, 2, 1000, 900);
	count(r, 2, 1000, 900); /* the same file under another name: no more than all of it */
	cr_assert(eq(int, rebundle_commit(r, 1u << 30, &err), 0));
	cr_expect(eq(int, access(path, F_OK), -1));
	rebundle_free(r);
}

Test(rebundle, a_damaged_list_is_none)
{
	struct stat st;
	struct rebundle *r = opened();
	count(r, 1, 600000, 200000);
	cr_assert(eq(int, rebundle_commit(r, 0, &err), 0));
	rebundle_free(r);
	cr_assert(eq(int, stat(path, &st), 0));
	cr_expect(eq(uint, st.st_mode & 07777, 0600));
	for (off_t i = 0; i < st.st_size; i++) {
		uint8_t b;
		int fd = open(path, O_RDWR);
		cr_assert(eq(int, (int)pread(fd, &b, 1, i), 1));
		b ^= 4;
		cr_assert(eq(int, (int)pwrite(fd, &b, 1, i), 1));
		r = opened();
		cr_expect(not(is_due(r, 1)), "byte %d", (int)i);
		rebundle_free(r);
		b ^= 4;
		cr_assert(eq(int, (int)pwrite(fd, &b, 1, i), 1));
		(void)close(fd);
	}
	for (off_t len = st.st_size - 1; len >= 0; len -= 7) {
		cr_assert(eq(int, truncate(path, len), 0));
		r = opened();
		cr_expect(not(is_due(r, 1)), "%d bytes", (int)len);
		rebundle_free(r);
	}
}
