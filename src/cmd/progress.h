/*
 * progress: one line on a terminal that says how far a verb is, at most four times a second.
 * Hides: when and how it is drawn.  Not thread-safe.
 */
#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_LINE_BYTES 512 /* room for any line made here, with its NUL */

struct progress {
	bool is_on;    /* draw on standard error */
	bool is_drawn; /* a line is there now */
	int64_t start_ns, last_ns;
	/* the speed, and what it was found from */
	double speed;
	int64_t drawn_ns;
	uint64_t drawn_bytes;
};

struct progress_state {
	const char *what;      /* "files"; counted by items; at most 64 bytes */
	uint64_t items;        /* 0 = not shown */
	uint64_t bytes, total; /* total 0 = not known; it may be an estimate, and passed */
	uint64_t new_bytes;    /* shown when has_new */
	bool has_new;
};

/* Begin; on when standard error is a terminal or ${is_forced}. */
void progress_init(struct progress *p, bool is_forced, bool is_off);

/* True if it is time to tell again; a caller that prints status lines asks this too. */
bool progress_is_due(struct progress *p);

/* Draw the line if it is on.  Call it when progress_is_due(). */
void progress_draw(struct progress *p, const struct progress_state *s);

/* The line's text after ${seconds} at ${speed} bytes a second (0 = not known yet):
 * "[1:05] 40.0%  1,200 files 4.0 GiB of 10.0 GiB, 1.0 GiB new, 63.0 MiB/s, 1:37 left". */
void progress_format(const struct progress_state *s, double seconds, double speed,
	char out[PROGRESS_LINE_BYTES]);

/* Take the line away, so that other text may follow. */
void progress_clear(struct progress *p);

/* Seconds since progress_init(). */
double progress_seconds(const struct progress *p);

#endif
