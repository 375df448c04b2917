#include "restore/target_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "restore/restore_note.h"
#include "vault/entry.h"

/*
 * INVARIANTS
 * (1) levels[0] is the root and always open; levels[top] is the directory at hand.
 * (2) At most TARGET_DIRS_MAX_OPEN levels below the root are open.
 * (3) Every descriptor was opened from its parent's by one component, following nothing, and has
 *     the inode that was seen first.
 * (4) path[0..levels[i].path_len) is the key of levels[i], while keys are followed.
 */
struct level {
	struct target_dir *dir;
	struct target_dir *pending; /* scratch of target_dirs_go() */
	int fd;                     /* O_PATH, or -1 */
	size_t path_len;
	struct id_map made;
};

struct target_dirs {
	struct level *levels;
	size_t top, cap;
	struct target_dir **all; /* in the order of entering */
	size_t count, all_cap;
	struct target_dir *root;
	uint8_t path[ENTRY_MAX_KEY_BYTES];
};

static int open_component(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	/* a sandbox may not know the call; for one component without '/' this one is as strict */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return (int)fd;
}

static struct target_dir *dir_new(const uint8_t *component, size_t len, const char *name)
{
	struct target_dir *dir = calloc(1, sizeof(*dir) + len);
	if (dir == NULL)
		return NULL;
	memcpy(dir->component, component, len);
	dir->component_len = len;
	dir->name = strdup(name);
	if (dir->name == NULL) {
		free(dir);
		return NULL;
	}
	return dir;
}

static void dir_free(struct target_dir *dir)
{
	if (dir == NULL)
		return;
	free(dir->meta);
	free(dir->name);
	free(dir);
}

DEFINE_CLEANUP(struct target_dir *, dir_free)
DEFINE_CLEANUP(struct target_dirs *, target_dirs_free)

static void close_level(struct level *l)
{
	if (l->fd >= 0)
		(void)close(l->fd); /* O_PATH: nothing to lose */
	l->fd = -1;
}

static void pop(struct target_dirs *d)
{
	struct level *l = &d->levels[d->top--];
	close_level(l);
	id_map_done(&l->made);
}

static int reserve_level(struct target_dirs *d, size_t index, struct err *err)
{
	if (index < d->cap)
		return 0;
	/* a key bounds the depth: ENTRY_MAX_KEY_BYTES / 2 levels */
	size_t cap = index + 1 > d->cap * 2 ? index + 1 : d->cap * 2;
	struct level *bigger = reallocarray(d->levels, cap, sizeof(*bigger));
	if (bigger == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memset(bigger + d->cap, 0, (cap - d->cap) * sizeof(*bigger));
	d->levels = bigger;
	d->cap = cap;
	return 0;
}

int target_dirs_new(int root_fd, struct target_dirs **out, struct err *err)
{
	CLEANUP(target_dirs_free_p) struct target_dirs *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->levels = calloc(TARGET_DIRS_MAX_OPEN, sizeof(*d->levels));
	if (d->levels == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->cap = TARGET_DIRS_MAX_OPEN;
	d->levels[0].fd = -1;
	d->root = dir_new((const uint8_t *)"", 0, "");
	if (d->root == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->levels[0].dir = d->root;
	d->levels[0].fd = openat(root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	if (d->levels[0].fd < 0 || fstat(d->levels[0].fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to open the target directory");
	d->root->dev = st.st_dev;
	d->root->ino = st.st_ino;
	*out = TAKE(d);
	return 0;
}

void target_dirs_free(struct target_dirs *d)
{
	if (d == NULL)
		return;
	if (d->levels != NULL) {
		while (d->top > 0)
			pop(d);
		close_level(&d->levels[0]);
		id_map_done(&d->levels[0].made);
	}
	for (size_t i = 0; i < d->count; i++)
		dir_free(d->all[i]);
	free(d->all);
	dir_free(d->root);
	free(d->levels);
	free(d);
}

size_t target_dirs_leave(struct target_dirs *d, const uint8_t *key, size_t len)
{
	size_t same = 0, most = d->levels[d->top].path_len;
	while (same < most && same < len && d->path[same] == key[same])
		same++;
	for (; d->top > 0; pop(d)) {
		size_t path_len = d->levels[d->top].path_len;
		if (path_len <= same && path_len < len && key[path_len] == 0)
			return path_len + 1;
	}
	return 0;
}

/* Open one known directory below ${dirfd}, and be sure that it is the one known. */
static int step(int dirfd, const struct target_dir *dir, int *out, struct err *err)
{
	char text[RESTORE_NOTE_PATH_BYTES];
	const uint8_t *component = (const uint8_t *)dir->component;
	CLEANUP(cleanup_close_p) int fd = open_component(dirfd, dir->name);
	struct stat st;
	if (fd < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT && errno != EXDEV)
		return err_sys(err, ERR_IO, "unable to open the directory '%s'",
			restore_note_path(component, dir->component_len, text));
	if (fd >= 0 && fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to read the state of a directory");
	if (fd < 0 || st.st_dev != dir->dev || st.st_ino != dir->ino)
		return err_set(err, ERR_FAILED, "'%s' was moved or replaced during the restore",
			restore_note_path(component, dir->component_len, text));
	*out = TAKE_FD(fd);
	return 0;
}

static void close_far(struct target_dirs *d, size_t index)
{
	if (index > TARGET_DIRS_MAX_OPEN)
		close_level(&d->levels[index - TARGET_DIRS_MAX_OPEN]);
}

int target_dirs_fd(struct target_dirs *d, int *fd, struct err *err)
{
	size_t i = d->top;
	while (d->levels[i].fd < 0)
		i--;
	while (i < d->top) {
		i++;
		int rc = step(d->levels[i - 1].fd, d->levels[i].dir, &d->levels[i].fd, err);
		if (rc != 0)
			return rc;
		close_far(d, i);
	}
	*fd = d->levels[d->top].fd;
	return 0;
}

static int remember(struct target_dirs *d, struct target_dir *dir, struct err *err)
{
	if (d->count >= TARGET_DIRS_MAX)
		return err_set(err, ERR_LIMIT, "more than %zu directories", TARGET_DIRS_MAX);
	if (d->count == d->all_cap) {
		size_t cap = d->all_cap == 0 ? 64 : d->all_cap * 2;
		struct target_dir **bigger = reallocarray(d->all, cap, sizeof(struct target_dir *));
		if (bigger == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		d->all = bigger;
		d->all_cap = cap;
	}
	d->all[d->count++] = dir;
	return 0;
}

int target_dirs_enter(struct target_dirs *d, const char *name, const uint8_t *component,
	size_t component_len, struct err *err)
{
	size_t path_len = d->levels[d->top].path_len;
	size_t start = path_len == 0 ? 0 : path_len + 1;
	if (component_len > sizeof(d->path) - start)
		return err_set(err, ERR_LIMIT, "path is too long");
	int parent_fd;
	int rc = target_dirs_fd(d, &parent_fd, err);
	if (rc != 0 || (rc = reserve_level(d, d->top + 1, err)) != 0)
		return rc;
	CLEANUP(dir_free_p) struct target_dir *dir = dir_new(component, component_len, name);
	if (dir == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");

	CLEANUP(cleanup_close_p) int fd = open_component(parent_fd, name);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to open the directory");
	dir->parent = d->levels[d->top].dir;
	dir->depth = dir->parent->depth + 1;
	dir->dev = st.st_dev;
	dir->ino = st.st_ino;
	rc = remember(d, dir, err);
	if (rc != 0)
		return rc;

	if (path_len > 0)
		d->path[path_len] = 0;
	memcpy(d->path + start, component, component_len);
	d->levels[++d->top] = (struct level){
		.dir = TAKE(dir),
		.fd = TAKE_FD(fd),
		.path_len = start + component_len,
	};
	close_far(d, d->top);
	return 0;
}

int target_dirs_go(struct target_dirs *d, struct target_dir *to, struct err *err)
{
	int rc = reserve_level(d, to->depth, err);
	if (rc != 0)
		return rc;
	size_t same = to->depth;
	for (struct target_dir *dir = to; same > 0; same--, dir = dir->parent) {
		if (same <= d->top && d->levels[same].dir == dir)
			break;
		d->levels[same].pending = dir;
	}
	while (d->top > same)
		pop(d);
	while (d->top < to->depth) {
		d->top++;
		d->levels[d->top] = (struct level){ .dir = d->levels[d->top].pending, .fd = -1 };
	}
	int fd;
	return target_dirs_fd(d, &fd, err);
}

/* One directory on the way down. */
struct way {
	const struct target_dir *dir;
};

int target_dirs_open(struct target_dirs *d, const struct target_dir *dir, int *fd, struct err *err)
{
	CLEANUP(cleanup_free_p)
	struct way *way = calloc((size_t)dir->depth + 1, sizeof(*way));
	if (way == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* start at the nearest ancestor that is at hand and open; the root always is */
	size_t i = dir->depth;
	for (const struct target_dir *up = dir; i > 0; i--, up = up->parent) {
		if (i <= d->top && d->levels[i].dir == up && d->levels[i].fd >= 0)
			break;
		way[i].dir = up;
	}
	CLEANUP(cleanup_close_p) int at = fcntl(d->levels[i].fd, F_DUPFD_CLOEXEC, 0);
	if (at < 0)
		return err_sys(err, ERR_IO, "unable to open a directory");
	while (i < dir->depth) {
		int next = -1;
		int rc = step(at, way[++i].dir, &next, err);
		if (rc != 0)
			return rc;
		(void)close(at); /* O_PATH: nothing to lose */
		at = next;
	}
	*fd = TAKE_FD(at);
	return 0;
}

struct target_dir *target_dirs_top(const struct target_dirs *d)
{
	return d->levels[d->top].dir;
}

struct target_dir *target_dirs_root(const struct target_dirs *d)
{
	return d->root;
}

struct id_map *target_dirs_made(struct target_dirs *d)
{
	return &d->levels[d->top].made;
}

size_t target_dirs_count(const struct target_dirs *d)
{
	return d->count;
}

struct target_dir *target_dirs_at(const struct target_dirs *d, size_t i)
{
	return d->all[i];
}

int target_dirs_key(const struct target_dir *dir, struct buf *out, struct err *err)
{
	size_t len = 0;
	for (const struct target_dir *up = dir; up->parent != NULL; up = up->parent)
		len += up->component_len + (len > 0);
	size_t start = out->len;
	int rc = buf_add_zero(out, len, err);
	if (rc != 0)
		return rc;
	/* from the end, since a directory knows its parent only */
	for (const struct target_dir *up = dir; up->parent != NULL; up = up->parent) {
		len -= up->component_len;
		memcpy(out->data + start + len, up->component, up->component_len);
		if (len > 0)
			len--;
	}
	return 0;
}
