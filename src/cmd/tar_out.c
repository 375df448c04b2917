#include "cmd/tar_out.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/entry.h"
#include "vault/tree_reader.h"

/*
 * INVARIANTS
 * (1) first[i] is the path under which hard-link group base + i was written, or NULL.
 */

#define GROUPS_MAX (1u << 24)
#define ACL_VERSION 2
#define ACL_HEADER_BYTES 4
#define ACL_ENTRY_BYTES 8

struct tar_out {
	struct archive *archive;
	content_stream_fn fn;
	void *arg;
	struct err write_err; /* what fn said */
	struct buf path;
	char **first; /* owned texts */
	uint64_t base;
	size_t first_count;
};

static int fail(struct tar_out *t, struct err *err)
{
	if (t->write_err.code == 0)
		return err_set(err, ERR_FAILED, "unable to write the archive: %s",
			archive_error_string(t->archive));
	if (err != NULL)
		*err = t->write_err;
	return -t->write_err.code;
}

static la_ssize_t write_block(struct archive *a, void *arg, const void *data, size_t len)
{
	struct tar_out *t = arg;
	if (t->fn(t->arg, data, len, &t->write_err) == 0)
		return (la_ssize_t)len;
	archive_set_error(a, EIO, "%s", t->write_err.msg);
	return -1;
}

int tar_out_new(content_stream_fn fn, void *arg, struct tar_out **out, struct err *err)
{
	struct tar_out *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	t->fn = fn;
	t->arg = arg;
	t->path = (struct buf)BUF_INIT(ENTRY_MAX_KEY_BYTES + 2);
	t->archive = archive_write_new();
	if (t->archive == NULL || archive_write_set_format_pax(t->archive) != ARCHIVE_OK ||
		archive_write_set_options(t->archive, "hdrcharset=BINARY") != ARCHIVE_OK ||
		archive_write_open(t->archive, t, NULL, write_block, NULL) != ARCHIVE_OK) {
		tar_out_free(t);
		return err_set(err, ERR_FAILED, "unable to begin an archive");
	}
	*out = t;
	return 0;
}

void tar_out_free(struct tar_out *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->first_count; i++)
		free(t->first[i]);
	free(t->first);
	buf_done(&t->path);
	(void)archive_write_free(t->archive); /* finish told what was wrong */
	free(t);
}

/* The path of the group's first name; NULL when this is it (then it is remembered). */
static int find_first(struct tar_out *t, const struct entry *e, const char *path, const char **out,
	struct err *err)
{
	*out = NULL;
	if (e->hardlink == 0)
		return 0;
	if (t->first_count == 0)
		t->base = e->hardlink;
	if (e->hardlink < t->base || e->hardlink - t->base >= GROUPS_MAX)
		return 0; /* its first name lies outside: a file of its own */
	size_t i = (size_t)(e->hardlink - t->base);
	if (i >= t->first_count) {
		char **grown = reallocarray(t->first, i + 1, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		memset(grown + t->first_count, 0, (i + 1 - t->first_count) * sizeof(*grown));
		t->first = grown;
		t->first_count = i + 1;
	}
	*out = t->first[i];
	if (t->first[i] == NULL)
		t->first[i] = strdup(path);
	return t->first[i] != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

/* Linux's own form of an access list (system.posix_acl_*): version, then tag, rights, id. */
static void add_acl(struct archive_entry *ae, int type, const uint8_t *data, size_t len)
{
	static const struct {
		uint16_t tag;
		int archive_tag;
	} tags[] = {
		{ 0x01, ARCHIVE_ENTRY_ACL_USER_OBJ },
		{ 0x02, ARCHIVE_ENTRY_ACL_USER },
		{ 0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ },
		{ 0x08, ARCHIVE_ENTRY_ACL_GROUP },
		{ 0x10, ARCHIVE_ENTRY_ACL_MASK },
		{ 0x20, ARCHIVE_ENTRY_ACL_OTHER },
	};
	if (len < ACL_HEADER_BYTES || le32(data) != ACL_VERSION)
		return;
	for (size_t at = ACL_HEADER_BYTES; at + ACL_ENTRY_BYTES <= len; at += ACL_ENTRY_BYTES) {
		uint16_t tag = le16(data + at);
		int rights = le16(data + at + 2) & 7;
		for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
			if (tags[i].tag == tag)
				(void)archive_entry_acl_add_entry(ae, type, rights,
					tags[i].archive_tag, (int)le32(data + at + 4),
					NULL); /* no memory: the write fails too */
		}
	}
}

static void add_xattr(struct archive_entry *ae, const struct entry_xattr *x)
{
	static const char access[] = "system.posix_acl_access";
	static const char preset[] = "system.posix_acl_default";
	char name[256];
	if (x->name_len >= sizeof(name))
		return; /* longer than the system can have */
	memcpy(name, x->name, x->name_len);
	name[x->name_len] = '\0';
	if (strcmp(name, access) == 0)
		add_acl(ae, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, x->value, x->value_len);
	else if (strcmp(name, preset) == 0)
		add_acl(ae, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, x->value, x->value_len);
	else
		archive_entry_xattr_add_entry(ae, name, x->value, x->value_len);
}

static unsigned type_of(const struct entry *e)
{
	switch (e->kind) {
	case ENTRY_FILE:
		return AE_IFREG;
	case ENTRY_DIR:
		return AE_IFDIR;
	case ENTRY_SYMLINK:
		return AE_IFLNK;
	case ENTRY_FIFO:
		return AE_IFIFO;
	case ENTRY_CHAR:
		return AE_IFCHR;
	case ENTRY_BLOCK:
		return AE_IFBLK;
	}
	return AE_IFREG;
}

/* The library prints a time before 1970 as "seconds.nanoseconds" with the sign in front of both, so
 * it gets the two parts of that number instead of ours (seconds rounded down, nanoseconds on top).
 */
static struct entry_time time_for_pax(const struct entry_time *t)
{
	struct entry_time out = *t;
	if (t->s >= 0 || t->ns == 0)
		return out;
	if (t->s == -1) {
		out.ns = 0; /* -0.x: there is no such number of seconds */
		return out;
	}
	out.s = t->s + 1;
	out.ns = 1000000000u - t->ns;
	return out;
}

/* Where the data of a sparse file lies, neighbours joined. */
struct layout {
	struct archive_entry *entry;
	uint64_t at, begin; /* data from begin to at is not told yet */
	bool has_holes;
};

static void tell_run(struct layout *l)
{
	if (l->at > l->begin)
		archive_entry_sparse_add_entry(
			l->entry, (la_int64_t)l->begin, (la_int64_t)(l->at - l->begin));
}

static int add_extent(void *arg, const struct extent *x, struct err *err)
{
	struct layout *l = arg;
	(void)err;
	if (x->is_hole) {
		tell_run(l);
		l->has_holes = true;
		l->begin = l->at + x->length;
	}
	l->at += x->length;
	return 0;
}

static int add_layout(
	struct tree_reader *r, struct archive_entry *ae, const struct entry *e, struct err *err)
{
	struct layout l = { .entry = ae };
	int rc = tree_reader_extents(r, e, add_extent, &l, err);
	if (rc != 0)
		return rc;
	if (!l.has_holes)
		archive_entry_sparse_clear(ae);
	else
		tell_run(&l);
	return 0;
}

static int fill(struct tar_out *t, struct archive_entry *ae, const char *path,
	const struct entry *e, struct err *err)
{
	const char *first;
	int rc = find_first(t, e, path, &first, err);
	if (rc != 0)
		return rc;
	archive_entry_copy_pathname(ae, path);
	archive_entry_set_filetype(ae, type_of(e));
	archive_entry_set_perm(ae, e->mode & 07777);
	archive_entry_set_uid(ae, e->uid);
	archive_entry_set_gid(ae, e->gid);
	archive_entry_copy_uname(ae, e->user);
	archive_entry_copy_gname(ae, e->group);
	struct entry_time mtime = time_for_pax(&e->mtime);
	archive_entry_set_mtime(ae, (time_t)mtime.s, (long)mtime.ns);
	if (e->has_btime && e->btime.s >= 0)
		archive_entry_set_birthtime(ae, (time_t)e->btime.s, (long)e->btime.ns);
	if (e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK)
		archive_entry_set_rdev(ae, makedev(e->dev_major, e->dev_minor));
	if (first != NULL) {
		archive_entry_copy_hardlink(ae, first);
		archive_entry_unset_size(ae);
		return 0;
	}
	if (e->kind == ENTRY_SYMLINK) {
		CLEANUP(cleanup_free_p)
		char *target = strndup((const char *)e->target, e->target_len);
		if (target == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		archive_entry_copy_symlink(ae, target);
	}
	archive_entry_set_size(ae, e->kind == ENTRY_FILE ? (la_int64_t)e->size : 0);
	for (size_t i = 0; i < e->xattr_count; i++)
		add_xattr(ae, &e->xattrs[i]);
	return 0;
}

static int write_data(void *arg, const void *data, size_t len, struct err *err)
{
	struct tar_out *t = arg;
	const char *p = data;
	while (len > 0) {
		la_ssize_t n = archive_write_data(t->archive, p, len);
		if (n <= 0)
			return fail(t, err);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int tar_out_add(struct tar_out *t, const struct record_source *source, struct tree_reader *r,
	const uint8_t *key, size_t key_len, const struct entry *e, struct err *err)
{
	buf_clear(&t->path);
	int rc = entry_key_path(key, key_len, &t->path, err);
	const char *path = rc == 0 ? buf_cstr(&t->path) : NULL;
	struct archive_entry *ae = path == NULL ? NULL : archive_entry_new();
	if (rc == 0 && ae == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = fill(t, ae, path + 1, e, err); /* without the leading '/' */
	bool has_data = rc == 0 && e->kind == ENTRY_FILE && archive_entry_hardlink(ae) == NULL;
	if (has_data)
		rc = add_layout(r, ae, e, err);
	if (rc == 0 && archive_write_header(t->archive, ae) < ARCHIVE_WARN)
		rc = fail(t, err);
	if (rc == 0 && has_data)
		rc = content_stream_run(source, r, e, write_data, t, err);
	archive_entry_free(ae);
	return rc;
}

int tar_out_finish(struct tar_out *t, struct err *err)
{
	return archive_write_close(t->archive) == ARCHIVE_OK ? 0 : fail(t, err);
}
