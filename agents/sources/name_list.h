/*
 * name_list: the names of one directory, ascending by bytes, in one piece of memory.
 */
#ifndef AGENTS_SOURCES_NAME_LIST_H
#define AGENTS_SOURCES_NAME_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define NAME_LIST_MAX_BYTES (1u << 30) /* all names of one directory, with their final NULs */

struct name_list {
	char *data; /* owned; names one after the other, each behind the byte of its type */
	size_t len, cap;
	uint32_t *at; /* owned; where each name begins */
	size_t count, at_cap;
};

/* Free; the list is empty and usable again. */
void name_list_done(struct name_list *l);

/**
 * name_list_read(l, fd, err):
 * Fill the empty list with the names in the directory ${fd} (at its beginning), without "." and
 * "..".  Return 0, or -ERR_IO / -ERR_LIMIT / -ERR_NOMEM; the names read until then are in the list,
 * in order.
 */
int name_list_read(struct name_list *l, int fd, struct err *err);

/* The name at ${i} < count; borrowed until done. */
const char *name_list_at(const struct name_list *l, size_t i);

/* Did the directory say that it is a regular file?  That may be otherwise by now, and a file system
 * need not say it. */
bool name_list_is_file(const struct name_list *l, size_t i);
/* The same of a directory. */
bool name_list_is_dir(const struct name_list *l, size_t i);

bool name_list_has(const struct name_list *l, const char *name);

/* Forget all names but ${name}, which is in the list. */
void name_list_keep(struct name_list *l, const char *name);

#endif
