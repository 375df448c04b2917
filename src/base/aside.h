/*
 * aside: one piece of work done on a thread of its own while its caller does something else.
 * Knows: when a second thread is no use (one processor, none to be had): then the work is done at
 * once, and nobody sees a difference but in time.
 * Threading: one caller at a time.
 */
#ifndef BASE_ASIDE_H
#define BASE_ASIDE_H

struct aside;
struct err;

/* The thread begins with the first work.  Return 0 or -ERR_NOMEM. */
int aside_new(struct aside **out, struct err *err);
/* Waits for what was begun.  NULL is fine. */
void aside_free(struct aside *a);

/* Begin fn(arg), which no signal interrupts.  ${arg}, and all that ${fn} touches, is the thread's
 * until aside_wait(); work begun before is waited for. */
void aside_begin(struct aside *a, void (*fn)(void *arg), void *arg);
/* Until what was begun is done; fine when nothing was. */
void aside_wait(struct aside *a);

#endif
