/*
 * calendar_text: expressions of calendar read and written.  Inside the room.
 * Knows: the grammar, its words and its error texts.  No state.
 */
#ifndef PLANS_CALENDAR_TEXT_H
#define PLANS_CALENDAR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct calendar;
struct calendar_part;
struct err;

/* Fill ${c} (zeroed) from ${text}; ${zone} as calendar_parse().  On failure what was made so far is
 * left for calendar_free(). */
int calendar_text_read(const char *text, const char *zone, struct calendar *c, struct err *err);

/* Whether ${value} is in part ${which}. */
bool calendar_text_has(const struct calendar *c, int which, int value);

/* As calendar_normal(). */
int calendar_text_write(const struct calendar *c, char *out, size_t size);

#endif
