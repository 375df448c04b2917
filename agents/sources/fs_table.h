/*
 * fs_table: the file systems a walk has met: an id for each that survives a reboot, and what can be
 * expected of it.
 *
 * The id is what the file system says of itself (statfs f_fsid: made from the UUID on ext4, btrfs
 * and others) and, where it says nothing, the device number.  Two file systems that are mounted at
 * the same time and say the same (a volume and its snapshot) get different ids: an id that means
 * two file systems would join files that have nothing to do with each other.
 */
#ifndef AGENTS_SOURCES_FS_TABLE_H
#define AGENTS_SOURCES_FS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct fs_table;

#define FS_TABLE_MAX 65536 /* file systems in one walk */

struct fs_info {
	uint64_t dev;    /* st_dev */
	uint64_t id;     /* never 0 */
	bool is_virtual; /* made up by the kernel (proc, sysfs, ..): nothing to back up */
	bool is_unsure;  /* numbers of files are not lasting there, or times do not show changes */
	bool is_telling; /* the time of change tells of every change also of flags and extended
			  * attributes, and needs no opening of the file to be right */
	bool has_no_flags; /* inode flags were asked for and are not known there */
};

int fs_table_new(struct fs_table **out, struct err *err);
void fs_table_free(struct fs_table *t);

/**
 * fs_table_find(t, fd, dev, out, err):
 * Find the file system ${dev} of the open file ${fd} (O_PATH is enough); *${out} is borrowed until
 * the next call.  Return 0 or -ERR_IO / -ERR_LIMIT / -ERR_NOMEM.
 */
int fs_table_find(struct fs_table *t, int fd, uint64_t dev, struct fs_info **out, struct err *err);

/* The same of one that was met before, or NULL. */
struct fs_info *fs_table_get(struct fs_table *t, uint64_t dev);

#endif
