/*
 * mount_fuse: the operations of mount_ops behind a mount point, through libfuse 3.
 * Hides: libfuse.  One mount a process at a time.
 */
#ifndef MOUNT_MOUNT_FUSE_H
#define MOUNT_MOUNT_FUSE_H

#include <stdbool.h>

struct err;
struct mount_fuse;
struct mount_ops;

#define MOUNT_FUSE_MAX_THREADS 32

struct mount_fuse_opts {
	const char *mountpoint; /* an empty directory; borrowed until free */
	bool allow_other;       /* other users may look in; then modes and ACLs are enforced */
	unsigned threads;       /* that answer; 1 .. MOUNT_FUSE_MAX_THREADS */
};

/**
 * mount_fuse_new(ops, opts, out, err):
 * Mount; nothing is answered before mount_fuse_run().  ${ops} is borrowed until free.
 * Return 0, -ERR_NOT_FOUND (no such directory), -ERR_USAGE (no directory, not empty) or
 * -ERR_FAILED (no FUSE here, or none for this user; the hint says which).
 */
int mount_fuse_new(struct mount_ops *ops, const struct mount_fuse_opts *opts,
	struct mount_fuse **out, struct err *err);

/* Answer until somebody unmounts or ${is_stopped} is true, which is asked after every signal that
 * this thread gets and once a minute; a signal to be noticed must have a handler.  Return 0 or
 * -ERR_NOMEM. */
int mount_fuse_run(struct mount_fuse *m, bool (*is_stopped)(void *arg), void *arg, struct err *err);

/* Unmount, unless somebody did, and free. */
void mount_fuse_free(struct mount_fuse *m);

#endif
