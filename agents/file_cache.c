#include "agents/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/file_cache_form.h"
#include "agents/file_cache_index.h"
#include "agents/file_cache_places.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/secret.h"

/*
 * The file: header | records | index.  file_cache_form.h has the bytes of header and record,
 * file_cache_index.h those of the index.
 *
 * INVARIANTS
 * (1) Nothing read from the file is believed before its MAC: of the header at open, of a record
 *     when it is found.  The index has none: it only says where to look, inside bounds.
 * (2) ${path} is only ever replaced by a rename of a synced file; the file that is read stays the
 *     one that was opened.
 * (3) spool_fd is locked and is what the spool's name means, or -1.
 */

#define SPOOL_BLOCK_BYTES (256u << 10)
#define RACY_S 2 /* coarsest clock of a file system that we meet (FAT) */

enum spool_state {
	SPOOL_NONE,   /* nothing was added yet */
	SPOOL_OPEN,   /* records are being added */
	SPOOL_BUSY,   /* another backup of this source adds to it: this one does not */
	SPOOL_DONE,   /* committed */
	SPOOL_BROKEN, /* an error was returned */
};

struct file_cache {
	struct file_cache_keys keys;
	char *path, *spool_path;        /* owned */
	int64_t started_s;              /* when this backup began */
	int fd;                         /* owned; the cache of the last backup, -1 = none */
	uint64_t index_at;              /* of it */
	struct file_cache_index *index; /* of it; NULL = none */
	enum spool_state state;
	int spool_fd;                     /* owned */
	uint64_t spool_at;                /* bytes written */
	struct buf block;                 /* bytes to be written next */
	struct buf record;                /* read last */
	struct file_cache_places *places; /* of what was added */
};

/* ---- open ------------------------------------------------------------------------------------ */

/* Read the header of c->fd.  Return true when the file is ours and for this base. */
static bool read_header(struct file_cache *c, const uint8_t *base, struct file_cache_header *out)
{
	uint8_t bytes[FILE_CACHE_HEADER_BYTES];
	struct stat st;
	return fstat(c->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       fdio_pread_full(c->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	       file_cache_form_decode_header(&c->keys, bytes, out) == 0 &&
	       memcmp(out->base, base, sizeof(out->base)) == 0 &&
	       out->file_bytes == (uint64_t)st.st_size &&
	       out->index_at >= FILE_CACHE_HEADER_BYTES && out->index_at <= out->file_bytes &&
	       out->count == (out->file_bytes - out->index_at) / FILE_CACHE_PLACE_BYTES;
}

/* Open what the last backup left.  Return 0, also when there is nothing of use, or -ERR_NOMEM. */
static int open_last(struct file_cache *c, const uint8_t *base, struct err *err)
{
	struct file_cache_header header;
	if (base == NULL)
		return 0;
	c->fd = env_openat(AT_FDCWD, c->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	if (c->fd < 0 || !read_header(c, base, &header))
		return 0;
	c->index_at = header.index_at;
	int rc = file_cache_index_open(c->fd, header.index_at, header.count, &c->index, err);
	return rc == -ERR_IO ? 0 : rc; /* unreadable is empty */
}

static int init(struct file_cache *c, const char *path, const uint8_t *base, struct err *err)
{
	c->path = strdup(path);
	if (c->path == NULL || asprintf(&c->spool_path, "%s.new", path) < 0) {
		c->spool_path = NULL;
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	int rc = file_cache_places_new(&c->places, err);
	return rc != 0 ? rc : open_last(c, base, err);
}

int file_cache_open(const char *path, const uint8_t k_fp[32], const uint8_t *base,
	struct file_cache **out, struct err *err)
{
	struct file_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->fd = -1;
	c->spool_fd = -1;
	c->started_s = env_now_ns() / 1000000000;
	c->block = (struct buf)BUF_INIT(FILE_CACHE_MAX_RECORD_BYTES + SPOOL_BLOCK_BYTES);
	c->record = (struct buf)BUF_INIT(FILE_CACHE_MAX_RECORD_BYTES);
	file_cache_form_keys(k_fp, &c->keys);
	int rc = init(c, path, base, err);
	if (rc != 0) {
		file_cache_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

static void drop_spool(struct file_cache *c)
{
	if (c->spool_fd < 0)
		return;
	(void)env_unlinkat(AT_FDCWD, c->spool_path, 0); /* the next run begins it anew anyway */
	(void)close(c->spool_fd);                       /* nothing in it is wanted */
	c->spool_fd = -1;
}

void file_cache_free(struct file_cache *c)
{
	if (c == NULL)
		return;
	drop_spool(c);
	cleanup_close_p(&c->fd);
	file_cache_index_free(c->index);
	file_cache_places_free(c->places);
	buf_wipe(&c->block);
	buf_wipe(&c->record);
	secret_wipe(&c->keys, sizeof(c->keys));
	free(c->path);
	free(c->spool_path);
	free(c);
}

/* ---- find ------------------------------------------------------------------------------------ */

/* Read the record at ${at} into c->record.  Return 1, 0: nothing of use there, or -ERR_NOMEM. */
static int read_record(struct file_cache *c, uint64_t at, struct err *err)
{
	uint8_t head[FILE_CACHE_RECORD_HEAD_BYTES];
	if (at < FILE_CACHE_HEADER_BYTES || at > c->index_at ||
		c->index_at - at < FILE_CACHE_RECORD_HEAD_BYTES)
		return 0;
	if (fdio_pread_full(c->fd, head, sizeof(head), (off_t)at) != (ssize_t)sizeof(head))
		return 0;
	uint64_t len = file_cache_form_record_len(head);
	if (len == 0 || len > c->index_at - at)
		return 0;
	buf_clear(&c->record);
	int rc = buf_reserve(&c->record, (size_t)len, err);
	if (rc != 0)
		return rc;
	if (fdio_pread_full(c->fd, c->record.data, (size_t)len, (off_t)at) != (ssize_t)len)
		return 0;
	c->record.len = (size_t)len;
	return 1;
}

static bool is_same_time(const struct entry_time *a, const struct entry_time *b)
{
	return a->s == b->s && a->ns == b->ns;
}

int file_cache_find(struct file_cache *c, const struct source_item *item, int64_t scan_start,
	struct content **out, struct err *err)
{
	uint64_t at;
	if (c->index == NULL || item->ino == 0 || item->is_unsure ||
		item->entry.kind != ENTRY_FILE || item->ctime.s >= scan_start - RACY_S ||
		file_cache_index_find(c->index, item->fs_id, item->ino, &at) == 0)
		return 0;
	int rc = read_record(c, at, err);
	if (rc != 1)
		return rc;
	struct file_cache_record r;
	if (file_cache_form_check_record(&c->keys, c->record.data, c->record.len, &r) != 0)
		return 0;
	if (r.fs_id != item->fs_id || r.ino != item->ino || r.size != item->entry.size ||
		!is_same_time(&r.mtime, &item->entry.mtime) ||
		!is_same_time(&r.ctime, &item->ctime))
		return 0;
	return file_cache_form_content(&r, out, err);
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
static int begin_spool(struct file_cache *c, struct err *err)
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

static int write_block(struct file_cache *c, struct err *err)
{
	if (env_write_all(c->spool_fd, c->block.data, c->block.len) != 0)
		return err_sys(err, ERR_IO, "unable to write '%s'", c->spool_path);
	c->spool_at += c->block.len;
	buf_clear(&c->block);
	return 0;
}

/* After an error nothing is added any more, and nothing becomes the cache. */
static int broken(struct file_cache *c, int rc)
{
	c->state = SPOOL_BROKEN;
	drop_spool(c);
	return rc;
}

static int add_record(struct file_cache *c, const struct source_item *item,
	const struct content *content, struct err *err)
{
	uint64_t at = c->spool_at + c->block.len;
	struct file_cache_record r = { .fs_id = item->fs_id,
		.ino = item->ino,
		.size = item->entry.size,
		.mtime = item->entry.mtime,
		.ctime = item->ctime };
	int rc = file_cache_form_add_record(&c->keys, &r, content, &c->block, err);
	if (rc == 0)
		rc = file_cache_places_add(c->places, item->fs_id, item->ino, at, err);
	if (rc == 0 && c->block.len >= SPOOL_BLOCK_BYTES)
		rc = write_block(c, err);
	return rc;
}

/* True if the file can be known again by its times.  One that was written shortly before this
 * backup began, or since, may be written once more without another time. */
static bool can_be_known(
	const struct file_cache *c, const struct source_item *item, const struct content *content)
{
	return item->ino != 0 && !item->is_unsure && item->entry.kind == ENTRY_FILE &&
	       item->entry.notes == 0 && item->ctime.s < c->started_s - RACY_S &&
	       content_is_whole(content) && content->size == item->entry.size &&
	       content->count <= FILE_CACHE_MAX_EXTENTS;
}

int file_cache_add(struct file_cache *c, const struct source_item *item,
	const struct content *content, struct err *err)
{
	if (!can_be_known(c, item, content) || c->state == SPOOL_BUSY || c->state == SPOOL_DONE)
		return 0;
	if (c->state == SPOOL_BROKEN)
		return err_set(
			err, ERR_IO, "unable to write '%s' since an earlier error", c->spool_path);
	int rc = c->state == SPOOL_NONE ? begin_spool(c, err) : 0;
	if (rc == 0 && c->state == SPOOL_OPEN)
		rc = add_record(c, item, content, err);
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

static int write_index(struct file_cache *c, struct file_cache_header *header, struct err *err)
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

static int finish_spool(struct file_cache *c, const uint8_t snap_hash[32], struct err *err)
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
		env_fsync(c->spool_fd) != 0)
		return err_sys(err, ERR_IO, "unable to write '%s'", c->spool_path);
	if (env_renameat(AT_FDCWD, c->spool_path, AT_FDCWD, c->path) != 0)
		return err_sys(err, ERR_IO, "unable to replace '%s'", c->path);
	(void)close(TAKE_FD(c->spool_fd)); /* synced */
	return sync_parent(c->path, err);
}

int file_cache_commit(struct file_cache *c, const uint8_t snap_hash[32], struct err *err)
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
