#include "store/local/store_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "store/local/local_stage.h"
#include "store/local/local_tree.h"

/*
 * INVARIANTS
 * (1) stage is NULL exactly when the store is opened for reading only; nothing else can change
 *     the directory.
 */

#define LOCAL_DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
#define LOCAL_DIR_MODE 0700

struct store_local {
	char *path; /* owned; for texts only */
	int root;   /* owned */
	struct local_stage *stage;
};

static void local_free(void *self)
{
	struct store_local *l = self;
	if (l == NULL)
		return;
	local_stage_free(l->stage);
	if (l->root >= 0)
		(void)close(l->root); /* read side */
	free(l->path);
	free(l);
}

DEFINE_CLEANUP(struct store_local *, local_free)

/* The directory above ${path}, as a new string; NULL when out of memory. */
static char *parent_of(const char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len == 0 ? strdup(".") : strndup(path, len);
}

/* Make the directory of a new store, and its name durable. */
static int create_dir(const char *path, struct err *err)
{
	if (env_mkdirat(AT_FDCWD, path, LOCAL_DIR_MODE) != 0) {
		if (errno == EEXIST)
			return 0;
		int rc = err_sys(err, errno == EACCES ? ERR_READONLY : ERR_IO,
			"unable to make the store's directory '%s'", path);
		if (errno == ENOENT)
			(void)err_hint(err, "make the directory above it first");
		return rc;
	}
	CLEANUP(cleanup_free_p) char *parent = parent_of(path);
	if (parent == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p) int fd = env_openat(AT_FDCWD, parent, LOCAL_DIR_FLAGS, 0);
	/* EACCES: a directory we may write but not read; then its sync is not ours to do */
	if ((fd < 0 && errno != EACCES) || (fd >= 0 && env_fsync(fd) != 0 && errno != EINVAL))
		return err_sys(err, ERR_IO, "unable to sync directory '%s'", parent);
	return 0;
}

static int check_can_write(const struct store_local *l, struct err *err)
{
	bool can_write = faccessat(l->root, ".", W_OK | X_OK, AT_EACCESS) == 0 &&
			 (faccessat(l->root, LOCAL_TREE_TMP, W_OK | X_OK, AT_EACCESS) == 0 ||
				 errno == ENOENT);
	if (can_write)
		return 0;
	int rc = err_sys(err, errno == EACCES || errno == EPERM ? ERR_READONLY : ERR_IO,
		"unable to write to the store '%s'", l->path);
	(void)err_hint(err, "check the owner of the directory and how its file system is mounted");
	return rc;
}

/* ${is_new}: it was to be made; then what has its name is in the way. */
static int open_root(struct store_local *l, bool is_new, struct err *err)
{
	l->root = env_openat(AT_FDCWD, l->path, LOCAL_DIR_FLAGS, 0);
	if (l->root >= 0)
		return 0;
	if (errno == ENOTDIR) {
		err_set(err, is_new ? ERR_EXISTS : ERR_NOT_FOUND, "'%s' is no directory", l->path);
		return err_hint(err, is_new ? "name a directory that is new or empty"
					    : "name the directory itself, not a file");
	}
	int rc = err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
		"unable to open the store '%s'", l->path);
	if (rc == -ERR_NOT_FOUND)
		(void)err_hint(err, "check the path, and that its disk or share is mounted");
	return rc;
}

int store_local_new(const char *path, const struct store_local_opts *opts, struct store_local **out,
	struct err *err)
{
	struct store_local_opts o = { .create = false };
	if (opts != NULL)
		o = *opts;
	CLEANUP(local_free_p) struct store_local *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->root = -1;
	l->path = strdup(path);
	if (l->path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = o.create && !o.is_read_only ? create_dir(path, err) : 0;
	if (rc == 0)
		rc = open_root(l, o.create && !o.is_read_only, err);
	if (rc == 0 && !o.is_read_only)
		rc = check_can_write(l, err);
	if (rc == 0 && !o.is_read_only)
		rc = local_stage_new(l->root, &l->stage, err);
	if (rc != 0)
		return rc;
	*out = TAKE(l);
	return 0;
}

int store_local_open(
	const char *path, const struct store_local_opts *opts, struct store **out, struct err *err)
{
	struct store_local *l = NULL;
	int rc = store_local_new(path, opts, &l, err);
	if (rc != 0)
		return rc;
	struct store_opts policy = {
		.is_read_only = l->stage == NULL,
		.retries = STORE_LOCAL_RETRIES,
	};
	return store_new(&store_local_driver, l, &policy, out, err);
}

/* Tell what a person can do about a failed write. */
static int advise(const struct store_local *l, int rc, struct err *err)
{
	if (rc == -ERR_NOSPACE)
		(void)err_hint(err,
			"free space on the file system of '%s' or give the store a larger one; "
			"nothing of what failed was kept",
			l->path);
	else if (rc == -ERR_READONLY)
		(void)err_hint(err,
			"the file system of '%s' refuses writing; a disk with errors "
			"may have been remounted read-only",
			l->path);
	return rc;
}

static int refuse_write(const struct store_local *l, struct err *err)
{
	return err_set(err, ERR_READONLY, "'%s' is opened for reading only", l->path);
}

static int local_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	const struct store_local *l = self;
	if (l->stage == NULL)
		return refuse_write(l, err);
	return advise(l, local_stage_put(l->stage, name, data, len, err), err);
}

static int local_draft_new(void *self, void **draft, struct err *err)
{
	const struct store_local *l = self;
	struct local_draft *d = NULL;
	if (l->stage == NULL)
		return refuse_write(l, err);
	int rc = advise(l, local_stage_draft(l->stage, &d, err), err);
	if (rc == 0)
		*draft = d;
	return rc;
}

static int local_draft_add(void *self, void *draft, const void *data, size_t len, struct err *err)
{
	return advise(self, local_stage_draft_add(draft, data, len, err), err);
}

static int local_draft_put(void *self, void *take_draft, const char *name, struct err *err)
{
	const struct store_local *l = self;
	return advise(l, local_stage_draft_put(l->stage, take_draft, name, err), err);
}

static void local_draft_free(void *self, void *draft)
{
	const struct store_local *l = self;
	local_stage_draft_free(l->stage, draft);
}

/* Append ${len} bytes at ${offset} of an open object that has them. */
static int read_at(int fd, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, len, err);
	if (rc != 0 || len == 0)
		return rc;
	ssize_t n = fdio_pread_full(fd, out->data + out->len, len, (off_t)offset);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to read its file");
	if ((size_t)n < len)
		return err_set(err, ERR_CORRUPT, "its file was cut while it was read");
	out->len += len;
	return 0;
}

static int get_whole(const struct store_local *l, const char *name, bool is_anew, struct buf *out,
	struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = -1;
	uint64_t size = 0;
	int rc = local_tree_open_object(l->root, name, &fd, &size, err);
	if (rc != 0)
		return rc;
	if (is_anew) /* synced pages go; a file system without pages of its own has none to drop */
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (size > STORE_MAX_OBJECT_BYTES || size > out->max - out->len)
		return err_set(err, ERR_LIMIT, "%llu bytes are more than allowed here",
			(unsigned long long)size);
	return read_at(fd, 0, (size_t)size, out, err);
}

static int local_get(void *self, const char *name, struct buf *out, struct err *err)
{
	return get_whole(self, name, false, out, err);
}

static int local_get_anew(void *self, const char *name, struct buf *out, struct err *err)
{
	return get_whole(self, name, true, out, err);
}

static int local_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	const struct store_local *l = self;
	CLEANUP(cleanup_close_p) int fd = -1;
	uint64_t size = 0;
	int rc = local_tree_open_object(l->root, name, &fd, &size, err);
	if (rc != 0)
		return rc;
	if (offset > size || len > size - offset)
		return err_set(err, ERR_CORRUPT, "it ends at byte %llu", (unsigned long long)size);
	return read_at(fd, offset, len, out, err);
}

static int local_stat(void *self, const char *name, uint64_t *size, struct err *err)
{
	const struct store_local *l = self;
	return local_tree_stat(l->root, name, size, err);
}

static int local_list(void *self, const char *prefix, store_list_fn fn, void *arg, struct err *err)
{
	const struct store_local *l = self;
	return local_tree_list(l->root, prefix, fn, arg, err);
}

static int local_remove(void *self, const char *name, struct err *err)
{
	const struct store_local *l = self;
	if (l->stage == NULL)
		return refuse_write(l, err);
	return advise(l, local_stage_remove(l->stage, name, err), err);
}

static int local_barrier(void *self, struct err *err)
{
	const struct store_local *l = self;
	if (l->stage == NULL)
		return 0;
	int rc = advise(l, local_stage_barrier(l->stage, err), err);
	if (rc == -ERR_IO)
		(void)err_hint(err,
			"nothing since the last barrier was stored; look in the kernel's log for "
			"errors of the disk under '%s'",
			l->path);
	return rc;
}

const struct store_driver store_local_driver = {
	.name = "local",
	.features = STORE_HAS_RANGE | STORE_HAS_IF_ABSENT | STORE_NEEDS_BARRIER,
	.put = local_put,
	.get = local_get,
	.get_anew = local_get_anew,
	.get_range = local_get_range,
	.list = local_list,
	.stat = local_stat,
	.remove = local_remove,
	.barrier = local_barrier,
	.draft_new = local_draft_new,
	.draft_add = local_draft_add,
	.draft_put = local_draft_put,
	.draft_free = local_draft_free,
	.free = local_free,
};
