/*
 * mount_dir: directories of a mounted vault, listed name by name, each with what is known of it.
 * A directory of a snapshot is read as it is listed, in key order, with memory for one entry.
 * Threading: a handle is used by one thread at a time.
 */
#ifndef MOUNT_MOUNT_DIR_H
#define MOUNT_MOUNT_DIR_H

#include <stdint.h>

struct mount_dir;
struct mount_ops;
struct mount_ops_attr;

/* Return 0 or a negative errno.  A directory of the layout shows the snapshots of this moment. */
int mount_dir_open(struct mount_ops *o, uint64_t ino, struct mount_dir **out);
void mount_dir_close(struct mount_dir *d);

/**
 * mount_dir_at(d, nth, name, out):
 * Name number ${nth} (0 and 1 are "." and ".."), borrowed until the next call on ${d}, and what is
 * known of it (of "." and ".." number and kind).  Return 1, 0 behind the end, or a negative errno.
 */
int mount_dir_at(struct mount_dir *d, uint64_t nth, const char **name, struct mount_ops_attr *out);

/* Count a lookup of the name that mount_dir_at() gave last (not of "." and "..") and store its
 * number.  Return 0 or -ENOMEM. */
int mount_dir_look(struct mount_dir *d, uint64_t *ino);

#endif
