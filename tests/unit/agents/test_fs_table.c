#include "agents/sources/fs_table.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/err.h"

DEFINE_CLEANUP(struct fs_table *, fs_table_free)

TestSuite(fs_table);

static struct fs_info find(struct fs_table *t, int fd, uint64_t dev)
{
	struct fs_info *info = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, fs_table_find(t, fd, dev, &info, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, info->dev, dev));
	return *info;
}

Test(fs_table, a_file_system_has_the_same_id_in_every_walk)
{
	CLEANUP(cleanup_close_p) int fd = open("/tmp", O_PATH);
	CLEANUP(fs_table_free_p) struct fs_table *one = NULL;
	CLEANUP(fs_table_free_p) struct fs_table *two = NULL;
	cr_assert(eq(int, fs_table_new(&one, NULL), 0));
	cr_assert(eq(int, fs_table_new(&two, NULL), 0));
	uint64_t id = find(one, fd, 5).id;
	cr_expect(ne(u64, id, 0));
	cr_expect(eq(u64, find(one, fd, 5).id, id));
	cr_expect(eq(u64, find(two, fd, 5).id, id));
}

Test(fs_table, two_that_say_the_same_of_themselves_have_different_ids)
{
	CLEANUP(cleanup_close_p) int fd = open("/tmp", O_PATH);
	CLEANUP(fs_table_free_p) struct fs_table *t = NULL;
	cr_assert(eq(int, fs_table_new(&t, NULL), 0));
	uint64_t ids[20];
	for (unsigned i = 0; i < 20; i++) {
		ids[i] = find(t, fd, 100 + i).id;
		for (unsigned k = 0; k < i; k++)
			cr_expect(ne(u64, ids[i], ids[k]));
	}
	for (unsigned i = 0; i < 20; i++)
		cr_expect(eq(u64, find(t, fd, 100 + i).id, ids[i]));
}

Test(fs_table, what_the_kernel_makes_up_is_known)
{
	CLEANUP(cleanup_close_p) int proc = open("/proc", O_PATH);
	CLEANUP(cleanup_close_p) int tmp = open("/tmp", O_PATH);
	CLEANUP(fs_table_free_p) struct fs_table *t = NULL;
	cr_assert(eq(int, fs_table_new(&t, NULL), 0));
	cr_expect(find(t, proc, 1).is_virtual);
	cr_expect(not(find(t, tmp, 2).is_virtual));
	cr_expect(not(find(t, tmp, 2).is_unsure));
	cr_expect(not(find(t, proc, 1).is_telling));
	cr_expect(eq(ptr, fs_table_get(t, 3), NULL));
	cr_expect(eq(u64, fs_table_get(t, 1)->id, find(t, proc, 1).id));
	cr_expect(ne(u64, find(t, proc, 1).id, 0));
}

Test(fs_table, a_file_that_cannot_be_asked_is_an_error)
{
	CLEANUP(fs_table_free_p) struct fs_table *t = NULL;
	struct fs_info *info = NULL;
	cr_assert(eq(int, fs_table_new(&t, NULL), 0));
	cr_expect(eq(int, fs_table_find(t, -1, 1, &info, NULL), -ERR_IO));
	cr_expect(eq(ptr, info, NULL));
	fs_table_free(NULL);
}
