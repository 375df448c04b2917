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
	bool has_removal;
	uint64_t flip_at;             /* offset of the byte of the last damage_flip() */
	uint8_t flip_was;             /* its value before */
	char text[DAMAGE_TEXT_BYTES]; /* for people */
};

/* Where a row of a PostgreSQL table lies in its file. */
struct damage_place {
	uint64_t page; /* from 0 */
	uint32_t page_bytes;
	uint32_t item; /* of the row on the page, from 1 */
};

#define DAMAGE_PAGE_MIN 1024
#define DAMAGE_PAGE_MAX 32768

/**
 * damage_flip(dirfd, path, seed, out, err):
 * Flip one bit of one byte of the file ${path} below ${dirfd}.  Return 0, -ERR_NOT_FOUND (it is
 * empty) or -ERR_IO.
 */
int damage_flip(int dirfd, const char *path, uint64_t seed, struct damage *out, struct err *err);

/* Put the byte of the last damage_flip(), done to ${path}, back.  Return 0 or -ERR_IO. */
int damage_undo_flip(int dirfd, const char *path, const struct damage *d, struct err *err);

/**
 * damage_row(dirfd, path, at, out, err):
 * Change the one bit that makes the row at ${at} of the table file ${path} disappear: a server that
 * does not look at checksums reads the page without complaint and finds one row less.  The server
 * must not run.  Return 0, -ERR_NOT_FOUND (there is no such row) or -ERR_IO.
 */
int damage_row(int dirfd, const char *path, const struct damage_place *at, struct damage *out,
	struct err *err);

/**
 * damage_page(dirfd, path, at, out, err):
 * Change one bit in the header of the row's page, so that a server refuses to read the page, with
 * checksums or without.  As damage_row().
 */
int damage_page(int dirfd, const char *path, const struct damage_place *at, struct damage *out,
	struct err *err);

/* Remove the directory or file ${path}.  Return 0 or -ERR_IO. */
int damage_remove(int dirfd, const char *path, struct damage *out, struct err *err);

/* Cut the file ${path} after its first byte.  Return 0, -ERR_NOT_FOUND (it has no more) or -ERR_IO.
 */
int damage_cut(int dirfd, const char *path, struct damage *out, struct err *err);

#endif
