#include "restore/target_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "restore/owner_map.h"
#include "restore/restore_note.h"
#include "vault/entry.h"

/*
 * INVARIANTS
 * (1) Order: owner (clears capabilities and set-id bits), attributes, mode, ACLs (their mask is in
 *     the mode), time, flags.
 * (2) No set-id bit is given to a file whose owner or group is not the one it had.
 * (3) Nothing is done by a name: only through the descriptor, or its own link in /proc.
 */

_Static_assert(TARGET_META_FLAGS ==
		       (FS_APPEND_FL | FS_IMMUTABLE_FL | FS_SYNC_FL | FS_NODUMP_FL | FS_NOATIME_FL),
	"the mask is made of the kernel's values");

#define ACL_PREFIX "system.posix_acl_"
#define NAME_TEXT_BYTES 1024

struct object {
	int fd;
	bool is_path;
	char proc[40]; /* the descriptor's link, for calls that refuse O_PATH */
	const struct entry *entry;
	struct restore_note *note;
};

static int set_xattr(const struct object *o, const char *name, const struct entry_xattr *x)
{
	return o->is_path ? setxattr(o->proc, name, x->value, x->value_len, 0)
			  : fsetxattr(o->fd, name, x->value, x->value_len, 0);
}

static int remove_xattr(const struct object *o, const char *name)
{
	return o->is_path ? removexattr(o->proc, name) : fremovexattr(o->fd, name);
}

static ssize_t list_xattr(const struct object *o, char *out, size_t size)
{
	return o->is_path ? listxattr(o->proc, out, size) : flistxattr(o->fd, out, size);
}

static bool starts_with(const char *name, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);
	return len >= n && memcmp(name, prefix, n) == 0;
}

static bool has_xattr(const struct entry *e, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < e->xattr_count; i++) {
		if (e->xattrs[i].name_len == len && memcmp(e->xattrs[i].name, name, len) == 0)
			return true;
	}
	return false;
}

/* Labels and measurements of the running system are its own affair; these are the object's. */
static bool is_own_xattr(const char *name)
{
	size_t len = strlen(name);
	return starts_with(name, len, "user.") || starts_with(name, len, "trusted.") ||
	       starts_with(name, len, ACL_PREFIX) || strcmp(name, "security.capability") == 0;
}

/* What failed is only root's to set, and we are not: nobody can have expected it. */
static bool is_roots(int error)
{
	return geteuid() != 0 && (error == EPERM || error == EACCES);
}

static void note_xattr(const struct object *o, const char *verb, const char *name, size_t len)
{
	char text[NAME_TEXT_BYTES];
	int saved = errno;
	bool is_user = starts_with(name, len, "user.") || starts_with(name, len, ACL_PREFIX);
	(void)escape_text(text, sizeof(text), name, len); /* the length is not needed */
	restore_note_add(o->note,
		!is_user && is_roots(saved) ? RESTORE_NOTE_RIGHTS : RESTORE_NOTE_XATTR,
		"unable to %s the attribute '%s': %s", verb, text, strerror(saved));
}

/* A new object can inherit ACLs, an existing directory can have anything. */
static void remove_foreign_xattrs(const struct object *o)
{
	ssize_t size = list_xattr(o, NULL, 0);
	if (size <= 0)
		return; /* none, or a file system without attributes */
	CLEANUP(cleanup_free_p) char *names = malloc((size_t)size + 1);
	if (names == NULL) {
		errno = ENOMEM;
		note_xattr(o, "list", "*", 1);
		return;
	}
	size = list_xattr(o, names, (size_t)size);
	if (size < 0) {
		note_xattr(o, "list", "*", 1);
		return;
	}
	names[size] = '\0';
	for (const char *name = names; name < names + size; name += strlen(name) + 1) {
		if (is_own_xattr(name) && !has_xattr(o->entry, name) &&
			remove_xattr(o, name) != 0 && errno != ENODATA)
			note_xattr(o, "remove", name, strlen(name));
	}
}

static void apply_xattrs(const struct object *o, bool acls)
{
	for (size_t i = 0; i < o->entry->xattr_count; i++) {
		const struct entry_xattr *x = &o->entry->xattrs[i];
		char name[XATTR_NAME_MAX + 1];
		if (starts_with(x->name, x->name_len, ACL_PREFIX) != acls)
			continue;
		if (x->name_len > XATTR_NAME_MAX || memchr(x->name, '\0', x->name_len) != NULL) {
			errno = EINVAL;
			note_xattr(o, "set", x->name, x->name_len);
			continue;
		}
		memcpy(name, x->name, x->name_len);
		name[x->name_len] = '\0';
		if (set_xattr(o, name, x) != 0)
			note_xattr(o, "set", x->name, x->name_len);
	}
}

/* Try to set the owner; ${st} is the state before and becomes that after. */
static void set_owner(const struct object *o, uid_t uid, gid_t gid, struct stat *st)
{
	int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
	int rc = fchownat(o->fd, "", uid, gid, flags);
	int saved = errno;
	if (rc != 0 && st->st_gid != gid) {
		/* an ordinary user can still hand a file to a group of his */
		int group_rc = fchownat(o->fd, "", (uid_t)-1, gid, flags);
		(void)group_rc; /* judged by what the state is then */
	}
	if (fstat(o->fd, st) != 0 || st->st_uid != uid || st->st_gid != gid)
		restore_note_add(o->note, RESTORE_NOTE_OWNER, "unable to set the owner %u:%u: %s",
			uid, gid, rc != 0 ? strerror(saved) : "the system kept another one");
}

/* Return the set-id bits that must not be given, since their owner is not there. */
static uint32_t apply_owner(const struct target_meta_how *how, const struct object *o)
{
	const struct entry *e = o->entry;
	struct stat st;
	if (fstat(o->fd, &st) != 0) {
		restore_note_add(o->note, RESTORE_NOTE_OWNER, "unable to read the owner: %s",
			strerror(errno));
		return S_ISUID | S_ISGID;
	}
	uid_t uid = e->uid;
	gid_t gid = e->gid;
	if (how->owners != NULL) {
		uid = owner_map_uid(how->owners, e->user, uid);
		gid = owner_map_gid(how->owners, e->group, gid);
	}
	if (!how->no_owner && (st.st_uid != uid || st.st_gid != gid))
		set_owner(o, uid, gid, &st);
	uint32_t left_out = 0;
	if (st.st_uid != uid)
		left_out |= S_ISUID;
	if (st.st_gid != gid && e->kind != ENTRY_DIR)
		left_out |= S_ISGID;
	return left_out;
}

/* What was set, to be compared with what the system made of it. */
struct wanted {
	bool has_mode, has_time;
	uint32_t mode;
};

static void apply_mode(const struct object *o, uint32_t left_out, struct wanted *wanted)
{
	uint32_t mode = o->entry->mode & 07777;
	if ((mode & left_out) != 0) {
		restore_note_add(o->note, geteuid() == 0 ? RESTORE_NOTE_MODE : RESTORE_NOTE_RIGHTS,
			"set-id bits left out, since the owner is another one");
		mode &= ~left_out;
	}
	int rc = o->is_path ? chmod(o->proc, mode) : fchmod(o->fd, mode);
	wanted->mode = mode;
	wanted->has_mode = rc == 0;
	if (rc != 0)
		restore_note_add(o->note, RESTORE_NOTE_MODE, "unable to set the mode %04o: %s",
			mode, strerror(errno));
}

static void apply_time(const struct object *o, struct wanted *wanted)
{
	const struct entry_time *t = &o->entry->mtime;
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = t->s, .tv_nsec = (long)t->ns },
	};
	int rc = o->is_path ? utimensat(o->fd, "", times, AT_EMPTY_PATH) : futimens(o->fd, times);
	wanted->has_time = rc == 0;
	if (rc != 0)
		restore_note_add(
			o->note, RESTORE_NOTE_TIME, "unable to set the time: %s", strerror(errno));
}

/* One look at the end tells what of mode and time is not as it was set. */
static void compare_state(const struct object *o, const struct wanted *wanted)
{
	const struct entry_time *t = &o->entry->mtime;
	struct stat st;
	if (fstat(o->fd, &st) != 0)
		return; /* what was set was set */
	if (wanted->has_mode && (st.st_mode & 07777) != wanted->mode)
		restore_note_add(o->note, RESTORE_NOTE_MODE, "mode %04o became %04o", wanted->mode,
			(unsigned)st.st_mode & 07777);
	if (wanted->has_time && (st.st_mtim.tv_sec != t->s || st.st_mtim.tv_nsec != (long)t->ns))
		restore_note_add(o->note, RESTORE_NOTE_TIME,
			"the file system cannot hold the time %lld.%09u; it is %lld.%09ld now",
			(long long)t->s, t->ns, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

void target_meta_flags(int fd, uint32_t want, uint32_t mask, struct restore_note *note)
{
	unsigned now = 0; /* the kernel moves an int, whatever the request's number says */
	if (ioctl(fd, FS_IOC_GETFLAGS, &now) != 0) {
		if ((want & mask) != 0)
			restore_note_add(note, RESTORE_NOTE_FLAGS,
				"unable to read the inode flags: %s", strerror(errno));
		return;
	}
	unsigned then = (now & ~mask) | (want & mask);
	if (then != now && ioctl(fd, FS_IOC_SETFLAGS, &then) != 0)
		restore_note_add(note, is_roots(errno) ? RESTORE_NOTE_RIGHTS : RESTORE_NOTE_FLAGS,
			"unable to set the inode flags 0x%x: %s", want & mask, strerror(errno));
}

void target_meta_apply(const struct target_meta_how *how, int fd, bool is_path,
	const struct entry *e, uint32_t flags, struct restore_note *note)
{
	struct object o = { .fd = fd, .is_path = is_path, .entry = e, .note = note };
	(void)snprintf(o.proc, sizeof(o.proc), "/proc/self/fd/%d", fd); /* fits any int */

	struct wanted wanted = { .has_mode = false };
	uint32_t left_out = apply_owner(how, &o);
	remove_foreign_xattrs(&o);
	apply_xattrs(&o, false);
	if (e->kind != ENTRY_SYMLINK) {
		apply_mode(&o, left_out, &wanted);
		apply_xattrs(&o, true);
	}
	apply_time(&o, &wanted);
	compare_state(&o, &wanted);
	if ((e->flags & ~TARGET_META_FLAGS) != 0)
		restore_note_add(note, RESTORE_NOTE_FLAGS, "inode flags 0x%x are not restored",
			e->flags & ~TARGET_META_FLAGS);
	if (!is_path)
		target_meta_flags(fd, e->flags, flags, note);
	else if ((e->flags & flags) != 0)
		restore_note_add(note, RESTORE_NOTE_FLAGS,
			"unable to set the inode flags 0x%x of this kind", e->flags & flags);
}

/* Bytes of the block; 0 when it would pass the limit. */
static size_t copy_size(const struct entry *e, size_t user, size_t group)
{
	if (e->xattr_count > ENTRY_MAX_XATTRS)
		return 0;
	size_t size = sizeof(*e) + e->xattr_count * sizeof(*e->xattrs) + user + group;
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		if (x->name_len > ENTRY_MAX_XATTR_BYTES || x->value_len > ENTRY_MAX_XATTR_BYTES)
			return 0;
		size += x->name_len + x->value_len;
	}
	return size <= TARGET_META_MAX_BYTES ? size : 0;
}

static void *put(char **at, const void *data, size_t len)
{
	void *start = *at;
	if (len > 0)
		memcpy(start, data, len);
	*at += len;
	return start;
}

int target_meta_copy(const struct entry *e, struct entry **out, struct err *err)
{
	size_t user = e->user == NULL ? 0 : strlen(e->user) + 1;
	size_t group = e->group == NULL ? 0 : strlen(e->group) + 1;
	size_t size = copy_size(e, user, group);
	if (size == 0)
		return err_set(err, ERR_LIMIT, "too many or too long attributes");
	struct entry *copy = calloc(1, size);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	copy->kind = e->kind;
	copy->mode = e->mode;
	copy->uid = e->uid;
	copy->gid = e->gid;
	copy->mtime = e->mtime;
	copy->flags = e->flags;

	struct entry_xattr *xattrs = (struct entry_xattr *)(copy + 1);
	char *at = (char *)(xattrs + e->xattr_count);
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		xattrs[i].name = put(&at, x->name, x->name_len);
		xattrs[i].name_len = x->name_len;
		xattrs[i].value = put(&at, x->value, x->value_len);
		xattrs[i].value_len = x->value_len;
	}
	copy->xattrs = xattrs;
	copy->xattr_count = e->xattr_count;
	copy->user = user == 0 ? NULL : put(&at, e->user, user);
	copy->group = group == 0 ? NULL : put(&at, e->group, group);
	*out = copy;
	return 0;
}
