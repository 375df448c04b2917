/*
 * stop: a polite end: SIGINT, SIGTERM and SIGHUP ask the running verb to stop; the same one a
 * second time ends the program at once.
 */
#ifndef CMD_STOP_H
#define CMD_STOP_H

#include <stdbool.h>

/* Install the handlers and ignore SIGPIPE (broken output is seen where it is written). */
void stop_install(void);

/**
 * stop_set_notice(text, last):
 * From now on the first signal writes ${text}, a line with its end, to standard error before it
 * returns: whoever pressed Ctrl-C knows at once that it was heard.  The second writes ${last}, what
 * is left behind and how to be rid of it, before it ends the program.  Both are borrowed until the
 * next call; NULL (as at first) = nothing is said.
 */
void stop_set_notice(const char *text, const char *last);

/* True once a signal asked; fits every is_stopped callback (${arg} is not used). */
bool stop_is_asked(void *arg);

/* The signal that asked, or 0. */
int stop_signal(void);

#endif
