#include "agents/sources/file_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agents/sources/owner_names.h"
#include "base/buf.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Pointers into ${values} are made only when the last value is in it: it moves as it grows.
 * (2) What is odd never makes an entry wrong, only poorer, and is told.
 */

#define MAX_LIST_BYTES 65536 /* XATTR_LIST_MAX, and what the kernel gives at most */

/* What restore can set again.  The rest describes how the file system stores a file. */
#define KEPT_FLAGS                                                                                 \
	(FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL |              \
		FS_DIRSYNC_FL | FS_NOCOW_FL)

struct file_meta {
	struct owner_names *owners;
	struct buf target, list, values;
	struct entry_xattr *xattrs; /* owned, ENTRY_MAX_XATTRS */
};

int file_meta_new(struct file_meta **out, struct err *err)
{
	struct file_meta *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->target = (struct buf)BUF_INIT(ENTRY_MAX_TARGET_BYTES + 1);
	m->list = (struct buf)BUF_INIT(MAX_LIST_BYTES);
	m->values = (struct buf)BUF_INIT(FILE_META_MAX_ATTR_BYTES);
	m->xattrs = calloc(ENTRY_MAX_XATTRS, sizeof(*m->xattrs));
	int rc = m->xattrs == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				   : owner_names_new(&m->owners, err);
	if (rc != 0) {
		file_meta_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void file_meta_free(struct file_meta *m)
{
	if (m == NULL)
		return;
	owner_names_free(m->owners);
	buf_done(&m->target);
	buf_done(&m->list);
	buf_done(&m->values);
	free(m->xattrs);
	free(m);
}

int file_meta_look(int dirfd, const char *name, struct statx *out)
{
	struct statx sx;
	if (statx(dirfd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		    STATX_BASIC_STATS | STATX_BTIME, &sx) != 0)
		return -1;
	*out = sx;
	return 0;
}

int file_meta_stat(int fd, struct statx *out)
{
	return file_meta_look(fd, "", out);
}

enum entry_kind file_meta_kind(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return ENTRY_FILE;
	case S_IFDIR:
		return ENTRY_DIR;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFIFO:
		return ENTRY_FIFO;
	case S_IFCHR:
		return ENTRY_CHAR;
	case S_IFBLK:
		return ENTRY_BLOCK;
	default:
		return 0;
	}
}

static struct entry_time time_of(const struct statx_timestamp *t)
{
	return (struct entry_time){ .s = t->tv_sec, .ns = t->tv_nsec };
}

/* ---- link target ----------------------------------------------------------------------------- */

static int read_target(
	struct file_meta *m, int fd, struct entry *out, struct err *odd, struct err *err)
{
	for (size_t room = 256; room <= ENTRY_MAX_TARGET_BYTES; room *= 4) {
		buf_clear(&m->target);
		int rc = buf_reserve(&m->target, room, err);
		if (rc != 0)
			return rc;
		ssize_t n = readlinkat(fd, "", (char *)m->target.data, room);
		if (n < 0) {
			(void)err_sys(odd, ERR_IO, "unable to read the link"); /* told */
			return 0;
		}
		if ((size_t)n < room) {
			out->target = m->target.data;
			out->target_len = (size_t)n;
			return 0;
		}
	}
	(void)err_set(odd, ERR_LIMIT, "the link's target is too long"); /* told */
	return 0;
}

/* ---- inode flags ----------------------------------------------------------------------------- */

static uint32_t read_flags(const struct file_meta_from *from)
{
	unsigned flags = 0;
	if (!from->is_path_only && !*from->has_no_flags) {
		if (ioctl(from->fd, FS_IOC_GETFLAGS, &flags) == 0)
			return flags & KEPT_FLAGS;
		if (errno == ENOTTY || errno == EOPNOTSUPP || errno == ENOSYS)
			*from->has_no_flags = true;
	}
	/* the poorer answer, for what cannot be opened */
	flags = 0;
	if ((from->sx->stx_attributes & STATX_ATTR_IMMUTABLE) != 0)
		flags |= FS_IMMUTABLE_FL;
	if ((from->sx->stx_attributes & STATX_ATTR_APPEND) != 0)
		flags |= FS_APPEND_FL;
	if ((from->sx->stx_attributes & STATX_ATTR_NODUMP) != 0)
		flags |= FS_NODUMP_FL;
	return flags;
}

/* ---- extended attributes --------------------------------------------------------------------- */

/* An O_PATH descriptor is asked through its name in /proc, which leads to the file itself, also
 * when that is a symbolic link. */
struct xattr_door {
	int fd;
	char path[40]; /* "": ask fd */
};

static ssize_t list_names(const struct xattr_door *d, char *out, size_t size)
{
	return d->path[0] == '\0' ? flistxattr(d->fd, out, size) : listxattr(d->path, out, size);
}

static ssize_t get_value(const struct xattr_door *d, const char *name, void *out, size_t size)
{
	return d->path[0] == '\0' ? fgetxattr(d->fd, name, out, size)
				  : getxattr(d->path, name, out, size);
}

/* Fill m->list.  Return 0; -1 and errno. */
static int read_list(struct file_meta *m, const struct xattr_door *door, struct err *err)
{
	for (size_t room = 4096;; room = MAX_LIST_BYTES) {
		buf_clear(&m->list);
		int rc = buf_reserve(&m->list, room, err);
		if (rc != 0)
			return rc;
		ssize_t n = list_names(door, (char *)m->list.data, room);
		if (n >= 0) {
			m->list.len = (size_t)n;
			return 0;
		}
		if (errno != ERANGE || room == MAX_LIST_BYTES)
			return -1;
	}
}

/* Append one value to m->values.  Return 0, or -1 and errno; -ERR_LIMIT, -ERR_NOMEM. */
static int read_value(struct file_meta *m, const struct xattr_door *door, const char *name,
	size_t *len, struct err *err)
{
	for (size_t room = 1024;; room = ENTRY_MAX_XATTR_BYTES) {
		int rc = buf_reserve(&m->values, room, err);
		if (rc != 0)
			return rc;
		ssize_t n = get_value(door, name, m->values.data + m->values.len, room);
		if (n >= 0) {
			m->values.len += (size_t)n;
			*len = (size_t)n;
			return 0;
		}
		if (errno != ERANGE || room == ENTRY_MAX_XATTR_BYTES)
			return -1;
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct entry_xattr *x = a, *y = b;
	return strcmp(x->name, y->name);
}

/* The values stand one after the other in the order of reading: point to them, then sort. */
static void finish_xattrs(struct file_meta *m, size_t count, struct entry *out)
{
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		m->xattrs[i].value = m->values.data + at;
		at += m->xattrs[i].value_len;
	}
	qsort(m->xattrs, count, sizeof(*m->xattrs), compare_names);
	out->xattrs = m->xattrs;
	out->xattr_count = count;
}

/* Read the values of the names in m->list; what fails is told in ${odd}, the rest is kept. */
static int read_values(struct file_meta *m, const struct xattr_door *door, size_t *count,
	struct err *odd, struct err *err)
{
	const char *name = (const char *)m->list.data, *end = name + m->list.len;
	buf_clear(&m->values);
	*count = 0;
	for (; name < end; name += strnlen(name, (size_t)(end - name)) + 1) {
		size_t len = strnlen(name, (size_t)(end - name)), value_len = 0;
		if (len == 0 || name + len == end)
			continue; /* the kernel ends each with a NUL */
		if (*count == ENTRY_MAX_XATTRS) {
			(void)err_set(odd, ERR_LIMIT, "too many extended attributes"); /* told */
			return 0;
		}
		int rc = read_value(m, door, name, &value_len, err);
		if (rc == -ERR_LIMIT) {
			(void)err_set(odd, ERR_LIMIT, "too large extended attributes"); /* told */
			return 0;
		}
		if (rc == -ERR_NOMEM)
			return rc;
		if (rc != 0) {
			if (errno != ENODATA) /* removed meanwhile: it is not there */
				(void)err_sys(odd, ERR_IO,
					"unable to read the extended attribute '%s'", name);
			continue;
		}
		m->xattrs[(*count)++] = (struct entry_xattr){
			.name = name, .name_len = len, .value_len = value_len
		};
	}
	return 0;
}

static int read_xattrs(struct file_meta *m, const struct file_meta_from *from, struct entry *out,
	struct err *odd, struct err *err)
{
	struct xattr_door door = { .fd = from->fd };
	if (from->is_path_only)
		(void)snprintf(
			door.path, sizeof(door.path), "/proc/self/fd/%d", from->fd); /* fits */
	int rc = read_list(m, &door, err);
	if (rc == -1) {
		if (errno != EOPNOTSUPP && errno != ENOSYS)
			(void)err_sys(odd, ERR_IO, "unable to list the extended attributes");
		return 0;
	}
	size_t count = 0;
	if (rc == 0)
		rc = read_values(m, &door, &count, odd, err);
	if (rc == 0)
		finish_xattrs(m, count, out);
	return rc;
}

int file_meta_read(struct file_meta *m, const struct file_meta_from *from, struct entry *out,
	struct err *odd, struct err *err)
{
	const struct statx *sx = from->sx;
	struct entry e = { .kind = file_meta_kind(sx->stx_mode),
		.mode = sx->stx_mode & 07777,
		.uid = sx->stx_uid,
		.gid = sx->stx_gid,
		.mtime = time_of(&sx->stx_mtime) };
	err_clear(odd);
	if (e.kind == 0)
		return err_set(err, ERR_UNSUPPORTED, "a socket, or of no known kind");
	int rc = owner_names_find(m->owners, e.uid, e.gid, &e.user, &e.group, err);
	if (rc != 0)
		return rc;
	if ((sx->stx_mask & STATX_BTIME) != 0) {
		e.has_btime = true;
		e.btime = time_of(&sx->stx_btime);
	}
	if (e.kind == ENTRY_FILE)
		e.size = sx->stx_size;
	if (!from->is_brief && (e.kind == ENTRY_FILE || e.kind == ENTRY_DIR))
		e.flags = read_flags(from);
	if (e.kind == ENTRY_CHAR || e.kind == ENTRY_BLOCK) {
		e.dev_major = sx->stx_rdev_major;
		e.dev_minor = sx->stx_rdev_minor;
	}
	if (!from->is_brief)
		rc = read_xattrs(m, from, &e, odd, err);
	if (rc == 0 && e.kind == ENTRY_SYMLINK)
		rc = read_target(m, from->fd, &e, odd, err);
	if (rc == 0)
		*out = e;
	return rc;
}
