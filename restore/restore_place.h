/*
 * restore_place: gives an entry its place in the directory at hand: the name, the overwrite rule,
 * hard links, and every kind of object but a file's content.  The inner half of restore_writer,
 * which alone uses it.  Not thread-safe.
 */
#ifndef RESTORE_RESTORE_PLACE_H
#define RESTORE_RESTORE_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "restore/id_map.h"
#include "restore/restore_note.h"
#include "restore/restore_writer.h"
#include "restore/target_meta.h"
#include "restore/target_name.h"

struct entry;
struct err;
struct target_dir;
struct target_dirs;

/* A name that is needed again: the first of a hard-link group, or one with late flags. */
struct restore_remembered {
	struct restore_remembered *next;
	struct target_dir *dir; /* borrowed from dirs */
	uint64_t dev, ino;
	uint32_t late_flags;
	bool is_there; /* it has got its name */
	char name[];
};

/* Embedded in the writer, which sets the first five and ends dirs. */
struct restore_place {
	enum restore_overwrite overwrite;
	struct target_dirs *dirs;
	struct target_meta_how how;
	struct restore_note note;
	struct restore_stats stats;
	struct restore_remembered *remembered; /* owned list */
	struct id_map groups;                  /* (0, group) -> struct restore_remembered */
};

/* One entry on its way to its place: the caller sets the first three. */
struct restore_put {
	const struct entry *entry;
	int dirfd;                    /* of the directory at hand; borrowed */
	char component[NAME_MAX + 1]; /* checked */
	struct target_name name;
	enum restore_step step;
};

/* Free what is remembered. */
void restore_place_done(struct restore_place *p);

/**
 * restore_place_dir(p, component, len, e, step, err):
 * Make the directory ${component}, or enter the existing one, and make it the one at hand; ${e} is
 * NULL for an ancestor without an entry.  Return 0, -ERR_EXISTS or -ERR_IO and the like.
 */
int restore_place_dir(struct restore_place *p, const uint8_t *component, size_t len,
	const struct entry *e, enum restore_step *step, struct err *err);

/**
 * restore_place_find(p, put, err):
 * Link the entry to its group's first name if there is one; else choose its name and let the
 * overwrite rule judge what has it.  Then put->step says whether anything is left to be made:
 * RESTORE_STEP_DATA = yes.  Return 0, -ERR_EXISTS or -ERR_IO and the like.
 */
int restore_place_find(struct restore_place *p, struct restore_put *put, struct err *err);

/**
 * restore_place_node(p, put, err):
 * Make the symbolic link, fifo or device node in the place that was found; put->step says what
 * became of it.  Return 0, -ERR_EXISTS or -ERR_IO and the like.
 */
int restore_place_node(struct restore_place *p, struct restore_put *put, struct err *err);

/**
 * restore_place_take(p, put, temp, st, err):
 * Give the finished object ${temp} (its state in ${st}) the name that was found.  Return as
 * target_name_take().
 */
int restore_place_take(struct restore_place *p, const struct restore_put *put, const char *temp,
	const struct stat *st, struct err *err);

#endif
