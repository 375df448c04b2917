#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define FDIO_STEP_BYTES 65536

ssize_t fdio_read_full(int fd, void *out, size_t len)
{
	uint8_t *p = out;
	size_t done = 0;
	while (done < len) {
		ssize_t n = read(fd, p + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t fdio_pread_full(int fd, void *out, size_t len, off_t offset)
{
	uint8_t *p = out;
	size_t done = 0;
	while (done < len) {
		ssize_t n = pread(fd, p + done, len - done, offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fdio_read_all(int fd, struct buf *out, struct err *err)
{
	for (;;) {
		size_t room = out->max - out->len;
		size_t step = room < FDIO_STEP_BYTES ? room : FDIO_STEP_BYTES;
		if (step == 0) {
			uint8_t one;
			ssize_t n = fdio_read_full(fd, &one, 1);
			if (n < 0)
				return err_sys(err, ERR_IO, "unable to read");
			if (n == 0)
				return 0;
			return err_set(err, ERR_LIMIT, "longer than %zu bytes", out->max);
		}
		int rc = buf_reserve(out, step, err);
		if (rc != 0)
			return rc;
		ssize_t n = fdio_read_full(fd, out->data + out->len, step);
		if (n < 0)
			return err_sys(err, ERR_IO, "unable to read");
		out->len += (size_t)n;
		if ((size_t)n < step)
			return 0;
	}
}

int fdio_read_file(int dirfd, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
			"unable to open '%s'", path);
	int rc = fdio_read_all(fd, out, err);
	return rc == 0 ? 0 : err == NULL ? rc : err_wrap(err, "unable to read '%s'", path);
}
