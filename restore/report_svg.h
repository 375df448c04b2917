/*
 * report_svg: the pictures of the report, as SVG for inside the page: classes only, colours come
 * from its style sheet.  No state.
 */
#ifndef RESTORE_REPORT_SVG_H
#define RESTORE_REPORT_SVG_H

#include <stdint.h>

struct report;
struct report_markup;

/* The timeline: one row a system, one block a phase, the recovery objective as a line. */
void report_svg_timeline(const struct report *r, struct report_markup *m);

/* A bar of ${actual} against ${limit} (both ms, none absent) with a mark at the limit. */
void report_svg_bar(int64_t actual, int64_t limit, struct report_markup *m);

#endif
