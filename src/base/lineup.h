/*
 * lineup: pieces of work done on a few threads and taken back in the order in which they were
 * given, so that what comes out never depends on who was faster.
 * Knows: when threads are no use (one processor, none to be had): then the work is done when it is
 * given, and nobody sees a difference but in time.
 * Threading: one caller at a time; the work is done on the threads.
 */
#ifndef BASE_LINEUP_H
#define BASE_LINEUP_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct lineup;

#define LINEUP_MAX_THREADS 8
#define LINEUP_MAX_PLACES 32

/* How many threads a lineup of this host has: one a processor, at most LINEUP_MAX_THREADS. */
unsigned lineup_threads(void);

/**
 * lineup_new(places, fn, out, err):
 * At most ${places} (1 .. LINEUP_MAX_PLACES) pieces are in it at one time.  ${fn} does a piece, on
 * thread ${worker} (from 0, below lineup_threads()), which no signal interrupts.  The threads begin
 * with the first piece.  Return 0 or -ERR_NOMEM.
 */
int lineup_new(size_t places, void (*fn)(void *piece, unsigned worker), struct lineup **out,
	struct err *err);
/* Waits for what is being done; what was not begun is left.  NULL is fine. */
void lineup_free(struct lineup *l);

/* Is there room for one more? */
bool lineup_has_room(const struct lineup *l);
/* Give a piece, for which there is room: it is the threads' until it is taken. */
void lineup_give(struct lineup *l, void *piece);
/* The oldest piece, when it is done; NULL: there is none. */
void *lineup_take(struct lineup *l);

#endif
