/*
 * progress: one line on a terminal that says how far a verb is, at most four times a second.
 * Hides: when and how it is drawn.  Not thread-safe.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_on;    /* draw on standard error */
	bool is_drawn; /* a line is there now */
	int64_t start_ns, last_ns;
};

struct progress_state {
	const char *what; /* "files"; counted by done_items */
	uint64_t items;
	uint64_t bytes, total; /* total 0 = not known */
	uint64_t new_bytes;    /* shown when has_new */
	bool has_new;
};

/* Begin; on when standard error is a terminal or ${is_forced}. */
void progress_init(struct progress *p, bool is_forced, bool is_off);

/* True if it is time to tell again; a caller that prints status lines asks this too. */
bool progress_is_due(struct progress *p);

/* Draw the line if it is on.  Call it when progress_is_due(). */
void progress_draw(struct progress *p, const struct progress_state *s);

/* Take the line away, so that other text may follow. */
void progress_clear(struct progress *p);

/* Seconds since progress_init(). */
double progress_seconds(const struct progress *p);

#endif
