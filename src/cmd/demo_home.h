/*
 * demo_home: the directory of a demonstration: marked as ours before anything is put in, locked
 * while one runs, with a README that grows by every command that is run.
 *	conf/ keys/ vault/ pg/ batch/ plc/ reports/ logs/ README
 * Threading: one thread.
 */
#ifndef CMD_DEMO_HOME_H
#define CMD_DEMO_HOME_H

#include <limits.h>
#include <stdbool.h>

struct demo_home;
struct err;

#define DEMO_HOME_MARK ".holdfast-demo"

/**
 * demo_home_open(dir, out, err):
 * Make ${dir}, or take it over if it is empty or marked by an earlier demonstration.  *${out} is
 * ended by demo_home_close().  Return 0, -ERR_EXISTS (it holds something else), -ERR_BUSY (another
 * demonstration runs in it) or -ERR_IO.
 */
int demo_home_open(const char *dir, struct demo_home **out, struct err *err);
void demo_home_close(struct demo_home *h);

/* The absolute path; borrowed. */
const char *demo_home_path(const struct demo_home *h);
/* True if an earlier run had marked it. */
bool demo_home_is_old(const struct demo_home *h);

/* Write "<dir>/<name>" to ${out}.  Return 0 or -ERR_LIMIT. */
int demo_home_join(
	const struct demo_home *h, const char *name, char out[PATH_MAX], struct err *err);

/* True if there is a ${name} in it. */
bool demo_home_has(const struct demo_home *h, const char *name);
/* Remove ${name} with everything in it; none is fine.  Return 0 or -ERR_IO. */
int demo_home_remove(const struct demo_home *h, const char *name, struct err *err);
/* Write or replace the small file ${name}, 0600 if ${is_secret}.  Return 0 or -ERR_IO. */
int demo_home_write(const struct demo_home *h, const char *name, const char *text, bool is_secret,
	struct err *err);

/* Append to the README, which says so far what happened.  Return 0 or -ERR_IO. */
int demo_home_tell(struct demo_home *h, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Append ${text} as a shell would take it as one word. */
struct buf;
int demo_home_quote(const char *text, struct buf *out, struct err *err);

#endif
