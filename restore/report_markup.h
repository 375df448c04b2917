/*
 * report_markup: writing HTML and SVG so that nothing from a report can become markup.  Text goes
 * through report_markup_text(); only the program's own constants go through report_markup_raw().
 * The first failure sticks and is told at the end.
 */
#ifndef RESTORE_REPORT_MARKUP_H
#define RESTORE_REPORT_MARKUP_H

#include <stdint.h>

struct buf;
struct err;

struct report_markup {
	struct buf *out; /* borrowed */
	struct err *err; /* borrowed */
	int rc;          /* 0, or the first failure */
};

/* Markup that is a constant of the program. */
void report_markup_raw(struct report_markup *m, const char *markup);

/* The same with numbers in it: %d %u %zu %lld and the like, no %s but for the program's own words.
 */
void report_markup_rawf(struct report_markup *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Text of any origin, for an element or a quoted attribute: control characters are shown as \x..,
 * & < > " ' become entities.  NULL writes nothing.
 */
void report_markup_text(struct report_markup *m, const char *text);

/* <tag>text</tag> for a ${tag} of the program's own, which may carry attributes ("td class=n"). */
void report_markup_element(struct report_markup *m, const char *tag, const char *text);

/* Text of a duration or time in ms, as report_words has it. */
void report_markup_duration(struct report_markup *m, int64_t ms);
void report_markup_time(struct report_markup *m, int64_t ms);

#endif
