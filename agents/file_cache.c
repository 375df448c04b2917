#include "agents/file_cache.h"

#include <stdlib.h>
#include <string.h>

#include "agents/cache_file.h"
#include "agents/file_cache_form.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) Nothing read from a record is believed before its MAC, which is looked at whenever one is
 *     found.
 */

#define WINDOW_BYTES ((size_t)32 << 10)
#define RACY_S 2 /* coarsest clock of a file system that we meet (FAT) */

struct file_cache {
	struct file_cache_keys keys;
	struct cache_file *file;    /* owned */
	int64_t started_s;          /* when this backup began */
	struct buf record;          /* read last */
	struct buf made;            /* to be added */
	struct entry_xattr *xattrs; /* owned; of ${record}; NULL until one is needed */
	/* What was read last of the file: records are written in the order in which files are
	 * met, so that the next ones mostly lie behind the one asked for. */
	uint8_t *window; /* owned, WINDOW_BYTES */
	uint64_t window_at;
	size_t window_len;
};

int file_cache_open(const char *path, const uint8_t k_fp[32], const uint8_t *base,
	struct file_cache **out, struct err *err)
{
	struct file_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->started_s = env_now_ns() / 1000000000;
	c->record = (struct buf)BUF_INIT(FILE_CACHE_MAX_RECORD_BYTES);
	c->made = (struct buf)BUF_INIT(FILE_CACHE_MAX_RECORD_BYTES);
	c->window = malloc(WINDOW_BYTES);
	if (c->window == NULL) {
		free(c);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	file_cache_form_keys(k_fp, &c->keys);
	const struct cache_file_opts opts = {
		.path = path, .keys = &c->keys, .base = base, .is_synced = true
	};
	int rc = cache_file_open(&opts, &c->file, err);
	if (rc != 0) {
		file_cache_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void file_cache_free(struct file_cache *c)
{
	if (c == NULL)
		return;
	cache_file_free(c->file);
	buf_wipe(&c->record);
	buf_wipe(&c->made);
	free(c->xattrs);
	explicit_bzero(c->window, WINDOW_BYTES);
	free(c->window);
	secret_wipe(&c->keys, sizeof(c->keys));
	free(c);
}

bool file_cache_is_empty(const struct file_cache *c)
{
	return cache_file_count(c->file) == 0;
}

/* ---- find ------------------------------------------------------------------------------------ */

/* As cache_file_read(), by way of the window when it fits in. */
static int read_bytes(struct file_cache *c, uint64_t at, void *out, size_t len)
{
	uint64_t left = cache_file_left(c->file, at);
	if (len > WINDOW_BYTES || len > left)
		return cache_file_read(c->file, at, out, len);
	if (at < c->window_at || at - c->window_at > c->window_len ||
		len > c->window_len - (size_t)(at - c->window_at)) {
		size_t want = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
		c->window_len = 0;
		if (cache_file_read(c->file, at, c->window, want) == 0)
			return cache_file_read(c->file, at, out, len); /* what lies behind is bad */
		c->window_at = at;
		c->window_len = want;
	}
	memcpy(out, c->window + (at - c->window_at), len);
	return 1;
}

/* Read the record at ${at} into c->record.  Return 1, 0: nothing of use there, or -ERR_NOMEM. */
static int read_record(struct file_cache *c, uint64_t at, struct err *err)
{
	uint8_t head[FILE_CACHE_RECORD_HEAD_BYTES];
	if (read_bytes(c, at, head, sizeof(head)) == 0)
		return 0;
	uint64_t len = file_cache_form_record_len(head);
	if (len == 0 || !cache_file_has(c->file, at, len))
		return 0;
	buf_clear(&c->record);
	int rc = buf_reserve(&c->record, (size_t)len, err);
	if (rc != 0)
		return rc;
	if (read_bytes(c, at, c->record.data, (size_t)len) == 0)
		return 0;
	c->record.len = (size_t)len;
	return 1;
}

static bool is_same_time(const struct entry_time *a, const struct entry_time *b)
{
	return a->s == b->s && a->ns == b->ns;
}

/* Tell what a brief item lacks, if the record does.  Return 0 or -ERR_NOMEM. */
static int fill_detail(struct file_cache *c, const struct file_cache_record *r,
	struct source_item *item, struct err *err)
{
	size_t count = 0;
	if (!r->has_detail)
		return 0;
	if (r->attr_bytes > 0 && c->xattrs == NULL) {
		c->xattrs = calloc(ENTRY_MAX_XATTRS, sizeof(*c->xattrs));
		if (c->xattrs == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (file_cache_form_attrs(r, c->xattrs, ENTRY_MAX_XATTRS, &count) != 0)
		return 0;
	item->entry.flags = r->flags;
	item->entry.xattrs = c->xattrs;
	item->entry.xattr_count = count;
	item->is_brief = false;
	return 0;
}

int file_cache_find(struct file_cache *c, struct source_item *item, int64_t scan_start,
	struct content **out, struct err *err)
{
	const struct file_cache_key key = { .fs_id = item->fs_id, .ino = item->ino };
	uint64_t at;
	if (item->ino == 0 || item->is_unsure || item->entry.kind != ENTRY_FILE ||
		item->ctime.s >= scan_start - RACY_S || cache_file_find(c->file, &key, &at) == 0)
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
	rc = file_cache_form_content(&r, out, err);
	if (rc != 1 || !item->is_brief)
		return rc;
	rc = fill_detail(c, &r, item, err);
	if (rc == 0)
		return 1;
	content_free(*out);
	*out = NULL;
	return rc;
}

/* ---- add ------------------------------------------------------------------------------------- */

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
	if (!can_be_known(c, item, content))
		return 0;
	const struct file_cache_key key = { .fs_id = item->fs_id, .ino = item->ino };
	const struct file_cache_record r = { .fs_id = item->fs_id,
		.ino = item->ino,
		.size = item->entry.size,
		.mtime = item->entry.mtime,
		.ctime = item->ctime };
	buf_clear(&c->made);
	int rc = file_cache_form_add_record(
		&c->keys, &r, content, item->is_poor ? NULL : &item->entry, &c->made, err);
	return rc != 0 ? rc : cache_file_add(c->file, &key, c->made.data, c->made.len, err);
}

int file_cache_commit(struct file_cache *c, const uint8_t snap_hash[32], struct err *err)
{
	return cache_file_commit(c->file, snap_hash, err);
}
