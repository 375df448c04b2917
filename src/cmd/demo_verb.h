/*
 * demo_verb: run a verb of this program as a person would, as a process of its own: the command
 * goes into the README, what it says to the terminal and to logs/.
 */
#ifndef CMD_DEMO_VERB_H
#define CMD_DEMO_VERB_H

struct console;
struct demo_home;
struct err;

#define DEMO_VERB_MAX_WORDS 32

/**
 * demo_verb_run(h, c, words, status, err):
 * Run "holdfast ${words}" (NULL at the end) and wait.  An interruption is passed on to it, and its
 * end is waited for.  Return 0 and its exit status in *${status}, -ERR_INTERRUPTED or -ERR_IO.
 */
int demo_verb_run(struct demo_home *h, struct console *c, const char *const *words, int *status,
	struct err *err);

#endif
