/*
 * file_meta: what the system says of one open file, as an entry: owner names, times, link target,
 * device, inode flags, extended attributes of every namespace (access lists among them).
 */
#ifndef AGENTS_SOURCES_FILE_META_H
#define AGENTS_SOURCES_FILE_META_H

#include <stdbool.h>
#include <sys/stat.h>

#include "vault/entry.h"

struct err;
struct file_meta;

#define FILE_META_MAX_ATTR_BYTES (16u << 20) /* names and values of one file together */

int file_meta_new(struct file_meta **out, struct err *err);
void file_meta_free(struct file_meta *m);

/* Ask about the open file ${fd} (O_PATH is enough).  Return 0, or -1 and errno. */
int file_meta_stat(int fd, struct statx *out);
/* The same about a name, never through a symbolic link. */
int file_meta_look(int dirfd, const char *name, struct statx *out);

/* The kind of a mode, or 0 for a socket and what is unknown. */
enum entry_kind file_meta_kind(unsigned mode);

struct file_meta_from {
	int fd;
	bool is_path_only; /* fd is O_PATH: what needs a real one is taken from elsewhere or left */
	bool is_brief;     /* there is no fd: flags and extended attributes are left out */
	bool *has_no_flags; /* inode flags are not known here; set when that is found out */
	const struct statx *sx;
};

/**
 * file_meta_read(m, from, out, odd, err):
 * Fill ${out} but for its content; what it points to is borrowed until the next call.  What could
 * not be read and is missing in ${out} is told in ${odd} (code 0: nothing).  Return 0,
 * -ERR_UNSUPPORTED (a socket) or -ERR_NOMEM.
 */
int file_meta_read(struct file_meta *m, const struct file_meta_from *from, struct entry *out,
	struct err *odd, struct err *err);

#endif
