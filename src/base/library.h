/*
 * library: a shared library that is loaded when it is used for the first time: a host that never
 * uses it need not have it, and a process that does not has none of its memory.
 */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stddef.h>

struct err;

struct library {
	const char *what;         /* for texts: "PostgreSQL's client library" */
	const char *hint;         /* what to install */
	const char *const *names; /* of its functions that this program calls */
	size_t count;
};

/**
 * library_open(l, file, out, err):
 * Load ${file} into this process, for good, and set ${out}, ${l}->count function pointers, in the
 * order of the names; untouched on failure.  Once more costs little.  Return 0 or -ERR_NOT_FOUND
 * (it is not installed, or lacks one of them; the hint is ${l}'s).
 */
int library_open(const struct library *l, const char *file, void *out, struct err *err);

#endif
