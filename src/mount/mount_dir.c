#include "mount/mount_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "mount/mount_ops_internal.h"
#include "mount/mount_snaps.h"
#include "mount/mount_tree.h"

/*
 * INVARIANTS
 * (1) Either listing is set (a directory of a snapshot) or layout is what it shows.
 * (2) at is the node of the name given last, its key borrowed from listing or layout.
 */
struct mount_dir {
	struct mount_ops *ops; /* borrowed */
	uint64_t ino;
	struct mount_snap *snap;
	size_t dir_len; /* of the directory's key */
	struct mount_listing *listing;
	struct mount_layout layout;
	struct mount_node at;
	struct buf name; /* the name given last, with a NUL */
};

DEFINE_CLEANUP(struct mount_dir *, mount_dir_close)

void mount_dir_close(struct mount_dir *d)
{
	if (d == NULL)
		return;
	mount_tree_list_end(d->listing);
	mount_layout_done(&d->layout);
	buf_done(&d->name);
	free(d);
}

int mount_dir_open(struct mount_ops *o, uint64_t ino, struct mount_dir **out)
{
	struct err err = ERR_INIT;
	const struct mount_node *n = mount_node_get(o->nodes, ino);
	if (n == NULL)
		return -ESTALE;
	if (n->kind == MOUNT_NODE_LINK)
		return -ENOTDIR;
	CLEANUP(mount_dir_close_p) struct mount_dir *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -ENOMEM;
	d->ops = o;
	d->ino = ino;
	d->snap = n->snap;
	d->dir_len = n->key_len;
	d->name.max = ENTRY_MAX_COMPONENT_BYTES + 1;
	int rc;
	if (n->kind != MOUNT_NODE_ENTRY) {
		rc = mount_layout_list(o->snaps, n, &d->layout, &err);
	} else {
		rc = mount_snaps_open(o->snaps, n->snap, &err);
		if (rc == 0)
			rc = mount_tree_list(
				o->tree, n->snap, n->key, n->key_len, &d->listing, &err);
	}
	if (rc != 0)
		return mount_ops_fault(o, n, &err);
	*out = TAKE(d);
	return 0;
}

static int give_dots(
	const struct mount_dir *d, uint64_t nth, const char **name, struct mount_ops_attr *out)
{
	*out = (struct mount_ops_attr){ .is_passing = true };
	out->st.st_ino = d->ino; /* the kernel knows the parent itself */
	out->st.st_mode = S_IFDIR;
	*name = nth == 0 ? "." : "..";
	return 1;
}

static int give_entry(
	struct mount_dir *d, uint64_t nth, const char **name, struct mount_ops_attr *out)
{
	struct err err = ERR_INIT;
	const uint8_t *key;
	size_t len;
	struct entry e;
	int rc = mount_tree_list_at(d->listing, nth, &key, &len, &e, &err);
	if (rc == 0)
		return 0;
	if (rc > 0) {
		size_t from = d->dir_len == 0 ? 0 : d->dir_len + 1;
		buf_clear(&d->name);
		rc = buf_add(&d->name, key + from, len - from, &err);
		if (rc == 0)
			rc = buf_add8(&d->name, 0, &err);
	}
	if (rc != 0)
		return mount_ops_fault(d->ops, mount_node_get(d->ops->nodes, d->ino), &err);
	d->at = (struct mount_node){
		.kind = MOUNT_NODE_ENTRY, .snap = d->snap, .key = key, .key_len = len
	};
	mount_ops_fill_entry(d->ops, &d->at, &e, out);
	*name = (const char *)d->name.data;
	return 1;
}

int mount_dir_at(struct mount_dir *d, uint64_t nth, const char **name, struct mount_ops_attr *out)
{
	if (nth < 2)
		return give_dots(d, nth, name, out);
	nth -= 2;
	if (d->listing != NULL)
		return give_entry(d, nth, name, out);
	if (nth >= d->layout.count)
		return 0;
	const struct mount_layout_item *item = &d->layout.items[nth];
	d->at = item->node;
	*name = item->name;
	mount_ops_fill_item(d->ops, item, out);
	return 1;
}

int mount_dir_look(struct mount_dir *d, uint64_t *ino)
{
	return mount_node_look(d->ops->nodes, &d->at, ino, NULL) == 0 ? 0 : -ENOMEM;
}
