#include "agents/sources/files_content.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "agents/sources/file_meta.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) at <= end <= INT64_MAX.
 * (2) No byte is given that was not read, and no hole that the file does not have: a file that
 *     ends early ends early.
 */

#define ADVISE_BYTES (1u << 20) /* shorter files are read at once anyway */

void files_content_begin(struct files_content *c, int fd, const struct statx *sx)
{
	uint64_t size = sx->stx_size > INT64_MAX ? INT64_MAX : sx->stx_size;
	*c = (struct files_content){ .fd = fd, .sx = *sx, .end = size };
	/* A page that is dirty through a mapping is written again without a new time until it is
	 * written out: do that, so that every change behind ${sx} shows.  Where it cannot be done
	 * (a file system in memory) such changes are not seen. */
	(void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE_AND_WAIT);
	/* blocks are 512 bytes here, whatever the file system's are */
	c->can_have_holes = sx->stx_blocks < size / 512;
	if (size >= ADVISE_BYTES) {
		/* advice only: read ahead, and do not push out what the host works with */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_NOREUSE);
	}
}

/* Where the data at or behind c->at begins (c->end: nowhere) and where it ends; as of now. */
static int find_data(struct files_content *c, uint64_t *begin, uint64_t *data_end)
{
	off_t from = lseek(c->fd, (off_t)c->at, SEEK_DATA);
	if (from < 0 && errno == ENXIO) {
		*begin = c->end;
		*data_end = c->end;
		return 0;
	}
	off_t to = from < 0 ? -1 : lseek(c->fd, from, SEEK_HOLE);
	if (to <= from)
		return -1;
	*begin = (uint64_t)from < c->end ? (uint64_t)from : c->end;
	*data_end = (uint64_t)to < c->end ? (uint64_t)to : c->end;
	return 0;
}

/* Return true with the hole at c->at that is still inside the file; else c->data_end is set. */
static bool next_hole(struct files_content *c, uint64_t *hole)
{
	uint64_t begin, data_end;
	if (!c->can_have_holes || find_data(c, &begin, &data_end) != 0) {
		c->can_have_holes = false; /* not told here: read everything */
		c->data_end = c->end;
		return false;
	}
	if (begin > c->at) {
		/* behind the end of a file that was cut there is no data either, and no hole */
		struct stat st;
		uint64_t size = fstat(c->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
		if (begin > size)
			begin = size;
	}
	if (begin > c->at) {
		*hole = begin - c->at;
		return true;
	}
	c->data_end = data_end > c->at ? data_end : c->end;
	return false;
}

int files_content_read(struct files_content *c, void *data, size_t cap, size_t *len, uint64_t *hole,
	struct err *err)
{
	uint64_t hole_len = 0;
	c->has_last = false;
	if (c->at < c->end && c->at >= c->data_end && next_hole(c, &hole_len)) {
		c->at += hole_len;
		*len = 0;
		*hole = hole_len;
		return 1;
	}
	uint64_t left = c->at < c->end ? c->data_end - c->at : 0;
	size_t want = left < cap ? (size_t)left : cap;
	ssize_t n = 0;
	if (want > 0) {
		do {
			n = pread(c->fd, data, want, (off_t)c->at);
		} while (n < 0 && errno == EINTR);
	}
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to read at %" PRIu64, c->at);
	if (n == 0) {
		c->is_ended = true;
		return 0;
	}
	c->at += (uint64_t)n;
	*len = (size_t)n;
	*hole = 0;
	return 1;
}

bool files_content_again(struct files_content *c)
{
	if (c->at < c->end)
		return false;
	c->has_last = file_meta_stat(c->fd, &c->last) == 0;
	if (!c->has_last || c->last.stx_size <= c->sx.stx_size)
		return false;
	c->at = 0;
	c->data_end = 0;
	c->is_ended = false;
	return true;
}

static bool is_same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

enum files_content_verdict files_content_end(struct files_content *c, struct statx *now)
{
	int rc = 0;
	if (c->has_last)
		*now = c->last;
	else
		rc = file_meta_stat(c->fd, now);
	(void)close(c->fd); /* read only */
	c->fd = -1;
	if (rc != 0) {
		*now = c->sx;
		return FILES_CONTENT_CHANGED;
	}
	if (c->is_ended && c->at < c->end)
		return FILES_CONTENT_CHANGED;
	if (now->stx_size > c->sx.stx_size)
		return FILES_CONTENT_APPENDED;
	if (now->stx_size == c->sx.stx_size && is_same_time(&now->stx_mtime, &c->sx.stx_mtime) &&
		is_same_time(&now->stx_ctime, &c->sx.stx_ctime))
		return FILES_CONTENT_SAME;
	return FILES_CONTENT_CHANGED;
}
