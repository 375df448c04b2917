/*
 * report_shelf: a directory of drill reports: each drill leaves <exercise id>.json (signed), .html
 * and a directory of evidence there.  Writes one, reads them all.
 */
#ifndef CMD_REPORT_SHELF_H
#define CMD_REPORT_SHELF_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/report_check.h"

struct err;
struct report;

#define REPORT_SHELF_MAX 100000

/* Where one report lies. */
struct report_shelf_paths {
	char json[PATH_MAX];
	char html[PATH_MAX];
	char keyid[DSSE_KEYID_BYTES]; /* of the key that signed */
	/* of the controller that the report names, if it signed too, or "" */
	char controller_keyid[DSSE_KEYID_BYTES];
};

/**
 * report_shelf_put(dir, r, seed, out, err):
 * Sign the judged report and write it and its page.  Return 0, -ERR_EXISTS or -ERR_IO and the like.
 */
int report_shelf_put(const char *dir, struct report *r, const uint8_t seed[32],
	struct report_shelf_paths *out, struct err *err);

/**
 * report_shelf_keep(dir, check, data, len, out, err):
 * Write the signed report ${data}, opened as ${check}, as it is, and its page.  One that is there
 * with the same bytes is kept.  Return 0, -ERR_EXISTS (another report of that exercise is there)
 * or -ERR_IO.
 */
int report_shelf_keep(const char *dir, const struct report_check *check, const void *data,
	size_t len, struct report_shelf_paths *out, struct err *err);

/* Called for each file <name>.json in order of names: ${check} is NULL when it is no intact report,
 * ${why} says why then.  A value other than 0 ends the walk and is returned. */
typedef int (*report_shelf_fn)(
	void *arg, const char *name, const struct report_check *check, const struct err *why);

/**
 * report_shelf_verdict(dir, broken, err):
 * The end of a listing that met ${broken} files that are no intact report, each named before.
 * Return 0 when there was none, or -ERR_CORRUPT with how many.
 */
int report_shelf_verdict(const char *dir, size_t broken, struct err *err);

/* Read every report in ${dir}; anybody's signature counts.  Return 0, -ERR_NOT_FOUND or -ERR_IO. */
int report_shelf_walk(const char *dir, report_shelf_fn fn, void *arg, struct err *err);

#endif
