/*
 * loop: one event loop: timers, signals, and a door for other threads.
 * Hides: libevent.  Makes the process ignore SIGPIPE.  Everything but loop_post() and loop_stop()
 * belongs to the thread that runs it.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdint.h>

struct err;
struct loop;
struct loop_timer;

typedef void (*loop_fn)(void *arg);

int loop_new(struct loop **out, struct err *err);
/* After the servers and timers on it are gone; posts that did not run yet are dropped. */
void loop_free(struct loop *l);

/* Run until loop_stop().  Return 0 or -ERR_IO. */
int loop_run(struct loop *l, struct err *err);
/* Make loop_run() return soon; from any thread, also from a callback. */
void loop_stop(struct loop *l);

/* Call ${fn} on the loop's thread soon, in the order of posting; from any thread. */
int loop_post(struct loop *l, loop_fn fn, void *arg, struct err *err);
/* Forget what was posted with this ${fn} and ${arg} and has not run.  The loop's thread, and not
 * from within a post. */
void loop_unpost(struct loop *l, loop_fn fn, const void *arg);

/* Call ${fn} on the loop's thread whenever ${sig} arrives. */
int loop_signal(struct loop *l, int sig, loop_fn fn, void *arg, struct err *err);

/* A timer, not set yet; freed before its loop. */
int loop_timer_new(struct loop *l, loop_fn fn, void *arg, struct loop_timer **out, struct err *err);
/* Fire once in ${ms} (>= 0) from now; replaces what was set.  < 0: unset. */
void loop_timer_set(struct loop_timer *t, int64_t ms);
void loop_timer_free(struct loop_timer *t);

#endif
