/*
 * restore_note: what a restore could not do as asked and went on without: counted, and told to
 * whoever asked for it.  Knows: the kinds, so that a caller can sum them up.
 */
#ifndef RESTORE_RESTORE_NOTE_H
#define RESTORE_RESTORE_NOTE_H

#include <stddef.h>
#include <stdint.h>

enum restore_note_kind {
	RESTORE_NOTE_OWNER,   /* user or group not set */
	RESTORE_NOTE_MODE,    /* permission bits not set, or set-id bits left out on purpose */
	RESTORE_NOTE_RIGHTS,  /* not root: set-id bits of another owner, capabilities, trusted
				 attributes, flags against change */
	RESTORE_NOTE_XATTR,   /* attribute, ACL or capability not set */
	RESTORE_NOTE_TIME,    /* not set, or the file system cannot hold it */
	RESTORE_NOTE_FLAGS,   /* inode flags not set */
	RESTORE_NOTE_DEVICE,  /* device node not made, for lack of privilege: skipped */
	RESTORE_NOTE_LINK,    /* hard link not possible here: made as a copy of its own */
	RESTORE_NOTE_RENAMED, /* name taken by another entry of this restore: another name given */
};

/* Told during a call on the writer; ${key} and ${text} (not escaped) are valid for the call. */
typedef void (*restore_note_fn)(void *arg, enum restore_note_kind kind, const uint8_t *key,
	size_t key_len, const char *text);

struct restore_note {
	restore_note_fn fn; /* NULL: count only */
	void *arg;
	uint64_t count;
	const uint8_t *key; /* of the entry at hand; borrowed */
	size_t key_len;
};

#define RESTORE_NOTE_PATH_BYTES 512

/* Count one note about the entry at hand and tell it; the text leaves the path out. */
void restore_note_add(struct restore_note *n, enum restore_note_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * restore_note_path(key, len, out):
 * Write the key as a relative path ("." for none), safe to show, cut at the end of ${out}.
 * Return ${out}.
 */
const char *restore_note_path(
	const uint8_t *key, size_t len, char out[static RESTORE_NOTE_PATH_BYTES]);

#endif
