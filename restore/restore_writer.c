#include "restore/restore_writer.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "restore/id_map.h"
#include "restore/owner_map.h"
#include "restore/restore_place.h"
#include "restore/target_dirs.h"
#include "restore/target_meta.h"
#include "restore/target_name.h"
#include "restore/target_sweep.h"
#include "vault/entry.h"

/*
 * INVARIANTS
 * (1) Every system call names one checked component below a descriptor of target_dirs, or "" or
 *     "." of a descriptor.  No path is ever resolved, no link ever followed.
 * (2) A directory that this restore made is 0700 and the restorer's until finish, so that nobody
 *     else can work in it, or move it to another directory.
 * (3) file.fd >= 0 exactly while a file is begun; its temporary name is there as long.
 *
 *   IDLE --begin, a file--> OPEN --end, cancel, failed data--> IDLE
 */

#define BLOCK_BYTES ((size_t)4096)
/* Of a file that is still being written the disk is told each time there is so much more of it: it
 * works while the rest is opened, and not only when the kernel's share of memory is full. */
#define EARLY_BYTES ((uint64_t)8 << 20)

struct open_file {
	int fd;
	struct restore_put put;
	char temp[TARGET_NAME_TEMP_BYTES];
	uint64_t pos;   /* of fd */
	uint64_t end;   /* how long the file is by now */
	uint64_t begun; /* the disk was told of what is before */
};

struct restore_writer {
	struct restore_writer_opts opts;
	struct restore_place place;
	struct owner_map *owners;
	struct open_file file;
	size_t key_len;
	uint8_t key[ENTRY_MAX_KEY_BYTES]; /* of the last entry */
};

DEFINE_CLEANUP(struct restore_writer *, restore_writer_free)

int restore_writer_target(const char *path, int *fd, struct err *err)
{
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int got = env_openat(AT_FDCWD, path, flags, 0);
	if (got < 0 && errno == ENOENT) {
		if (env_mkdirat(AT_FDCWD, path, 0700) != 0 && errno != EEXIST) {
			enum err_code code = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
			return err_sys(err, code, "unable to create the directory '%s'", path);
		}
		got = env_openat(AT_FDCWD, path, flags, 0);
	}
	if (got < 0)
		return err_sys(err, ERR_IO, "unable to open the directory '%s'", path);
	*fd = got;
	return 0;
}

static int check_empty(int dirfd, struct err *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		int rc = err_sys(err, ERR_IO, "unable to list the target directory");
		if (fd >= 0)
			(void)close(fd); /* nothing was written */
		return rc;
	}
	const struct dirent *d;
	do {
		errno = 0;
		d = readdir(dir);
	} while (d != NULL && (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0));
	int rc = 0;
	if (d != NULL)
		rc = err_set(err, ERR_EXISTS, "the target directory is not empty");
	else if (errno != 0)
		rc = err_sys(err, ERR_IO, "unable to list the target directory");
	(void)closedir(dir); /* nothing was written */
	return rc;
}

int restore_writer_new(int dirfd, const struct restore_writer_opts *opts,
	struct restore_writer **out, struct err *err)
{
	CLEANUP(restore_writer_free_p) struct restore_writer *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct restore_place *place = &w->place;
	w->opts = *opts;
	w->file.fd = -1;
	place->overwrite = opts->overwrite;
	place->note.fn = opts->note;
	place->note.arg = opts->note_arg;
	place->note.key = w->key;
	place->how.no_owner = opts->no_owner;
	place->stats.leftovers = target_sweep(dirfd);
	int rc = opts->overwrite == RESTORE_REFUSE ? check_empty(dirfd, err) : 0;
	if (rc == 0)
		rc = target_dirs_new(dirfd, &place->dirs, err);
	if (rc == 0 && !opts->numeric_ids)
		rc = owner_map_new(&w->owners, err);
	if (rc != 0)
		return rc;
	place->how.owners = w->owners;
	*out = TAKE(w);
	return 0;
}

void restore_writer_free(struct restore_writer *w)
{
	if (w == NULL)
		return;
	restore_writer_cancel(w);
	restore_place_done(&w->place);
	target_dirs_free(w->place.dirs);
	owner_map_free(w->owners);
	free(w);
}

const struct restore_stats *restore_writer_stats(struct restore_writer *w)
{
	w->place.stats.notes = w->place.note.count;
	return &w->place.stats;
}

/* ---- what an entry may be -------------------------------------------------------------------- */

static int check_key(
	const struct restore_writer *w, const uint8_t *key, size_t len, struct err *err)
{
	if (len > ENTRY_MAX_KEY_BYTES)
		return err_set(err, ERR_LIMIT, "the path is too long");
	for (size_t start = 0;;) {
		const uint8_t *end = memchr(key + start, 0, len - start);
		size_t component_len = end == NULL ? len - start : (size_t)(end - key) - start;
		int rc = target_name_check(key + start, component_len, err);
		if (rc != 0)
			return rc;
		if (end == NULL)
			break;
		start += component_len + 1;
	}
	size_t both = len < w->key_len ? len : w->key_len;
	int order = memcmp(key, w->key, both);
	if (order < 0 || (order == 0 && len < w->key_len))
		return err_set(err, ERR_CORRUPT, "entries are out of order");
	return 0;
}

static int check_entry(const struct entry *e, struct err *err)
{
	if (e->kind < ENTRY_FILE || e->kind > ENTRY_BLOCK)
		return err_set(err, ERR_UNSUPPORTED, "kind %d is not known", (int)e->kind);
	if (e->mode > 07777 || e->mtime.ns > 999999999)
		return err_set(err, ERR_CORRUPT, "impossible mode or time");
	if (e->kind == ENTRY_FILE && e->size > INT64_MAX)
		return err_set(err, ERR_CORRUPT, "impossible size");
	if (e->kind == ENTRY_SYMLINK &&
		(e->target_len == 0 || e->target_len > ENTRY_MAX_TARGET_BYTES ||
			memchr(e->target, 0, e->target_len) != NULL))
		return err_set(err, ERR_CORRUPT, "impossible link target");
	return 0;
}

/* ---- begin ----------------------------------------------------------------------------------- */

/* Say which entry ${rc} is about; return it. */
static int wrap(int rc, const uint8_t *key, size_t len, struct err *err)
{
	char text[RESTORE_NOTE_PATH_BYTES];
	if (rc != 0)
		(void)err_wrap(err, "unable to restore '%s'", restore_note_path(key, len, text));
	return rc;
}

/* Make the parent of the last key the directory at hand; *${last}: where its own name starts. */
static int enter_parent(struct restore_writer *w, size_t *last, struct err *err)
{
	size_t start = target_dirs_leave(w->place.dirs, w->key, w->key_len);
	const uint8_t *end;
	while ((end = memchr(w->key + start, 0, w->key_len - start)) != NULL) {
		size_t len = (size_t)(end - w->key) - start;
		enum restore_step step;
		int rc = restore_place_dir(&w->place, w->key + start, len, NULL, &step, err);
		if (rc != 0)
			return rc;
		start += len + 1;
	}
	*last = start;
	return 0;
}

/* Make the file of the place found, with a temporary name. */
static int open_file(struct restore_writer *w, const struct restore_put *put, struct err *err)
{
	struct open_file *f = &w->file;
	int rc = target_name_temp(f->temp, err);
	if (rc != 0)
		return rc;
	int fd = env_openat(
		put->dirfd, f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to create it");
	(void)flock(fd, LOCK_EX | LOCK_NB); /* where there are locks: it is no leftover */
	f->fd = fd;
	f->put = *put;
	f->pos = 0;
	f->end = 0;
	f->begun = 0;
	off_t size = (off_t)put->entry->size;
	if (w->opts.sparse || size == 0)
		return 0;
	errno = posix_fallocate(fd, 0, size);
	if (errno != 0) {
		rc = err_sys(err, ERR_IO, "unable to allocate its size");
		restore_writer_cancel(w);
		return rc;
	}
	f->end = put->entry->size;
	return 0;
}

static int begin_other(
	struct restore_writer *w, size_t last, struct restore_put *put, struct err *err)
{
	memcpy(put->component, w->key + last, w->key_len - last);
	int rc = target_dirs_fd(w->place.dirs, &put->dirfd, err);
	if (rc == 0)
		rc = restore_place_find(&w->place, put, err);
	if (rc != 0 || put->step != RESTORE_STEP_DATA)
		return rc;
	return put->entry->kind == ENTRY_FILE ? open_file(w, put, err)
					      : restore_place_node(&w->place, put, err);
}

static int begin(
	struct restore_writer *w, const struct entry *e, enum restore_step *step, struct err *err)
{
	size_t last = 0;
	int rc = enter_parent(w, &last, err);
	if (rc != 0)
		return rc;
	if (e->kind == ENTRY_DIR)
		return restore_place_dir(&w->place, w->key + last, w->key_len - last, e, step, err);
	struct restore_put put = { .entry = e };
	rc = begin_other(w, last, &put, err);
	if (rc == 0)
		*step = put.step;
	return rc;
}

int restore_writer_begin(struct restore_writer *w, const uint8_t *key, size_t key_len,
	const struct entry *e, enum restore_step *step, struct err *err)
{
	assert(w->file.fd < 0);
	int rc = check_key(w, key, key_len, err);
	if (rc == 0)
		rc = check_entry(e, err);
	if (rc != 0)
		return wrap(rc, key, key_len, err);
	memcpy(w->key, key, key_len);
	w->key_len = key_len;
	w->place.note.key_len = key_len;
	return wrap(begin(w, e, step, err), key, key_len, err);
}

/* ---- content --------------------------------------------------------------------------------- */

static int write_at(struct open_file *f, uint64_t offset, const uint8_t *data, size_t len)
{
	if (f->pos != offset && lseek(f->fd, (off_t)offset, SEEK_SET) < 0)
		return -1;
	f->pos = offset + len;
	if (f->end < f->pos)
		f->end = f->pos;
	if (env_write_all(f->fd, data, len) != 0)
		return -1;
	if (f->pos > f->begun && f->pos - f->begun >= EARLY_BYTES) {
		/* proves nothing, and where it cannot be done nothing is lost */
		(void)sync_file_range(
			f->fd, (off_t)f->begun, (off_t)(f->pos - f->begun), SYNC_FILE_RANGE_WRITE);
		f->begun = f->pos;
	}
	return 0;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Bytes from ${offset} to the end of its block, at most ${len}. */
static size_t to_block_end(uint64_t offset, size_t len)
{
	size_t n = BLOCK_BYTES - (size_t)(offset % BLOCK_BYTES);
	return n < len ? n : len;
}

/* Write all but the blocks of zeros: the file is a hole where nothing is written. */
static int write_sparse(struct open_file *f, uint64_t offset, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t run = 0, zeros = 0;
		while (run < len) {
			size_t n = to_block_end(offset + run, len - run);
			if (is_zero(data + run, n)) {
				zeros = n;
				break;
			}
			run += n;
		}
		if (run > 0 && write_at(f, offset, data, run) != 0)
			return -1;
		offset += run + zeros;
		data += run + zeros;
		len -= run + zeros;
	}
	return 0;
}

int restore_writer_data(
	struct restore_writer *w, uint64_t offset, const void *data, size_t len, struct err *err)
{
	struct open_file *f = &w->file;
	assert(f->fd >= 0);
	uint64_t size = f->put.entry->size;
	int rc = 0;
	if (offset > size || len > size - offset)
		rc = err_set(err, ERR_CORRUPT, "content goes past its size");
	else if ((w->opts.sparse ? write_sparse(f, offset, data, len)
				 : write_at(f, offset, data, len)) != 0)
		rc = err_sys(err, ERR_IO, "unable to write");
	if (rc != 0) {
		restore_writer_cancel(w);
		return wrap(rc, w->key, w->key_len, err);
	}
	w->place.stats.bytes += len;
	return 0;
}

int restore_writer_end(struct restore_writer *w, struct err *err)
{
	struct open_file *f = &w->file;
	assert(f->fd >= 0);
	struct stat st;
	int rc = 0;
	/* a hole at its end was not written */
	if (f->end < f->put.entry->size && ftruncate(f->fd, (off_t)f->put.entry->size) != 0)
		rc = err_sys(err, ERR_IO, "unable to give it its size");
	target_meta_apply(&w->place.how, f->fd, false, f->put.entry,
		TARGET_META_FLAGS & ~TARGET_META_LATE_FLAGS, &w->place.note);
	if (fstat(f->fd, &st) != 0 && rc == 0)
		rc = err_sys(err, ERR_IO, "unable to read its state");
	int fd = TAKE_FD(f->fd);
	if (close(fd) != 0 && rc == 0)
		rc = err_sys(err, ERR_IO, "unable to write");
	if (rc == 0)
		rc = restore_place_take(&w->place, &f->put, f->temp, &st, err);
	if (rc != 0) {
		(void)env_unlinkat(f->put.dirfd, f->temp, 0); /* the first error counts */
		return wrap(rc, w->key, w->key_len, err);
	}
	w->place.stats.files++;
	return 0;
}

void restore_writer_cancel(struct restore_writer *w)
{
	struct open_file *f = &w->file;
	if (f->fd < 0)
		return;
	(void)close(f->fd); /* its bytes are not wanted */
	f->fd = -1;
	(void)env_unlinkat(f->put.dirfd, f->temp, 0); /* a leftover has a name that tells */
}

/* ---- finish ---------------------------------------------------------------------------------- */

/* Notes are about ${dir}, or ${name} in it. */
static int tell_about(
	struct restore_writer *w, const struct target_dir *dir, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(sizeof(w->key));
	int rc = target_dirs_key(dir, &key, err);
	if (rc == 0 && name != NULL && key.len > 0)
		rc = buf_add8(&key, 0, err);
	if (rc == 0 && name != NULL)
		rc = buf_add(&key, name, strlen(name), err);
	if (rc != 0)
		return rc;
	if (key.len > 0)
		memcpy(w->key, key.data, key.len);
	w->key_len = key.len;
	w->place.note.key_len = key.len;
	return 0;
}

static int set_late_flags(
	struct restore_writer *w, const struct restore_remembered *r, struct err *err)
{
	CLEANUP(cleanup_close_p) int dirfd = -1;
	int rc = tell_about(w, r->dir, r->name, err);
	if (rc == 0)
		rc = target_dirs_open(w->place.dirs, r->dir, &dirfd, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, r->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		restore_note_add(&w->place.note, RESTORE_NOTE_FLAGS,
			"unable to set the inode flags: %s", strerror(errno));
	else if (st.st_dev != r->dev || st.st_ino != r->ino)
		return err_set(err, ERR_FAILED, "it was replaced during the restore");
	else
		target_meta_flags(fd, r->late_flags, TARGET_META_LATE_FLAGS, &w->place.note);
	return 0;
}

/* Open the directory behind the O_PATH ${fd} for reading: for fchmod, flags and syncfs. */
static int reopen(int fd)
{
	return openat(fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int sync_at(int fd, struct err *err)
{
	CLEANUP(cleanup_close_p) int real = reopen(fd);
	if (real < 0 || syncfs(real) != 0)
		return err_sys(err, ERR_IO, "unable to sync");
	return 0;
}

static int finish_dir(struct restore_writer *w, struct target_dir *dir, struct err *err)
{
	bool sync = w->opts.sync && dir->dev != dir->parent->dev; /* a mount point */
	if (dir->meta == NULL && !sync)
		return 0;
	int fd;
	int rc = tell_about(w, dir, NULL, err);
	if (rc == 0)
		rc = target_dirs_go(w->place.dirs, dir, err);
	if (rc == 0)
		rc = target_dirs_fd(w->place.dirs, &fd, err);
	if (rc != 0)
		return rc;
	if (dir->meta != NULL) {
		CLEANUP(cleanup_close_p) int real = reopen(fd);
		/* one that nobody may read is still changed by its owner */
		target_meta_apply(&w->place.how, real < 0 ? fd : real, real < 0, dir->meta,
			TARGET_META_FLAGS, &w->place.note);
	}
	return sync ? sync_at(fd, err) : 0;
}

/* Keep the first error in *${rc} and ${err}; nothing stops the rest. */
static void keep_first(struct restore_writer *w, int one, struct err *now, int *rc, struct err *err)
{
	if (one == 0 || *rc != 0)
		return;
	*rc = wrap(one, w->key, w->key_len, now);
	if (err != NULL)
		*err = *now;
}

int restore_writer_finish(struct restore_writer *w, struct err *err)
{
	assert(w->file.fd < 0);
	struct target_dirs *dirs = w->place.dirs;
	struct err now = ERR_INIT;
	int rc = 0;
	for (const struct restore_remembered *r = w->place.remembered; r != NULL; r = r->next) {
		if (r->is_there && r->late_flags != 0)
			keep_first(w, set_late_flags(w, r, &now), &now, &rc, err);
	}
	/* children were entered after their parents: backwards is deepest first */
	for (size_t i = target_dirs_count(dirs); i > 0; i--)
		keep_first(w, finish_dir(w, target_dirs_at(dirs, i - 1), &now), &now, &rc, err);
	if (w->opts.sync) {
		int fd;
		w->key_len = 0;
		int one = target_dirs_go(dirs, target_dirs_root(dirs), &now);
		if (one == 0)
			one = target_dirs_fd(dirs, &fd, &now);
		if (one == 0)
			one = sync_at(fd, &now);
		keep_first(w, one, &now, &rc, err);
	}
	return rc;
}
