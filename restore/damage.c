#include "restore/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "restore/erase_tree.h"
#include "restore/tree_walk.h"

/*
 * INVARIANTS
 * (1) Nothing is damaged through a symbolic link or outside ${dirfd}.
 * (2) What is not as a page of a PostgreSQL table must be is left as it is.
 *
 * A page (PostgreSQL, "Database Page Layout"): a header, then from its 24th byte on one number of
 * 32 bits for each row: 15 bits where the row begins, 2 bits of state, 15 bits how long it is; in
 * the order of this machine, on which the server must run.
 */

#define DAMAGE_FLAGS_AT 10 /* u16; the server knows the lowest three bits alone */
#define DAMAGE_LOWER_AT 12 /* u16: where the list of rows ends */
#define DAMAGE_UPPER_AT 14 /* u16: where the rows begin */
#define DAMAGE_ITEMS_AT 24
#define DAMAGE_UNKNOWN_FLAG 0x8000
#define DAMAGE_OFFSET_BITS 0x7fff
#define DAMAGE_STATE_SHIFT 15
#define DAMAGE_STATE_NORMAL 1 /* 0 is: no row; one bit apart */
#define DAMAGE_LENGTH_SHIFT 17

static void tell(struct damage *d, const char *what, const char *path)
{
	size_t len = strlen(d->text);
	(void)snprintf(d->text + len, sizeof(d->text) - len, "%s%s '%s'", len == 0 ? "" : ", ",
		what, path); /* cut is fine */
}

/* Open ${path} for writing even when its mode forbids that. */
static int open_to_change(int dirfd, const char *path, struct err *err)
{
	int fd = tree_walk_open_path(dirfd, path, O_RDWR | O_NONBLOCK);
	if (fd < 0 && errno == EACCES) {
		CLEANUP(cleanup_close_p)
		int own = tree_walk_open_path(dirfd, path, O_RDONLY | O_NONBLOCK);
		if (own >= 0 && fchmod(own, 0600) == 0)
			fd = tree_walk_open_path(dirfd, path, O_RDWR | O_NONBLOCK);
	}
	if (fd < 0)
		(void)err_sys(err, ERR_IO, "unable to damage '%s'", path); /* the caller returns */
	return fd;
}

int damage_flip(int dirfd, const char *path, uint64_t seed, struct damage *out, struct err *err)
{
	struct stat st;
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	if (fd < 0)
		return -ERR_IO;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(err, ERR_NOT_FOUND, "'%s' has nothing to damage", path);
	const uint64_t at = seed % (uint64_t)st.st_size;
	unsigned char byte;
	if (pread(fd, &byte, 1, (off_t)at) != 1)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	out->flip_was = byte;
	byte ^= (unsigned char)(1U << seed / 11 % 8);
	if (pwrite(fd, &byte, 1, (off_t)at) != 1)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	char what[64];
	(void)snprintf(what, sizeof(what), "one bit changed at byte %llu of",
		(unsigned long long)at); /* fits */
	out->flip_at = at;
	tell(out, what, path);
	return 0;
}

int damage_undo_flip(int dirfd, const char *path, const struct damage *d, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	if (fd < 0)
		return -ERR_IO;
	if (pwrite(fd, &d->flip_was, 1, (off_t)d->flip_at) != 1)
		return err_sys(err, ERR_IO, "unable to repair '%s'", path);
	return 0;
}

/* ---- pages of a table ---- */

static uint16_t get16(const unsigned char *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* The state of row ${item} in its place, or NULL when there is no such row on this page. */
static unsigned char *find_item(unsigned char *page, const struct damage_place *at)
{
	const size_t lower = get16(page + DAMAGE_LOWER_AT), upper = get16(page + DAMAGE_UPPER_AT);
	const size_t place = DAMAGE_ITEMS_AT + ((size_t)at->item - 1) * sizeof(uint32_t);
	uint32_t v;
	if (at->item == 0 || place + sizeof(v) > lower || lower > upper || upper > at->page_bytes)
		return NULL;
	memcpy(&v, page + place, sizeof(v));
	const size_t begin = v & DAMAGE_OFFSET_BITS, len = v >> DAMAGE_LENGTH_SHIFT;
	if ((v >> DAMAGE_STATE_SHIFT & 3) != DAMAGE_STATE_NORMAL || begin < upper || len == 0 ||
		begin + len > at->page_bytes)
		return NULL;
	return page + place;
}

static void lose_row(unsigned char *item)
{
	uint32_t v;
	memcpy(&v, item, sizeof(v));
	v ^= UINT32_C(1) << DAMAGE_STATE_SHIFT;
	memcpy(item, &v, sizeof(v));
}

static void break_header(unsigned char *page)
{
	uint16_t v = get16(page + DAMAGE_FLAGS_AT) ^ DAMAGE_UNKNOWN_FLAG;
	memcpy(page + DAMAGE_FLAGS_AT, &v, sizeof(v));
}

static int change_page(
	int dirfd, const char *path, const struct damage_place *at, bool is_row, struct err *err)
{
	CLEANUP(cleanup_free_p) unsigned char *page = malloc(at->page_bytes);
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	const off_t where = (off_t)(at->page * at->page_bytes);
	if (fd < 0)
		return -ERR_IO;
	if (page == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ssize_t n = pread(fd, page, at->page_bytes, where);
	unsigned char *item = n == (ssize_t)at->page_bytes ? find_item(page, at) : NULL;
	if (item == NULL)
		return err_set(err, ERR_NOT_FOUND, "page %llu of '%s' has no row %u to damage",
			(unsigned long long)at->page, path, at->item);
	if (is_row)
		lose_row(item);
	else
		break_header(page);
	if (pwrite(fd, page, at->page_bytes, where) != (ssize_t)at->page_bytes)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	return 0;
}

static int damage_table(int dirfd, const char *path, const struct damage_place *at, bool is_row,
	struct damage *out, struct err *err)
{
	if (at->page_bytes < DAMAGE_PAGE_MIN || at->page_bytes > DAMAGE_PAGE_MAX)
		return err_set(
			err, ERR_NOT_FOUND, "pages of %u bytes are not known", at->page_bytes);
	int rc = change_page(dirfd, path, at, is_row, err);
	if (rc != 0)
		return rc;
	char what[96];
	(void)snprintf(what, sizeof(what),
		is_row ? "one bit changed so that row %u of page %llu is gone from"
		       : "one bit changed in the header of the page of row %u, page %llu of",
		at->item, (unsigned long long)at->page); /* fits */
	tell(out, what, path);
	return 0;
}

int damage_row(int dirfd, const char *path, const struct damage_place *at, struct damage *out,
	struct err *err)
{
	return damage_table(dirfd, path, at, true, out, err);
}

int damage_page(int dirfd, const char *path, const struct damage_place *at, struct damage *out,
	struct err *err)
{
	return damage_table(dirfd, path, at, false, out, err);
}

int damage_remove(int dirfd, const char *path, struct damage *out, struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_free_p)
	char *parent = slash == NULL ? strdup("") : strndup(path, (size_t)(slash - path));
	if (parent == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p)
	int fd = tree_walk_open_path(dirfd, parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	(void)fchmod(fd, 0700); /* the removal tells */
	int rc = erase_tree_run(fd, slash == NULL ? path : slash + 1, NULL, err);
	if (rc != 0)
		return rc;
	out->has_removal = true;
	tell(out, "removed", path);
	return 0;
}

int damage_cut(int dirfd, const char *path, struct damage *out, struct err *err)
{
	struct stat st;
	CLEANUP(cleanup_close_p) int fd = open_to_change(dirfd, path, err);
	if (fd < 0)
		return -ERR_IO;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	if (st.st_size < 2)
		return err_set(err, ERR_NOT_FOUND, "'%s' has nothing to cut", path);
	if (ftruncate(fd, 1) != 0)
		return err_sys(err, ERR_IO, "unable to damage '%s'", path);
	tell(out, "cut after its first byte", path);
	return 0;
}
