/*
 * conf_problems: everything that is wrong with one file, told at once, each with file and line.
 * A problem that cannot be kept (out of memory, too many) still counts, so that a file is never
 * taken for a good one.  Texts are made safe to show here.  One thread at a time.
 */
#ifndef CONF_CONF_PROBLEMS_H
#define CONF_CONF_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buf;
struct err;

#define CONF_PROBLEMS_MAX 1000       /* kept; more are only counted */
#define CONF_PROBLEMS_TEXT_BYTES 512 /* of one text, cut there */

enum conf_severity { CONF_ERROR, CONF_WARNING };

struct conf_problem {
	enum conf_severity severity;
	int line; /* from 1; 0 = the file as a whole */
	char *text;
};

struct conf_problems {
	char *file; /* name shown before each line; NULL = none */
	struct conf_problem *items;
	size_t count;
	size_t cap;
	size_t errors;   /* found, also when not kept */
	size_t warnings; /* the same */
};

#define CONF_PROBLEMS_INIT                                                                         \
	{                                                                                          \
		.file = NULL                                                                       \
	}

/* Free everything; the list is empty and usable again. */
void conf_problems_done(struct conf_problems *p);

/* Name the file the problems are in; a copy is kept (none when out of memory). */
void conf_problems_set_file(struct conf_problems *p, const char *file);

/* Add one problem.  Never fails: what cannot be kept is counted. */
void conf_problems_add(struct conf_problems *p, enum conf_severity severity, int line,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Order by line; problems of one line keep their order. */
void conf_problems_sort(struct conf_problems *p);

/* Return true if there is an error (warnings do not count). */
bool conf_problems_has_errors(const struct conf_problems *p);

/**
 * conf_problems_format(p, out, err):
 * Append a line "file:line: error: text" for each problem, and one for those not kept.
 * Return 0, -ERR_LIMIT (${out} is full) or -ERR_NOMEM.
 */
int conf_problems_format(const struct conf_problems *p, struct buf *out, struct err *err);

/* Write the same lines to ${out}. */
void conf_problems_print(const struct conf_problems *p, FILE *out);

/**
 * conf_problems_verdict(p, what, err):
 * Return 0 when there is no error, else -ERR_CONFIG with a text that names ${what} ("plan"), the
 * file, the number of errors and the first of them.
 */
int conf_problems_verdict(const struct conf_problems *p, const char *what, struct err *err);

#endif
