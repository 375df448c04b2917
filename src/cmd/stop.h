/*
 * stop: a polite end: SIGINT, SIGTERM and SIGHUP ask the running verb to stop; a second one ends
 * the program at once.
 */
#ifndef CMD_STOP_H
#define CMD_STOP_H

#include <stdbool.h>

/* Install the handlers and ignore SIGPIPE (broken output is seen where it is written). */
void stop_install(void);

/* True once a signal asked; fits every is_stopped callback (${arg} is not used). */
bool stop_is_asked(void *arg);

/* The signal that asked, or 0. */
int stop_signal(void);

#endif
