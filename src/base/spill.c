#include "base/spill.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) at is a shared mapping of the whole file while file > 0, else from the heap.
 * (2) Every byte of the file was allocated before it was mapped: a full disk is an error here and
 *     never a signal later.
 */

#define PAGE_BYTES ((size_t)65536) /* a multiple of every page size */

static bool is_on_disk(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}

static int open_in(const char *dir)
{
	int fd = dir == NULL ? -1 : env_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 && !is_on_disk(fd)) {
		(void)close(fd); /* nothing was written */
		fd = -1;
	}
	return fd;
}

int spill_open(void)
{
	const char *const places[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
	int fd = -1;
	for (size_t i = 0; fd < 0 && i < sizeof(places) / sizeof(places[0]); i++)
		fd = open_in(places[i]);
	return fd;
}

bool spill_is_file(const struct spill *s)
{
	return s->file > 0;
}

void spill_done(struct spill *s)
{
	if (s->file > 0) {
		(void)munmap(s->at, s->bytes); /* ours: cannot fail */
		(void)close(s->file - 1);      /* has no name: nothing to lose */
	} else {
		free(s->at);
	}
	*s = (struct spill){ .at = NULL };
}

/* A block in the heap becomes one in a file of ${bytes}.  False: there is no room for one. */
static bool move_to_file(struct spill *s, size_t bytes)
{
	int fd = spill_open();
	if (fd < 0)
		return false;
	void *at = posix_fallocate(fd, 0, (off_t)bytes) != 0
			   ? MAP_FAILED
			   : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		(void)close(fd); /* has no name */
		return false;
	}
	if (s->bytes > 0)
		memcpy(at, s->at, s->bytes);
	free(s->at);
	*s = (struct spill){ .at = at, .bytes = bytes, .file = fd + 1 };
	return true;
}

static bool grow_file(struct spill *s, size_t bytes)
{
	off_t more = (off_t)(bytes - s->bytes);
	if (posix_fallocate(s->file - 1, (off_t)s->bytes, more) != 0)
		return false;
	void *at = mremap(s->at, s->bytes, bytes, MREMAP_MAYMOVE);
	if (at == MAP_FAILED)
		return false;
	s->at = at;
	s->bytes = bytes;
	return true;
}

/* In the heap, from wherever it was. */
static int grow_heap(struct spill *s, size_t bytes, struct err *err)
{
	void *at = s->file > 0 ? malloc(bytes) : realloc(s->at, bytes);
	size_t before = s->bytes;
	if (at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu bytes", bytes);
	if (s->file > 0) {
		memcpy(at, s->at, before);
		spill_done(s);
	}
	memset((uint8_t *)at + before, 0, bytes - before);
	*s = (struct spill){ .at = at, .bytes = bytes };
	return 0;
}

int spill_reserve(struct spill *s, size_t bytes, struct err *err)
{
	if (bytes <= s->bytes)
		return 0;
	if (bytes > SIZE_MAX / 4)
		return err_set(err, ERR_NOMEM, "out of memory for %zu bytes", bytes);
	size_t want = s->bytes + s->bytes / 2;
	want = want < bytes ? bytes : want;
	if (want >= SPILL_MIN_BYTES) {
		want = (want + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
		if (s->file > 0 ? grow_file(s, want) : move_to_file(s, want))
			return 0;
	}
	return grow_heap(s, want, err);
}
