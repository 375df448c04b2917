/*
 * demo_verb: run a program of ours as a person would, as a process of its own: the command goes
 * into the README, what it says to the terminal and to logs/.
 */
#ifndef CMD_DEMO_VERB_H
#define CMD_DEMO_VERB_H

#include <stdbool.h>

struct buf;
struct child;
struct console;
struct demo_home;
struct err;

#define DEMO_VERB_MAX_WORDS 32

struct demo_verb {
	const char *program;      /* its name, beside this program; NULL = this program */
	const char *const *words; /* NULL at the end */
	struct buf *out;          /* takes standard output, which is then not shown; or NULL */
	bool is_untold;           /* a question that is asked again and again: told nowhere */
	/* Once it is interrupted, what it says goes to the log alone: its words are for somebody
	 * whose controller runs on. */
	bool is_hushed;
};

/**
 * demo_verb_run(h, c, v, status, err):
 * Run it and wait.  An interruption is passed on to it, and its end is waited for.  Return 0 and
 * its exit status in *${status}, -ERR_INTERRUPTED, -ERR_NOT_FOUND or -ERR_IO.
 */
int demo_verb_run(struct demo_home *h, struct console *c, const struct demo_verb *v, int *status,
	struct err *err);

/**
 * demo_verb_start(h, c, v, log, has_pipe, out, err):
 * Start it and let it run.  What it says goes to logs/${log}; with ${has_pipe} standard output goes
 * to child_stdout() instead.  *${out} is owned; when this process dies it gets SIGTERM.  Return as
 * above.
 */
int demo_verb_start(struct demo_home *h, struct console *c, const struct demo_verb *v,
	const char *log, bool has_pipe, struct child **out, struct err *err);

#endif
