#include "agents/sources/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agents/sources/files_internal.h"
#include "agents/sources/root_list.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS: those of files_internal.h.
 */

/* Bring the open item to an end: what was not read is closed. */
static void drop_fd(struct files *f)
{
	cleanup_close_p(&f->fd);
	f->fd = -1;
	cleanup_close_p(&f->content.fd);
	f->content.fd = -1;
}

static int next_item(void *self, struct source_item *item, struct err *err)
{
	struct files *f = self;
	drop_fd(f);
	if (f->is_read && f->ahead != NULL && f->item.links > 1)
		look_ahead_note_read(f->ahead, f->item.ino);
	f->is_read = false;
	int rc = files_walk_next(f, err);
	if (rc == 1)
		*item = f->item;
	return rc;
}

static void be_brief(void *self)
{
	struct files *f = self;
	f->is_brief = true;
	if (f->ahead == NULL)
		(void)look_ahead_new(file_meta_look, &f->ahead, NULL); /* goes without */
}

/* Fill f->item from its file, open, as it is now. */
static int fill_open(struct files *f, int fd, const struct statx *sx, struct err *err)
{
	struct fs_info *fs = NULL;
	uint64_t dev = makedev(sx->stx_dev_major, sx->stx_dev_minor);
	int rc = fs_table_find(f->fs_table, fd, dev, &fs, err);
	return rc != 0 ? rc : files_walk_fill(f, fd, FILES_WALK_OPEN, sx, fs, err);
}

static int fill_detail(void *self, struct source_item *item, struct err *err)
{
	struct files *f = self;
	struct statx sx;
	CLEANUP(cleanup_close_p) int fd = files_walk_open_late(f, true, &sx);
	if (fd < 0)
		return 0;
	int rc = fill_open(f, fd, &sx, err);
	if (rc != 0)
		return rc;
	f->fd = TAKE_FD(fd);
	f->is_read = true;
	*item = f->item;
	return 1;
}

/* ---- content --------------------------------------------------------------------------------- */

static bool is_as_given(const struct source_item *item, const struct statx *sx)
{
	return item->entry.size == sx->stx_size && item->entry.mtime.s == sx->stx_mtime.tv_sec &&
	       item->entry.mtime.ns == sx->stx_mtime.tv_nsec &&
	       item->ctime.s == sx->stx_ctime.tv_sec && item->ctime.ns == sx->stx_ctime.tv_nsec;
}

static int open_content(void *self, uint64_t *size, struct err *err)
{
	struct files *f = self;
	struct statx sx;
	CLEANUP(cleanup_close_p) int fd = TAKE_FD(f->fd);
	if (fd < 0)
		fd = files_walk_open_late(f, false, &sx);
	else if (file_meta_stat(fd, &sx) != 0) {
		files_walk_warn_sys(f, "unable to look at it");
		cleanup_close_p(&fd);
		fd = -1;
	}
	if (fd < 0)
		return err_set(err, ERR_IO, "unable to open the file");
	if (f->item.is_brief || !is_as_given(&f->item, &sx)) {
		/* not known yet, or changed before we began: its entry is the one of now */
		int rc = fill_open(f, fd, &sx, err);
		if (rc != 0)
			return rc;
	}
	f->is_read = true;
	files_content_begin(&f->content, TAKE_FD(fd), &sx);
	*size = f->content.end;
	return 0;
}

static int read_content(
	void *self, void *data, size_t cap, size_t *len, uint64_t *hole, struct err *err)
{
	struct files *f = self;
	struct err why = ERR_INIT;
	int rc = files_content_read(&f->content, data, cap, len, hole, &why);
	if (rc < 0) {
		files_walk_warn(f, why.msg);
		drop_fd(f); /* there is nothing left to judge at its end */
		return err_set(err, ERR_IO, "%s", why.msg);
	}
	return rc;
}

static bool read_again(void *self)
{
	struct files *f = self;
	return files_content_again(&f->content);
}

/* Write what is known at the end of reading into the pipeline's entry; its own fields stay. */
static void update_item(const struct files *f, struct source_item *item)
{
	const struct entry *now = &f->item.entry;
	struct entry *e = &item->entry;
	e->mode = now->mode;
	e->uid = now->uid;
	e->gid = now->gid;
	e->user = now->user;
	e->group = now->group;
	e->mtime = now->mtime;
	e->flags = now->flags;
	e->xattrs = now->xattrs;
	e->xattr_count = now->xattr_count;
	e->size = now->size;
	e->notes |= now->notes;
	item->links = f->item.links;
	item->is_poor = f->item.is_poor;
	/* the time at the beginning: what is written from then on has another one, so that a cache
	 * never takes what was read for what is there */
	item->ctime = f->item.ctime;
}

static void close_content(void *self, struct source_item *item)
{
	struct files *f = self;
	struct files_content *c = &f->content;
	if (c->fd < 0)
		return;
	struct statx now;
	enum files_content_verdict verdict = files_content_end(c, &now);
	f->item.entry.size = c->is_ended ? c->at : c->end;
	if (verdict == FILES_CONTENT_APPENDED && (item->entry.notes & ENTRY_NOTE_CHANGED) != 0)
		verdict = FILES_CONTENT_CHANGED; /* grew, and its beginning was written to */
	if (verdict == FILES_CONTENT_APPENDED) {
		f->item.entry.notes |= ENTRY_NOTE_APPENDED;
	} else if (verdict == FILES_CONTENT_CHANGED) {
		f->item.entry.notes |= ENTRY_NOTE_CHANGED;
		f->item.entry.mtime = (struct entry_time){ .s = now.stx_mtime.tv_sec,
			.ns = now.stx_mtime.tv_nsec };
		files_walk_warn(f, "changed while it was read");
	}
	update_item(f, item);
}

static uint64_t count_lost(void *self)
{
	struct files *f = self;
	return f->lost + root_list_missing(f->opts.roots);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int init(struct files *f, struct err *err)
{
	int rc = root_list_resolve(f->opts.roots, f->opts.on_warning, f->opts.arg, err);
	if (rc == 0)
		rc = dir_stack_new(&f->stack, err);
	if (rc == 0)
		rc = fs_table_new(&f->fs_table, err);
	if (rc == 0)
		rc = file_meta_new(&f->meta, err);
	if (rc == 0)
		rc = buf_reserve(&f->path, PATH_MAX, err);
	if (rc == 0)
		rc = buf_reserve(&f->key, PATH_MAX, err);
	return rc;
}

int files_new(const struct files_opts *opts, struct files **out, struct err *err)
{
	struct files *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->opts = *opts;
	f->source = (struct source){ .self = f,
		.next = next_item,
		.be_brief = be_brief,
		.detail = fill_detail,
		.open = open_content,
		.read = read_content,
		.again = read_again,
		.close = close_content,
		.lost = count_lost };
	f->path = (struct buf)BUF_INIT(FILES_MAX_PATH_BYTES);
	f->key = (struct buf)BUF_INIT(ENTRY_MAX_KEY_BYTES);
	f->fd = -1;
	f->content = (struct files_content)FILES_CONTENT_NONE;
	int rc = init(f, err);
	if (rc != 0) {
		files_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void files_free(struct files *f)
{
	if (f == NULL)
		return;
	drop_fd(f);
	look_ahead_free(f->ahead); /* before the directories */
	file_meta_free(f->meta);
	fs_table_free(f->fs_table);
	dir_stack_free(f->stack);
	buf_done(&f->path);
	buf_done(&f->key);
	free(f);
}

const struct source *files_source(struct files *f)
{
	return &f->source;
}

int files_own_find(const char *path, struct files_own *out, struct err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
			"unable to look at '%s'", path);
	*out = (struct files_own){ .dev = st.st_dev, .ino = st.st_ino };
	return 0;
}
