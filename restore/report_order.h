/*
 * report_order: can the times of a report have happened?  A pure function; thread-safe.
 */
#ifndef RESTORE_REPORT_ORDER_H
#define RESTORE_REPORT_ORDER_H

struct err;
struct report;

/**
 * report_order_check(r, err):
 * Check that T0..T7 of every system are in order, that its T0 is the exercise's, and that steps and
 * isolation checks lie within the exercise and end after they start.  Absent times are passed over.
 * Return 0, or -ERR_CORRUPT with the place and both times.
 */
int report_order_check(const struct report *r, struct err *err);

#endif
