/*
 * damage: break a restored copy on purpose, always in the same way for the same seed, so that the
 * checks can show that they would have seen it (the negative control).
 * Never used on anything but a copy made for that.
 */
#ifndef RESTORE_DAMAGE_H
#define RESTORE_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct err;

#define DAMAGE_TEXT_BYTES 512

/* What was done. */
struct damage {
	bool has_flip, has_removal, has_cut;
	uint64_t flip_at;             /* offset of the byte of the last damage_flip() */
	uint8_t flip_value;           /* its value since then */
	char text[DAMAGE_TEXT_BYTES]; /* for people */
};

/**
 * damage_flip(dirfd, path, seed, out, err):
 * Flip one bit of one byte in the last quarter of an 8 KiB page of the file ${path} below
 * ${dirfd}: in a table file, that is where rows lie.  Return 0, -ERR_NOT_FOUND (nothing to flip) or
 * -ERR_IO.
 */
int damage_flip(int dirfd, const char *path, uint64_t seed, struct damage *out, struct err *err);

/* True if the byte that damage_flip() changed in ${path} still has its damaged value. */
bool damage_is_there(int dirfd, const char *path, const struct damage *d);

/* Remove the directory or file ${path}.  Return 0 or -ERR_IO. */
int damage_remove(int dirfd, const char *path, struct damage *out, struct err *err);

/* Cut the file ${path} in half.  Return 0, -ERR_NOT_FOUND (it is empty) or -ERR_IO. */
int damage_cut(int dirfd, const char *path, struct damage *out, struct err *err);

#endif
