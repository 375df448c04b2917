#include "agents/sources/ustar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) data_left comes before pad_left, and both are 0 while a header is gathered.
 * (2) end() follows every entry() that succeeded, unless the stream breaks off.
 * (3) No path with an empty, "." or ".." component or a '/' in front reaches the callbacks; the
 *     "./" some writers put in front is dropped.
 */

/* Offsets and sizes of the header's fields. */
enum {
	AT_NAME = 0,
	LEN_NAME = 100,
	AT_MODE = 100,
	LEN_MODE = 8,
	AT_SIZE = 124,
	AT_MTIME = 136,
	LEN_NUMBER = 12,
	AT_SUM = 148,
	LEN_SUM = 8,
	AT_TYPE = 156,
	AT_TARGET = 157,
	AT_MAGIC = 257,
	AT_PREFIX = 345,
	LEN_PREFIX = 155,
};

void ustar_init(struct ustar *u, const struct ustar_ops *ops, void *self)
{
	memset(u, 0, sizeof(*u));
	u->ops = ops;
	u->self = self;
}

/* An octal field, or base-256 when the top bit is set.  Return false if it is neither. */
static bool get_number(const uint8_t *field, size_t len, uint64_t *out)
{
	uint64_t v = 0;
	if ((field[0] & 0x80) != 0) {
		v = field[0] & 0x7f;
		for (size_t i = 1; i < len; i++) {
			if (v >> 55 != 0)
				return false;
			v = v << 8 | field[i];
		}
		*out = v;
		return v <= INT64_MAX;
	}
	size_t i = 0;
	while (i < len && field[i] == ' ')
		i++;
	size_t digits = i;
	while (i < len && field[i] >= '0' && field[i] <= '7')
		v = v << 3 | (uint64_t)(field[i++] - '0');
	*out = v;
	return i > digits && (i == len || field[i] == ' ' || field[i] == '\0');
}

static bool is_sum_right(const uint8_t *block)
{
	uint64_t want;
	unsigned sum = 0;
	for (size_t i = 0; i < USTAR_BLOCK; i++)
		sum += i >= AT_SUM && i < AT_SUM + LEN_SUM ? ' ' : block[i];
	return get_number(block + AT_SUM, LEN_SUM, &want) && want == sum;
}

/* Check and tidy ${path} in place.  Return false if it could lead elsewhere. */
static bool tidy_path(char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	if (len > 2 && path[0] == '.' && path[1] == '/')
		memmove(path, path + 2, len - 1);
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return true;
		p += n + 1;
	}
}

static void get_path(const uint8_t *block, char path[USTAR_PATH_BYTES])
{
	const char *prefix = (const char *)block + AT_PREFIX;
	const char *name = (const char *)block + AT_NAME;
	int prefix_len =
		memcmp(block + AT_MAGIC, "ustar", 6) == 0 ? (int)strnlen(prefix, LEN_PREFIX) : 0;
	(void)snprintf(path, USTAR_PATH_BYTES, "%.*s%s%.*s", prefix_len, prefix,
		prefix_len > 0 ? "/" : "", LEN_NAME, name); /* fits */
}

static bool get_kind(uint8_t type, enum ustar_kind *out)
{
	switch (type) {
	case '0':
	case '\0':
		*out = USTAR_FILE;
		return true;
	case '5':
		*out = USTAR_DIR;
		return true;
	case '2':
		*out = USTAR_SYMLINK;
		return true;
	default:
		return false;
	}
}

static int end_entry(struct ustar *u, struct err *err)
{
	return u->data_left == 0 ? u->ops->end(u->self, err) : 0;
}

/* A whole header block is there. */
static int take_header(struct ustar *u, struct err *err)
{
	static const uint8_t zero[USTAR_BLOCK];
	if (memcmp(u->block, zero, USTAR_BLOCK) == 0) {
		u->zero_blocks++;
		return 0;
	}
	if (u->zero_blocks > 0)
		return err_set(err, ERR_CORRUPT, "tar: data after the end mark");
	if (!is_sum_right(u->block))
		return err_set(err, ERR_CORRUPT, "tar: a header's checksum is wrong");

	char path[USTAR_PATH_BYTES], target[USTAR_TARGET_BYTES];
	get_path(u->block, path);
	(void)snprintf(target, sizeof(target), "%.*s", LEN_NAME,
		(const char *)u->block + AT_TARGET); /* fits */
	uint64_t mode, size, mtime;
	struct ustar_entry e = { .path = path, .target = target };
	if (!get_number(u->block + AT_MODE, LEN_MODE, &mode) ||
		!get_number(u->block + AT_SIZE, LEN_NUMBER, &size) ||
		!get_number(u->block + AT_MTIME, LEN_NUMBER, &mtime))
		return err_set(err, ERR_CORRUPT, "tar: a number of '%s' is not octal", path);
	if (!get_kind(u->block[AT_TYPE], &e.kind))
		return err_set(err, ERR_CORRUPT, "tar: '%s' is of unknown type %d", path,
			u->block[AT_TYPE]);
	if (e.kind == USTAR_DIR && (strcmp(path, ".") == 0 || strcmp(path, "./") == 0))
		return 0; /* the top itself */
	if (!tidy_path(path))
		return err_set(err, ERR_CORRUPT, "tar: unsafe path '%s'", path);
	e.mode = (unsigned)mode & 07777;
	e.mtime_s = (int64_t)mtime;
	e.size = e.kind == USTAR_FILE ? size : 0;
	int rc = u->ops->entry(u->self, &e, err);
	if (rc != 0)
		return rc;
	u->data_left = e.size;
	u->pad_left = (unsigned)(-e.size & (USTAR_BLOCK - 1));
	return end_entry(u, err);
}

int ustar_feed(struct ustar *u, const void *data, size_t len, struct err *err)
{
	const uint8_t *p = data;
	int rc = 0;
	while (len > 0 && rc == 0) {
		size_t n = len;
		if (u->data_left > 0) {
			n = n < u->data_left ? n : (size_t)u->data_left;
			u->data_left -= n;
			rc = u->ops->data(u->self, p, n, err);
			if (rc == 0)
				rc = end_entry(u, err);
		} else if (u->pad_left > 0) {
			n = n < u->pad_left ? n : u->pad_left;
			u->pad_left -= (unsigned)n;
		} else {
			n = n < USTAR_BLOCK - u->block_len ? n : USTAR_BLOCK - u->block_len;
			memcpy(u->block + u->block_len, p, n);
			u->block_len += n;
			if (u->block_len == USTAR_BLOCK) {
				u->block_len = 0;
				rc = take_header(u, err);
			}
		}
		p += n;
		len -= n;
	}
	return rc;
}

int ustar_finish(const struct ustar *u, struct err *err)
{
	if (u->data_left > 0 || u->pad_left > 0 || u->block_len > 0)
		return err_set(err, ERR_CORRUPT, "tar: the stream ends inside an entry");
	return 0;
}
