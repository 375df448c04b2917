/*
 * mount_layout: the names above the snapshots: which directories and links a mounted vault has
 * (mount_ops.h shows them).
 * Threading: any thread.
 */
#ifndef MOUNT_MOUNT_LAYOUT_H
#define MOUNT_MOUNT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "mount/mount_node.h"

struct err;
struct mount_snaps;

struct mount_layout_item {
	char *name;             /* owned */
	char *text;             /* owned; behind node.key */
	struct mount_node node; /* what the name means */
	int64_t time_ns;        /* of the snapshot it leads to; 0 = none */
};

struct mount_layout {
	struct mount_layout_item *items; /* owned */
	size_t count, room;
};

/**
 * mount_layout_list(snaps, dir, out, err):
 * The names in ${dir}, a node that is neither entry nor link, as they are now; ${out} (zeroed) is
 * ended by mount_layout_done(), also on failure.  Return 0, -ERR_NOMEM or as mount_snaps_renew().
 */
int mount_layout_list(struct mount_snaps *snaps, const struct mount_node *dir,
	struct mount_layout *out, struct err *err);
void mount_layout_done(struct mount_layout *l);

#endif
