#include "base/spill.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"

static struct err err = ERR_INIT;

static int no_file(int dirfd, const char *path, int flags, mode_t mode)
{
	(void)dirfd;
	(void)path;
	(void)flags;
	(void)mode;
	errno = ENOSPC;
	return -1;
}

/* Grow ${s} step by step to ${to} bytes and fill what is new; all of it must stay, and what is new
 * must be zero before. */
static void grow(struct spill *s, size_t to, size_t step)
{
	for (size_t want = s->bytes + step; want <= to; want += step) {
		size_t before = s->bytes;
		cr_assert(eq(int, spill_reserve(s, want, &err), 0), "%s", err.msg);
		cr_assert(ge(sz, s->bytes, want));
		uint8_t *at = s->at;
		for (size_t i = 0; i < s->bytes; i += 509)
			cr_assert(eq(u8, at[i], i < before ? (uint8_t)(i % 251 + 1) : 0));
		for (size_t i = before; i < s->bytes; i++)
			at[i] = (uint8_t)(i % 251 + 1);
	}
}

Test(spill, a_block_keeps_its_contents_from_the_heap_into_a_file)
{
	struct spill s = { .at = NULL };
	grow(&s, 3 * SPILL_MIN_BYTES, SPILL_MIN_BYTES / 3);
	cr_expect(ge(sz, s.bytes, 3 * SPILL_MIN_BYTES - SPILL_MIN_BYTES / 3));
	spill_done(&s);
	cr_expect(eq(ptr, s.at, NULL));
	cr_expect(eq(sz, s.bytes, 0));
	grow(&s, 1000, 100);
	cr_expect(not(spill_is_file(&s)));
	spill_done(&s);
}

Test(spill, a_large_block_lies_in_a_file_without_a_name)
{
	struct spill s = { .at = NULL };
	int fd = spill_open();
	cr_assert(eq(int, spill_reserve(&s, SPILL_MIN_BYTES, &err), 0));
	/* a host with nothing but memory has none */
	cr_expect(eq(int, spill_is_file(&s), fd >= 0));
	if (fd >= 0) {
		struct stat st;
		cr_assert(eq(int, fstat(s.file - 1, &st), 0));
		cr_expect(eq(u64, (uint64_t)st.st_nlink, 0));
		cr_expect(eq(u64, (uint64_t)st.st_size, s.bytes));
		cr_expect(eq(u32, st.st_mode & 0777, 0600));
		cr_expect(ge(u64, (uint64_t)st.st_blocks * 512, s.bytes), "a hole");
		close(fd);
	}
	spill_done(&s);
}

Test(spill, without_a_place_for_files_the_heap_serves)
{
	struct env_ops ops = *env_real();
	struct spill s = { .at = NULL };
	ops.openat = no_file;
	env_swap(&ops);
	grow(&s, 2 * SPILL_MIN_BYTES, SPILL_MIN_BYTES / 2);
	cr_expect(not(spill_is_file(&s)));
	env_swap(NULL);
	cr_assert(eq(int, spill_reserve(&s, 4 * SPILL_MIN_BYTES, &err), 0));
	for (size_t i = 0; i < 2 * SPILL_MIN_BYTES - SPILL_MIN_BYTES / 2; i += 509)
		cr_assert(eq(u8, ((uint8_t *)s.at)[i], (uint8_t)(i % 251 + 1)));
	spill_done(&s);
}

Test(spill, more_than_there_can_be_is_refused)
{
	struct spill s = { .at = NULL };
	cr_assert(eq(int, spill_reserve(&s, 10, &err), 0));
	((uint8_t *)s.at)[0] = 7;
	cr_expect(eq(int, spill_reserve(&s, SIZE_MAX / 2, &err), -ERR_NOMEM));
	cr_expect(eq(u8, ((uint8_t *)s.at)[0], 7));
	spill_done(&s);
}
