/*
 * mount_node: what inode numbers of a mounted vault mean, as long as the kernel knows them.
 * A number is made from what it stands for, so that it is the same in every mount; all names of a
 * hard-link group have one.
 * Threading: any thread; a node stays as long as its number has lookups, so a request may use it
 * without a lock.
 */
#ifndef MOUNT_MOUNT_NODE_H
#define MOUNT_MOUNT_NODE_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct mount_node_table;
struct mount_snap;

#define MOUNT_NODE_ROOT 1ull /* the inode number of the mount point */

enum mount_node_kind {
	MOUNT_NODE_TOP,       /* the mount point of a whole vault */
	MOUNT_NODE_SNAPSHOTS, /* its directory of snapshots by id */
	MOUNT_NODE_SOURCES,   /* its directory of sources */
	MOUNT_NODE_SOURCE,    /* a source, ${key} its directory's name */
	MOUNT_NODE_LINK,      /* a symbolic link to ${key} */
	MOUNT_NODE_ENTRY,     /* the entry ${key} of ${snap}; "" = the snapshot's root */
};

struct mount_node {
	enum mount_node_kind kind;
	struct mount_snap *snap; /* borrowed */
	const uint8_t *key;      /* owned by the table; text of a link or source without NUL */
	size_t key_len;
	uint64_t group; /* of hard links, in snap; then ${key} is one of its names; 0 = none */
};

/* The mount point is ${root}, copied; it stays until free. */
int mount_node_new(const struct mount_node *root, struct mount_node_table **out, struct err *err);
void mount_node_free(struct mount_node_table *t);

/* The number that ${n} has or would get. */
uint64_t mount_node_number(struct mount_node_table *t, const struct mount_node *n);

/* Note one more lookup of ${n} (copied) and store its number.  Return 0 or -ERR_NOMEM. */
int mount_node_look(
	struct mount_node_table *t, const struct mount_node *n, uint64_t *ino, struct err *err);

/* Take back ${count} lookups; without any the number means nothing more. */
void mount_node_forget(struct mount_node_table *t, uint64_t ino, uint64_t count);

/* What the number means, borrowed while it has lookups; NULL when it has none. */
const struct mount_node *mount_node_get(struct mount_node_table *t, uint64_t ino);

/* How many numbers are known. */
size_t mount_node_count(struct mount_node_table *t);

#endif
