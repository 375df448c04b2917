/*
 * mount_ops_internal: what operations and directories share.  Never leaves the room.
 */
#ifndef MOUNT_MOUNT_OPS_INTERNAL_H
#define MOUNT_MOUNT_OPS_INTERNAL_H

#include <pthread.h>

#include "base/err.h"
#include "mount/mount_layout.h"
#include "mount/mount_node.h"
#include "mount/mount_ops.h"
#include "vault/entry.h"

struct mount_ops {
	struct mount_snaps *snaps; /* borrowed */
	struct mount_tree *tree;   /* owned */
	struct mount_node_table *nodes;
	mount_ops_problem_fn on_problem;
	void *arg;
	int64_t began_ns;     /* of directories that no snapshot holds */
	pthread_mutex_t lock; /* covers what was told last */
	struct err told;
};

/* Tell of a fault at ${n} (NULL = none) unless it is the one told last; return what a system call
 * answers: a negative errno. */
int mount_ops_fault(struct mount_ops *o, const struct mount_node *n, const struct err *why);

/* Make ${n} the node of the entry ${e}, and fill what is known of it. */
void mount_ops_fill_entry(struct mount_ops *o, struct mount_node *n, const struct entry *e,
	struct mount_ops_attr *out);

/* Fill what is known of a name of the layout. */
void mount_ops_fill_item(
	struct mount_ops *o, const struct mount_layout_item *item, struct mount_ops_attr *out);

#endif
