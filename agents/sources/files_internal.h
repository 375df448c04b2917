/*
 * files_internal: what files.c and files_walk.c share.
 */
#ifndef AGENTS_SOURCES_FILES_INTERNAL_H
#define AGENTS_SOURCES_FILES_INTERNAL_H

#include <limits.h>

#include "agents/sources/dir_stack.h"
#include "agents/sources/file_meta.h"
#include "agents/sources/files.h"
#include "agents/sources/files_content.h"
#include "agents/sources/fs_table.h"
#include "agents/sources/look_ahead.h"
#include "base/buf.h"

#define FILES_MAX_PATH_BYTES (ENTRY_MAX_KEY_BYTES + PATH_MAX)

/*
 * INVARIANTS
 * (1) path and key are those of the deepest directory of the stack, plus one component while an
 *     item is looked at or was just given.
 * (2) A frame that is_listed is a directory whose entry was given (or "/"); the frames before the
 *     first listed one lead to the root that is being walked.
 * (3) fd is -1 or the regular file just given, open for reading, as ${item} describes it.  It is -1
 *     for a brief item.
 */
struct files {
	struct files_opts opts;
	struct source source;
	struct dir_stack *stack;
	struct fs_table *fs_table;
	struct file_meta *meta;
	struct buf path, key; /* of what is looked at; path without a final NUL */
	size_t root_at;       /* the next root */
	bool is_root_begun;   /* its ancestors are being entered */
	bool was_mapped;      /* the root before it */
	struct source_item item;
	int fd;
	struct files_content content;
	uint64_t lost;            /* names told and never given, as lost() of a source */
	bool is_brief;            /* be_brief() was called */
	struct look_ahead *ahead; /* then; NULL: no memory for it */
	bool is_read;             /* the item just given was opened for that */
};

/* Tell of f->path. */
void files_walk_warn(struct files *f, const char *why);
/* The same with the text of errno. */
void files_walk_warn_sys(struct files *f, const char *what);

/* How a file that f->item is filled from is open. */
enum files_walk_how {
	FILES_WALK_OPEN,
	FILES_WALK_PATH_ONLY, /* O_PATH */
	FILES_WALK_BRIEF,     /* not at all */
};

/* Fill f->item for f->key.  Return 0 or -ERR_NOMEM. */
int files_walk_fill(struct files *f, int fd, enum files_walk_how how, const struct statx *sx,
	struct fs_info *fs, struct err *err);

/* Go on to the next entry: f->item, and f->fd for a readable file.  As next() of a source. */
int files_walk_next(struct files *f, struct err *err);

/* Open the item just given, a regular file that was not opened then; with ${may_be_other}, or
 * another one that has come in its place and is to be kept.  Return a descriptor (owned) and its
 * state, or -1: told. */
int files_walk_open_late(struct files *f, bool may_be_other, struct statx *sx);

#endif
