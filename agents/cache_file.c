#include "agents/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/file_cache_index.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/secret.h"

/*
 * The file: header | records | index.  file_cache_form.h has the bytes of the header,
 * file_cache_index.h those of the index.
 *
 * INVARIANTS
 * (1) Nothing read from the header is believed before its MAC.  The index has none: it only says
 *     where to look, inside bounds.
 * (2) ${path} is only ever replaced by a rename; the file that is read stays the one that was
 *     opened.
 * (3) A file of another user is none: what he may not see of files is not in it.
 * (4) spool_fd is locked and is what the spool's name means, or -1.
 */

#define SPOOL_BLOCK_BYTES (256u << 10)

enum spool_state {
	SPOOL_NONE,   /* nothing was added yet */
	SPOOL_OPEN,   /* records are being added */
	SPOOL_BUSY,   /* another backup of this source adds to it: this one does not */
	SPOOL_DONE,   /* committed */
	SPOOL_BROKEN, /* an error was returned */
};

struct cache_file {
	struct file_cache_keys keys;
	char *path, *spool_path; /* owned */
	bool is_synced;
	int fd;                         /* owned; the cache of the last backup, -1 = none */
	struct file_cache_header last;  /* of it */
	struct file_cache_index *index; /* of it; NULL = none */
	enum spool_state state;
	int spool_fd;                     /* owned */
	uint64_t spool_at;                /* bytes written */
	struct buf block;                 /* bytes to be written next */
	struct file_cache_places *places; /* of what was added */
};

/* ---- open ------------------------------------------------------------------------------------ */

/* Read the header of c->fd.  Return true when the file is ours and for this base. */
static bool read_header(struct cache_file *c, const uint8_t *base, struct file_cache_header *out)
{
	uint8_t bytes[FILE_CACHE_HEADER_BYTES];
	struct stat st;
	return fstat(c->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       fdio_pread_full(c->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	       file_cache_form_decode_header(&c->keys, bytes, out) == 0 &&
	       memcmp(out->base, base, sizeof(out->base)) == 0 &&
	       out->file_bytes == (uint64_t)st.st_size &&
	       out->index_at >= FILE_CACHE_HEADER_BYTES && out->index_at <= out->file_bytes &&
	       out->count == (out->file_bytes - out->index_at) / FILE_CACHE_PLACE_BYTES;
}

/* Open what the last backup left.  Return 0, also when there is nothing of use, or -ERR_NOMEM. */
static int open_last(struct cache_file *c, const uint8_t *base, struct err *err)
{
	struct file_cache_header header;
	if (base == NULL)
		return 0;
	c->fd = env_openat(AT_FDCWD, c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	if (c->fd < 0 || !read_header(c, base, &header))
		return 0;
	c->last = header;
	int rc = file_cache_index_open(c->fd, header.index_at, header.count, &c->index, err);
	return rc == -ERR_IO ? 0 : rc; /* unreadable is empty */
}

static int init(struct cache_file *c, const char *path, const uint8_t *base, struct err *err)
{
	c->path = strdup(path);
	if (c->path == NULL || asprintf(&c->spool_path, "%s.new", path) < 0) {
		c->spool_path = NULL;
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	int rc = file_cache_places_new(&c->places, err);
	return rc != 0 ? rc : open_last(c, base, err);
}

int cache_file_open(const struct cache_file_opts *opts, struct cache_file **out, struct err *err)
{
	struct cache_file *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->fd = -1;
	c->spool_fd = -1;
	c->is_synced = opts->is_synced;
	c->block = (struct buf)BUF_INIT(FILE_CACHE_MAX_RECORD_BYTES + SPOOL_BLOCK_BYTES);
	c->keys = *opts->keys;
	int rc = init(c, opts->path, opts->base, err);
	if (rc != 0) {
		cache_file_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void drop_spool(struct cache_file *c)
{
	if (c->spool_fd < 0)
		return;
	(void)env_unlinkat(AT_FDCWD, c->spool_path, 0); /* the next run begins it anew anyway */
	(void)close(c->spool_fd);                       /* nothing in it is wanted */
	c->spool_fd = -1;
}

void cache_file_free(struct cache_file *c)
{
	if (c == NULL)
		return;
	drop_spool(c);
	cleanup_close_p(&c->fd);
	file_cache_index_free(c->index);
	file_cache_places_free(c->places);
	buf_wipe(&c->block);
	secret_wipe(&c->keys, sizeof(c->keys));
	free(c->path);
	free(c->spool_path);
	free(c);
}

/* ---- what the last backup left --------------------------------------------------------------- */

uint64_t cache_file_count(const struct cache_file *c)
{
	return c->index == NULL ? 0 : c->last.count;
}

int cache_file_find(struct cache_file *c, const struct file_cache_key *key, uint64_t *at)
{
	return c->index == NULL ? 0 : file_cache_index_find(c->index, key->fs_id, key->ino, at);
}

int cache_file_get(struct cache_file *c, uint64_t i, struct file_cache_key *key, uint64_t *at)
{
	return i >= cache_file_count(c) ? 0 : file_cache_index_get(c->index, i, key, at);
}

uint64_t cache_file_left(const struct cache_file *c, uint64_t at)
{
	bool is_inside =
		c->index != NULL && at >= FILE_CACHE_HEADER_BYTES && at <= c->last.index_at;
	return is_inside ? c->last.index_at - at : 0;
}

bool cache_file_has(const struct cache_file *c, uint64_t at, uint64_t len)
{
	return len > 0 && len <= cache_file_left(c, at);
}

int cache_file_read(const struct cache_file *c, uint64_t at, void *out, size_t len)
{
	return cache_file_has(c, at, len) &&
	       fdio_pread_full(c->fd, out, len, (off_t)at) == (ssize_t)len;
}

/* ---- add ------------------------------------------------------------------------------------- */

/* Make the directory of ${path}, for this user alone. */
static void make_parents(const char *path)
{
	char dir[PATH_MAX];
	for (const char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		size_t len = (size_t)(p - path);
		if (len >= sizeof(dir))
			return;
		memcpy(dir, path, len);
		dir[len] = '\0';
		(void)env_mkdirat(AT_FDCWD, dir, 0700); /* most are there; the open will tell */
	}
}

static bool is_named(int fd, const char *path)
{
	struct stat by_fd, by_name;
	return fstat(fd, &by_fd) == 0 && lstat(path, &by_name) == 0 &&
	       by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino;
}

/* Begin the spool.  Return 0 (SPOOL_OPEN or SPOOL_BUSY) or -ERR_IO. */
static int begin_spool(struct cache_file *c, struct err *err)
{
	make_parents(c->path);
	for (;;) {
		CLEANUP(cleanup_close_p)
		int fd = env_openat(
			AT_FDCWD, c->spool_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys(err, ERR_IO, "unable to create '%s'", c->spool_path);
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			if (errno != EWOULDBLOCK)
				return err_sys(err, ERR_IO, "unable to lock '%s'", c->spool_path);
			c->state = SPOOL_BUSY;
			return 0;
		}
		if (!is_named(fd, c->spool_path))
			continue; /* its owner has just renamed or removed it */
		if (ftruncate(fd, 0) != 0 || fchmod(fd, 0600) != 0)
			return err_sys(err, ERR_IO, "unable to empty '%s'", c->spool_path);
		c->spool_fd = TAKE_FD(fd);
		break;
	}
	buf_clear(&c->block);
	c->state = SPOOL_OPEN;
	c->spool_at = 0;
	/* the header's place; until it is written the file is nothing */
	return buf_add_zero(&c->block, FILE_CACHE_HEADER_BYTES, err);
}

static int write_block(struct cache_file *c, struct err *err)
{
	if (env_write_all(c->spool_fd, c->block.data, c->block.len) != 0)
		return err_sys(err, ERR_IO, "unable to write '%s'", c->spool_path);
	c->spool_at += c->block.len;
	buf_clear(&c->block);
	return 0;
}

/* After an error nothing is added any more, and nothing becomes the cache. */
static int broken(struct cache_file *c, int rc)
{
	c->state = SPOOL_BROKEN;
	drop_spool(c);
	return rc;
}

static int add_record(struct cache_file *c, const struct file_cache_key *key, const void *record,
	size_t len, struct err *err)
{
	int rc = file_cache_places_add(
		c->places, key->fs_id, key->ino, c->spool_at + c->block.len, err);
	if (rc == 0)
		rc = buf_add(&c->block, record, len, err);
	if (rc == 0 && c->block.len >= SPOOL_BLOCK_BYTES)
		rc = write_block(c, err);
	return rc;
}

int cache_file_add(struct cache_file *c, const struct file_cache_key *key, const void *record,
	size_t len, struct err *err)
{
	if (c->state == SPOOL_BUSY || c->state == SPOOL_DONE)
		return 0;
	if (c->state == SPOOL_BROKEN)
		return err_set(
			err, ERR_IO, "unable to write '%s' since an earlier error", c->spool_path);
	int rc = c->state == SPOOL_NONE ? begin_spool(c, err) : 0;
	if (rc == 0 && c->state == SPOOL_OPEN)
		rc = add_record(c, key, record, len, err);
	return rc != 0 ? broken(c, rc) : 0;
}

/* ---- commit ---------------------------------------------------------------------------------- */

static int sync_parent(const char *path, struct err *err)
{
	char dir[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	if (slash != NULL)
		(void)snprintf(
			dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path); /* opened */
	CLEANUP(cleanup_close_p) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || env_fsync(fd) != 0)
		return err_sys(err, ERR_IO, "unable to sync '%s'", dir);
	return 0;
}

static int write_index(struct cache_file *c, struct file_cache_header *header, struct err *err)
{
	int rc = 0;
	header->index_at = c->spool_at + c->block.len;
	header->count = file_cache_places_sort(c->places);
	for (uint64_t i = 0; rc == 0 && i < header->count; i++) {
		rc = file_cache_places_format(c->places, i, &c->block, err);
		if (rc == 0 && c->block.len >= SPOOL_BLOCK_BYTES)
			rc = write_block(c, err);
	}
	if (rc == 0)
		rc = write_block(c, err);
	header->file_bytes = c->spool_at;
	return rc;
}

static int finish_spool(struct cache_file *c, const uint8_t snap_hash[32], struct err *err)
{
	struct file_cache_header header = { .count = 0 };
	uint8_t bytes[FILE_CACHE_HEADER_BYTES];
	memcpy(header.base, snap_hash, sizeof(header.base));
	int rc = write_index(c, &header, err);
	if (rc != 0)
		return rc;
	file_cache_form_encode_header(&c->keys, &header, bytes);
	if (lseek(c->spool_fd, 0, SEEK_SET) != 0 ||
		env_write_all(c->spool_fd, bytes, sizeof(bytes)) != 0 ||
		(c->is_synced && env_fsync(c->spool_fd) != 0))
		return err_sys(err, ERR_IO, "unable to write '%s'", c->spool_path);
	if (env_renameat(AT_FDCWD, c->spool_path, AT_FDCWD, c->path) != 0)
		return err_sys(err, ERR_IO, "unable to replace '%s'", c->path);
	(void)close(TAKE_FD(c->spool_fd)); /* synced, or not meant to be */
	return c->is_synced ? sync_parent(c->path, err) : 0;
}

int cache_file_commit(struct cache_file *c, const uint8_t snap_hash[32], struct err *err)
{
	if (c->state == SPOOL_BUSY || c->state == SPOOL_DONE)
		return 0;
	if (c->state == SPOOL_BROKEN)
		return err_set(err, ERR_IO, "unable to keep '%s' since an earlier error", c->path);
	int rc = c->state == SPOOL_NONE ? begin_spool(c, err) : 0;
	if (rc == 0 && c->state == SPOOL_BUSY)
		return 0;
	if (rc == 0)
		rc = finish_spool(c, snap_hash, err);
	if (rc != 0)
		return broken(c, rc);
	c->state = SPOOL_DONE;
	return 0;
}
