#include "mount/mount_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "mount/mount_ops_internal.h"
#include "mount/mount_snaps.h"
#include "mount/mount_tree.h"
#include "vault/file_reader.h"
#include "vault/record_cache.h"

/*
 * INVARIANTS
 * (1) Every operation begins with a number that has lookups, so its node stays meanwhile.
 * (2) A fault is -EIO and never fewer bytes: who reads less takes it for the end of the file.
 */
#define BLOCK_BYTES 512 /* the unit of st_blocks */
#define PAGE_BYTES 4096

DEFINE_CLEANUP(struct mount_ops *, mount_ops_free)
DEFINE_CLEANUP(struct file_reader *, file_reader_free)

/* ---- faults ---------------------------------------------------------------------------------- */

static int errno_of(const struct err *why)
{
	return why->code == ERR_NOMEM ? -ENOMEM : -EIO;
}

int mount_ops_fault(struct mount_ops *o, const struct mount_node *n, const struct err *why)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(2 * ENTRY_MAX_KEY_BYTES);
	(void)pthread_mutex_lock(&o->lock); /* fails for bad locks only */
	/* a program that tries again and again is not told of again and again */
	if (o->on_problem != NULL && strcmp(o->told.msg, why->msg) != 0) {
		bool has_path = n != NULL && n->kind == MOUNT_NODE_ENTRY &&
				entry_key_path(n->key, n->key_len, &path, NULL) == 0;
		o->on_problem(o->arg, has_path ? (const char *)path.data : NULL, path.len, why);
		o->told = *why;
	}
	(void)pthread_mutex_unlock(&o->lock);
	return errno_of(why);
}

/* ---- what is known of a name ----------------------------------------------------------------- */

/*
 * Blocks of a file: its data without the holes, when the entry itself says where they are.  Else
 * one page less than its size: programs that look for holes then ask SEEK_HOLE, which knows.
 */
static blkcnt_t blocks_of(const struct entry *e)
{
	uint64_t bytes = 0;
	if (e->has_extent_tree)
		bytes = e->size > PAGE_BYTES ? e->size - PAGE_BYTES : 0;
	for (size_t i = 0; i < e->extent_count; i++)
		bytes += e->extents[i].is_hole ? 0 : e->extents[i].length;
	return (blkcnt_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
}

static nlink_t links_of(struct mount_ops *o, const struct mount_node *n)
{
	struct err err = ERR_INIT;
	uint32_t links = 1;
	if (n->group == 0)
		return 1;
	if (mount_tree_links(o->tree, n->snap, n->group, &links, &err) != 0) {
		(void)mount_ops_fault(o, n, &err); /* the rest of the tree is damaged */
		return 2;
	}
	return links;
}

void mount_ops_fill_entry(struct mount_ops *o, struct mount_node *n, const struct entry *e,
	struct mount_ops_attr *out)
{
	struct timespec time = { .tv_sec = e->mtime.s, .tv_nsec = (long)e->mtime.ns };
	n->group = e->kind == ENTRY_DIR ? 0 : e->hardlink;
	*out = (struct mount_ops_attr){ .is_fixed = true };
	out->st = (struct stat){ .st_ino = mount_node_number(o->nodes, n),
		.st_mode = entry_kind_mode(e->kind) | e->mode,
		.st_nlink = links_of(o, n),
		.st_uid = e->uid,
		.st_gid = e->gid,
		.st_size = (off_t)(e->kind == ENTRY_SYMLINK ? e->target_len : e->size),
		.st_blksize = PAGE_BYTES,
		.st_blocks = blocks_of(e),
		.st_atim = time, /* a backup has no other */
		.st_mtim = time,
		.st_ctim = time };
	if (e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK)
		out->st.st_rdev = makedev(e->dev_major, e->dev_minor);
}

/* A directory or link that no snapshot holds; ${size} of a link. */
static void fill_made(struct mount_ops *o, const struct mount_node *n, int64_t time_ns,
	struct mount_ops_attr *out)
{
	bool is_link = n->kind == MOUNT_NODE_LINK;
	struct timespec time = { .tv_sec = time_ns / 1000000000, .tv_nsec = time_ns % 1000000000 };
	*out = (struct mount_ops_attr){ .is_passing = true };
	out->st = (struct stat){ .st_ino = mount_node_number(o->nodes, n),
		.st_mode = is_link ? S_IFLNK | 0777 : S_IFDIR | 0555,
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = getegid(),
		.st_size = is_link ? (off_t)n->key_len : 0,
		.st_blksize = PAGE_BYTES,
		.st_atim = time,
		.st_mtim = time,
		.st_ctim = time };
}

/* Find the entry of ${n}.  Return 0 and a lease, or a negative errno. */
static int find_entry(struct mount_ops *o, const struct mount_node *n, struct mount_lease **lease,
	struct entry *e)
{
	struct err err = ERR_INIT;
	*lease = NULL;
	memset(e, 0, sizeof(*e));
	int rc = mount_snaps_open(o->snaps, n->snap, &err);
	if (rc == 0)
		rc = mount_tree_find(o->tree, n->snap, n->key, n->key_len, lease, e, &err);
	if (rc < 0)
		return mount_ops_fault(o, n, &err);
	return rc == 1 ? 0 : -ENOENT;
}

void mount_ops_fill_item(
	struct mount_ops *o, const struct mount_layout_item *item, struct mount_ops_attr *out)
{
	struct mount_node n = item->node;
	struct mount_lease *lease;
	struct entry e;
	if (n.kind == MOUNT_NODE_ENTRY && find_entry(o, &n, &lease, &e) == 0) {
		mount_ops_fill_entry(o, &n, &e, out);
		mount_tree_return(o->tree, lease);
		out->is_passing = true;
		return;
	}
	/* a snapshot that cannot be opened has a name, too; who goes into it is told why */
	fill_made(o, &n, item->time_ns != 0 ? item->time_ns : o->began_ns, out);
}

/* ---- names ----------------------------------------------------------------------------------- */

static int lookup_made(struct mount_ops *o, const struct mount_node *dir, const char *name,
	struct mount_ops_attr *out)
{
	struct err err = ERR_INIT;
	struct mount_layout layout = { .items = NULL };
	int rc = mount_layout_list(o->snaps, dir, &layout, &err);
	if (rc != 0)
		rc = mount_ops_fault(o, dir, &err);
	else
		rc = -ENOENT;
	for (size_t i = 0; rc == -ENOENT && i < layout.count; i++) {
		const struct mount_layout_item *item = &layout.items[i];
		if (strcmp(item->name, name) != 0)
			continue;
		mount_ops_fill_item(o, item, out);
		rc = mount_node_look(o->nodes, &item->node, &out->st.st_ino, NULL) == 0 ? 0
											: -ENOMEM;
	}
	mount_layout_done(&layout);
	return rc;
}

static int child_key(const struct mount_node *dir, const char *name, struct buf *key)
{
	int rc = 0;
	if (dir->key_len > 0)
		rc = buf_add(key, dir->key, dir->key_len, NULL);
	if (rc == 0 && dir->key_len > 0)
		rc = buf_add8(key, 0, NULL);
	return rc != 0 ? rc : buf_add(key, name, strlen(name), NULL);
}

int mount_ops_lookup(
	struct mount_ops *o, uint64_t parent, const char *name, struct mount_ops_attr *out)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(ENTRY_MAX_KEY_BYTES);
	const struct mount_node *dir = mount_node_get(o->nodes, parent);
	struct mount_lease *lease;
	struct entry e;
	if (dir == NULL)
		return -ESTALE;
	if (dir->kind == MOUNT_NODE_LINK)
		return -ENOTDIR;
	if (dir->kind != MOUNT_NODE_ENTRY)
		return lookup_made(o, dir, name, out);
	if (child_key(dir, name, &key) != 0)
		return -ENAMETOOLONG;
	struct mount_node n = {
		.kind = MOUNT_NODE_ENTRY, .snap = dir->snap, .key = key.data, .key_len = key.len
	};
	int rc = find_entry(o, &n, &lease, &e);
	if (rc != 0)
		return rc;
	mount_ops_fill_entry(o, &n, &e, out);
	mount_tree_return(o->tree, lease);
	return mount_node_look(o->nodes, &n, &out->st.st_ino, NULL) == 0 ? 0 : -ENOMEM;
}

void mount_ops_forget(struct mount_ops *o, uint64_t ino, uint64_t count)
{
	mount_node_forget(o->nodes, ino, count);
}

int mount_ops_getattr(struct mount_ops *o, uint64_t ino, struct mount_ops_attr *out)
{
	const struct mount_node *there = mount_node_get(o->nodes, ino);
	struct mount_lease *lease;
	struct entry e;
	if (there == NULL)
		return -ESTALE;
	struct mount_node n = *there;
	if (n.kind != MOUNT_NODE_ENTRY) {
		fill_made(o, &n, o->began_ns, out);
	} else {
		int rc = find_entry(o, &n, &lease, &e);
		if (rc != 0)
			return rc;
		mount_ops_fill_entry(o, &n, &e, out);
		mount_tree_return(o->tree, lease);
	}
	out->st.st_ino = ino; /* the mount point has a number of its own */
	return 0;
}

/* ---- one entry ------------------------------------------------------------------------------- */

/* Find the entry behind a number; -ENOENT also for what is no entry. */
static int entry_of(struct mount_ops *o, uint64_t ino, struct mount_lease **lease, struct entry *e)
{
	const struct mount_node *n = mount_node_get(o->nodes, ino);
	if (n == NULL)
		return -ESTALE;
	return n->kind == MOUNT_NODE_ENTRY ? find_entry(o, n, lease, e) : -ENOENT;
}

static int put_text(char *out, size_t size, const void *text, size_t len)
{
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(out, text, len);
	out[len] = '\0';
	return 0;
}

int mount_ops_readlink(struct mount_ops *o, uint64_t ino, char *out, size_t size)
{
	const struct mount_node *n = mount_node_get(o->nodes, ino);
	struct mount_lease *lease;
	struct entry e;
	if (n != NULL && n->kind == MOUNT_NODE_LINK)
		return put_text(out, size, n->key, n->key_len);
	int rc = entry_of(o, ino, &lease, &e);
	if (rc != 0)
		return rc == -ENOENT ? -EINVAL : rc;
	rc = e.kind == ENTRY_SYMLINK ? put_text(out, size, e.target, e.target_len) : -EINVAL;
	mount_tree_return(o->tree, lease);
	return rc;
}

int mount_ops_open(struct mount_ops *o, uint64_t ino, struct file_reader **out)
{
	struct err err = ERR_INIT;
	struct mount_lease *lease;
	struct entry e;
	int rc = entry_of(o, ino, &lease, &e);
	if (rc != 0)
		return rc == -ENOENT ? -EISDIR : rc;
	if (e.kind == ENTRY_FILE) {
		rc = file_reader_new(mount_snaps_cache(o->snaps), &e, out, &err);
		if (rc != 0)
			rc = mount_ops_fault(o, mount_node_get(o->nodes, ino), &err);
	} else {
		rc = e.kind == ENTRY_DIR ? -EISDIR : -EINVAL;
	}
	mount_tree_return(o->tree, lease);
	return rc;
}

int mount_ops_read(struct mount_ops *o, uint64_t ino, struct file_reader *f, uint64_t offset,
	void *out, size_t len, size_t *got)
{
	struct err err = ERR_INIT;
	if (file_reader_read(f, offset, out, len, got, &err) == 0)
		return 0;
	return mount_ops_fault(o, mount_node_get(o->nodes, ino), &err);
}

int mount_ops_seek(struct mount_ops *o, uint64_t ino, struct file_reader *f, uint64_t offset,
	int whence, uint64_t *out)
{
	struct err err = ERR_INIT;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	int rc = file_reader_seek(f, offset, whence == SEEK_HOLE, out, &err);
	if (rc == -ERR_NOT_FOUND && (offset >= file_reader_size(f) || whence == SEEK_DATA))
		return -ENXIO;
	return rc == 0 ? 0 : mount_ops_fault(o, mount_node_get(o->nodes, ino), &err);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static int list_names(const struct entry *e, char *out, size_t size)
{
	size_t len = 0;
	for (size_t i = 0; i < e->xattr_count; i++)
		len += e->xattrs[i].name_len + 1;
	if (len > INT32_MAX)
		return -E2BIG;
	if (size == 0)
		return (int)len;
	if (len > size)
		return -ERANGE;
	for (size_t i = 0; i < e->xattr_count; i++) {
		memcpy(out, e->xattrs[i].name, e->xattrs[i].name_len);
		out += e->xattrs[i].name_len;
		*out++ = '\0';
	}
	return (int)len;
}

int mount_ops_listxattr(struct mount_ops *o, uint64_t ino, char *out, size_t size)
{
	struct mount_lease *lease;
	struct entry e;
	int rc = entry_of(o, ino, &lease, &e);
	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	rc = list_names(&e, out, size);
	mount_tree_return(o->tree, lease);
	return rc;
}

static int get_value(const struct entry *e, const char *name, void *out, size_t size)
{
	for (size_t i = 0; i < e->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i];
		if (x->name_len != strlen(name) || memcmp(x->name, name, x->name_len) != 0)
			continue;
		if (size == 0)
			return (int)x->value_len; /* at most 64 KiB */
		if (x->value_len > size)
			return -ERANGE;
		if (x->value_len > 0)
			memcpy(out, x->value, x->value_len);
		return (int)x->value_len;
	}
	return -ENODATA;
}

int mount_ops_getxattr(struct mount_ops *o, uint64_t ino, const char *name, void *out, size_t size)
{
	struct mount_lease *lease;
	struct entry e;
	int rc = entry_of(o, ino, &lease, &e);
	if (rc != 0)
		return rc == -ENOENT ? -ENODATA : rc;
	rc = get_value(&e, name, out, size);
	mount_tree_return(o->tree, lease);
	return rc;
}

int mount_ops_flags(struct mount_ops *o, uint64_t ino, uint32_t *out)
{
	struct mount_lease *lease;
	struct entry e;
	int rc = entry_of(o, ino, &lease, &e);
	if (rc != 0)
		return rc == -ENOENT ? -ENOTTY : rc;
	*out = e.flags;
	mount_tree_return(o->tree, lease);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int find_snapshot(
	struct mount_snaps *snaps, const uint8_t hash[32], struct mount_snap **out, struct err *err)
{
	CLEANUP(cleanup_free_p) struct mount_snap **list = NULL;
	size_t count = 0;
	int rc = mount_snaps_list(snaps, &list, &count, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (memcmp(list[i]->hash, hash, sizeof(list[i]->hash)) == 0) {
			*out = list[i];
			return mount_snaps_open(snaps, list[i], err);
		}
	}
	return rc != 0 ? rc : err_set(err, ERR_NOT_FOUND, "there is no such snapshot");
}

int mount_ops_new(const struct mount_ops_opts *opts, struct mount_ops **out, struct err *err)
{
	struct mount_node root = { .kind = MOUNT_NODE_TOP };
	CLEANUP(mount_ops_free_p) struct mount_ops *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&o->lock, NULL); /* with default attributes: cannot fail */
	o->snaps = opts->snaps;
	o->on_problem = opts->on_problem;
	o->arg = opts->arg;
	o->began_ns = env_now_ns();
	int rc = mount_snaps_renew(o->snaps, err);
	if (rc == 0 && opts->snapshot != NULL) {
		root.kind = MOUNT_NODE_ENTRY;
		rc = find_snapshot(o->snaps, opts->snapshot, &root.snap, err);
	}
	if (rc == 0)
		rc = mount_node_new(&root, &o->nodes, err);
	if (rc == 0)
		rc = mount_tree_new(
			record_cache_source(mount_snaps_cache(o->snaps)), &o->tree, err);
	if (rc == 0)
		*out = TAKE(o);
	return rc;
}

void mount_ops_free(struct mount_ops *o)
{
	if (o == NULL)
		return;
	mount_tree_free(o->tree);
	mount_node_free(o->nodes);
	(void)pthread_mutex_destroy(&o->lock);
	free(o);
}
