#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/local/store_local.h"
#include "tests/lib/store_scratch.h"

static const char *dir;
static struct store *s;
static struct err err;
static struct buf got = BUF_INIT(STORE_MAX_OBJECT_BYTES + 16);

static void setup(void)
{
	dir = store_scratch_new();
	cr_assert(ne(ptr, (void *)dir, NULL));
}

static void teardown(void)
{
	store_free(s);
	buf_done(&got);
	store_scratch_done();
}

TestSuite(store_local, .init = setup, .fini = teardown, .timeout = 60);

/* A path inside the scratch directory; borrowed until the call after the next. */
static const char *at(const char *name)
{
	static char paths[2][PATH_MAX + 256];
	static unsigned turn;
	char *path = paths[turn++ % 2];
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static void open_store(bool is_read_only)
{
	struct store_local_opts opts = { .is_read_only = is_read_only };
	cr_assert(eq(int, store_local_open(dir, &opts, &s, &err), 0), "%s", err.msg);
}

static void put_now(const char *name, const char *text)
{
	cr_assert(eq(int, store_put(s, name, text, strlen(text), &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
}

static mode_t mode_of(const char *name)
{
	struct stat st;
	return lstat(at(name), &st) == 0 ? st.st_mode & 07777 : 0;
}

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	++*(int *)arg;
	return 0;
}

static int listed(void)
{
	int count = 0;
	cr_expect(eq(int, store_list(s, "", count_name, &count, &err), 0), "%s", err.msg);
	return count;
}

static void write_file(const char *name, off_t size)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(int, ftruncate(fd, size), 0));
	(void)close(fd);
}

Test(store_local, a_missing_store_is_not_found_and_not_made)
{
	cr_expect(eq(int, store_local_open(at("none"), NULL, &s, &err), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "none'"), NULL));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(ptr, s, NULL));
	cr_expect(eq(int, store_scratch_entries("."), 0));
}

Test(store_local, create_makes_one_private_directory)
{
	struct store_local_opts opts = { .create = true };
	cr_expect(eq(int, store_local_open(at("a new store/"), &opts, &s, &err), 0), "%s", err.msg);
	cr_expect(eq(uint, mode_of("a new store"), 0700u));
	struct store *again = NULL;
	cr_expect(eq(int, store_local_open(at("a new store"), &opts, &again, &err), 0));
	store_free(again);
	again = NULL;
	cr_expect(eq(int, store_local_open(at("no/parent"), &opts, &again, &err), -ERR_IO));
	cr_expect(eq(str, err.hint, "make the directory above it first"));
	write_file("file", 0);
	cr_expect(eq(int, store_local_open(at("file"), &opts, &again, &err), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "file' is no directory"), NULL), "%s", err.msg);
	cr_expect(eq(ptr, again, NULL));
}

Test(store_local, a_file_is_no_store)
{
	struct store_local_opts opts = { .is_read_only = true };
	write_file("file", 1);
	cr_expect(eq(int, store_local_open(at("file"), NULL, &s, &err), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "file' is no directory"), NULL), "%s", err.msg);
	cr_expect(eq(int, store_local_open(at("file"), &opts, &s, &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, err.hint, "name the directory itself, not a file"));
}

Test(store_local, create_works_on_a_relative_path)
{
	struct store_local_opts opts = { .create = true };
	cr_assert(eq(int, chdir(dir), 0));
	cr_expect(eq(int, store_local_open("here", &opts, &s, &err), 0), "%s", err.msg);
	cr_expect(eq(uint, mode_of("here"), 0700u));
}

Test(store_local, create_for_reading_makes_nothing)
{
	struct store_local_opts opts = { .create = true, .is_read_only = true };
	cr_expect(eq(int, store_local_open(at("none"), &opts, &s, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, store_scratch_entries("."), 0));
}

Test(store_local, opening_for_writing_leaves_no_trace)
{
	open_store(false);
	cr_expect(eq(int, listed(), 0));
	cr_expect(eq(int, store_barrier(s, &err), 0));
	cr_expect(eq(int, store_scratch_entries("."), 0));
}

Test(store_local, objects_are_private_and_not_writable)
{
	(void)umask(0);
	open_store(false);
	put_now("pk/ab/one", "content");

	cr_expect(eq(uint, mode_of("pk/ab/one"), 0400u));
	cr_expect(eq(uint, mode_of("pk/ab"), 0700u));
	cr_expect(eq(uint, mode_of("pk"), 0700u));
	cr_expect(eq(uint, mode_of("tmp"), 0700u));
}

Test(store_local, symbolic_links_are_never_followed)
{
	open_store(false);
	put_now("pk/real", "content");
	cr_assert(eq(int, symlink("real", at("pk/link")), 0));
	cr_assert(eq(int, symlink("pk", at("alias")), 0));
	uint64_t size = 0;

	cr_expect(eq(int, store_get(s, "pk/link", &got, &err), -ERR_CORRUPT));
	cr_expect(eq(
		str, err.msg, "unable to read object 'pk/link': a symbolic link is in its place"));
	cr_expect(eq(int, store_stat(s, "pk/link", &size, &err), -ERR_CORRUPT));
	cr_expect(eq(int, store_put(s, "pk/link", "content", 7, &err), -ERR_EXISTS));
	cr_expect(eq(int, store_get(s, "alias/real", &got, &err), -ERR_CORRUPT));
	cr_expect(eq(int, store_put(s, "alias/new", "x", 1, &err), -ERR_EXISTS));
	cr_expect(eq(int, listed(), 1));
	cr_expect(eq(int, store_remove(s, "pk/link", &err), 0), "the link itself goes");
	cr_expect(eq(int, store_get(s, "pk/real", &got, &err), 0));
}

Test(store_local, tmp_as_a_symbolic_link_is_not_written_through)
{
	cr_assert(eq(int, mkdir(at("elsewhere"), 0700), 0));
	cr_assert(eq(int, symlink("elsewhere", at("tmp")), 0));
	open_store(false);

	cr_expect(lt(int, store_put(s, "a", "x", 1, &err), 0));
	cr_expect(eq(int, store_scratch_entries("elsewhere"), 0));
}

Test(store_local, foreign_files_are_passed_over)
{
	open_store(false);
	put_now("pk/real", "content");
	cr_assert(eq(int, mkdir(at("lost+found"), 0700), 0));
	write_file("lost+found/x", 1);
	write_file("odd name", 1);
	write_file("tmp/leftover", 1);
	cr_assert(eq(int, mkfifo(at("pk/pipe"), 0600), 0));
	uint64_t size = 0;

	cr_expect(eq(int, listed(), 1));
	cr_expect(eq(int, store_get(s, "pk/pipe", &got, &err), -ERR_CORRUPT));
	cr_expect(eq(int, store_get(s, "pk", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, store_stat(s, "pk", &size, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, store_get(s, "pk/real/below", &got, &err), -ERR_CORRUPT));
}

Test(store_local, a_file_over_the_limit_is_not_read)
{
	open_store(false);
	write_file("huge", (off_t)STORE_MAX_OBJECT_BYTES + 1);

	cr_expect(eq(int, store_get(s, "huge", &got, &err), -ERR_LIMIT));
	cr_expect(eq(sz, got.cap, (size_t)0));
	cr_expect(eq(int, store_get_range(s, "huge", STORE_MAX_OBJECT_BYTES, 1, &got, &err), 0));
	cr_expect(eq(sz, got.len, (size_t)1));
}

Test(store_local, a_store_opened_for_reading_changes_nothing)
{
	open_store(false);
	put_now("pk/one", "content");
	cr_assert(eq(int, store_put(s, "pk/two", "staged", 6, &err), 0));
	store_scratch_watch();
	struct store *reader = NULL;
	struct store_local_opts opts = { .is_read_only = true };
	cr_assert(eq(int, store_local_open(dir, &opts, &reader, &err), 0));

	cr_expect(eq(int, store_get(reader, "pk/one", &got, &err), 0));
	cr_expect(eq(int, store_put(reader, "pk/three", "x", 1, &err), -ERR_READONLY));
	cr_expect(eq(int, store_remove(reader, "pk/one", &err), -ERR_READONLY));
	cr_expect(eq(int, store_barrier(reader, &err), 0));
	store_free(reader);
	cr_expect(eq(str, (char *)store_scratch_log(), ""));
}

Test(store_local, the_driver_itself_refuses_to_write_when_it_may_only_read)
{
	struct store_local *l = NULL;
	struct store_local_opts opts = { .is_read_only = true };
	cr_assert(eq(int, store_local_new(dir, &opts, &l, &err), 0));

	cr_expect(eq(int, store_local_driver.put(l, "a", "x", 1, &err), -ERR_READONLY));
	cr_expect(eq(int, store_local_driver.remove(l, "a", &err), -ERR_READONLY));
	cr_expect(eq(int, store_local_driver.barrier(l, &err), 0));
	store_local_driver.free(l);
}

Test(store_local, a_directory_without_write_permission_opens_for_reading_only)
{
	if (geteuid() == 0) { /* root may write anywhere: become nobody */
		cr_assert(eq(int, chown(dir, 65534, 65534), 0));
		cr_assert(eq(int, seteuid(65534), 0));
	}
	open_store(false);
	put_now("pk/one", "content");
	store_free(s);
	s = NULL;
	cr_assert(eq(int, chmod(at("tmp"), 0500), 0));
	cr_expect(eq(int, store_local_open(dir, NULL, &s, &err), -ERR_READONLY));
	cr_assert(eq(int, chmod(at("tmp"), 0700), 0));
	cr_assert(eq(int, chmod(dir, 0500), 0));
	struct store_local_opts create = { .create = true };
	cr_expect(eq(int, store_local_open(at("new"), &create, &s, &err), -ERR_READONLY));

	cr_expect(eq(int, store_local_open(dir, NULL, &s, &err), -ERR_READONLY));
	cr_expect(ne(str, err.hint, ""));
	cr_expect(eq(ptr, s, NULL));
	open_store(true);
	cr_expect(eq(int, listed(), 1));
	cr_expect(eq(int, store_get(s, "pk/one", &got, &err), 0), "%s", err.msg);
	cr_assert(eq(int, chmod(at("pk"), 0), 0));
	int count = 0;
	cr_expect(eq(int, store_list(s, "", count_name, &count, &err), -ERR_IO),
		"a directory that cannot be read is never an empty one");
	cr_assert(eq(int, chmod(at("pk"), 0700), 0));
	cr_assert(eq(int, chmod(dir, 0700), 0));
	cr_expect(eq(int, seteuid(getuid()), 0));
}

Test(store_local, a_file_system_that_turned_read_only_is_told)
{
	open_store(false);
	store_scratch_watch();
	store_scratch_break("*", 1, 100, EROFS);

	cr_expect(eq(int, store_put(s, "a", "x", 1, &err), -ERR_READONLY));
	cr_expect(ne(ptr, strstr(err.hint, "read-only"), NULL));
	store_scratch_break("", 0, 0, 0);
	cr_expect(eq(int, store_barrier(s, &err), 0));
	cr_expect(eq(int, listed(), 0));
}

Test(store_local, a_new_directory_whose_name_cannot_be_synced_is_an_error)
{
	struct store_local_opts opts = { .create = true };
	store_scratch_watch();
	store_scratch_break("f", 1, 1, EIO);
	cr_expect(eq(int, store_local_open(at("new"), &opts, &s, &err), -ERR_IO));
	store_scratch_break("m", 1, 1, EROFS);
	cr_expect(eq(int, store_local_open(at("newer"), &opts, &s, &err), -ERR_READONLY));
	cr_expect(eq(ptr, s, NULL));
}
