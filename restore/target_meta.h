/*
 * target_meta: owner, mode, attributes, ACLs, time and inode flags of one restored object, through
 * a descriptor.  Knows: the order in which the kernel lets them stay, and which attributes are an
 * object's own.  What cannot be set is a note, never an error.  Not thread-safe.
 */
#ifndef RESTORE_TARGET_META_H
#define RESTORE_TARGET_META_H

#include <stdbool.h>
#include <stdint.h>

struct entry;
struct err;
struct owner_map;
struct restore_note;

/* Flags that stop later changes, links among them: set when everything else is done. */
#define TARGET_META_LATE_FLAGS UINT32_C(0x00000030) /* append-only, immutable */
/* Every inode flag that is restored: the late ones, sync, no-dump, no-atime. */
#define TARGET_META_FLAGS (TARGET_META_LATE_FLAGS | UINT32_C(0x000000c8))

/* At most this much of names and attributes is kept for one directory. */
#define TARGET_META_MAX_BYTES ((size_t)16 << 20)

struct target_meta_how {
	struct owner_map *owners; /* borrowed; NULL = numbers as they are */
	bool no_owner;            /* leave owners alone, and set-id bits out */
};

/**
 * target_meta_apply(how, fd, is_path, e, flags, note):
 * Give the object behind ${fd} (O_PATH if ${is_path}) everything that ${e} says, and of the inode
 * flags those in the mask ${flags}.  Attributes that ${e} does not have are removed.
 */
void target_meta_apply(const struct target_meta_how *how, int fd, bool is_path,
	const struct entry *e, uint32_t flags, struct restore_note *note);

/* Set the inode flags in ${mask} to those of ${want}; ${fd} is open for reading. */
void target_meta_flags(int fd, uint32_t want, uint32_t mask, struct restore_note *note);

/**
 * target_meta_copy(e, out, err):
 * Store a copy of kind, owner, mode, time, flags and attributes in *${out}: one block, ended with
 * free().  Return 0, -ERR_NOMEM or -ERR_LIMIT (TARGET_META_MAX_BYTES).
 */
int target_meta_copy(const struct entry *e, struct entry **out, struct err *err);

#endif
