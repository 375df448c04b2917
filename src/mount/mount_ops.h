/*
 * mount_ops: a vault as a read-only file system, operation by operation; knows nothing of FUSE.
 *
 *   /snapshots/<id>/..            every snapshot, its files by their absolute paths
 *   /snapshots/latest             link to the newest
 *   /sources/<source>/<time>      links to the snapshots of a source
 *   /sources/<source>/latest      likewise
 *
 * With one snapshot the mount point is that snapshot's root.  Owners, modes, times, ACLs and
 * attributes are those of the backup: they are shown; whether they are enforced is the mount's.
 * Operations return 0 or more, or a negative errno; what a person should know of a fault goes to
 * on_problem.  A read gives bytes that were checked, or -EIO.
 * Directories are listed by mount_dir.
 * Threading: any thread.
 */
#ifndef MOUNT_MOUNT_OPS_H
#define MOUNT_MOUNT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;
struct file_reader;
struct mount_ops;
struct mount_snaps;

/* ${path} (raw bytes, in its snapshot; NULL for none) could not be read.  Called by any thread. */
typedef void (*mount_ops_problem_fn)(
	void *arg, const char *path, size_t len, const struct err *why);

struct mount_ops_opts {
	struct mount_snaps *snaps; /* borrowed until free */
	const uint8_t *snapshot;   /* 32 bytes: show this one alone; NULL = the layout above */
	mount_ops_problem_fn on_problem;
	void *arg;
};

/* Return 0, -ERR_NOT_FOUND (no such snapshot), -ERR_NOMEM or as mount_snaps_open(). */
int mount_ops_new(const struct mount_ops_opts *opts, struct mount_ops **out, struct err *err);
/* Every handle is closed. */
void mount_ops_free(struct mount_ops *o);

/* What is known of one name. */
struct mount_ops_attr {
	struct stat st;  /* st_ino is the inode number */
	bool is_fixed;   /* belongs to a snapshot: never changes */
	bool is_passing; /* the name is of the layout: another snapshot may have it tomorrow */
};

/* Find ${name} in the directory ${parent} and count one lookup of its number.  -ENOENT. */
int mount_ops_lookup(
	struct mount_ops *o, uint64_t parent, const char *name, struct mount_ops_attr *out);
void mount_ops_forget(struct mount_ops *o, uint64_t ino, uint64_t count);
int mount_ops_getattr(struct mount_ops *o, uint64_t ino, struct mount_ops_attr *out);

/* Write the link's target and a NUL; -ENAMETOOLONG when it is longer. */
int mount_ops_readlink(struct mount_ops *o, uint64_t ino, char *out, size_t size);

/* Open a file for file_reader_read(); the caller frees it.  -EISDIR, -EINVAL. */
int mount_ops_open(struct mount_ops *o, uint64_t ino, struct file_reader **out);
/* Read as file_reader_read(): all that is asked for, less at the end of the file alone, or -EIO. */
int mount_ops_read(struct mount_ops *o, uint64_t ino, struct file_reader *f, uint64_t offset,
	void *out, size_t len, size_t *got);
/* ${whence} is SEEK_DATA or SEEK_HOLE.  -ENXIO. */
int mount_ops_seek(struct mount_ops *o, uint64_t ino, struct file_reader *f, uint64_t offset,
	int whence, uint64_t *out);

/* Append all names, each with a NUL, up to ${size} bytes (0: only count).  Return the bytes all
 * need, -ERANGE, .. */
int mount_ops_listxattr(struct mount_ops *o, uint64_t ino, char *out, size_t size);
/* Store the value (${size} 0: only count).  Return its length, -ENODATA, -ERANGE, .. */
int mount_ops_getxattr(struct mount_ops *o, uint64_t ino, const char *name, void *out, size_t size);

/* The FS_IOC_GETFLAGS bits. */
int mount_ops_flags(struct mount_ops *o, uint64_t ino, uint32_t *out);

#endif
