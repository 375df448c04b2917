#include "agents/sources/files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agents/sources/gentle_open.h"
#include "agents/sources/path_filter.h"
#include "agents/sources/root_list.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS: those of files_internal.h.
 *
 *	files_walk_next: -> step_root -> visit (ancestor) .. visit (root)
 *	                 -> visit (below) .. -> pop -> ..
 */

enum how {
	HOW_ANCESTOR, /* leads to a root */
	HOW_ROOT,
	HOW_BELOW,
};

/* What one visit knows. */
struct visit {
	const char *name; /* in ${dirfd} */
	enum how how;
	const struct root_list_root *root; /* not for HOW_BELOW */
	int dirfd;
	struct statx sx;
	int fd; /* owned */
	enum files_walk_how opened;
	bool is_told_file; /* its directory says that it is a regular file */
	size_t at;         /* then: of the directory's names */
	struct fs_info *fs;
	bool is_taken;          /* it is a directory that was read ahead */
	struct name_list names; /* then; owned, and looked at by f->ahead */
};

/* ---- telling --------------------------------------------------------------------------------- */

static void tell(source_warn_fn fn, struct files *f, const char *why)
{
	const char *path = f->path.len == 0 ? "/" : (const char *)f->path.data;
	size_t len = f->path.len == 0 ? 1 : f->path.len;
	if (fn != NULL)
		fn(f->opts.arg, path, len, why);
}

void files_walk_warn(struct files *f, const char *why)
{
	tell(f->opts.on_warning, f, why);
}

static void note(struct files *f, const char *why)
{
	tell(f->opts.on_note, f, why);
}

void files_walk_warn_sys(struct files *f, const char *what)
{
	struct err why = ERR_INIT;
	if (errno == ENOENT) {
		files_walk_warn(f, "vanished while the backup ran");
		return;
	}
	(void)err_sys(&why, ERR_IO, "%s", what); /* told */
	files_walk_warn(f, why.msg);
}

/* The same of what will not be given, and should. */
static void lose(struct files *f, const char *why)
{
	f->lost++;
	files_walk_warn(f, why);
}

static void lose_sys(struct files *f, const char *what)
{
	f->lost++;
	files_walk_warn_sys(f, what);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void rewind_names(struct files *f)
{
	const struct dir_frame *top = dir_stack_top(f->stack);
	f->path.len = top->path_len;
	f->key.len = top->key_len;
}

static int add_component(
	struct buf *b, char joint, const char *name, bool is_first, struct err *err)
{
	int rc = is_first ? 0 : buf_add8(b, (uint8_t)joint, err);
	return rc != 0 ? rc : buf_add(b, name, strlen(name), err);
}

/* Extend path and key for the visit.  Return 0, -ERR_LIMIT or -ERR_NOMEM. */
static int extend_names(struct files *f, const struct visit *v, struct err *err)
{
	bool is_slash = v->how == HOW_ROOT && v->root->path[1] == '\0';
	int rc = is_slash ? 0 : add_component(&f->path, '/', v->name, false, err);
	if (rc != 0)
		return rc;
	if (v->how == HOW_ROOT) {
		buf_clear(&f->key);
		return buf_add(&f->key, v->root->key, v->root->key_len, err);
	}
	if (v->how == HOW_ANCESTOR && v->root->is_mapped)
		return 0;
	return add_component(&f->key, '\0', v->name, f->key.len == 0, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void close_visit(struct files *f, struct visit *v)
{
	if (v->is_taken)
		look_ahead_stop(f->ahead);
	name_list_done(&v->names);
	if (v->fd >= 0)
		(void)close(v->fd); /* read only */
}

/* Get v->sx by name.  Return false when that is told or wanted. */
static bool look(struct files *f, struct visit *v)
{
	if (file_meta_look(v->dirfd, v->name, &v->sx) != 0) {
		lose_sys(f, "unable to look at it");
		return false;
	}
	return true;
}

static bool is_own(const struct files *f, const struct visit *v)
{
	uint64_t dev = makedev(v->sx.stx_dev_major, v->sx.stx_dev_minor);
	for (size_t i = 0; i < f->opts.own_count; i++) {
		if (f->opts.own[i].dev == dev && f->opts.own[i].ino == v->sx.stx_ino)
			return true;
	}
	return false;
}

/* Judge by name, kind and size alone.  Return true when the visit goes on. */
static bool is_wanted(struct files *f, const struct visit *v)
{
	bool is_dir = S_ISDIR(v->sx.stx_mode);
	if (v->how == HOW_ANCESTOR) {
		if (!is_dir)
			lose(f, "replaced while the backup ran");
		return is_dir;
	}
	if (v->how == HOW_BELOW && path_filter_is_excluded(f->opts.filter,
					   (const char *)f->path.data, f->path.len, is_dir))
		return false;
	if (is_own(f, v)) {
		note(f, "belongs to the backup itself, not kept");
		return false;
	}
	if (file_meta_kind(v->sx.stx_mode) == 0) {
		if (S_ISSOCK(v->sx.stx_mode)) /* whoever listens makes it anew */
			note(f, "a socket, not kept");
		else
			lose(f, "of no known kind, not kept");
		return false;
	}
	if (v->how == HOW_BELOW && S_ISREG(v->sx.stx_mode) && f->opts.max_file_bytes > 0 &&
		v->sx.stx_size > f->opts.max_file_bytes) {
		note(f, "larger than the limit for files, not kept");
		return false;
	}
	return true;
}

/* Open what v->sx describes: really where that is useful and allowed, else by O_PATH. */
static bool open_visit(struct files *f, struct visit *v)
{
	unsigned before = v->sx.stx_mode & S_IFMT;
	if (before == S_IFREG)
		v->fd = gentle_open_file(v->dirfd, v->name);
	else if (before == S_IFDIR)
		v->fd = gentle_open_dir(v->dirfd, v->name);
	if (v->fd < 0) {
		bool is_unreadable = before == S_IFDIR && v->how != HOW_ANCESTOR;
		int saved = errno;
		v->fd = gentle_open_path(v->dirfd, v->name);
		v->opened = FILES_WALK_PATH_ONLY;
		if (v->fd >= 0 && is_unreadable) {
			errno = saved;
			lose_sys(f, "unable to open the directory");
		}
	}
	if (v->fd < 0 || file_meta_stat(v->fd, &v->sx) != 0) {
		lose_sys(f, "unable to open it");
		return false;
	}
	if ((v->sx.stx_mode & S_IFMT) != before) {
		lose(f, "replaced while the backup ran");
		return false;
	}
	return true;
}

/* Have the directory that comes behind the files up to ${end} of this one read ahead, if that is
 * what comes. */
static void expect_dir(struct files *f, size_t end)
{
	const struct dir_frame *d = dir_stack_top(f->stack);
	size_t at = end;
	for (size_t i = 1; d != NULL && d->is_listed && at == d->names.count; i++) {
		d = dir_stack_above(f->stack, i);
		at = d == NULL ? 0 : d->next;
	}
	if (d == NULL || !d->is_listed || d->fd < 0 || !name_list_is_dir(&d->names, at))
		return;
	const char *name = name_list_at(&d->names, at);
	CLEANUP(buf_done) struct buf path = BUF_INIT(FILES_MAX_PATH_BYTES);
	if (buf_add(&path, f->path.data, d->path_len, NULL) != 0 ||
		add_component(&path, '/', name, false, NULL) != 0 ||
		path_filter_is_excluded(f->opts.filter, (const char *)path.data, path.len, true))
		return;
	look_ahead_expect(f->ahead, d->fd, name);
}

/*
 * Get v->sx, by a look that may be older than the visit: then others were read, or waited for,
 * meanwhile.  That is as if the walk had come by earlier; it began before, its names are older
 * still, and between files there is no common moment.  What is kept by such a look alone is what
 * the cache has of that very state, and the next run sees a change since by its time, as the cache
 * trusts no time from 2 s before the backup on.  Whatever is opened is given anew by detail().
 */
static int look_early(struct files *f, struct visit *v)
{
	const struct name_list *names = &dir_stack_top(f->stack)->names;
	if (f->ahead == NULL)
		return file_meta_look(v->dirfd, v->name, &v->sx);
	size_t end = look_ahead_begin(f->ahead, v->dirfd, names, v->at);
	if (end > 0)
		expect_dir(f, end);
	return look_ahead_at(f->ahead, v->at, &v->sx);
}

/* Look at it by name only, where that is enough to know it again: its file system was met before,
 * that of its directory. */
static bool look_briefly(struct files *f, struct visit *v)
{
	const uint64_t dir = dir_stack_top(f->stack)->dev;
	const struct fs_info *fs = f->is_brief ? fs_table_get(f->fs_table, dir) : NULL;
	if (fs == NULL || !fs->is_telling || look_early(f, v) != 0 ||
		makedev(v->sx.stx_dev_major, v->sx.stx_dev_minor) != dir ||
		!S_ISREG(v->sx.stx_mode))
		return false;
	v->opened = FILES_WALK_BRIEF;
	return true;
}

/* A name that its directory says is a regular file is opened at once, if it cannot be known by
 * less: its descriptor tells the rest, and saves asking by name.  False: it is something else by
 * now, or cannot be opened; look closer. */
static bool open_told_file(struct files *f, struct visit *v)
{
	if (!v->is_told_file || path_filter_is_excluded(f->opts.filter, (const char *)f->path.data,
					f->path.len, false))
		return false;
	if (look_briefly(f, v))
		return true;
	v->fd = gentle_open_file(v->dirfd, v->name);
	if (v->fd >= 0 && file_meta_stat(v->fd, &v->sx) == 0 && S_ISREG(v->sx.stx_mode))
		return true;
	close_visit(f, v);
	v->fd = -1;
	return false;
}

/* Take what was read ahead of a directory, if it was. */
static bool take_dir(struct files *f, struct visit *v)
{
	struct look_ahead_dir dir;
	if (f->ahead == NULL || v->how != HOW_BELOW || v->is_told_file ||
		!look_ahead_take(f->ahead, v->dirfd, v->name, &dir))
		return false;
	v->is_taken = true;
	v->fd = dir.fd;
	v->sx = dir.sx;
	v->names = dir.names;
	return true;
}

/* Look at what it is and open it, if it is wanted. */
static bool is_opened(struct files *f, struct visit *v)
{
	if (take_dir(f, v))
		return is_wanted(f, v);
	if (open_told_file(f, v))
		return is_wanted(f, v);
	return look(f, v) && is_wanted(f, v) && open_visit(f, v);
}

/* ---- entries --------------------------------------------------------------------------------- */

int files_walk_fill(struct files *f, int fd, enum files_walk_how how, const struct statx *sx,
	struct fs_info *fs, struct err *err)
{
	struct err odd = ERR_INIT;
	struct file_meta_from from = { .fd = fd,
		.is_path_only = how == FILES_WALK_PATH_ONLY,
		.is_brief = how == FILES_WALK_BRIEF,
		.has_no_flags = &fs->has_no_flags,
		.sx = sx };
	struct entry entry;
	int rc = file_meta_read(f->meta, &from, &entry, &odd, err);
	if (rc != 0)
		return rc;
	bool is_denied = from.is_path_only && (entry.kind == ENTRY_FILE || entry.kind == ENTRY_DIR);
	if (odd.code != 0 && !is_denied) /* else told as what cannot be opened */
		files_walk_warn(f, odd.msg);
	f->item = (struct source_item){ .key = f->key.data,
		.key_len = f->key.len,
		.entry = entry,
		.fs_id = fs->id,
		.ino = sx->stx_ino,
		/* the names of a directory are its entries' matter, not hard links */
		.links = entry.kind == ENTRY_DIR ? 1 : sx->stx_nlink,
		.ctime = { .s = sx->stx_ctime.tv_sec, .ns = sx->stx_ctime.tv_nsec },
		.is_unsure = fs->is_unsure,
		.is_brief = from.is_brief,
		.is_poor = odd.code != 0 };
	return 0;
}

/* True if the open directory has a regular CACHEDIR.TAG with the signature. */
static bool is_cache_dir(int fd)
{
	static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55";
	char begin[sizeof(signature) - 1];
	struct stat st;
	CLEANUP(cleanup_close_p) int tag = gentle_open_file(fd, "CACHEDIR.TAG");
	return tag >= 0 && fstat(tag, &st) == 0 && S_ISREG(st.st_mode) &&
	       pread(tag, begin, sizeof(begin), 0) == (ssize_t)sizeof(begin) &&
	       memcmp(begin, signature, sizeof(begin)) == 0;
}

static void keep_tag(struct files *f, struct name_list *names, const char *tag)
{
	look_ahead_stop(f->ahead); /* it may look at them */
	name_list_keep(names, tag);
}

/* Leave only the tag where the owner has marked the directory. */
static void apply_tags(struct files *f, int fd, struct name_list *names)
{
	if (f->opts.is_exclude_caches && name_list_has(names, "CACHEDIR.TAG") && is_cache_dir(fd)) {
		keep_tag(f, names, "CACHEDIR.TAG");
		return;
	}
	for (size_t i = 0; i < f->opts.exclude_if_present_count; i++) {
		if (name_list_has(names, f->opts.exclude_if_present[i])) {
			keep_tag(f, names, f->opts.exclude_if_present[i]);
			return;
		}
	}
}

static bool is_entered(struct files *f, const struct visit *v)
{
	if (v->opened == FILES_WALK_PATH_ONLY)
		return false; /* told */
	if (v->how != HOW_BELOW)
		return true;
	if (f->opts.is_one_file_system && !root_list_has_dev(f->opts.roots, v->fs->dev))
		return false;
	if (v->fs->is_virtual && v->fs->dev != dir_stack_top(f->stack)->dev) {
		note(f, "made up by the kernel, its content is not kept");
		return false;
	}
	return true;
}

/* The directory becomes the deepest of the stack.  Return 0 or -ERR_NOMEM. */
static int enter(struct files *f, struct visit *v, struct err *err)
{
	struct dir_frame frame = { .is_listed = v->how != HOW_ANCESTOR,
		.dev = v->fs->dev,
		.ino = v->sx.stx_ino,
		.path_len = f->path.len,
		.key_len = f->key.len };
	struct err why = ERR_INIT;
	int rc = 0;
	if (v->is_taken)
		frame.names = v->names;
	else if (frame.is_listed)
		rc = name_list_read(&frame.names, v->fd, &why);
	if (rc == -ERR_NOMEM) {
		name_list_done(&frame.names);
		return err_set(err, ERR_NOMEM, "%s", why.msg);
	}
	if (rc != 0)
		lose(f, why.msg);
	if (frame.is_listed)
		apply_tags(f, v->fd, &frame.names);
	if (!v->is_taken || dir_stack_is_full(f->stack))
		look_ahead_stop(f->ahead); /* a frame may be closed, or this one lost */
	frame.fd = TAKE_FD(v->fd);
	v->is_taken = false;
	v->names = (struct name_list){ .data = NULL };
	return dir_stack_push(f->stack, &frame, err);
}

static void leave(struct files *f)
{
	look_ahead_leave(f->ahead);
	dir_stack_pop(f->stack);
}

/* The visit with v->fd open.  Return 1: f->item is to be given, 0: nothing to give, or an error. */
static int visit_open(struct files *f, struct visit *v, struct err *err)
{
	struct err why = ERR_INIT;
	uint64_t dev = makedev(v->sx.stx_dev_major, v->sx.stx_dev_minor);
	int rc = fs_table_find(f->fs_table, v->fd, dev, &v->fs, &why);
	if (rc != 0) {
		lose(f, why.msg);
		return rc == -ERR_NOMEM ? err_set(err, ERR_NOMEM, "%s", why.msg) : 0;
	}
	bool is_given = f->key.len > 0 && !(v->how == HOW_ANCESTOR && v->root->is_mapped);
	if (is_given)
		rc = files_walk_fill(f, v->fd, v->opened, &v->sx, v->fs, err);
	if (rc != 0)
		return rc;
	if (S_ISDIR(v->sx.stx_mode)) {
		if (v->how == HOW_ANCESTOR || is_entered(f, v))
			rc = enter(f, v, err);
	} else if (S_ISREG(v->sx.stx_mode) && v->opened == FILES_WALK_OPEN) {
		f->fd = TAKE_FD(v->fd);
	}
	return rc != 0 ? rc : is_given;
}

/**
 * visit(f, v, err):
 * Look at one name in the deepest directory.  Return 1: f->item is to be given, 0: nothing to
 * give (told where it should be), or an error that ends the backup.
 */
static int visit(struct files *f, struct visit *v, struct err *err)
{
	struct err why = ERR_INIT;
	v->fd = -1;
	v->dirfd = dir_stack_fd(f->stack, (const char *)f->path.data);
	if (v->dirfd < 0) {
		struct dir_frame *lost = dir_stack_top(f->stack);
		lose_sys(f, "unable to come back to the directory, its rest is not kept");
		lost->next = lost->names.count;
		return 0;
	}
	int rc = extend_names(f, v, &why);
	if (rc == -ERR_NOMEM)
		return err_set(err, ERR_NOMEM, "%s", why.msg);
	if (rc != 0) {
		lose(f, "the path is longer than a backup can hold, not kept");
		return 0;
	}
	rc = is_opened(f, v) ? visit_open(f, v, err) : 0;
	close_visit(f, v);
	return rc;
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Leave every directory that does not lead to the root ${r}. */
static void leave_for(struct files *f, const struct root_list_root *r)
{
	bool is_anew = r->is_mapped || f->was_mapped;
	while (dir_stack_depth(f->stack) > 1) {
		size_t len = dir_stack_top(f->stack)->path_len;
		if (!is_anew && strncmp((const char *)f->path.data, r->path, len) == 0 &&
			r->path[len] == '/') /* r->path may be the shorter one */
			break;
		leave(f);
	}
	f->was_mapped = r->is_mapped;
	rewind_names(f);
}

/* One component nearer to the next root, or the root itself.  As visit(). */
static int step_root(struct files *f, struct err *err)
{
	const struct root_list_root *r = root_list_at(f->opts.roots, f->root_at);
	if (!f->is_root_begun)
		leave_for(f, r);
	f->is_root_begun = true;
	const char *rest = r->path + dir_stack_top(f->stack)->path_len;
	rest += rest[0] == '/';
	size_t len = strcspn(rest, "/");
	char name[NAME_MAX + 1] = ".";
	if (len > NAME_MAX) { /* it was found by this path a moment ago */
		lose(f, "vanished while the backup ran");
		f->root_at++;
		return 0;
	}
	if (len > 0) {
		memcpy(name, rest, len);
		name[len] = '\0';
	}
	struct visit v = {
		.name = name, .root = r, .how = rest[len] == '\0' ? HOW_ROOT : HOW_ANCESTOR
	};
	size_t depth = dir_stack_depth(f->stack);
	int rc = visit(f, &v, err);
	if (v.how == HOW_ROOT || dir_stack_depth(f->stack) == depth) {
		f->root_at++;
		f->is_root_begun = false;
	}
	return rc;
}

int files_walk_next(struct files *f, struct err *err)
{
	for (;;) {
		rewind_names(f);
		struct dir_frame *top = dir_stack_top(f->stack);
		int rc = 0;
		if (top->is_listed && top->next == top->names.count) {
			leave(f);
		} else if (top->is_listed) {
			struct visit v = { .how = HOW_BELOW,
				.name = name_list_at(&top->names, top->next),
				.is_told_file = name_list_is_file(&top->names, top->next),
				.at = top->next };
			top->next++;
			rc = visit(f, &v, err);
		} else if (f->root_at == root_list_count(f->opts.roots)) {
			return 0;
		} else {
			rc = step_root(f, err);
		}
		if (rc != 0)
			return rc;
	}
}

/* Is the open file the item just given?  With ${may_be_other}, another one in its place will do if
 * it is to be kept.  Return false when that is told. */
static bool is_given_file(struct files *f, int fd, const struct statx *sx, bool may_be_other)
{
	struct fs_info *fs = NULL;
	uint64_t dev = makedev(sx->stx_dev_major, sx->stx_dev_minor);
	const struct visit v = { .how = HOW_BELOW, .sx = *sx };
	bool is_known =
		S_ISREG(sx->stx_mode) && fs_table_find(f->fs_table, fd, dev, &fs, NULL) == 0;
	if (is_known && fs->id == f->item.fs_id && sx->stx_ino == f->item.ino)
		return true;
	if (is_known && may_be_other)
		return is_wanted(f, &v);
	files_walk_warn(f, "replaced while the backup ran");
	return false;
}

int files_walk_open_late(struct files *f, bool may_be_other, struct statx *sx)
{
	const char *slash = memrchr(f->path.data, '/', f->path.len);
	char name[NAME_MAX + 1];
	size_t len = slash == NULL ? 0 : f->path.len - (size_t)(slash + 1 - (char *)f->path.data);
	int dirfd = dir_stack_fd(f->stack, (const char *)f->path.data);
	if (dirfd < 0 || len == 0 || len > NAME_MAX) {
		files_walk_warn_sys(f, "unable to come back to the directory");
		return -1;
	}
	memcpy(name, slash + 1, len);
	name[len] = '\0';
	CLEANUP(cleanup_close_p) int fd = gentle_open_file(dirfd, name);
	if (fd < 0 || file_meta_stat(fd, sx) != 0) {
		files_walk_warn_sys(f, "unable to open it");
		return -1;
	}
	if (!is_given_file(f, fd, sx, may_be_other))
		return -1;
	return TAKE_FD(fd);
}
