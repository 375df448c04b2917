/*
 * console: what a verb says: results on standard output, everything else on standard error; with
 * --json, objects (one a line) on standard output.  Names are escaped here.
 * Hides: the two forms, the progress line.  One thread.
 */
#ifndef CMD_CONSOLE_H
#define CMD_CONSOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cmd/progress.h"

struct err;

#define CONSOLE_SCHEMA_PREFIX "holdfast/"

struct console {
	bool is_json;
	bool is_quiet;
	bool wants_status;   /* JSON status lines */
	bool is_reader_gone; /* nobody reads standard output any more: end without a word */
	FILE *json;          /* where objects go; borrowed */
	const char *verb;    /* for schema names; borrowed, may be NULL */
	uint64_t warnings;
	struct progress progress;
};

void console_init(struct console *c);

/* Result text on standard output; nothing with --json. */
void console_print(struct console *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ${len} bytes of a name in result text, made safe to show. */
void console_print_name(struct console *c, const char *name, size_t len);

/* "1 file" or "2 files" in result text. */
void console_count(struct console *c, uint64_t n, const char *one, const char *many);

/* True where remarks are told: neither --json nor --quiet. */
bool console_is_chatty(const struct console *c);

/* A remark on standard error; nothing with --json or --quiet. */
void console_note(struct console *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * console_warn(c, path, path_len, fmt, ...):
 * Count one warning and tell it: "holdfast: warning: 'path': text".  ${path} may be NULL.
 */
void console_warn(struct console *c, const char *path, size_t path_len, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * console_object(c, name, type, take):
 * Print ${take} (a reference that is taken, also when NULL) as one line with "schema":
 * "holdfast/<name>/1" and, when ${type} is not NULL, "message_type".  Return 0 or -1 (no memory).
 */
int console_object(struct console *c, const char *name, const char *type, json_t *take);

/* Tell an error: text on standard error, with --json an object too. */
void console_error(struct console *c, const struct err *err, int exit_status);

/* True once standard output is broken: listings stop early. */
bool console_is_broken(void);

/* Write out everything.  Return 0, or errno of what could not be written. */
int console_flush(struct console *c);

#endif
