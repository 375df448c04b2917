#include "restore/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "restore/target_dirs.h"
#include "restore/target_sweep.h"
#include "vault/entry.h"

/*
 * INVARIANTS
 * (1) An object gets content and metadata under a temporary name, and its own name last.
 * (2) What existed is replaced by a new object, never written to; only an existing directory gets
 *     metadata.
 * (3) In the map of the directory at hand are the inodes to which this restore gave or left a name
 *     there.  RESTORE_REFUSE needs none: all that is there is ours.
 * (4) What may fail for lack of memory is done before a name is taken.
 */

void restore_place_done(struct restore_place *p)
{
	while (p->remembered != NULL) {
		struct restore_remembered *next = p->remembered->next;
		free(p->remembered);
		p->remembered = next;
	}
	id_map_done(&p->groups);
}

static const struct id_map *made(const struct restore_place *p)
{
	return p->overwrite == RESTORE_REFUSE ? NULL : target_dirs_made(p->dirs);
}

static int add_made(struct restore_place *p, const struct stat *st, struct err *err)
{
	if (p->overwrite == RESTORE_REFUSE)
		return 0;
	return id_map_put(target_dirs_made(p->dirs), st->st_dev, st->st_ino, NULL, err);
}

static bool is_device(const struct entry *e)
{
	return e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK;
}

/* ---- what exists ----------------------------------------------------------------------------- */

static bool is_unchanged(const struct entry *e, const struct stat *st)
{
	if ((st->st_mode & S_IFMT) != entry_kind_mode(e->kind) ||
		st->st_mtim.tv_sec != e->mtime.s || st->st_mtim.tv_nsec != (long)e->mtime.ns)
		return false;
	if (e->kind == ENTRY_FILE)
		return (uint64_t)st->st_size == e->size;
	if (e->kind == ENTRY_SYMLINK)
		return (uint64_t)st->st_size == e->target_len;
	return !is_device(e) || st->st_rdev == makedev(e->dev_major, e->dev_minor);
}

/*
 * Let the overwrite rule judge what has the name; afterwards no directory has it.  ${linked}: the
 * entry becomes a link of its group, so that another inode is a change, whatever its size and time.
 */
static int judge(struct restore_place *p, struct restore_put *put, bool linked, struct err *err)
{
	const struct stat *st = &put->name.st;
	put->step = RESTORE_STEP_DATA;
	if (!put->name.exists)
		return 0;
	if (p->overwrite == RESTORE_KEEP ||
		(p->overwrite == RESTORE_IF_CHANGED && !linked && is_unchanged(put->entry, st))) {
		put->step = RESTORE_STEP_KEPT;
		p->stats.kept++;
		/* a file with more names may be what another entry keeps, too: no collision */
		return S_ISDIR(st->st_mode) || st->st_nlink == 1 ? add_made(p, st, err) : 0;
	}
	if (!S_ISDIR(st->st_mode))
		return 0;
	if (env_unlinkat(put->dirfd, put->name.name, AT_REMOVEDIR) != 0) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return err_set(err, ERR_EXISTS, "a directory that is not empty is there");
		return err_sys(err, ERR_IO, "unable to remove the directory that is there");
	}
	put->name.exists = false;
	return 0;
}

/* ---- names that are needed again ------------------------------------------------------------- */

static struct restore_remembered *find_group(const struct restore_place *p, const struct entry *e)
{
	void *value = NULL;
	if (e->hardlink == 0 || !id_map_get(&p->groups, 0, e->hardlink, &value))
		return NULL;
	struct restore_remembered *r = value;
	return r->is_there ? r : NULL;
}

/* Store NULL when the name is never needed again. */
static int remember(struct restore_place *p, const struct restore_put *put, const struct stat *st,
	struct restore_remembered **out, struct err *err)
{
	const struct entry *e = put->entry;
	uint32_t late = e->kind == ENTRY_FILE ? e->flags & TARGET_META_LATE_FLAGS : 0;
	*out = NULL;
	if (e->hardlink == 0 && late == 0)
		return 0;
	size_t size = strlen(put->name.name) + 1;
	struct restore_remembered *r = calloc(1, sizeof(*r) + size);
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->next = p->remembered;
	p->remembered = r;
	r->dir = target_dirs_top(p->dirs);
	r->dev = st->st_dev;
	r->ino = st->st_ino;
	r->late_flags = late;
	memcpy(r->name, put->name.name, size);
	*out = r;
	return e->hardlink == 0 ? 0 : id_map_put(&p->groups, 0, e->hardlink, r, err);
}

int restore_place_take(struct restore_place *p, const struct restore_put *put, const char *temp,
	const struct stat *st, struct err *err)
{
	struct restore_remembered *r;
	int rc = remember(p, put, st, &r, err);
	if (rc == 0)
		rc = add_made(p, st, err);
	if (rc == 0)
		rc = target_name_take(put->dirfd, temp, put->name.name, put->name.exists, err);
	if (rc == 0 && r != NULL)
		r->is_there = true;
	return rc;
}

/* ---- hard links ------------------------------------------------------------------------------ */

static bool is_link_refused(int error)
{
	return error == EMLINK || error == EPERM || error == EXDEV || error == EOPNOTSUPP ||
	       error == ENOSYS;
}

/* Link the group's first name to the one found; put->step = DATA: the file system cannot. */
static int make_link(struct restore_place *p, struct restore_put *put,
	const struct restore_remembered *first, struct err *err)
{
	char temp[TARGET_NAME_TEMP_BYTES];
	CLEANUP(cleanup_close_p) int from = -1;
	int rc = target_dirs_open(p->dirs, first->dir, &from, err);
	if (rc == 0)
		rc = target_name_temp(temp, err);
	if (rc != 0)
		return rc;
	if (env_linkat(from, first->name, put->dirfd, temp, 0) != 0) {
		if (!is_link_refused(errno))
			return err_sys(err, ERR_IO, "unable to link it to its first name");
		restore_note_add(&p->note, RESTORE_NOTE_LINK,
			"a hard link is not possible here; restored as a copy");
		put->step = RESTORE_STEP_DATA;
		return 0;
	}
	struct stat st;
	if (fstatat(put->dirfd, temp, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != first->dev ||
		st.st_ino != first->ino)
		rc = err_set(err, ERR_FAILED, "somebody replaced the first name of its hard link");
	else
		rc = target_name_take(put->dirfd, temp, put->name.name, put->name.exists, err);
	if (rc != 0) {
		(void)env_unlinkat(put->dirfd, temp, 0); /* the first error counts */
		return rc;
	}
	p->stats.links++;
	put->step = RESTORE_STEP_DONE;
	return add_made(p, &st, err);
}

/* A name kept under IF_CHANGED is its group's first one as well as a new one would be. */
static int remember_kept(struct restore_place *p, const struct restore_put *put, struct err *err)
{
	if (put->entry->hardlink == 0 || p->overwrite != RESTORE_IF_CHANGED)
		return 0;
	struct restore_remembered *r;
	int rc = remember(p, put, &put->name.st, &r, err);
	if (rc == 0 && r != NULL) {
		r->late_flags = 0; /* what is kept is not changed */
		r->is_there = true;
	}
	return rc;
}

int restore_place_find(struct restore_place *p, struct restore_put *put, struct err *err)
{
	const struct restore_remembered *first = find_group(p, put->entry);
	struct target_name_rule rule = { .made = made(p) };
	if (first != NULL && rule.made != NULL) {
		rule.own_dev = first->dev;
		rule.own_ino = first->ino;
	}
	int rc = target_name_choose(put->dirfd, put->component, &rule, &p->note, &put->name, err);
	if (rc != 0)
		return rc;
	if (first != NULL && put->name.exists && put->name.st.st_dev == first->dev &&
		put->name.st.st_ino == first->ino) {
		p->stats.kept++;
		put->step = RESTORE_STEP_KEPT;
		return 0;
	}
	rc = judge(p, put, first != NULL, err);
	if (rc == 0 && put->step == RESTORE_STEP_KEPT)
		return remember_kept(p, put, err);
	if (rc == 0 && first != NULL)
		rc = make_link(p, put, first, err);
	return rc;
}

/* ---- links, fifos, devices ------------------------------------------------------------------- */

static int make_node(const struct restore_put *put, const char *temp)
{
	const struct entry *e = put->entry;
	if (e->kind != ENTRY_SYMLINK)
		return mknodat(put->dirfd, temp, entry_kind_mode(e->kind) | 0600,
			is_device(e) ? makedev(e->dev_major, e->dev_minor) : 0);
	CLEANUP(cleanup_free_p) char *target = strndup((const char *)e->target, e->target_len);
	if (target == NULL)
		return -1;
	return symlinkat(target, put->dirfd, temp);
}

/* Fill in the node ${temp}, if it is still the one that was made, and give it its name. */
static int finish_node(
	struct restore_place *p, const struct restore_put *put, const char *temp, struct err *err)
{
	CLEANUP(cleanup_close_p)
	int fd = openat(put->dirfd, temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to open what was just made");
	if ((st.st_mode & S_IFMT) != entry_kind_mode(put->entry->kind) || st.st_nlink != 1)
		return err_set(err, ERR_FAILED, "somebody replaced it while it was made");
	target_meta_apply(&p->how, fd, true, put->entry, 0, &p->note);
	return restore_place_take(p, put, temp, &st, err);
}

int restore_place_node(struct restore_place *p, struct restore_put *put, struct err *err)
{
	char temp[TARGET_NAME_TEMP_BYTES];
	int rc = target_name_temp(temp, err);
	if (rc != 0)
		return rc;
	if (make_node(put, temp) != 0) {
		if (!is_device(put->entry) || errno != EPERM)
			return err_sys(err, ERR_IO, "unable to create it");
		restore_note_add(
			&p->note, RESTORE_NOTE_DEVICE, "left out: a device node needs privilege");
		put->step = RESTORE_STEP_SKIPPED;
		return 0;
	}
	rc = finish_node(p, put, temp, err);
	if (rc != 0) {
		(void)env_unlinkat(put->dirfd, temp, 0); /* the first error counts */
		return rc;
	}
	if (put->entry->kind == ENTRY_SYMLINK)
		p->stats.symlinks++;
	else
		p->stats.specials++;
	put->step = RESTORE_STEP_DONE;
	return 0;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* Whatever but a directory has the name, it is unlinked: a link there is never followed. */
static int make_dir(struct restore_place *p, const struct restore_put *put, struct err *err)
{
	const char *name = put->name.name;
	struct stat st;
	if (put->name.exists && env_unlinkat(put->dirfd, name, 0) != 0)
		return err_sys(err, ERR_IO, "unable to remove what is there");
	if (env_mkdirat(put->dirfd, name, 0700) != 0) {
		if (errno == EEXIST)
			return err_set(err, ERR_EXISTS, "somebody else took the name meanwhile");
		return err_sys(err, ERR_IO, "unable to create the directory");
	}
	if (fstatat(put->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_IO, "unable to open the directory");
	p->stats.dirs++;
	return add_made(p, &st, err);
}

int restore_place_dir(struct restore_place *p, const uint8_t *component, size_t len,
	const struct entry *e, enum restore_step *step, struct err *err)
{
	struct restore_put put = { .entry = e };
	struct target_name_rule rule = { .made = made(p) };
	memcpy(put.component, component, len);
	int rc = target_dirs_fd(p->dirs, &put.dirfd, err);
	if (rc == 0)
		rc = target_name_choose(put.dirfd, put.component, &rule, &p->note, &put.name, err);
	if (rc != 0)
		return rc;

	bool is_dir = put.name.exists && S_ISDIR(put.name.st.st_mode);
	bool keep = put.name.exists && p->overwrite == RESTORE_KEEP;
	if (keep && !is_dir)
		return err_set(err, ERR_EXISTS, "a directory is needed where something else is");
	CLEANUP(cleanup_free_p) struct entry *meta = NULL;
	if (e != NULL && !keep)
		rc = target_meta_copy(e, &meta, err);
	if (rc == 0)
		rc = is_dir ? add_made(p, &put.name.st, err) : make_dir(p, &put, err);
	if (rc == 0)
		rc = target_dirs_enter(p->dirs, put.name.name, component, len, err);
	if (rc != 0)
		return rc;
	target_dirs_top(p->dirs)->meta = TAKE(meta);
	int fd;
	if (is_dir && target_dirs_fd(p->dirs, &fd, NULL) == 0)
		p->stats.leftovers += target_sweep(fd);
	if (keep && e != NULL)
		p->stats.kept++;
	*step = keep ? RESTORE_STEP_KEPT : RESTORE_STEP_DONE;
	return 0;
}
