#include "agents/sources/stdin_source.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

DEFINE_CLEANUP(struct stdin_source *, stdin_source_free)

static unsigned warnings;
static char told[256];
static struct err err;

static void warn(void *arg, const char *path, size_t len, const char *why)
{
	cr_expect(eq(ptr, arg, &warnings));
	warnings++;
	snprintf(told, sizeof(told), "%.*s: %s", (int)len, path, why);
}

static int64_t fixed_now(void)
{
	return INT64_C(1234567890123456789);
}

static struct env_ops ops;

static void setup(void)
{
	ops = *env_real();
	ops.now_ns = fixed_now;
	env_swap(&ops);
}

TestSuite(stdin_source, .init = setup);

static struct stdin_source *make(int fd, const char *path)
{
	struct stdin_source *s = NULL;
	cr_assert(eq(int, stdin_source_new(fd, path, warn, &warnings, &s, &err), 0), "%s", err.msg);
	return s;
}

/* A descriptor at the beginning of ${len} bytes: byte i is i * 7 % 251. */
static int input(size_t len)
{
	FILE *f = tmpfile();
	cr_assert(f != NULL);
	for (size_t i = 0; i < len; i++)
		putc((int)(i * 7 % 251), f);
	cr_assert(eq(int, fflush(f), 0));
	int fd = dup(fileno(f));
	fclose(f);
	cr_assert(eq(int, (int)lseek(fd, 0, SEEK_SET), 0));
	return fd;
}

Test(stdin_source, it_is_one_private_file_of_now)
{
	CLEANUP(cleanup_close_p) int fd = input(3);
	CLEANUP(stdin_source_free_p) struct stdin_source *s = make(fd, "/dumps//./db.sql");
	const struct source *source = stdin_source_source(s);
	struct source_item item;
	cr_assert(eq(int, source->next(source->self, &item, &err), 1));
	cr_expect(eq(sz, item.key_len, 12));
	cr_expect(memcmp(item.key, "dumps\0db.sql", 12) == 0);
	cr_expect(eq(int, (int)item.entry.kind, ENTRY_FILE));
	cr_expect(eq(int, (int)item.entry.mode, 0600));
	cr_expect(eq(int, (int)item.entry.uid, (int)geteuid()));
	cr_expect(eq(i64, item.entry.mtime.s, 1234567890));
	cr_expect(eq(u32, item.entry.mtime.ns, 123456789));
	cr_expect(eq(u64, item.ino, 0));
	cr_expect(eq(u64, item.links, 1));
	cr_expect(eq(int, source->next(source->self, &item, &err), 0));
	cr_expect(eq(int, source->next(source->self, &item, &err), 0));
}

/* Read ${len} bytes of input in runs of ${cap}; check them all. */
static void read_back(size_t len, size_t cap, uint64_t want_size)
{
	CLEANUP(cleanup_close_p) int fd = input(len);
	CLEANUP(stdin_source_free_p) struct stdin_source *s = make(fd, "x");
	CLEANUP(cleanup_free_p) uint8_t *data = malloc(cap);
	const struct source *source = stdin_source_source(s);
	struct source_item item;
	uint64_t size = 1, hole = 1;
	size_t at = 0, n = 0;
	int rc;
	cr_assert(eq(int, source->next(source->self, &item, &err), 1));
	cr_assert(eq(int, source->open(source->self, &size, &err), 0));
	cr_expect(eq(u64, size, want_size));
	while ((rc = source->read(source->self, data, cap, &n, &hole, &err)) == 1) {
		cr_assert(ge(sz, n, 1));
		cr_assert(eq(u64, hole, 0));
		for (size_t i = 0; i < n; i++)
			cr_assert(eq(int, data[i], (int)((at + i) * 7 % 251)));
		at += n;
	}
	cr_expect(eq(int, rc, 0));
	cr_expect(eq(sz, at, len));
	source->close(source->self, &item);
	cr_expect(eq(u64, item.entry.size, len));
	cr_expect(eq(uint, warnings, 0));
}

Test(stdin_source, short_input_has_its_exact_length_at_open)
{
	read_back(0, 10, 0);
	read_back(1, 10, 1);
	read_back(100000, 4096, 100000);
	read_back(STDIN_SOURCE_AHEAD_BYTES - 1, 1u << 20, STDIN_SOURCE_AHEAD_BYTES - 1);
}

Test(stdin_source, long_input_has_no_length_until_its_end)
{
	read_back(STDIN_SOURCE_AHEAD_BYTES, 1000, SOURCE_SIZE_UNKNOWN);
	read_back(STDIN_SOURCE_AHEAD_BYTES + 1, 1u << 20, SOURCE_SIZE_UNKNOWN);
	read_back(1000000, 65536, SOURCE_SIZE_UNKNOWN);
}

Test(stdin_source, a_pipe_is_joined_to_whole_runs)
{
	int ends[2];
	cr_assert(eq(int, pipe(ends), 0));
	cr_assert(eq(int, (int)write(ends[1], "one", 3), 3));
	cr_assert(eq(int, (int)write(ends[1], "two", 3), 3));
	close(ends[1]);
	CLEANUP(stdin_source_free_p) struct stdin_source *s = make(ends[0], "x");
	const struct source *source = stdin_source_source(s);
	uint64_t size = 0, hole;
	char data[16];
	size_t n = 0;
	cr_assert(eq(int, source->open(source->self, &size, &err), 0));
	cr_expect(eq(u64, size, 6));
	cr_assert(eq(int, source->read(source->self, data, sizeof(data), &n, &hole, &err), 1));
	cr_expect(eq(sz, n, 6));
	cr_expect(memcmp(data, "onetwo", 6) == 0);
	cr_expect(eq(int, source->read(source->self, data, sizeof(data), &n, &hole, &err), 0));
	close(ends[0]);
}

Test(stdin_source, input_that_cannot_be_read_is_told_and_an_error)
{
	CLEANUP(cleanup_close_p) int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	CLEANUP(stdin_source_free_p) struct stdin_source *s = make(fd, "dir/x");
	const struct source *source = stdin_source_source(s);
	uint64_t size = 77;
	cr_expect(eq(int, source->open(source->self, &size, &err), -ERR_IO));
	cr_expect(eq(u64, size, 77));
	cr_expect(eq(uint, warnings, 1));
	cr_expect(eq(str, told, "/dir/x: unable to read the input: Is a directory"));
	cr_expect(eq(str, err.msg, "unable to read the input: Is a directory"));
}

Test(stdin_source, input_is_given_only_once)
{
	CLEANUP(cleanup_close_p) int fd = input(5);
	CLEANUP(stdin_source_free_p) struct stdin_source *s = make(fd, "x");
	const struct source *source = stdin_source_source(s);
	uint64_t size;
	cr_assert(eq(int, source->open(source->self, &size, &err), 0));
	cr_expect(eq(int, source->open(source->self, &size, &err), -ERR_IO));
	cr_expect(eq(uint, warnings, 1));
}

Test(stdin_source, a_name_that_is_none_is_refused)
{
	struct stdin_source *s = NULL;
	cr_expect(eq(int, stdin_source_new(0, "", warn, NULL, &s, &err), -ERR_USAGE));
	cr_expect(eq(int, stdin_source_new(0, "/.//", warn, NULL, &s, &err), -ERR_USAGE));
	cr_expect(eq(int, stdin_source_new(0, "a/../b", warn, NULL, &s, &err), -ERR_USAGE));
	cr_expect(eq(ptr, s, NULL));
	stdin_source_free(NULL);
}
